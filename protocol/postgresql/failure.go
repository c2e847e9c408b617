package postgresql

import "github.com/toposcope/toposcope/protocol"

// Fields of an ErrorResponse that are read (PostgreSQL documentation, "Error and Notice Message Fields").
const (
	fieldSeverity = 'V' // not translated; since PostgreSQL 9.6
	fieldLevel    = 'S' // translated
	fieldCode     = 'C'
)

// sqlState reads an ErrorResponse: its SQLSTATE, "unknown" when there is none, and whether it ends the connection.
func (p *parser) sqlState(body []byte) (code string, fatal bool) {
	code = protocol.Unknown
	for len(body) > 1 {
		field := body[0]
		value, rest, ok := cString(body[1:])
		if !ok {
			break
		}
		body = rest
		switch field {
		case fieldCode:
			if isSQLState(value) {
				code = p.named(value)
			}
		case fieldSeverity, fieldLevel:
			fatal = fatal || string(value) == "FATAL" || string(value) == "PANIC"
		}
	}
	return code, fatal
}

// isSQLState reports whether code has the form of one: five digits and capital letters.
func isSQLState(code []byte) bool {
	for _, b := range code {
		if (b < '0' || b > '9') && (b < 'A' || b > 'Z') {
			return false
		}
	}
	return len(code) == 5
}

// named is code as a string; the one met last is kept, for errors come in rows.
func (p *parser) named(code []byte) string {
	if string(code) != p.code {
		p.code = string(code)
	}
	return p.code
}

// farthest is how many bytes are looked through for the end of an answer.
const farthest = 4 << 10

// lastBefore finds the message that ends a request before a ReadyForQuery at the very end of data: a CommandComplete, ErrorResponse,
// EmptyQueryResponse or PortalSuspended. nil: they are not there.
func lastBefore(data []byte) []byte {
	const ready = headerSize + 1
	end := len(data) - ready
	if end < headerSize || string(data[end:end+headerSize]) != "Z\x00\x00\x00\x05" || judgeServer('Z', data[end+headerSize:], 1) == refuted {
		return nil
	}
	for at := end - headerSize; at >= 0; at-- {
		switch data[at] {
		case 'C', 'E', 'I', 's':
		default:
			continue
		}
		f, ok, err := readFrame(data[at:end], &serverKinds, protocol.Hole)
		if err == nil && ok && f.size == end-at && judgeServer(data[at], data[at+headerSize:end], f.size-headerSize) > 0 {
			return data[at:end]
		}
	}
	return nil
}
