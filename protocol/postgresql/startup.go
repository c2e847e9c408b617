package postgresql

import (
	"encoding/binary"

	"github.com/toposcope/toposcope/protocol"
)

// Codes of the messages that have no type: the version that a StartupMessage wants (its upper half is 3), and requests in its place.
const (
	codeMajor  = 3
	codeCancel = 1234<<16 | 5678
	codeSSL    = 1234<<16 | 5679
	codeGSS    = 1234<<16 | 5680
)

// maxStartup is how long a message without a type may be (PostgreSQL's MAX_STARTUP_PACKET_LENGTH).
const maxStartup = 10000

// namespaceLimit bounds a database's name; PostgreSQL's has 63 bytes, a pooler's may have more.
const namespaceLimit = 128

// startup reads a message without a type: it begins a connection.
func (p *parser) startup(c *protocol.Chunk) (int, *protocol.Message, error) {
	if len(c.Data) < 8 {
		return 0, nil, nil
	}
	n, code := int(binary.BigEndian.Uint32(c.Data)), binary.BigEndian.Uint32(c.Data[4:])
	if n < 8 || n > maxStartup {
		return 0, nil, protocol.ErrSyntax
	}
	if len(c.Data) < n && c.Then == protocol.Continues {
		return 0, nil, nil
	}
	switch code {
	case codeSSL, codeGSS:
		if n != 8 {
			return 0, nil, protocol.ErrSyntax
		}
		p.asked = code
		return n, nil, nil
	case codeCancel:
		m := c.Message
		m.Reset()
		m.NoReply = true
		m.Attrs.SetString(protocol.DBSystem, Name)
		m.Attrs.SetString(protocol.DBOperation, opCancel)
		return n, m, nil
	}
	if code>>16 != codeMajor {
		return 0, nil, protocol.ErrSyntax
	}
	body := c.Data[8:min(n, len(c.Data))]
	p.greet(body)
	p.ledger.sent++
	m := c.Message
	m.Reset()
	m.Part, m.Upkeep, m.Form = protocol.PartHead, true, uint64(isConnect) // what authenticates belongs to it
	m.Truncated = len(c.Data) < n
	m.Attrs.SetString(protocol.DBSystem, Name)
	m.Attrs.SetString(protocol.DBOperation, opConnect)
	p.setNamespace(m)
	return n, m, nil
}

// greet takes the database out of the parameters of a StartupMessage: by default it is called as the user.
func (p *parser) greet(body []byte) {
	p.namespace, p.greeted = p.namespace[:0], true
	named := false
	for len(body) > 1 {
		key, rest, ok := cString(body)
		if !ok {
			break
		}
		value, rest, ok := cString(rest)
		if !ok {
			break
		}
		body = rest
		if k := string(key); len(value) > 0 && (k == "database" || k == "user" && !named) {
			p.namespace = append(p.namespace[:0], value[:min(len(value), namespaceLimit)]...)
			named = named || k == "database"
		}
	}
}

// setNamespace says which database m is for. On a connection that is older than capture nobody knows.
func (p *parser) setNamespace(m *protocol.Message) {
	switch {
	case len(p.namespace) > 0:
		m.Attrs.Set(protocol.DBNamespace, p.namespace)
	case !p.greeted:
		m.Attrs.SetString(protocol.DBNamespace, protocol.Unknown)
		m.Unresolved = true
	}
}

// negotiated reads the byte that answers a request for encryption: 'N' goes on in clear. What GSSAPI encrypts (RFC 4121) nobody here
// reads: the connection is given up.
func (p *parser) negotiated(c *protocol.Chunk) (int, *protocol.Message, error) {
	asked := p.asked
	if len(c.Data) == 0 {
		return 0, nil, nil
	}
	p.asked = 0
	switch b := c.Data[0]; {
	case b == 'N':
		return 1, nil, nil
	case b == 'S' && asked == codeSSL:
		return 1, nil, &protocol.Upgrade{To: "tls"}
	case b == 'G' && asked == codeGSS:
		return 1, nil, &protocol.Upgrade{To: "gssapi"}
	case b == 'E': // a server that is older than the question
		return p.answers(c)
	}
	return 0, nil, protocol.ErrSyntax
}
