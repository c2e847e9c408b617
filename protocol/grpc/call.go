package grpc

import (
	"bytes"
	"strconv"
	"time"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/semantics"
)

// call is one exchange.
type call struct {
	form    [2]int      // of the request and of the response
	body    [2]messages // the same
	guessed bool        // the content type was not seen
	early   bool        // the response's header had a status:
	said    code
	timeout deadline
	web     *webBody // of the response, and the carry of both
}

// deadline is what is known of a call's grpc-timeout.
type deadline struct {
	after time.Duration // 0: none is known
	// likely: the name of the field was not seen, only that its value has the form. unclear: there may be one that was not seen.
	likely, unclear bool
}

// Header implements semantics.Call.
func (c *call) Header(h *semantics.Header, m *protocol.Message) {
	if m.Kind == protocol.Response {
		c.answer(h)
		return
	}
	w := c.web
	*c = call{web: w}
	f := form(h.Get(semantics.ContentType))
	if f == notGRPC {
		f, c.guessed = native, true // the body has told
	}
	c.form = [2]int{f, f}
	if f != native {
		c.resetWeb()
	}
	c.timeout = timeoutOf(h)
	m.Protocol = Name
	m.Attrs.SetString(protocol.RPCSystem, Name)
	switch path := h.Get(semantics.Path); {
	case len(path) > 0:
		path, _, _ = bytes.Cut(path, []byte{'?'})
		m.Attrs.Set(protocol.RPCMethod, bytes.TrimPrefix(path, []byte{'/'}))
	case h.Unresolved:
		m.Attrs.SetString(protocol.RPCMethod, protocol.Unknown)
		m.Unresolved = true
	}
}

// answer takes the response's header. A body that is something else, an error page of a proxy, has no messages.
func (c *call) answer(h *semantics.Header) {
	if value := h.Own(fieldStatus); value != nil {
		c.early, c.said = true, parseCode(value)
	}
	t := h.Get(semantics.ContentType)
	if t == nil {
		deduceType(h)
		page := !h.Unresolved || string(h.Get(semantics.Status)) != "200"
		c.body[protocol.Response].lost = page && c.form[protocol.Response] == native
		return
	}
	f := form(t)
	c.form[protocol.Response] = f
	c.body[protocol.Response].lost = f == notGRPC
	if f == web || f == webText {
		c.resetWeb()
	}
}

// deduceType finds out which entry of a table that was not seen is the content type: a response's header must have one.
func deduceType(h *semantics.Header) {
	if loose, _ := h.Loose(); len(loose) == 1 && loose[0].Value == nil && h.Get(semantics.Status) != nil {
		h.Name(0, semantics.ContentType)
	}
}

// Body implements semantics.Call.
func (c *call) Body(k protocol.Kind, data []byte, missing int) (free int) {
	b := &c.body[k]
	if c.guessed && len(data) > 0 {
		if c.guessed = false; data[0] > compressed {
			c.form = [2]int{webText, webText}
			c.resetWeb()
		}
	}
	switch {
	case c.form[k] == notGRPC:
		return 1 << 30
	case c.form[k] != native:
		return c.webData(k, data, missing)
	}
	b.read(data, nil)
	b.miss(missing)
	return b.free()
}

// End implements semantics.Call.
func (c *call) End(e semantics.End, m *protocol.Message) {
	key := protocol.RPCRequestMessages
	if m.Kind == protocol.Response {
		key = protocol.RPCResponseMessages
	}
	if b := &c.body[m.Kind]; !b.lost {
		var digits [20]byte
		m.Attrs.Add(key, strconv.AppendInt(digits[:0], int64(b.count), 10))
	}
	if m.Kind == protocol.Request {
		return
	}
	status, known := c.status(&e, m)
	if !known {
		m.Attrs.SetString(protocol.RPCStatusCode, protocol.Unknown)
		m.Unresolved = true
		return
	}
	m.Attrs.SetString(protocol.RPCStatusCode, names[status])
	m.Outcome, m.Error = status.outcome()
}

// status is the code that the client gets; known is false when it refers to something that was not seen.
func (c *call) status(e *semantics.End, m *protocol.Message) (s code, known bool) {
	if e.Trailers != nil {
		if value := e.Trailers.Own(fieldStatus); value != nil {
			return parseCode(value), true
		}
	}
	if c.early {
		return c.said, true
	}
	if f := c.form[protocol.Response]; f == web || f == webText {
		if value := c.webStatus(); value != nil {
			return parseCode(value), true
		}
	}
	switch {
	case e.Reset:
		s = ofReset(e.Code)
		if s == cancelled {
			return c.timeout.cancelled(e.Took, m), true
		}
		return s, true
	case e.Trailers != nil && e.Trailers.Unresolved && (e.Status == 200 || e.Status == 0):
		if value := deduce(e.Trailers, e.Status == 200); value != nil {
			return parseCode(value), true
		}
		return 0, false
	case e.Status == 0, c.missed(e.Status):
		return 0, false
	default:
		return ofHTTP(e.Status), true
	}
}

// missed says that the status was in a body of which not all was seen.
func (c *call) missed(status int) bool {
	f := c.form[protocol.Response]
	b := &c.body[protocol.Response]
	return status == 200 && (f == web || f == webText) && (b.lost || b.head[0] == trailers|compressed)
}

// deduce finds the grpc-status among fields of trailers whose names were not seen. It must be there: where all but one have a
// value that no status has, it is that one. Its name is known from then on.
func deduce(h *semantics.Header, certain bool) []byte {
	loose, all := h.Loose()
	if !certain || !all || h.OwnLost(fieldStatus) {
		return nil
	}
	found := -1
	for i, l := range loose {
		if l.Value != nil && !isCode(l.Value) {
			continue
		}
		if found >= 0 {
			return nil
		}
		found = i
	}
	if found < 0 {
		return nil
	}
	h.Name(found, h.OwnField(fieldStatus))
	return loose[found].Value
}
