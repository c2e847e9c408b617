package redis

// status is how a piece of the protocol was read.
type status uint8

const (
	whole status = iota
	short        // its end is not there yet
	wrong
)

// maxLine bounds the lines that are read whole: lengths, numbers, booleans and nulls. A double has at most 26 characters.
const maxLine = 64

// Bounds of what is believed. A string has at most 512 MiB unless proto-max-bulk-len says otherwise, and an aggregate fewer than
// 2^31 elements.
const (
	maxString = 1 << 32
	maxCount  = 1 << 31
)

// Lengths that are none.
const (
	null     = -1
	streamed = -2 // "?": until a mark says that it is over
)

// line returns the text of the line at the start of data, without its type and its end, and where the next begins.
func line(data []byte) (text []byte, next int, s status) {
	for i := 1; i < min(len(data), maxLine); i++ {
		if data[i] == '\r' {
			switch {
			case i+1 == len(data):
				return nil, 0, short
			case data[i+1] == '\n':
				return data[1:i], i + 2, whole
			}
			return nil, 0, wrong
		}
	}
	if len(data) >= maxLine {
		return nil, 0, wrong
	}
	return nil, 0, short
}

// length reads a length of at most most, null or streamed: the line at the start of data after its type.
func length(data []byte, most int) (n, next int, s status) {
	i := 1
	for ; i < len(data); i++ {
		if i == maxLine { // of zeros
			return 0, 0, wrong
		}
		c := data[i] - '0'
		if c > 9 {
			break
		}
		if n = 10*n + int(c); n > most {
			return 0, 0, wrong
		}
	}
	switch {
	case i == len(data):
		return 0, 0, short
	case data[i] == '\r' && i > 1:
		return n, i + 2, lineEnd(data[i:])
	case i > 1:
		return 0, 0, wrong
	case data[i] == '?':
		return streamed, i + 3, lineEnd(data[i+1:])
	case data[i] != '-':
		return 0, 0, wrong
	case i+1 == len(data):
		return 0, 0, short
	case data[i+1] != '1':
		return 0, 0, wrong
	}
	return null, i + 4, lineEnd(data[i+2:])
}

// lineEnd says whether data begins with CR LF.
func lineEnd(data []byte) status {
	switch {
	case len(data) > 0 && data[0] != '\r' || len(data) > 1 && data[1] != '\n':
		return wrong
	case len(data) < 2:
		return short
	}
	return whole
}

// number says whether text is a number as type b has it.
func number(b byte, text []byte) bool {
	for i, c := range text {
		switch {
		case '0' <= c && c <= '9':
		case i == 0 && (c == '-' || c == '+'):
		case b == ',' && (c == '.' || c == '-' || c == '+' || 'a' <= c|0x20 && c|0x20 <= 'z'): // 1e10, inf, nan
		default:
			return false
		}
	}
	return len(text) > 0
}
