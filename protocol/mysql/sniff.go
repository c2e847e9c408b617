package mysql

import (
	"bytes"
	"encoding/binary"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// sniffBytes is how many bytes of a message are looked at before it is recognised.
const sniffBytes = 512

// sniff recognises the beginning of a connection and, on an older one, of a command or an answer that can be nothing else.
func sniff(_ event.Dir, data []byte) protocol.Sniffed {
	return max(sniffServer(data), sniffClient(data))
}

// sniffServer recognises a greeting, an error in its place, and of answers an error with its SQLSTATE and a result with
// definitions.
func sniffServer(data []byte) protocol.Sniffed {
	if len(data) <= headerSize {
		return incomplete(data)
	}
	h, body := readHeader(data), data[headerSize:]
	whole := len(body) >= h.length
	body = body[:min(h.length, len(body))]
	if len(body) == 0 {
		return protocol.No
	}
	switch {
	case h.seq == 0 && body[0] == 10:
		return sniffGreeting(h, body, whole)
	case h.seq == 0 && body[0] == errHeader && h.length >= 8 && h.length < sniffBytes:
		code, _, valid := readERR(body)
		if valid && (code < firstErrorCode || code > lastErrorCode) || len(body) > 3 && !printable(body[3:]) {
			return protocol.No
		}
		return protocol.Decided(whole && len(data) == h.size() && isEarlyError(body), whole)
	case h.seq == 1 && body[0] == errHeader && h.length >= 9 && h.length < sniffBytes:
		code, state, valid := readERR(body)
		if valid && (code == 0 || len(body) > 3 && body[3] != '#' || state != nil && !alphanumeric(state)) {
			return protocol.No
		}
		return protocol.Decided(state != nil && whole && len(data) == h.size(), whole)
	case h.seq == 1 && h.length <= 2 && body[0] > 0 && body[0] < 0xfb:
		next := data[min(h.size(), len(data)):]
		if len(next) < 2*headerSize {
			return protocol.More
		}
		return protocol.Decided(readHeader(next).seq == 2 && isDefinition(next[headerSize:]), true)
	}
	return protocol.No
}

// incomplete is the opinion on less than the first byte of a packet's payload: only a small number begins a connection or a
// message, and a length of 2 MiB and more looks like text.
func incomplete(data []byte) protocol.Sniffed {
	if len(data) > 2 && data[2] >= ' ' || len(data) > 3 && data[3] > 2 {
		return protocol.No
	}
	return protocol.More
}

func sniffGreeting(h header, body []byte, whole bool) protocol.Sniffed {
	version := body[1:]
	if n := bytes.IndexByte(version, 0); n >= 0 {
		version = version[:n]
	}
	if h.length < 32 || h.length > 512 || !printable(version) || len(version) > 0 && (version[0] < '0' || version[0] > '9') {
		return protocol.No
	}
	g, valid := readGreeting(body)
	return protocol.Decided(whole && valid && g.capabilities&capProtocol41 != 0, whole)
}

// sniffClient recognises the answer to a greeting, and commands.
func sniffClient(data []byte) protocol.Sniffed {
	if len(data) <= headerSize {
		return incomplete(data)
	}
	h, body := readHeader(data), data[headerSize:]
	if h.seq == 1 || h.seq == 2 {
		return sniffResponse(h, body)
	}
	cmd := command(body[0])
	if h.length >= ' '<<16 || h.seq != 0 || !cmd.plausible(h.length) {
		return protocol.No
	}
	whole := len(body) >= h.length
	switch cmd {
	case comQuery, comStmtPrepare:
		return sniffText(h, body)
	case comStmtExecute:
		if len(body) < 10 {
			return protocol.More
		}
		return protocol.Decided(body[5] <= 0x0f && binary.LittleEndian.Uint32(body[6:]) == 1 && (!whole || endsWell(body, h.length)), true)
	case comStmtClose, comStmtReset, comStmtFetch:
		return protocol.Decided(whole && binary.LittleEndian.Uint32(body[1:]) < 1<<24 && endsWell(body, h.length), whole)
	case 0x0e: // COM_PING, the one command without arguments whose bytes are rare in other protocols
		return protocol.Decided(len(body) == h.length, whole)
	}
	return protocol.No
}

// resumes reports whether, on a connection that is known to be MySQL's, a command begins with data, which begins a call of the
// client.
func resumes(data []byte) protocol.Sniffed {
	if o := sniffClient(data); o != protocol.No || len(data) <= headerSize {
		return o
	}
	h, cmd := readHeader(data), command(data[headerSize])
	if h.seq != 0 || !cmd.plausible(h.length) || commands[cmd].max == 0 {
		return protocol.No
	}
	body := data[headerSize:]
	if len(body) < h.length {
		return protocol.More
	}
	return protocol.Decided(endsWell(body, h.length), true)
}

// endsWell reports whether a packet of that length ends what there is, or another begins after it.
func endsWell(body []byte, length int) bool {
	rest := body[length:]
	return len(rest) == 0 || len(rest) < headerSize+1 || rest[3] == 0 && command(rest[4]).plausible(readHeader(rest).length)
}

// sniffText recognises the text of a statement: it begins with a verb, has no NUL, and ends where the packet does.
func sniffText(h header, body []byte) protocol.Sniffed {
	text := body[1:min(h.length, len(body))]
	if len(text) > 1 && text[1] == 1 && body[0] == byte(comQuery) { // attributes before it
		text = text[2:]
		if body[1] > 0 {
			return protocol.No // the verb is somewhere behind them
		}
	}
	if len(text) < 2 && len(body) < h.length {
		return protocol.More
	}
	if bytes.IndexByte(text[:min(len(text), sniffBytes)], 0) >= 0 {
		return protocol.No
	}
	switch word, whole := firstWord(text); {
	case !whole && len(text) < sniffBytes && len(body) < h.length:
		return protocol.More
	case !isVerb(word):
		return protocol.No
	}
	if len(body) >= h.length {
		return protocol.Decided(endsWell(body, h.length), true)
	}
	return protocol.Decided(len(text) >= sniffBytes-headerSize-1, false)
}

// firstWord is the first word of a text, past blanks, parentheses and comments. whole: something follows it.
func firstWord(text []byte) (word []byte, whole bool) {
	for {
		text = bytes.TrimLeft(text, " \t\r\n(")
		if len(text) < 2 || text[0] != '/' || text[1] != '*' {
			break
		}
		end := bytes.Index(text[2:], []byte("*/"))
		if end < 0 {
			return nil, false
		}
		text = text[2+end+2:]
	}
	for i, c := range text {
		if c |= 0x20; c < 'a' || c > 'z' {
			return text[:i], true
		}
	}
	return text, false
}

// verbs are those that begin a statement often enough to recognise a connection by.
var verbs = [...]string{
	"SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "SET", "BEGIN", "START", "COMMIT", "ROLLBACK", "SHOW", "WITH",
	"CALL", "CREATE", "ALTER", "DROP", "TRUNCATE", "USE", "EXPLAIN", "DESCRIBE", "LOAD", "LOCK", "UNLOCK", "DO",
	"SAVEPOINT", "RELEASE", "ANALYZE", "OPTIMIZE",
}

func isVerb(word []byte) bool {
	for _, v := range verbs {
		if len(v) == len(word) && bytes.EqualFold(word, []byte(v)) {
			return true
		}
	}
	return false
}

func alphanumeric(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// sniffResponse recognises a HandshakeResponse41 or an SSLRequest: after the capabilities, the largest packet and the
// character set come 19 zero bytes.
func sniffResponse(h header, body []byte) protocol.Sniffed {
	if h.length < fixedResponse || h.length > 64<<10 {
		return protocol.No
	}
	if len(body) >= 4 && binary.LittleEndian.Uint32(body)&(capProtocol41|capSecure) != capProtocol41|capSecure {
		return protocol.No
	}
	if len(body) > 9 {
		zeros := body[9:min(28, len(body))]
		if len(bytes.Trim(zeros, "\x00")) > 0 {
			return protocol.No
		}
	}
	if len(body) < fixedResponse {
		return protocol.More
	}
	ssl := binary.LittleEndian.Uint32(body)&capSSL != 0 && h.length == fixedResponse
	if ssl && h.seq == 1 {
		return protocol.Yes
	}
	user := body[fixedResponse:min(h.length, len(body))]
	if n := bytes.IndexByte(user, 0); n >= 0 {
		return protocol.Decided(printable(user[:n]), true)
	}
	return protocol.Decided(false, len(body) >= h.length || !printable(user))
}

// begins reports whether an answer to r begins with data.
func (p *parser) begins(r *protocol.Message, data []byte) protocol.Sniffed {
	if len(data) <= headerSize {
		return protocol.More
	}
	h, first := readHeader(data), data[headerSize]
	if r == nil {
		return sniffServer(data)
	}
	f := form(r.Form)
	switch {
	case !f.expects(h.seq):
		return farewell(h, data[headerSize:])
	case h.length == 0 && f.command() != comStatistics:
		return protocol.No
	}
	whole := true
	switch commands[f.command()].answer {
	case query:
		whole = first != okHeader || h.length >= okSize || h.length == 2
		whole = whole && (first == okHeader || first >= 0xfb || h.length <= 2)
	case prepared:
		whole = first == errHeader || first == okHeader && h.length >= preparedSize-3 && h.length <= preparedWithFlag
	case rows:
		whole = first == okHeader || first == errHeader || first == eofHeader || first == 3
	}
	return protocol.Decided(whole, true)
}
