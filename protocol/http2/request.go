package http2

import (
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/semantics"
)

// request takes a header block of the client.
func (p *parser) request(c *protocol.Chunk, b *block, h *semantics.Header) *protocol.Message {
	newer := b.stream > p.newest
	if !h.Begins() && !(newer && h.Unresolved) { // trailers
		s := p.streams.find(b.stream)
		if s == nil || !s.asked || s.ended || !b.end {
			return nil
		}
		s.size[protocol.Request] += b.size
		if s.held != nil {
			s.ended = true // what it speaks is found out when it is answered
			return nil
		}
		return p.end(c, s, protocol.Request, h)
	}
	p.newest = max(p.newest, b.stream)
	s := p.streams.add(b.stream)
	s.asked, s.ended, s.start = true, b.end, b.start.UnixNano()
	s.tunnel = string(h.Get(semantics.Method)) == "CONNECT"
	s.layer = p.match(h, nil)
	switch {
	case s.layer != undecided:
	case b.end:
		s.layer = max(p.only, plainHTTP)
	default:
		s.size[protocol.Request] = b.size
		p.streams.hold(s, h)
		return nil
	}
	m := b.message(c, protocol.Request)
	p.ask(s, h, m)
	if b.end && s.layer >= 0 {
		s.call.End(semantics.End{}, m)
	}
	return m
}

// match finds what a request speaks: the index of a layer, plainHTTP or undecided.
func (p *parser) match(h *semantics.Header, start *semantics.Start) int8 {
	found := int8(plainHTTP)
	for i, l := range p.cfg.fields.Layers() {
		switch l.Match(h.For(i), start) {
		case protocol.Yes:
			return int8(i)
		case protocol.More:
			found = undecided
		}
	}
	return found
}

// ask begins an exchange of what s speaks, and sets in m what its header tells.
func (p *parser) ask(s *stream, h *semantics.Header, m *protocol.Message) {
	const version = "2"
	if p.only == undecided {
		p.only = s.layer
	} else if p.only != s.layer {
		p.only = mixed
	}
	if s.layer >= 0 {
		p.take(s, s.layer)
		s.call.Header(h.For(int(s.layer)), m)
	} else {
		s.describe(h, m)
	}
	semantics.SetPeers(&m.Attrs, h, version)
	m.Truncated = h.Unresolved // who is asked, and by whom, may be among what was not seen
}

// describe sets in m what the header of a plain request tells.
func (s *stream) describe(h *semantics.Header, m *protocol.Message) {
	if method := h.Get(semantics.Method); method != nil {
		semantics.SetMethod(&m.Attrs, method)
	} else if h.Unresolved {
		m.Attrs.Add(protocol.HTTPRequestMethod, []byte(protocol.Unknown))
		m.Unresolved = true
	}
	if path := h.Get(semantics.Path); path != nil {
		semantics.SetTarget(m, path, h.Get(semantics.Prefer))
	} else if h.Unresolved && !s.tunnel {
		m.Attrs.Add(protocol.URLPath, []byte(protocol.Unknown))
		m.Unresolved = true
	}
}

// take makes layer l what is spoken in s.
func (p *parser) take(s *stream, l int8) {
	if s.call == nil || s.callOf != l {
		s.call, s.callOf = p.cfg.fields.Layers()[l].New(), l
	}
	s.layer = l
}

// unhold returns the request that was held back until it is known what it speaks.
func (p *parser) unhold(c *protocol.Chunk, s *stream, layer int8) *protocol.Message {
	h := p.streams.unhold(s)
	s.layer = layer
	m := c.Message
	m.Reset()
	m.ID, m.Start, m.Size, m.Part = uint64(s.id), unix(s.start), s.size[protocol.Request], protocol.PartHead
	s.size[protocol.Request] = 0
	p.ask(s, h, m)
	if s.torn[protocol.Request] && layer >= 0 {
		s.call.Body(protocol.Request, nil, -1)
	}
	if s.ended {
		m.Part = protocol.PartWhole
	}
	return m
}
