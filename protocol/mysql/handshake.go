package mysql

import (
	"bytes"
	"encoding/binary"

	"github.com/toposcope/toposcope/protocol"
)

// Lengths of an SSLRequest's payload, and of the fixed part of a HandshakeResponse41's, which is the same.
const fixedResponse = 32

// greeting is what the server says first.
type greeting struct {
	version      []byte
	capabilities uint32
}

// readGreeting reads the payload of a greeting of protocol 10 (since MySQL 3.21.0).
func readGreeting(b []byte) (g greeting, valid bool) {
	if len(b) == 0 || b[0] != 10 {
		return g, false
	}
	version, i := nulString(b, 1)
	if i == 0 || len(version) == 0 || len(version) > 255 || !printable(version) {
		return g, false
	}
	i += 4 + 8 // connection id, salt
	if i+3 > len(b) || b[i] != 0 {
		return g, false
	}
	g.version = version
	g.capabilities = uint32(binary.LittleEndian.Uint16(b[i+1:]))
	if i+8 <= len(b) { // character set, status
		g.capabilities |= uint32(binary.LittleEndian.Uint16(b[i+6:])) << 16
	}
	return g, true
}

// greet takes the server's greeting, or the error that it sends in its place ("Too many connections"). That one is an exchange
// of its own, whose request is the connection.
func (p *parser) greet(c *protocol.Chunk, h header) (int, *protocol.Message, error) {
	body := c.Data[headerSize:]
	if len(body) < h.length {
		return 0, nil, nil
	}
	body = body[:h.length]
	if g, valid := readGreeting(body); valid {
		p.greeted = true
		p.mariadb = bytes.Contains(g.version, []byte("MariaDB"))
		p.agreed = g.capabilities
		if g.capabilities&capDeprecateEOF == 0 {
			p.eof = eofUsed
		}
		return h.size(), nil, nil
	}
	if !isEarlyError(body) {
		return 0, nil, protocol.ErrSyntax
	}
	if number, _, _ := readERR(body); !p.logging && (c.Off > 0 || endsIdle(number)) {
		return h.size(), nil, nil
	}
	if !p.logging {
		p.logging, p.shaken = true, true
		m := p.asksToConnect(c, h)
		m.Refused = true
		return 0, m, nil
	}
	m := c.Message
	m.Reset()
	m.Kind = protocol.Response
	p.fail(m, body)
	p.logging = false
	return h.size(), m, nil
}

// isEarlyError reports whether a payload is an ERR packet as it comes before the handshake: without SQLSTATE, in plain text.
func isEarlyError(b []byte) bool {
	number, state, valid := readERR(b)
	if !valid || b[0] != errHeader || number < firstErrorCode || number > lastErrorCode || len(b) < 4 {
		return false
	}
	text := b[3:]
	if state != nil {
		text = b[9:]
	}
	return printable(text)
}

// endsIdle reports whether an error is one by which a server ends a connection that nobody uses: it stops, its time is over
// (ER_NET_READ_INTERRUPTED, ER_CLIENT_INTERACTION_TIMEOUT), or it was killed. On a connection that is older than capture it may
// be all that is seen.
func endsIdle(number uint16) bool {
	switch number {
	case 1053, 1159, 1317, 1927, 3169, 4031:
		return true
	}
	return false
}

// farewell reports whether a packet is the error by which a server has ended the connection before the client asked: it has a
// number of its own, and the client takes it for its answer.
func farewell(h header, body []byte) protocol.Sniffed {
	switch {
	case h.seq != 0 || h.length < 3 || len(body) > 0 && body[0] != errHeader:
		return protocol.No
	case len(body) < 3:
		return protocol.More
	}
	number, _, _ := readERR(body)
	return protocol.Decided(endsIdle(number), true)
}

// asksToConnect is the request of the handshake.
func (p *parser) asksToConnect(c *protocol.Chunk, h header) *protocol.Message {
	m := c.Message
	m.Reset()
	m.Upkeep = true
	m.Form = uint64(makeForm(connect, h.seq+1, 0) | long)
	m.Attrs.SetString(protocol.DBSystem, p.system())
	m.Attrs.SetString(protocol.DBOperation, commands[connect].operation)
	return m
}

