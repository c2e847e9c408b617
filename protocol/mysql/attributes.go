package mysql

// maxAttributes bounds the attributes of a query that are passed over.
const maxAttributes = 1024

// queryText is a COM_QUERY's text, past the attributes that MySQL 8 puts before it (CLIENT_QUERY_ATTRIBUTES): their number, the
// number of sets, which is always 1, and when there are any a bitmap of NULLs, a flag, types with names, and values. Where the
// capability is not known the second byte tells: no text has a 1 there.
func (p *parser) queryText(b []byte) (text []byte, ok bool) {
	if !p.has(capQueryAttributes, len(b) > 1 && b[1] == 1) {
		return b, true
	}
	count, i := lenenc(b, 0)
	if i == 0 || count > maxAttributes {
		return nil, false
	}
	sets, i := lenenc(b, i)
	if i == 0 || sets != 1 {
		return nil, false
	}
	if count > 0 {
		if i = skipAttributes(b, i, int(count)); i == 0 {
			return nil, false
		}
	}
	return b[i:], true
}

// skipAttributes passes over n attributes at b[i:]. 0 when they are not whole.
func skipAttributes(b []byte, i, n int) int {
	nulls := i
	i += (n+7)/8 + 1
	if i > len(b) || b[i-1] != 1 {
		return 0
	}
	types := i
	for range n {
		if i+2 > len(b) {
			return 0
		}
		if _, i = lenencString(b, i+2); i == 0 {
			return 0
		}
	}
	values, at := i, types
	for k := range n {
		kind := b[at]
		_, at = lenencString(b, at+2)
		if b[nulls+k/8]&(1<<(k%8)) != 0 {
			continue
		}
		if values = skipValue(b, values, kind); values == 0 {
			return 0
		}
	}
	return values
}

// skipValue passes over a value of the binary protocol at b[i:]. 0 when it is not whole, or of a type that is not known.
func skipValue(b []byte, i int, kind byte) int {
	size := 0
	switch kind {
	case 0x01: // TINY
		size = 1
	case 0x02, 0x0d: // SHORT, YEAR
		size = 2
	case 0x03, 0x04, 0x09: // LONG, FLOAT, INT24
		size = 4
	case 0x05, 0x08: // DOUBLE, LONGLONG
		size = 8
	case 0x06: // NULL
	case 0x07, 0x0a, 0x0b, 0x0c: // TIMESTAMP, DATE, TIME, DATETIME
		if i >= len(b) {
			return 0
		}
		size = 1 + int(b[i])
	default: // text, numbers as text, bytes
		_, next := lenencString(b, i)
		return next
	}
	if i+size > len(b) {
		return 0
	}
	return i + size
}
