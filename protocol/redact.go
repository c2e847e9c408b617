package protocol

import "bytes"

// Redacted stands for what is not kept, as OpenTelemetry writes it.
const Redacted = "REDACTED"

// redact takes out of x what the configuration keeps from leaving the collector, before anyone else sees it: the values in a
// URL's query and in parameters of its path, and headers that name no operation. Who a URL says that its user is leaves by no
// configuration. What a protocol keeps of a statement it has redacted itself.
func (o Options) redact(x *Exchange) {
	if x.Protocol.System != SystemHTTP && x.Protocol.System != SystemRPC {
		return
	}
	a := &x.Request.Attrs
	a.redactUser()
	if o.URLQuery {
		return
	}
	a.remove(UserAgent)
	a.redactParameters()
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

// redactUser takes user and password (RFC 3986 section 3.2.1) out of URLs that the path has in it, as those of proxies have.
func (a *Attrs) redactUser() {
	path := a.Get(URLPath)
	if bytes.IndexByte(path, '@') < 0 || !bytes.Contains(path, []byte("://")) {
		return
	}
	start := len(a.buf)
	for {
		i := bytes.Index(path, []byte("://"))
		if i < 0 {
			break
		}
		a.buf, path = append(a.buf, path[:i+3]...), path[i+3:]
		end := bytes.IndexByte(path, '/')
		if end < 0 {
			end = len(path)
		}
		if i = bytes.LastIndexByte(path[:end], '@'); i >= 0 {
			a.buf, path = append(a.buf, Redacted...), path[i:]
		}
	}
	a.buf = append(a.buf, path...)
	a.put(URLPath, start)
}

// redactParameters leaves of the parameters in the path (RFC 3986 section 3.3: "/cart;jsessionid=…") only the names.
func (a *Attrs) redactParameters() {
	path := a.Get(URLPath)
	if bytes.IndexByte(path, ';') < 0 {
		return
	}
	start := len(a.buf)
	for len(path) > 0 {
		n := len(path)
		if i := bytes.IndexAny(path[1:], ";/"); i >= 0 {
			n = 1 + i
		}
		part := path[:n]
		if path = path[n:]; part[0] == ';' && n > 1 {
			name := part[:1]
			if i := bytes.IndexByte(part, '='); i >= 0 { // else a value without a name
				name = part[:i+1]
			}
			a.buf, part = append(a.buf, name...), []byte(Redacted)
		}
		a.buf = append(a.buf, part...)
	}
	a.put(URLPath, start)
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
