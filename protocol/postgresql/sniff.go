package postgresql

import (
	"encoding/binary"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// sniff judges the beginning of a direction, either one's: a message without a type, or a chain of messages whose content fits.
func sniff(_ event.Dir, data []byte) protocol.Sniffed {
	return max(sniffStartup(data), max(chain(data, &fromClient), chain(data, &fromServer)))
}

// sniffStartup judges whether data begins with a StartupMessage or a request in its place.
func sniffStartup(data []byte) protocol.Sniffed {
	if len(data) > 0 && data[0] != 0 || len(data) > 1 && data[1] != 0 {
		return protocol.No
	}
	if len(data) < 8 {
		if len(data) > 4 && data[4] != 0 && data[4] != codeSSL>>24 {
			return protocol.No
		}
		return protocol.More
	}
	n, code := int(binary.BigEndian.Uint32(data)), binary.BigEndian.Uint32(data[4:])
	switch {
	case code == codeSSL || code == codeGSS:
		return protocol.Decided(n == 8, true)
	case code == codeCancel: // a process, and a key that has four bytes up to version 3.0 and no more than 256 after it
		return protocol.Decided(n >= 16 && n <= 12+256 && len(data) <= n, true)
	case code>>16 != codeMajor || n < 9 || n > maxStartup || len(data) > n:
		return protocol.No
	}
	return sniffParameters(data[8:], n-8)
}

// sniffParameters judges the parameters of a StartupMessage, n bytes of names and values: the user is always among them.
func sniffParameters(body []byte, n int) protocol.Sniffed {
	user, left := false, n
	for left > 1 {
		key, rest, ok := cString(body)
		if len(key) == 0 && len(body) > 0 || !isName(key) {
			return protocol.No
		}
		var value []byte
		if ok {
			value, rest, ok = cString(rest)
		}
		if !isText(value) {
			return protocol.No
		}
		if !ok {
			return protocol.Decided(false, len(body) >= left)
		}
		user = user || string(key) == "user"
		left -= len(body) - len(rest)
		body = rest
	}
	if left != 1 || !user || len(body) > 0 && body[0] != 0 {
		return protocol.No
	}
	if len(body) == 0 {
		return protocol.More
	}
	return protocol.Yes
}

// isName reports whether b looks like the name of a parameter: letters, digits, "_" and, of an extension's, ".".
func isName(b []byte) bool {
	for i, c := range b {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c != '.' && (c < '0' || c > '9')) {
			return false
		}
	}
	return len(b) <= 256
}

// isText reports whether b holds no control characters but blanks.
func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != '\v' || c == 0x7f {
			return false
		}
	}
	return true
}

// speaker is one end, for sniffing: its messages, and how far the content of one proves that it is one.
type speaker struct {
	kinds *[128]kind
	judge func(kind byte, body []byte, size int) int // body is as much as is there of size bytes
}

// Scores of a message: refuted by its content, possible, and the sum that proves a chain.
const (
	refuted = -1
	enough  = 2
)

// Bounds of a chain: how long a message may be (the highest byte of its length is 0, which no text has), how many are looked at, and
// how much of one that is not whole. What comes byte by byte is judged anew with each.
const (
	maxSniffed   = 1 << 24
	maxChain     = 64
	partlyJudged = 512
)

// chain judges whether data is a chain of messages of s. Each that is there must fit in length and content, and together they must be
// more than chance.
func chain(data []byte, s *speaker) protocol.Sniffed {
	score := 0
	for i := 0; len(data) > 0 && score < 4*enough; i++ {
		f, _, err := readFrame(data, s.kinds, protocol.Hole)
		switch {
		case err != nil:
			return protocol.No
		case f.size == 0: // no whole header
			if len(data) > 1 && data[1] != 0 {
				return protocol.No
			}
			return verdict(score)
		case f.size > maxSniffed || i == maxChain:
			return protocol.No
		}
		body := data[headerSize:min(len(data), f.size)]
		if len(data) < f.size {
			body = body[:min(len(body), partlyJudged)]
		}
		points := s.judge(f.kind, body, f.size-headerSize)
		if points == refuted {
			return protocol.No
		}
		if len(data) < f.size {
			return verdict(score)
		}
		score += points
		data = data[f.size:]
	}
	return verdict(score)
}

func verdict(score int) protocol.Sniffed {
	if score >= enough {
		return protocol.Yes
	}
	return protocol.More
}
