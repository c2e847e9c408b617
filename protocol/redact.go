package protocol

import "bytes"

// Redacted stands for what is not kept, as OpenTelemetry writes it.
const Redacted = "REDACTED"

// redact takes out of x what the configuration keeps from leaving the collector, before anyone else sees it: the values in a
// URL's query, and headers that name no operation. What a protocol keeps of a statement it has redacted itself.
func (o Options) redact(x *Exchange) {
	if o.URLQuery || x.Protocol.System != SystemHTTP && x.Protocol.System != SystemRPC {
		return
	}
	a := &x.Request.Attrs
	a.remove(UserAgent)
	a.redactQuery()
}

// remove takes k out of a.
func (a *Attrs) remove(k Key) {
	for i := range a.list {
		if a.list[i].key == k {
			a.list = append(a.list[:i], a.list[i+1:]...)
			return
		}
	}
}

// redactQuery leaves of the URL's query only the names of its parameters. The new text is written behind the attributes that
// there are, so that a steady stream does not allocate.
func (a *Attrs) redactQuery() {
	query := a.Get(URLQuery)
	if len(query) == 0 {
		return
	}
	start := len(a.buf)
	for len(query) > 0 {
		part := query
		if i := bytes.IndexAny(query, "&;"); i >= 0 {
			part, query = query[:i], query[i+1:]
		} else {
			query = nil
		}
		if len(part) == 0 {
			continue
		}
		if len(a.buf) > start {
			a.buf = append(a.buf, '&')
		}
		if i := bytes.IndexByte(part, '='); i >= 0 { // else a value without a name
			a.buf = append(a.buf, part[:i+1]...)
		}
		a.buf = append(a.buf, Redacted...)
	}
	a.put(URLQuery, start)
}
