package http1

import (
	"bytes"
	"strings"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/semantics"
)

// request returns the message of a request head of n bytes that comes after lead bytes of empty lines.
func (p *parser) request(c *protocol.Chunk, d *direction, h *header, lead, n int) (int, *protocol.Message, error) {
	m := c.Message
	m.Reset()
	m.Kind = protocol.Request
	*d = direction{}
	carried := p.carries(h, m)
	if !carried {
		h.requestAttrs(m)
	}
	switch {
	case !h.told:
		return d.truncated(c, m, h)
	case carried:
		return p.look(d, h, m, lead+n)
	case h.encoded && !h.chunked, !h.encoded && h.badLength:
		// Its length cannot be known (RFC 9112 section 6.3); servers answer 400 and close.
		d.mode, d.open, m.Part = astray, true, protocol.PartHead
		return lead + n, m, nil
	case h.chunked:
		return d.streamed(c, m, lead+n)
	case h.length > 0:
		n += int(h.length)
	}
	m.Size = int64(n)
	return lead + n, m, nil
}

// truncated returns m, whose head is cut off by a hole. What follows is part of it until the next turn.
func (d *direction) truncated(c *protocol.Chunk, m *protocol.Message, h *header) (int, *protocol.Message, error) {
	d.mode, d.chunked, d.open = astray, h.chunked, true
	m.Part, m.Truncated = protocol.PartHead, true
	return len(c.Data) + int(c.Missing), m, nil
}

// streamed returns m, whose head has n bytes and whose body is chunked: whole, if the end is there already.
func (d *direction) streamed(c *protocol.Chunk, m *protocol.Message, n int) (int, *protocol.Message, error) {
	d.mode = atChunkSize
	body := c.Data[n:]
	took, done, err := d.walk(body)
	if err != nil { // it will be met again, after the head
		took, d.mode = 0, atChunkSize
	}
	if !done {
		d.open, m.Part = true, protocol.PartHead
	}
	return n + took, m, nil
}

// response returns the message of a response head of n bytes.
func (p *parser) response(c *protocol.Chunk, d *direction, h *header, n int) (int, *protocol.Message, error) {
	m := c.Message
	m.Reset()
	m.Kind = protocol.Response
	m.Outcome, m.Error = semantics.Outcome(h.status)
	m.Waiting = semantics.Lasts(h.content)
	m.Attrs.Add(protocol.HTTPResponseStatusCode, h.code)
	*d = direction{}
	if h.status < 200 {
		if h.status != 101 {
			m.Kind = protocol.Interim
			if !h.told {
				return d.truncated(c, m, h)
			}
			return n, m, nil
		}
		return n, m, h.upgraded(m)
	}
	carried := p.layer != nil && c.Request != nil && c.Request.Protocol != ""
	switch {
	case carried:
		return p.answer(c, d, h, n)
	case !h.told:
		return d.truncated(c, m, h)
	case c.Request == nil:
		return d.unasked(c, m, h, n)
	}
	method := c.Request.Attrs.Get(protocol.HTTPRequestMethod)
	switch {
	case string(method) == "CONNECT" && h.status < 300:
		return n, m, &protocol.Upgrade{}
	case string(method) == "HEAD":
		return n, m, nil
	}
	return d.body(c, m, h, n)
}

// body frames a response's body (RFC 9112 section 6.3).
func (d *direction) body(c *protocol.Chunk, m *protocol.Message, h *header, n int) (int, *protocol.Message, error) {
	switch {
	case h.status == 204 || h.status == 304:
		return n, m, nil
	case h.chunked:
		return d.streamed(c, m, n)
	case !h.encoded && h.length >= 0 && !h.badLength:
		return n + int(h.length), m, nil
	default:
		d.mode, d.open, m.Part = untilClose, true, protocol.PartHead
		return n, m, nil
	}
}

// unasked frames the body of a response whose request is not known. If that was a HEAD there is none, whatever the head
// says, so the bytes decide: what follows at once and is no other head is the body.
func (d *direction) unasked(c *protocol.Chunk, m *protocol.Message, h *header, n int) (int, *protocol.Message, error) {
	rest := c.Data[n:]
	if len(rest) > 0 && !bytes.HasPrefix(rest, []byte("HTTP/")) {
		return d.body(c, m, h, n)
	}
	if len(rest) == 0 && h.status != 204 && h.status != 304 && h.length != 0 {
		d.mode = astray
	}
	return n, m, nil
}

// upgraded is what a 101 response m means. HTTP/2 will answer the request, as its stream 1 (RFC 7540 section 3.2); other
// protocols have nothing to do with it.
func (h *header) upgraded(m *protocol.Message) *protocol.Upgrade {
	u := &protocol.Upgrade{To: upgradeTo(h.upgrade)}
	if u.To == "h2c" {
		m.Kind, u.ID = protocol.Interim, 1
	}
	return u
}

// upgradeTo is the protocol that an Upgrade field names first.
func upgradeTo(value []byte) string {
	if len(value) > 64 {
		value = value[:64]
	}
	name, _, _ := strings.Cut(string(value), ",")
	name, _, _ = strings.Cut(name, "/")
	switch name = strings.ToLower(strings.TrimSpace(name)); name {
	case "":
		return "unknown"
	}
	return name
}
