package http1

import (
	"bytes"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/semantics"
)

// requestAttrs sets what a request's head tells (OpenTelemetry semantic conventions for HTTP). The method comes first, since
// response framing looks it up.
func (h *header) requestAttrs(m *protocol.Message) {
	a := &m.Attrs
	semantics.SetMethod(a, h.method)
	authority, path, query := splitTarget(h.method, h.target)
	if path != nil {
		a.Add(protocol.URLPath, path)
	}
	if len(query) > 0 {
		a.Add(protocol.URLQuery, query)
	}
	m.Waiting = semantics.Waits(path, query, h.prefer)
	if authority == nil {
		authority = h.host
	}
	semantics.SetServer(a, authority)
	semantics.SetCaller(a, h.agent, h.parent)
	a.AddString(protocol.NetworkProtocolVersion, h.versionName())
}

func (h *header) versionName() string {
	if h.version == '0' {
		return "1.0"
	}
	return "1.1"
}

// splitTarget takes apart the four forms of a target (RFC 9112 section 3.2): origin, absolute, authority, asterisk.
func splitTarget(method, target []byte) (authority, path, query []byte) {
	if target[0] != '/' {
		if string(method) == "CONNECT" {
			return target, nil, nil
		}
		if i := bytes.Index(target, []byte("://")); i > 0 && isScheme(target[:i]) {
			target = target[i+3:]
			end := bytes.IndexAny(target, "/?#")
			if end < 0 {
				end = len(target)
			}
			if authority, target = target[:end], target[end:]; len(target) == 0 || target[0] != '/' {
				path = []byte{'/'}
			}
		}
	}
	if i := bytes.IndexByte(target, '#'); i >= 0 {
		target = target[:i]
	}
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		target, query = target[:i], target[i+1:]
	}
	if path == nil {
		path = target
	}
	return authority, path, query
}

func isScheme(s []byte) bool {
	for _, b := range s {
		if !isToken(b) {
			return false
		}
	}
	return true
}
