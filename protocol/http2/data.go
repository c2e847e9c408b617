package http2

import (
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/semantics"
)

// payload is the rest of a DATA frame that is being taken bit by bit, because somebody looks at it or because the message ends
// with it.
type payload struct {
	open   bool
	end    bool // END_STREAM
	padded bool // the length of the padding is still to come
	stream uint32
	left   uint32 // bytes, padding included
	pad    uint32 // bytes of padding among them
}

// data takes a DATA frame, or begins to.
func (p *parser) data(c *protocol.Chunk, d *direction, f *frame) (int, *protocol.Message, error) {
	s := p.streams.find(f.stream)
	k := p.kind(c.Dir)
	if s == nil || k == protocol.Request && s.ended {
		return f.size(), nil, nil
	}
	end := f.has(flagEndStream)
	if k == protocol.Request && s.held != nil {
		if n, m, done := p.judge(c, s, f); !done {
			return n, m, nil
		}
	}
	there := len(c.Data)
	if c.Then == protocol.Hole {
		there += int(min(c.Missing, uint64(f.length)))
	}
	if k == protocol.Response && there >= f.size() && (end || s.held != nil) {
		if m := p.before(c, s, end); m != nil {
			return 0, m, nil
		}
		if p.streams.find(f.stream) == nil {
			return f.size(), nil, nil
		}
	}
	s.size[k] += int64(f.size())
	if !end && s.layer < 0 {
		return f.size(), nil, nil
	}
	d.in = payload{open: true, end: end, padded: f.has(flagPadded), stream: f.stream, left: f.length}
	return p.payload(c, d, frameHeader)
}

// payload goes on with a DATA frame at off in the chunk.
func (p *parser) payload(c *protocol.Chunk, d *direction, off int) (int, *protocol.Message, error) {
	in, data, k := &d.in, c.Data[off:], p.kind(c.Dir)
	s := p.streams.find(in.stream)
	if s == nil { // it was reset
		n := off + int(in.left)
		*in = payload{}
		return n, nil, nil
	}
	n := min(len(data), int(in.left))
	missing := 0
	if c.Then == protocol.Hole && n == len(data) {
		missing = int(min(c.Missing, uint64(in.left)-uint64(n)))
	}
	last := n+missing == int(in.left)
	if off == 0 && last && in.end && k == protocol.Response {
		if m := p.before(c, s, true); m != nil {
			return 0, m, nil
		}
	}
	free := s.feed(k, in, data[:n], missing)
	n += missing
	if last {
		end := in.end
		*in = payload{}
		if !end {
			return off + n, nil, nil
		}
		return off + n, p.end(c, s, k, nil), nil
	}
	if in.end {
		free = min(free, int(in.left)-1) // the last byte says when the message ended
	}
	s.feed(k, in, nil, free)
	in.open = in.left > 0
	return off + n + free, nil, nil
}

// feed takes data of a DATA frame and then missing bytes that were not seen, and tells who looks at the stream. It returns how
// many of the frame's bytes to come nobody needs.
func (s *stream) feed(k protocol.Kind, in *payload, data []byte, missing int) (free int) {
	switch {
	case !in.padded:
	case len(data) > 0:
		in.left--
		in.pad, in.padded, data = min(uint32(data[0]), in.left), false, data[1:]
	case missing > 0:
		in.left--
		in.padded, missing = false, missing-1
		if s.layer >= 0 {
			s.call.Body(k, nil, -1)
		}
	default:
		return 0
	}
	body := max(int(in.left)-int(in.pad), 0)
	seen := data[:min(len(data), body)]
	unseen := min(missing, body-len(seen))
	in.left -= uint32(len(data) + missing)
	if s.layer < 0 {
		return int(in.left)
	}
	if free = s.call.Body(k, seen, unseen); free >= body-len(seen)-unseen {
		return int(in.left)
	}
	return free
}

// judge looks at how the body of a request begins of which it is not known what it speaks. done is false when the answer is n
// and m.
func (p *parser) judge(c *protocol.Chunk, s *stream, f *frame) (n int, m *protocol.Message, done bool) {
	const enough = 64
	payload, size := c.Data[frameHeader:], int(f.length)
	payload = payload[:min(len(payload), size)]
	if f.has(flagPadded) && len(payload) > 0 {
		size = max(size-1-int(payload[0]), 0)
		payload = payload[1:]
	}
	payload = payload[:min(len(payload), size)]
	if len(payload) < min(size, enough) && c.Then == protocol.Continues {
		return 0, nil, false
	}
	end := f.has(flagEndStream)
	layer := p.match(s.held, &semantics.Start{Data: payload, Size: size, Last: end})
	switch {
	case layer == undecided && size > 0:
		layer = mixed
	case layer == undecided && !end:
		s.size[protocol.Request] += int64(f.size())
		return f.size(), nil, false
	case layer == undecided:
		layer = p.only
	case layer == plainHTTP && p.only >= 0:
		layer = mixed // the body is not what all others on the connection were
	}
	if layer < plainHTTP {
		p.streams.remove(s) // which of the two it is cannot be told
		return f.size(), nil, false
	}
	return 0, p.unhold(c, s, layer), false
}
