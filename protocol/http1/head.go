package http1

import (
	"bytes"

	"github.com/toposcope/toposcope/protocol"
)

// header is what a head says: slices of the bytes on offer.
type header struct {
	method, target      []byte
	status              int
	code                []byte
	version             byte // the digit after "HTTP/1."
	host, agent, parent []byte
	upgrade, content    []byte // the fields Upgrade and Content-Type
	prefer              []byte
	lines               []byte // all of it
	length              int64  // -1: not given
	badLength           bool   // lengths that contradict each other or are no numbers
	encoded, chunked    bool   // Transfer-Encoding is given; its last coding is chunked
	told, torn          bool   // the head is complete; not even the first line is
}

// head reads the head of the next message.
func (p *parser) head(c *protocol.Chunk, d *direction) (int, *protocol.Message, error) {
	data := skipEmptyLines(c.Data)
	if len(data) == 0 {
		return len(c.Data), nil, nil
	}
	lead := len(c.Data) - len(data)
	if c.Then == protocol.Continues && d.scanned > c.Off && !emptyLine(c.Data, int(min(d.scanned-c.Off, uint64(len(c.Data))))) {
		d.scanned = c.Off + uint64(len(c.Data))
		return 0, nil, nil
	}
	request, opinion := p.firstLine(c, data)
	if opinion == protocol.No {
		return 0, nil, protocol.ErrSyntax
	}
	h := header{length: -1}
	n, ok := h.read(data, request)
	if !ok {
		return 0, nil, protocol.ErrSyntax
	}
	h.lines = data[:n]
	if !h.told {
		if h.torn && request && expectRequest(data) == protocol.No {
			return 0, nil, protocol.ErrSyntax
		}
		d.scanned = c.Off + uint64(len(c.Data))
		if c.Then != protocol.Hole || h.method == nil && h.status == 0 {
			return 0, nil, nil
		}
	}
	if !p.learn(c.Dir, request) {
		return 0, nil, protocol.ErrSyntax
	}
	if !request {
		return p.response(c, d, &h, lead+n)
	}
	if m := p.endAnswer(c); m != nil {
		return 0, m, nil
	}
	return p.request(c, d, &h, lead, n)
}

// emptyLine reports whether a head may end at or after from.
func emptyLine(data []byte, from int) bool {
	for i := from; ; i++ {
		j := bytes.IndexByte(data[i:], '\n')
		if j < 0 {
			return false
		}
		i += j
		if i > 0 && data[i-1] == '\n' || i > 1 && data[i-1] == '\r' && data[i-2] == '\n' {
			return true
		}
	}
}

// firstLine says whether data begins a request, and whether it begins a message at all.
func (p *parser) firstLine(c *protocol.Chunk, data []byte) (request bool, opinion protocol.Sniffed) {
	switch {
	case p.known && c.Dir == p.reqDir:
		return true, protocol.Yes // judged when it is read
	case p.known:
		const prefix = "HTTP/1."
		if n := min(len(data), len(prefix)); string(data[:n]) != prefix[:n] {
			return false, protocol.No
		}
		return false, protocol.Yes
	}
	if opinion = sniffResponse(data); opinion == protocol.No {
		return true, sniffRequest(data)
	}
	return false, opinion
}

// endAnswer ends an answer that was to last until the close when the client, having read of it, asks again.
func (p *parser) endAnswer(c *protocol.Chunk) *protocol.Message {
	other := &p.dirs[c.Dir.Reverse()&1]
	if !other.open || !c.Turn || other.mode != untilClose {
		return nil
	}
	other.mode = astray
	return p.part(c, other, protocol.Response)
}

// read reads a head from data and returns its length. ok is false when it is none: a line begins with a control character; h.told says whether all of it is there.
func (h *header) read(data []byte, request bool) (n int, ok bool) {
	end := bytes.IndexByte(data, '\n')
	if end < 0 {
		h.torn = true
		h.partial(data, request)
		return len(data), true
	}
	line := trimCR(data[:end])
	if request {
		h.method, h.target, h.version, ok = requestLine(line)
	} else {
		ok = h.statusLine(line)
	}
	if !ok {
		return 0, false
	}
	for n = end + 1; ; {
		end = bytes.IndexByte(data[n:], '\n')
		if end < 0 {
			return len(data), true
		}
		line, n = trimCR(data[n:n+end]), n+end+1
		if len(line) == 0 {
			h.told = true
			return n, true
		}
		if line[0] < ' ' && line[0] != '\t' {
			return 0, false
		}
		// A line that begins with a blank continues the one before (obs-fold, RFC 9112 section 5.2).
		for n < len(data) && isBlank(data[n]) {
			if end = bytes.IndexByte(data[n:], '\n'); end < 0 {
				return len(data), true
			}
			line, n = unfold(line, trimCR(data[n:n+end])), n+end+1
		}
		h.field(line, request)
	}
}

// unfold joins two lines. It allocates; nobody sends these any more.
func unfold(a, b []byte) []byte {
	joined := append(make([]byte, 0, len(a)+len(b)+1), a...)
	return append(append(joined, ' '), bytes.TrimLeft(b, " \t")...)
}