// handshake reads the client's answer to the greeting: a HandshakeResponse, or the wish to go on in TLS.
func (p *parser) handshake(c *protocol.Chunk, h header) (int, *protocol.Message, error) {
	body := c.Data[headerSize:]
	if len(body) < min(h.length, lookAt) && c.Then != protocol.Hole {
		return 0, nil, nil
	}
	if !p.greeted && sniffResponse(h, body) != protocol.Yes {
		return 0, nil, protocol.ErrSyntax
	}
	body = body[:min(h.length, len(body))]
	if len(body) < 4 {
		return 0, nil, protocol.ErrSyntax
	}
	capabilities := uint32(binary.LittleEndian.Uint16(body))
	if capabilities&capProtocol41 != 0 {
		capabilities = binary.LittleEndian.Uint32(body)
	}
	if capabilities&capSSL != 0 && (h.length == fixedResponse || h.length < 8) {
		return h.size(), nil, &protocol.Upgrade{To: "tls"}
	}
	if capabilities&capProtocol41 != 0 && len(body) < fixedResponse {
		return 0, nil, protocol.ErrSyntax
	}
	lost := !p.greeted && h.seq == 1
	p.agree(capabilities)
	p.shaken, p.logging, p.inSchema = true, true, true
	p.schema = p.schema[:0]
	if capabilities&capProtocol41 != 0 {
		p.charset(uint16(body[8]))
		p.move(responseSchema(body, capabilities))
		p.moved(true) // or there will be no commands
	}
	if lost { // the server's name went by unseen
		return h.size(), nil, nil
	}
	m := p.asksToConnect(c, h)
	m.Part = protocol.PartHead // what authentication sends belongs to it
	m.Truncated = len(body) < min(h.length, lookAt)
	if len(p.schema) > 0 {
		m.Attrs.Set(protocol.DBNamespace, p.schema)
	}
	return h.size(), m, nil
}

// agree notes what the client wants of what the server offers.
func (p *parser) agree(capabilities uint32) {
	if p.greeted {
		capabilities &= p.agreed
	}
	p.agreed, p.capable = capabilities, true
	p.eof = eofUsed
	if capabilities&capDeprecateEOF != 0 {
		p.eof = eofDeprecated
	}
}

// responseSchema is the database in a HandshakeResponse41; nil when there is none.
func responseSchema(b []byte, capabilities uint32) []byte {
	if capabilities&capConnectWithDB == 0 {
		return nil
	}
	_, i := nulString(b, fixedResponse)
	if i == 0 {
		return nil
	}
	switch {
	case capabilities&capLenencAuth != 0:
		_, i = lenencString(b, i)
	case capabilities&capSecure != 0:
		i = skipShort(b, i)
	default:
		_, i = nulString(b, i)
	}
	if i == 0 {
		return nil
	}
	name, _ := nulString(b, i)
	return name
}

// skipShort passes over a string after its length in one byte. 0 when it is not whole.
func skipShort(b []byte, i int) int {
	if i >= len(b) || i+1+int(b[i]) > len(b) {
		return 0
	}
	return i + 1 + int(b[i])
}

// changeUser reads a COM_CHANGE_USER: the user, the authentication, the database, the character set.
func (p *parser) changeUser(b []byte) {
	p.logging = true
	p.statements.clear()
	p.hasLast = false
	_, i := nulString(b, 1)
	if i > 0 {
		if p.has(capSecure, true) {
			i = skipShort(b, i)
		} else {
			_, i = nulString(b, i)
		}
	}
	name, next := nulString(b, i)
	if i == 0 || next == 0 {
		p.inSchema = false
		return
	}
	p.move(name)
	if next+2 <= len(b) {
		p.charset(binary.LittleEndian.Uint16(b[next:]))
	}
}

// printable reports whether b is text without control characters.
func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f {
			return false
		}
	}
	return true
}
