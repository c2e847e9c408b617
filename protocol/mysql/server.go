package mysql

import (
	"encoding/binary"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/sqltext"
)

// mode is what the server's next packet is.
type mode uint8

const (
	query        mode = iota // OK, ERR, a file's name, or a column count; the zero value, that of most commands
	definitions              // of columns; left of them are to come
	afterColumns             // an EOF packet, or the first row
	rows                     // until EOF, OK or ERR
	rowGoesOn                // the rest of a row of 16 MiB and more
	prepared                 // the statement's id and numbers
	parameters               // of a prepared statement: definitions of what it takes
	afterParameters
	results // definitions of what it gives
	afterResults
	single // one packet of text
	auth
	events // of a replication log, without end
	eventGoesOn
	astray // where the answer ends went by unseen
)

// answer is what is known of the answer that the server is sending.
type answer struct {
	mode    mode
	active  bool // it has begun
	head    bool // its beginning was handed on
	anySeq  bool // the client has spoken in between
	seq     uint8
	left    uint64 // definitions to come
	columns uint64 // of a prepared statement's result
	command command
}

// verdict is what a packet says of the answer.
type verdict uint8

const (
	more    verdict = iota // it goes on
	done                   // it ends with this packet
	before                 // it has ended before this packet
	aside                  // the packet is part of an exchange within it
	wrong                  // it breaks the rules
	partial                // more of the packet is needed
)

// endSize is the longest last packet that is waited for in full, so that the time of its last byte is known.
const endSize = 16 << 10

// serverNext reads what the server sends.
func (p *parser) serverNext(c *protocol.Chunk) (int, *protocol.Message, error) {
	a := &p.answer
	if a.active && a.mode == astray {
		return p.stray(c)
	}
	if len(c.Data) < headerSize {
		return p.short(c)
	}
	if !a.active {
		if n, m, err, taken := p.begin(c); taken {
			return n, m, err
		}
	}
	m := c.Message
	m.Reset()
	m.Kind = protocol.Response
	p.asked = c.Request
	n, v := p.walk(c, m)
	p.asked = nil
	switch v {
	case done, before:
		if a.head {
			m.Part = protocol.PartEnd
		}
		return n, m, p.over(m)
	case aside:
		m.Kind = protocol.Interim
		return n, m, nil
	case wrong:
		*a = answer{}
		return 0, nil, protocol.ErrSyntax
	}
	if n == 0 {
		return p.short(c)
	}
	if a.head {
		return n, nil, nil
	}
	a.head, m.Part = true, protocol.PartHead
	return n, m, nil
}

// over ends the answer. Where both ends have agreed to compress what follows the handshake, decoding ends as well.
func (p *parser) over(m *protocol.Message) error {
	compressed := p.answer.command == connect && m.Outcome == protocol.OK && p.has(capCompress|capZstd, false)
	p.answer = answer{}
	if compressed {
		return &protocol.Upgrade{To: Compressed}
	}
	return nil
}

// walk goes along the packets of an answer. n is how many bytes it is done with.
func (p *parser) walk(c *protocol.Chunk, m *protocol.Message) (n int, v verdict) {
	a := &p.answer
	for n < len(c.Data) {
		rest := c.Data[n:]
		if len(rest) < headerSize {
			break
		}
		h := readHeader(rest)
		body := rest[headerSize:]
		if len(body) > h.length {
			body = body[:h.length]
		}
		if len(body) == 0 && h.length > 0 {
			break
		}
		if !a.anySeq && h.seq != a.seq {
			if p.mayBeOver() {
				return n, before
			}
			return n, wrong
		}
		v = p.packet(h, body, m)
		switch v {
		case wrong, before:
			return n, v
		case partial:
			return n, more
		case aside:
			if n > 0 { // first what lies before it
				return n, more
			}
			a.seq, a.anySeq = h.seq+1, true
			return h.size(), aside
		}
		a.seq, a.anySeq = h.seq+1, false
		n += h.size()
		if v == done {
			return n, done
		}
		if n >= len(c.Data) && p.mayBeOver() {
			m.Truncated = true // if it is not
			return n, done
		}
	}
	return n, more
}

// mayBeOver reports whether an answer to a PREPARE is over if no EOF packet follows, which cannot be known yet. A server sends
// such an answer in one piece.
func (p *parser) mayBeOver() bool {
	a := &p.answer
	return p.eof == eofUnknown && (a.mode == afterResults || a.mode == afterParameters && a.columns == 0)
}

// short waits for more of a packet, or ends what cannot go on.
func (p *parser) short(c *protocol.Chunk) (int, *protocol.Message, error) {
	if a := &p.answer; a.active && a.head && c.Then == protocol.Hole {
		a.mode = astray
		return len(c.Data) + int(c.Missing), nil, nil
	}
	return 0, nil, nil
}

// begin prepares for the answer to c.Request. taken: what the server sends is none, and has been dealt with.
func (p *parser) begin(c *protocol.Chunk) (n int, m *protocol.Message, err error, taken bool) {
	h := readHeader(c.Data)
	if h.seq == 0 && !p.greeted && (!p.shaken || p.logging) {
		n, m, err = p.greet(c, h)
		return n, m, err, true
	}
	if c.Request == nil {
		n, m = p.unasked(c, h)
		return n, m, nil, true
	}
	f := form(c.Request.Form)
	cmd := f.command()
	late := farewell(h, c.Data[headerSize:])
	switch {
	case f.expects(h.seq) || late == protocol.Yes:
	case late == protocol.More:
		return 0, nil, nil, true
	default:
		if c.Turn || h.length == 0 {
			return 0, nil, protocol.ErrSyntax, true
		}
		return h.size(), nil, nil, true // of an answer that was given up
	}
	if !cmd.moves() {
		p.unmoved()
	}
	p.answer = answer{active: true, mode: commands[cmd].answer, command: cmd, seq: h.seq, anySeq: true}
	return 0, nil, nil, false
}

