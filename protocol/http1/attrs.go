package http1

import (
	"bytes"

	"github.com/toposcope/toposcope/protocol"
)

// requestAttrs sets a request's attributes (OpenTelemetry semantic conventions for HTTP). The method comes first, since
// response framing looks it up.
func (h *header) requestAttrs(a *protocol.Attrs) {
	if known(h.method) {
		a.Add(protocol.HTTPRequestMethod, h.method)
	} else {
		a.Add(protocol.HTTPRequestMethod, []byte("_OTHER"))
		a.Add(protocol.HTTPMethodOriginal, h.method)
	}
	authority, path, query := splitTarget(h.method, h.target)
	if path != nil {
		a.Add(protocol.URLPath, path)
	}
	if len(query) > 0 {
		a.Add(protocol.URLQuery, query)
	}
	if authority == nil {
		authority = h.host
	}
	if host, port := splitHost(authority); len(host) > 0 {
		a.Add(protocol.ServerAddress, host)
		if len(port) > 0 {
			a.Add(protocol.ServerPort, port)
		}
	}
	if len(h.agent) > 0 {
		a.Add(protocol.UserAgent, h.agent)
	}
	if traceparent(h.parent) {
		a.Add(protocol.Traceparent, h.parent)
	}
	if h.version == '0' {
		a.Add(protocol.NetworkProtocolVersion, []byte("1.0"))
	} else {
		a.Add(protocol.NetworkProtocolVersion, []byte("1.1"))
	}
}

// known tells the methods that are values of http.request.method; others are "_OTHER".
func known(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY":
		return true
	}
	return false
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

// splitHost splits host, host:port, [v6] and [v6]:port, with or without user information before it.
func splitHost(s []byte) (host, port []byte) {
	if bytes.IndexByte(s, '@') >= 0 {
		s = s[bytes.LastIndexByte(s, '@')+1:]
	}
	if len(s) > 0 && s[0] == '[' {
		end := bytes.IndexByte(s, ']')
		if end < 0 {
			return nil, nil
		}
		host, s = s[1:end], s[end+1:]
		if len(s) > 0 && s[0] == ':' {
			port = s[1:]
		}
		return host, port
	}
	i := bytes.IndexByte(s, ':')
	if i < 0 {
		return s, nil
	}
	if _, ok := decimal(s[i+1:]); ok {
		port = s[i+1:]
	}
	return s[:i], port
}

// traceparent checks the form of a W3C trace context: version-traceid-parentid-flags; later versions may say more.
func traceparent(s []byte) bool {
	const length = 2 + 1 + 32 + 1 + 16 + 1 + 2
	if len(s) < length || len(s) > 2*length {
		return false
	}
	return s[2] == '-' && s[35] == '-' && s[52] == '-'
}
