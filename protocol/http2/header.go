package http2

import (
	"time"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/semantics"
)

// Bounds of a header block: of what is read of one frame, and of a block of several. Of a longer one the beginning is read, which
// has the fields that matter; the table is torn by it. Servers accept 8 KiB to 1 MiB.
const (
	maxFragment = 48 << 10
	maxBlock    = 128 << 10
	keptBlock   = 8 << 10
)

// block is a header block that is spread over several frames.
type block struct {
	open   bool // CONTINUATION must follow
	end    bool // END_STREAM
	push   bool
	over   bool // it is longer than what was read of it
	stream uint32
	size   int64
	start  time.Time // when it began
	data   []byte
}

// fragment takes a HEADERS, PUSH_PROMISE or CONTINUATION frame.
func (p *parser) fragment(c *protocol.Chunk, d *direction, f *frame) (int, *protocol.Message, error) {
	b := &d.block
	if f.kind == frameContinuation && !b.open {
		return 0, nil, protocol.ErrSyntax
	}
	seen := min(f.size(), frameHeader+maxFragment)
	if len(c.Data) < seen {
		return 0, nil, nil
	}
	ends := f.has(flagEndHeaders)
	if ends && p.known && c.Dir != p.client {
		if m := p.before(c, p.streams.find(f.stream), f.has(flagEndStream) && f.kind == frameHeaders || b.open && b.end); m != nil {
			return 0, m, nil
		}
	}
	payload, ok := f.body(c.Data[frameHeader:seen])
	if !ok {
		return 0, nil, protocol.ErrSyntax
	}
	first := f.kind != frameContinuation
	if first {
		*b = block{
			open: true, end: f.kind == frameHeaders && f.has(flagEndStream), push: f.kind == framePush,
			stream: f.stream, start: c.First, data: b.data[:0],
		}
	}
	b.size += int64(f.size())
	switch {
	case b.over: // what comes after what was left out cannot be read
		payload = b.data
	case !first || !ends:
		b.data = append(b.data, payload...)
		payload = b.data
	}
	b.over = b.over || seen < f.size() || len(b.data) > maxBlock
	if !ends {
		return f.size(), nil, nil
	}
	b.open = false
	m, err := p.header(c, d, payload)
	if b.data = b.data[:0]; cap(b.data) > keptBlock {
		b.data = nil
	}
	if err != nil {
		return 0, nil, err
	}
	return f.size(), m, nil
}

// before returns what there is to say before the server's header, or the end of its answer, is taken: that the request ends
// here, as far as it matters. nil: nothing. A request of which it is not known what it speaks is decided now, or forgotten.
func (p *parser) before(c *protocol.Chunk, s *stream, end bool) *protocol.Message {
	switch {
	case s == nil || p.steps >= maxSteps:
		return nil
	case s.held != nil && p.only < plainHTTP:
		p.streams.remove(s)
		return nil
	case s.held != nil:
		return p.unhold(c, s, p.only)
	case !end || !s.asked || s.ended:
		return nil
	}
	if s.layer >= 0 && c.Dir != p.client {
		s.call.Body(protocol.Request, nil, -1) // of what the client has sent meanwhile, some may not have been seen
	}
	m := p.end(c, s, protocol.Request, nil)
	if m != nil {
		m.Truncated = true // its own end was not seen
	}
	return m
}

// header takes a whole header block, which ends in c.
func (p *parser) header(c *protocol.Chunk, d *direction, data []byte) (*protocol.Message, error) {
	b := &d.block
	h, ok := p.read(d, b, data)
	if !ok {
		return nil, protocol.ErrSyntax
	}
	defer p.release(d, h)
	if b.push || b.stream%2 == 0 {
		if b.stream%2 == 0 && p.known && c.Dir == p.client {
			return nil, protocol.ErrSyntax // clients open streams of odd numbers
		}
		return nil, nil // the server's own idea, which nobody asked for
	}
	switch {
	case h.Begins():
		ok = p.learn(c.Dir)
	case h.Get(semantics.Status) != nil:
		ok = p.learn(c.Dir.Reverse())
	}
	switch {
	case !ok:
		return nil, protocol.ErrSyntax
	case !p.known:
		return nil, nil
	case c.Dir == p.client:
		return p.request(c, b, h), nil
	default:
		return p.response(c, b, h), nil
	}
}

// read decodes a block. One that is too long leaves a table of which nothing is known.
func (p *parser) read(d *direction, b *block, data []byte) (*semantics.Header, bool) {
	h := p.cfg.fields.Header()
	ok := d.table.decode(data, p.cfg.fields, p.cfg.statics, h)
	if b.over {
		d.table.tear()
		h.Unresolved, ok = true, true
	}
	if !ok {
		p.cfg.fields.Release(h)
	}
	return h, ok
}

// message begins the message of a block.
func (b *block) message(c *protocol.Chunk, k protocol.Kind) *protocol.Message {
	m := c.Message
	m.Reset()
	m.Kind, m.ID, m.Size, m.Start = k, uint64(b.stream), b.size, b.start
	if !b.end {
		m.Part = protocol.PartHead
	}
	return m
}
