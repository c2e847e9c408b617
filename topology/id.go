package topology

import (
	"strings"
)

// ServiceKey names a node: service_name and service_namespace, or what the graph is grouped by.
type ServiceKey struct{ Namespace, Name string }

// EdgeKey names an edge of the graph.
type EdgeKey struct {
	Client, Server ServiceKey
	Protocol       string
}

// edgeSeparator joins the parts of an edge's id. It cannot occur within a part: an escaped byte is '~' and two hex digits.
const edgeSeparator = "~~"

// ID is the node's id in URLs: "namespace/name", or "name" where there is no namespace. Bytes other than letters, digits,
// '.', '_' and '-' are written as '~' and two hex digits, so that an id survives any proxy's idea of percent-encoding;
// ParseNodeID reverses it.
func (k ServiceKey) ID() string {
	if k.Namespace == "" {
		return escape(k.Name)
	}
	return escape(k.Namespace) + "/" + escape(k.Name)
}

// ParseNodeID is the inverse of ServiceKey.ID. ok is false for a string that is nobody's id.
func ParseNodeID(id string) (k ServiceKey, ok bool) {
	ns, name, found := strings.Cut(id, "/")
	if !found {
		ns, name = "", id
	} else if ns == "" {
		return ServiceKey{}, false
	}
	if k.Namespace, ok = unescape(ns); !ok {
		return ServiceKey{}, false
	}
	if k.Name, ok = unescape(name); !ok || name == "" {
		return ServiceKey{}, false
	}
	return k, k.ID() == id
}

// ID is the edge's id in URLs; ParseEdgeID reverses it.
func (k EdgeKey) ID() string {
	return k.Client.ID() + edgeSeparator + k.Server.ID() + edgeSeparator + escape(k.Protocol)
}

// ParseEdgeID is the inverse of EdgeKey.ID. ok is false for a string that is nobody's id.
func ParseEdgeID(id string) (k EdgeKey, ok bool) {
	parts := strings.Split(id, edgeSeparator)
	if len(parts) != 3 {
		return EdgeKey{}, false
	}
	if k.Client, ok = ParseNodeID(parts[0]); !ok {
		return EdgeKey{}, false
	}
	if k.Server, ok = ParseNodeID(parts[1]); !ok {
		return EdgeKey{}, false
	}
	if k.Protocol, ok = unescape(parts[2]); !ok {
		return EdgeKey{}, false
	}
	return k, k.ID() == id
}

const hexDigits = "0123456789ABCDEF"

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}

// escape keeps plain bytes. A part made of dots only would be taken for a path step, so its dots are escaped too.
func escape(s string) string {
	dots := strings.Trim(s, ".") == ""
	n := 0
	for i := range len(s) {
		if !plain(s[i]) || dots {
			n++
		}
	}
	if n == 0 {
		return s
	}
	b := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		if c := s[i]; plain(c) && !dots {
			b = append(b, c)
		} else {
			b = append(b, '~', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(b)
}

func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '~') < 0 {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '~' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		b = append(b, byte(hi<<4|lo))
		i += 2
	}
	return string(b), true
}