// partial reads what a first line without an end tells.
func (h *header) partial(data []byte, request bool) {
	if !request {
		h.statusLine(data)
		return
	}
	i := 0
	for i < len(data) && isToken(data[i]) {
		i++
	}
	target := bytes.TrimLeft(data[i:], " \t")
	if end := bytes.IndexAny(target, " \t"); end > 0 {
		target = target[:end]
	}
	if i > 0 && len(target) > 0 {
		h.method, h.target, h.version = data[:i], target, '1'
	}
}

// requestLine splits a request line, forgiving odd spacing and blanks within the target.
func requestLine(line []byte) (method, target []byte, version byte, ok bool) {
	const suffix = "HTTP/1.d"
	for len(line) > 0 && isBlank(line[len(line)-1]) {
		line = line[:len(line)-1]
	}
	at := len(line) - len(suffix)
	if at < 4 || string(line[at:len(line)-1]) != suffix[:len(suffix)-1] || !isBlank(line[at-1]) {
		return nil, nil, 0, false
	}
	version = line[len(line)-1]
	i := 0
	for i < at && isToken(line[i]) {
		i++
	}
	if i == 0 || i > maxMethod || !isBlank(line[i]) || version < '0' || version > '9' {
		return nil, nil, 0, false
	}
	target = trim(line[i:at])
	for _, b := range target {
		if b < ' ' && b != '\t' || b == 0x7f {
			return nil, nil, 0, false
		}
	}
	return line[:i], target, version, len(target) > 0
}

func (h *header) statusLine(line []byte) bool {
	const prefix = "HTTP/1.1 "
	if len(line) < len(prefix)+3 {
		return false
	}
	h.version = line[7]
	rest := line[8:]
	for len(rest) > 0 && isBlank(rest[0]) {
		rest = rest[1:]
	}
	if len(rest) < 3 {
		return false
	}
	for _, b := range rest[:3] {
		if b < '0' || b > '9' {
			return false
		}
	}
	h.code = rest[:3]
	h.status = int(rest[0]-'0')*100 + int(rest[1]-'0')*10 + int(rest[2]-'0')
	return h.status >= 100
}

// field reads one header line. A line that is no field is passed over, as servers do.
func (h *header) field(line []byte, request bool) {
	switch line[0] | 0x20 {
	case 'h':
		if v, ok := named(line, "host"); ok && request && h.host == nil {
			h.host = v
		}
	case 'u':
		if v, ok := named(line, "user-agent"); ok && request {
			h.agent = v
		} else if v, ok := named(line, "upgrade"); ok && !request {
			h.upgrade = v
		}
	case 't':
		if v, ok := named(line, "traceparent"); ok && request {
			h.parent = v
		} else if v, ok := named(line, "transfer-encoding"); ok {
			h.transferEncoding(v)
		}
	case 'p':
		if v, ok := named(line, "prefer"); ok && request && h.prefer == nil {
			h.prefer = v
		}
	case 'c':
		if v, ok := named(line, "content-length"); ok {
			h.contentLength(v)
		} else if v, ok := named(line, "content-type"); ok {
			h.content = v
		}
	}
}

// named returns the value of line if it is the field name, which is in lower case. Blanks in front of the colon are
// forgiven.
func named(line []byte, name string) (value []byte, ok bool) {
	n := len(name)
	if len(line) <= n || line[n] != ':' && !isBlank(line[n]) || !fold(line[:n], name) {
		return nil, false
	}
	for n < len(line) && isBlank(line[n]) {
		n++
	}
	if n == len(line) || line[n] != ':' {
		return nil, false
	}
	return trim(line[n+1:]), true
}

// contentLength reads a length; the same one given twice, in two fields or in a list, is one (RFC 9110 section 8.6).
func (h *header) contentLength(value []byte) {
	for more := true; more; {
		var one []byte
		one, value, more = bytes.Cut(value, []byte{','})
		n, ok := decimal(trim(one))
		if !ok || h.length >= 0 && h.length != n {
			h.badLength = true
			return
		}
		h.length = n
	}
}

// decimal reads a number of at most 18 digits.
func decimal(s []byte) (n int64, ok bool) {
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	for _, b := range s {
		if b < '0' || b > '9' {
			return 0, false
		}
		n = n*10 + int64(b-'0')
	}
	return n, true
}

func (h *header) transferEncoding(value []byte) {
	if fold(value, "identity") {
		return
	}
	h.encoded = true
	last := value
	if i := bytes.LastIndexByte(value, ','); i >= 0 {
		last = trim(value[i+1:])
	}
	h.chunked = fold(last, "chunked")
}

// fold reports whether s is lower but for its case; lower is lower case already.
func fold(s []byte, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(lower) {
		b := s[i]
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		if b != lower[i] {
			return false
		}
	}
	return true
}

// trim cuts blanks off both ends.
func trim(s []byte) []byte {
	for len(s) > 0 && isBlank(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isBlank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}
