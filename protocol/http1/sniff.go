package http1

import (
	"bytes"
	"slices"
	"strings"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/semantics"
)

// maxMethod is the longest method that is believed; the longest registered one is UPDATEREDIRECTREF (17).
const maxMethod = 24

// sniff judges whether data begins with an HTTP/1 message, from either end.
func sniff(_ event.Dir, data []byte) protocol.Sniffed {
	return max(sniffRequest(data), sniffResponse(data))
}

// sniffRequest wants a whole request line with its version: many text protocols begin with an upper-case word. It is for
// places where a message may or may not begin.
func sniffRequest(data []byte) protocol.Sniffed {
	data = skipEmptyLines(data)
	i := 0
	for i < len(data) && isMethod(data[i], i == 0) {
		i++
	}
	switch {
	case i > maxMethod, i == 0 && len(data) > 0:
		return protocol.No
	case i == len(data):
		return protocol.More
	case !isBlank(data[i]), torn(data[:i]):
		return protocol.No
	}
	end := bytes.IndexByte(data, '\n')
	if end < 0 {
		if bytes.ContainsFunc(data[i:], func(r rune) bool { return r < ' ' && r != '\t' && r != '\r' || r == 0x7f }) {
			return protocol.No
		}
		return sniffPartial(data[:i], data[i:])
	}
	method, target, _, ok := requestLine(trimCR(data[:end]))
	if !ok || bytes.ContainsAny(target, " \t") && !slices.Contains(registered, string(method)) {
		return protocol.No // such as a line of text that ends with "GET / HTTP/1.1"
	}
	return protocol.Yes
}

// isMethod tells the characters of methods that are believed: fewer than a token may have.
func isMethod(b byte, first bool) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z':
		return true
	default:
		return !first && (b == '-' || b == '_' || '0' <= b && b <= '9')
	}
}

// torn reports whether method is what is left of a registered one whose beginning was lost ("ET"), or has the end of a body
// in front of it ("xyzGET").
func torn(method []byte) bool {
	bad := false
	for _, m := range registered {
		if string(method) == m {
			return false
		}
		bad = bad || strings.HasSuffix(m, string(method)) || bytes.HasSuffix(method, []byte(m))
	}
	return bad
}

// registered are the methods of IANA's registry, and a few that are as common.
var registered = []string{
	"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY",
	"ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "COPY", "LABEL", "LINK", "LOCK", "MERGE", "MKACTIVITY",
	"MKCALENDAR", "MKCOL", "MKREDIRECTREF", "MKWORKSPACE", "MOVE", "ORDERPATCH", "PRI", "PROPFIND", "PROPPATCH", "REBIND",
	"REPORT", "SEARCH", "UNBIND", "UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE", "UPDATEREDIRECTREF", "VERSION-CONTROL",
	"M-SEARCH", "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "PURGE", // not in it, but common: UPnP, caches
}

// expectRequest judges the beginning of a request where one must begin: any token will do for a method.
func expectRequest(data []byte) protocol.Sniffed {
	i := 0
	for i < len(data) && isToken(data[i]) {
		i++
	}
	switch {
	case i > maxMethod, i == 0, i < len(data) && !isBlank(data[i]):
		return protocol.No
	case i == len(data):
		return protocol.More
	}
	return max(protocol.More, sniffPartial(data[:i], data[i:]))
}

// longLine is when an unfinished line is long enough to believe a known method in front of a path.
const longLine = 2 << 10

// sniffPartial judges a request line whose end is not there yet.
func sniffPartial(method, rest []byte) protocol.Sniffed {
	target := bytes.TrimLeft(rest, " \t")
	if len(target) == 0 {
		return protocol.More
	}
	switch {
	case len(rest) < longLine:
		return protocol.More
	case semantics.Known(method) && (target[0] == '/' || bytes.HasPrefix(target, []byte("http"))):
		return protocol.Yes
	default:
		return protocol.No
	}
}

// sniffResponse wants "HTTP/1.", a digit, a space, three digits and a space or the end of the line.
func sniffResponse(data []byte) protocol.Sniffed {
	const pattern = "HTTP/1.d ddd "
	for i := range min(len(data), len(pattern)) {
		b := data[i]
		switch p := pattern[i]; {
		case p == 'd':
			if b < '0' || b > '9' {
				return protocol.No
			}
		case i == len(pattern)-1:
			if b != ' ' && b != '\r' && b != '\n' {
				return protocol.No
			}
		case b != p:
			return protocol.No
		}
	}
	if len(data) < len(pattern) {
		return protocol.More
	}
	if data[9] == '0' {
		return protocol.No
	}
	return protocol.Yes
}

// skipEmptyLines passes over empty lines before a request (RFC 9112 section 2.2).
func skipEmptyLines(data []byte) []byte {
	for len(data) > 0 && (data[0] == '\r' || data[0] == '\n') {
		data = data[1:]
	}
	return data
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' }

func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// isToken tells the characters of a method or a field name (RFC 9110 section 5.6.2).
func isToken(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		return true
	}
	switch b {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		return true
	}
	return false
}