// unasked passes over a packet of an answer to nobody knows what. That there is one is said at its first packet; nothing is
// learnt from it.
func (p *parser) unasked(c *protocol.Chunk, h header) (int, *protocol.Message) {
	if h.seq != 1 {
		return h.size(), nil
	}
	m := c.Message
	m.Reset()
	m.Kind, m.Part = protocol.Response, protocol.PartHead
	return h.size(), m
}

// packet takes one packet; body is what there is of its payload.
func (p *parser) packet(h header, body []byte, m *protocol.Message) verdict {
	a := &p.answer
	switch a.mode {
	case rowGoesOn, eventGoesOn:
		if h.length < fullPacket {
			a.mode--
		}
		return more
	case single:
		if h.length > 0 && body[0] == errHeader {
			return p.failure(h, body, m)
		}
		return done
	}
	if h.length == 0 {
		return wrong
	}
	switch a.mode {
	case query:
		return p.first(h, body, m)
	case definitions, parameters, results:
		return p.definition(h, body, m)
	case afterColumns:
		if isEOF(h.length, body) {
			if len(body) < eofSize {
				return partial
			}
			return p.columnsEnd(body)
		}
		if body[0] != errHeader && p.eof == eofUnknown {
			p.eof = eofDeprecated
		}
		a.mode = rows
		return p.row(h, body, m)
	case rows:
		return p.row(h, body, m)
	case prepared:
		return p.preparation(h, body, m)
	case afterParameters, afterResults:
		return p.afterDefinitions(h, body, m)
	case auth:
		return p.authentication(h, body, m)
	case events:
		return p.event(h, body, m)
	}
	return wrong
}

// enough reports whether there is as much of a last packet as is waited for.
func enough(h header, body []byte) bool { return len(body) >= min(h.length, endSize) }

// first takes the first packet of a result.
func (p *parser) first(h header, body []byte, m *protocol.Message) verdict {
	switch body[0] {
	case okHeader:
		if h.length == 2 { // the metadata of MySQL's column count: none
			return p.count(h, body)
		}
		return p.success(h, body)
	case eofHeader:
		return p.success(h, body)
	case errHeader:
		return p.failure(h, body, m)
	case localInfile:
		p.uploading = true
		return aside
	}
	return p.count(h, body)
}

// count takes a column count. Where both ends have agreed that definitions may be left out, a flag says whether they follow:
// before the count for MySQL, after it for MariaDB. A count has its shortest form and is not 0, so the bytes tell which.
func (p *parser) count(h header, body []byte) verdict {
	a := &p.answer
	if h.length > 10 {
		return wrong
	}
	if len(body) < h.length {
		return partial
	}
	follow := true
	if n, next := lenenc(body, 0); next == h.length && n > 0 {
		a.left = n
	} else if next == h.length-1 && n > 0 && body[next] <= 1 {
		a.left, follow = n, body[next] == 1
	} else if n, next := lenenc(body, 1); body[0] <= 1 && next == h.length && n > 0 {
		a.left, follow = n, body[0] == 1
	} else {
		return wrong
	}
	if a.mode = definitions; !follow {
		a.mode = afterColumns
	}
	return more
}

// success takes an OK packet, or an EOF packet in its place.
func (p *parser) success(h header, body []byte) verdict {
	if !enough(h, body) {
		return partial
	}
	status, valid := p.status(h, body)
	if !valid {
		return wrong
	}
	if status&statusMoreResults != 0 {
		p.answer.mode = query
		return more
	}
	return done
}

// status reads the server's status from an OK or EOF packet and notes what else it says.
func (p *parser) status(h header, body []byte) (status uint16, valid bool) {
	switch {
	case h.length == 1 && body[0] == eofHeader: // before protocol 4.1
		return 0, true
	case isEOF(h.length, body):
		status = binary.LittleEndian.Uint16(body[3:])
	case h.length < okSize:
		return 0, false
	default:
		o, valid := readOK(body, p.has(capSessionTrack, true))
		if !valid {
			return 0, false
		}
		if status = o.status; o.schema != nil {
			p.moving = false
			p.move(o.schema)
			p.moved(true)
		}
	}
	if p.answer.command.moves() {
		p.moved(true)
	}
	if !p.doubtful && p.capable { // else nobody knows the character set
		escapes := sqltext.EscapesOn
		if status&statusNoBackslashEscapes != 0 {
			escapes = sqltext.EscapesOff
		}
		p.text.SetEscapes(escapes)
	}
	p.text.SetANSIQuotes(p.mariadb && status&statusANSIQuotes != 0)
	return status, true
}

// failure takes an ERR packet, or MariaDB's report of progress, which has its form.
func (p *parser) failure(h header, body []byte, m *protocol.Message) verdict {
	if h.length < 3 {
		return wrong
	}
	if !enough(h, body) {
		return partial
	}
	if binary.LittleEndian.Uint16(body[1:]) == codeProgress {
		if p.answer.head {
			return more
		}
		return aside
	}
	p.fail(m, body)
	if p.answer.command.moves() {
		p.moved(false)
	}
	p.logging = false
	return done
}

// fail makes m what an ERR packet says.
func (p *parser) fail(m *protocol.Message, body []byte) {
	number, state, _ := readERR(body)
	text := p.codeText(number)
	m.Outcome, m.Error = protocol.Failed, text
	m.Attrs.SetString(protocol.DBStatusCode, text)
	if state != nil {
		m.Attrs.Set(SQLState, state)
	}
}
