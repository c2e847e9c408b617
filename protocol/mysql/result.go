package mysql

import (
	"encoding/binary"

	"github.com/toposcope/toposcope/protocol"
)

// isDefinition reports whether a payload is a column's definition: its catalog is always "def" (protocol 4.1).
func isDefinition(body []byte) bool {
	return len(body) >= 4 && body[0] == 3 && body[1] == 'd' && body[2] == 'e' && body[3] == 'f'
}

// definition takes a column's or a parameter's definition.
func (p *parser) definition(h header, body []byte, m *protocol.Message) verdict {
	a := &p.answer
	switch {
	case body[0] == errHeader:
		return p.failure(h, body, m)
	case len(body) < 4 && h.length >= 4:
		return partial
	case !isDefinition(body):
		return wrong
	}
	if a.left--; a.left > 0 {
		return more
	}
	a.mode++ // what comes after them
	if p.eof == eofDeprecated && a.mode != afterColumns {
		return p.nextDefinitions()
	}
	return more
}

// columnsEnd takes the EOF packet after the column definitions. Where a cursor was opened the rows are fetched by other commands.
func (p *parser) columnsEnd(body []byte) verdict {
	a := &p.answer
	status := binary.LittleEndian.Uint16(body[3:])
	if status&statusCursorExists == 0 {
		p.eof = eofUsed
		a.mode = rows
		return more
	}
	if status&statusMoreResults != 0 {
		a.mode = query
		return more
	}
	return done
}

// row takes a row, or what ends the rows. A row that begins with 0xfe has a first column of 16 MiB or more, one that begins with
// 0xff there is none.
func (p *parser) row(h header, body []byte, m *protocol.Message) verdict {
	switch {
	case body[0] == errHeader:
		return p.failure(h, body, m)
	case body[0] == eofHeader && h.length < fullPacket:
		return p.success(h, body)
	case h.length == fullPacket:
		p.answer.mode = rowGoesOn
	}
	return more
}

// sizes of the first packet that answers a PREPARE: with the number of warnings, and with the flag that says whether
// definitions follow.
const (
	preparedSize     = 12
	preparedWithFlag = 13
)

// preparation takes the first packet that answers a PREPARE.
func (p *parser) preparation(h header, body []byte, m *protocol.Message) verdict {
	a := &p.answer
	switch {
	case body[0] == errHeader:
		return p.failure(h, body, m)
	case body[0] != okHeader || h.length < preparedSize-3 || h.length > preparedWithFlag:
		return wrong
	case len(body) < h.length:
		return partial
	}
	a.columns = uint64(binary.LittleEndian.Uint16(body[5:]))
	a.left = uint64(binary.LittleEndian.Uint16(body[7:]))
	p.keep(binary.LittleEndian.Uint32(body[statementID:]))
	if h.length == preparedWithFlag && body[12] == 0 {
		return done
	}
	return p.nextDefinitions()
}

// nextDefinitions goes on with the definitions that a prepared statement has.
func (p *parser) nextDefinitions() verdict {
	a := &p.answer
	switch {
	case a.left > 0:
		a.mode = parameters
	case a.columns > 0:
		a.mode, a.left, a.columns = results, a.columns, 0
	default:
		return done
	}
	return more
}

// afterDefinitions takes what follows the definitions of a prepared statement: an EOF packet, or where they are not in use
// the next definition.
func (p *parser) afterDefinitions(h header, body []byte, m *protocol.Message) verdict {
	switch {
	case body[0] == eofHeader && h.length == eofSize:
		if len(body) < eofSize {
			return partial
		}
		p.eof = eofUsed
		return p.nextDefinitions()
	case p.answer.columns > 0 && p.eof == eofUnknown:
		p.eof = eofDeprecated
		p.nextDefinitions()
		return p.definition(h, body, m)
	}
	return wrong
}

// keep remembers the statement that a PREPARE was answered with.
func (p *parser) keep(id uint32) {
	if p.asked == nil || form(p.asked.Form).command() != comStmtPrepare {
		return
	}
	n := form(p.asked.Form).operation()
	if n >= len(p.operations) {
		return
	}
	a := &p.asked.Attrs
	text := a.Get(protocol.DBQueryText)
	if p.asked.Truncated {
		if text = nil; p.operations[n] == "" {
			return
		}
	}
	p.statements.put(id, p.operations[n], a.Get(protocol.DBCollection), text)
}

// authentication takes a packet of the handshake, or of a change of user. What is neither OK nor ERR the client answers.
func (p *parser) authentication(h header, body []byte, m *protocol.Message) verdict {
	switch body[0] {
	case okHeader:
		v := p.success(h, body)
		if v == done || v == more {
			p.logging = false
			return done
		}
		return v
	case errHeader:
		return p.failure(h, body, m)
	}
	if len(body) < min(h.length, endSize) {
		return partial
	}
	return aside
}

// event takes a packet of a replication log.
func (p *parser) event(h header, body []byte, m *protocol.Message) verdict {
	switch {
	case body[0] == errHeader:
		return p.failure(h, body, m)
	case body[0] == eofHeader && h.length <= eofSize:
		return p.success(h, body)
	case h.length == fullPacket:
		p.answer.mode = eventGoesOn
	}
	return more
}

// stray passes over an answer whose packets can no longer be told apart, until its last one ends what was captured of a call, or
// the next answer begins.
func (p *parser) stray(c *protocol.Chunk) (int, *protocol.Message, error) {
	switch c.Then {
	case protocol.Hole:
		return len(c.Data) + int(c.Missing), nil, nil
	case protocol.Ended, protocol.Idle:
		return len(c.Data), p.lostEnd(c), nil
	}
	if c.Turn {
		switch p.begins(c.Request, c.Data) {
		case protocol.Yes:
			return 0, p.lostEnd(c), nil
		case protocol.More:
			return 0, nil, nil
		}
	}
	at := lastPacket(c.Data)
	if at < 0 {
		return len(c.Data), nil, nil
	}
	m := endOf(c, protocol.Response)
	m.Truncated = true
	p.answer.mode = rows
	h := readHeader(c.Data[at:])
	if v := p.row(h, c.Data[at+headerSize:], m); v != done {
		p.answer.mode = astray
		return len(c.Data), nil, nil
	}
	return len(c.Data), m, p.over(m)
}

// lostEnd ends an answer of which it is not known how it ended.
func (p *parser) lostEnd(c *protocol.Chunk) *protocol.Message {
	p.answer = answer{}
	m := endOf(c, protocol.Response)
	m.Truncated, m.Unresolved = true, true
	return m
}

// lastSize is the longest last packet of a result that is recognised at the end of what was captured.
const lastSize = 512

// lastPacket finds a packet that ends the rows at the very end of data: an EOF or OK packet, or an error with its SQLSTATE.
// -1: there is none.
func lastPacket(data []byte) int {
	for at := len(data) - headerSize - eofSize; at >= max(0, len(data)-lastSize); at-- {
		h, body := readHeader(data[at:]), data[at+headerSize:]
		if h.length != len(body) {
			continue
		}
		switch {
		case isEOF(h.length, body):
			return at
		case body[0] == eofHeader && h.length >= okSize:
			if _, valid := readOK(body, false); valid {
				return at
			}
		case body[0] == errHeader && h.length >= 9 && body[3] == '#' && printable(body[4:]):
			return at
		}
	}
	return -1
}
