package semantics

import "bytes"

// eventStream is the media type of server-sent events (WHATWG HTML, section 9.2).
const eventStream = "text/event-stream"

// Lasts reports whether an answer of that content type goes on for as long as somebody listens.
func Lasts(contentType []byte) bool {
	return len(contentType) >= len(eventStream) && bytes.EqualFold(contentType[:len(eventStream)], []byte(eventStream))
}

// Waits reports whether a request asks to be answered only when something has happened: by the preference "wait" of RFC 7240
// section 4.3, or in the ways of the APIs that are polled most: Kubernetes' watches, Consul's blocking queries, the feeds of CouchDB.
func Waits(path, query, prefer []byte) bool {
	if len(prefer) > 0 && prefersWait(prefer) {
		return true
	}
	switch {
	case len(query) == 0:
		return false
	case bytes.HasPrefix(path, []byte("/api/")), bytes.HasPrefix(path, []byte("/apis/")):
		watch := parameter(query, "watch")
		return string(watch) == "true" || string(watch) == "1"
	case bytes.HasPrefix(path, []byte("/v1/")):
		index := parameter(query, "index")
		return len(index) > 0 && string(index) != "0" && len(parameter(query, "wait")) > 0
	case bytes.HasSuffix(path, []byte("/_changes")):
		feed := parameter(query, "feed")
		return string(feed) == "longpoll" || string(feed) == "continuous"
	}
	return false
}

// prefersWait reports whether wait is among the preferences, which are separated by commas.
func prefersWait(prefer []byte) bool {
	for len(prefer) > 0 {
		var one []byte
		one, prefer, _ = bytes.Cut(prefer, []byte{','})
		name, _, valued := bytes.Cut(bytes.TrimSpace(one), []byte{'='})
		if valued && bytes.EqualFold(bytes.TrimSpace(name), []byte("wait")) {
			return true
		}
	}
	return false
}

// parameter is the value of a parameter of a query, nil when it is not there.
func parameter(query []byte, name string) []byte {
	for len(query) > 0 {
		var one []byte
		one, query, _ = bytes.Cut(query, []byte{'&'})
		if k, v, _ := bytes.Cut(one, []byte{'='}); string(k) == name {
			return v
		}
	}
	return nil
}
