package semantics

import (
	"bytes"

	"github.com/toposcope/toposcope/protocol"
)

// Known tells the methods that are values of http.request.method; others are "_OTHER".
func Known(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY":
		return true
	}
	return false
}

// SetMethod sets the attributes of a method.
func SetMethod(a *protocol.Attrs, method []byte) {
	if Known(method) {
		a.Add(protocol.HTTPRequestMethod, method)
		return
	}
	a.Add(protocol.HTTPRequestMethod, []byte("_OTHER"))
	a.Add(protocol.HTTPMethodOriginal, method)
}

// SetServer sets the attributes of an authority: host, host:port, [v6] or [v6]:port, with or without user information before it.
func SetServer(a *protocol.Attrs, authority []byte) {
	if host, port := splitHost(authority); len(host) > 0 {
		a.Add(protocol.ServerAddress, host)
		if len(port) > 0 {
			a.Add(protocol.ServerPort, port)
		}
	}
}

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
	if isDecimal(s[i+1:]) {
		port = s[i+1:]
	}
	return s[:i], port
}

func isDecimal(s []byte) bool {
	for _, b := range s {
		if b < '0' || b > '9' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 18
}

// SetTarget sets what a path with or without a query tells, and the field prefer.
func SetTarget(m *protocol.Message, target, prefer []byte) {
	if i := bytes.IndexByte(target, '#'); i >= 0 {
		target = target[:i]
	}
	path, query, _ := bytes.Cut(target, []byte{'?'})
	m.Attrs.Add(protocol.URLPath, path)
	if len(query) > 0 {
		m.Attrs.Add(protocol.URLQuery, query)
	}
	m.Waiting = Waits(path, query, prefer)
}

// SetPeers sets the attributes of who is asked and who asks, by h, and of the version of HTTP.
func SetPeers(a *protocol.Attrs, h *Header, version string) {
	authority := h.Get(Authority)
	if authority == nil {
		authority = h.Get(Host)
	}
	SetServer(a, authority)
	SetCaller(a, h.Get(UserAgent), h.Get(Traceparent))
	a.SetString(protocol.NetworkProtocolVersion, version)
}

// SetCaller sets the attributes of who asks, by the fields user-agent and traceparent.
func SetCaller(a *protocol.Attrs, agent, parent []byte) {
	if len(agent) > 0 {
		a.Add(protocol.UserAgent, agent)
	}
	if isTraceparent(parent) {
		a.Add(protocol.Traceparent, parent)
	}
}

// isTraceparent checks the form of a W3C trace context: version-traceid-parentid-flags; later versions may say more.
func isTraceparent(s []byte) bool {
	const length = 2 + 1 + 32 + 1 + 16 + 1 + 2
	if len(s) < length || len(s) > 2*length {
		return false
	}
	if s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return false
	}
	for i, b := range s {
		if b != '-' && !isHex(b) && i < length {
			return false
		}
	}
	return true
}

func isHex(b byte) bool { return b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'f' }
