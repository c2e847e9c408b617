package http1

import (
	"bytes"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/semantics"
)

// carried is the state of what a connection carries besides HTTP: of the request and of the answer that were begun last.
type carried struct {
	number int // of the layer
	calls  [2]semantics.Call
	status int
	// trailers are those of the chunked body that is being read, as they came.
	trailers []byte
	blank    protocol.Message
}

// maxTrailers bounds what is kept of trailers.
const maxTrailers = 2 << 10

// carries reports whether a request is one of a layer, and sets in m what its head tells of that. Methods whose answers are framed
// in a way of their own carry nothing.
func (p *parser) carries(h *header, m *protocol.Message) bool {
	if p.fields == nil || h.content == nil || h.encoded && !h.chunked || !h.encoded && h.badLength {
		return false
	}
	if method := string(h.method); method == "HEAD" || method == "CONNECT" {
		return false
	}
	f := p.fields.Header()
	defer p.fields.Release(f)
	f.Set(semantics.ContentType, h.content)
	f.Set(semantics.Method, h.method)
	for i, l := range p.fields.Layers() {
		if l.Match(f.For(i), nil) != protocol.Yes {
			continue
		}
		if p.layer == nil || p.layer.number != i {
			p.layer = &carried{number: i, calls: [2]semantics.Call{l.New(), l.New()}}
		}
		h.fill(p.fields, f)
		_, path, _ := splitTarget(h.method, h.target)
		f.Set(semantics.Path, path)
		p.layer.calls[protocol.Request].Header(f, m)
		semantics.SetPeers(&m.Attrs, f, h.versionName())
		return true
	}
	return false
}

// fill sets the fields of a head that somebody reads.
func (h *header) fill(fields *semantics.Fields, f *semantics.Header) {
	const longestName = 64
	var lower [longestName]byte
	for rest := h.lines; len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{'\n'})
		name, value, ok := bytes.Cut(line, []byte{':'})
		if name = trim(name); !ok || len(name) > len(lower) {
			continue
		}
		for i, b := range name {
			if 'A' <= b && b <= 'Z' {
				b += 'a' - 'A'
			}
			lower[i] = b
		}
		f.Set(fields.Number(lower[:len(name)]), trim(trimCR(value)))
	}
}

// answer returns the message of the answer to a request of a layer; its head has n bytes.
func (p *parser) answer(c *protocol.Chunk, d *direction, h *header, n int) (int, *protocol.Message, error) {
	m, l := c.Message, p.layer
	m.Reset()
	m.Kind = protocol.Response
	f := p.fields.Header()
	defer p.fields.Release(f)
	h.fill(p.fields, f)
	f.Set(semantics.Status, h.code)
	l.status = h.status
	l.blank.Reset()
	l.calls[protocol.Response].Header(f.For(l.number), &l.blank) // what it had of another exchange is gone
	l.calls[protocol.Response].Header(f, m)
	if !h.told { // the rest may say how it ended
		l.calls[protocol.Response].End(semantics.End{}, m)
		return d.truncated(c, m, h)
	}
	if h.status == 204 || h.status == 304 {
		h.length, h.chunked, h.encoded = 0, false, false
	}
	return p.look(d, h, m, n)
}

// look returns m, whose head has n bytes, and sees to it that its body is looked at.
func (p *parser) look(d *direction, h *header, m *protocol.Message, n int) (int, *protocol.Message, error) {
	d.open, d.layered, m.Part = true, true, protocol.PartHead
	p.layer.trailers = p.layer.trailers[:0]
	switch {
	case h.chunked:
		d.mode = atChunkSize
	case !h.encoded && h.length > 0 && !h.badLength:
		d.mode, d.left = inLength, h.length
	case m.Kind == protocol.Response && (h.encoded || h.length < 0 || h.badLength):
		d.mode = untilClose
	default:
		d.open, d.layered, m.Part = false, false, protocol.PartWhole
		p.layer.end(p.fields, m)
	}
	return n, m, nil
}

// read goes on with a body that is looked at: of a known length, or chunked.
func (p *parser) read(c *protocol.Chunk, d *direction) (n int, m *protocol.Message, err error) {
	k := p.kind(c.Dir)
	for {
		data := c.Data[n:]
		took := int(min(int64(len(data)), d.left))
		p.layer.feed(k, data[:took], 0)
		n, d.left = n+took, d.left-int64(took)
		if d.left > 0 && c.Then == protocol.Hole {
			missing := int(min(c.Missing, uint64(d.left)))
			p.layer.feed(k, nil, missing)
			n, d.left = n+missing, d.left-int64(missing)
		}
		switch {
		case d.left > 0 || d.mode != inLength && n >= len(c.Data) && c.Then != protocol.Hole:
			return n, nil, nil
		case d.mode == inLength:
			d.mode = atHead
			return n, p.part(c, d, k), nil
		}
		took, done, err := 0, false, error(nil)
		if n < len(c.Data) {
			trailers := d.mode == atTrailers
			took, done, err = d.walk(c.Data[n:])
			if l := p.layer; trailers && len(l.trailers)+took <= maxTrailers {
				l.trailers = append(l.trailers, c.Data[n:n+took]...)
			}
		}
		switch n += took; {
		case err != nil:
			return 0, nil, err
		case done:
			return n, p.part(c, d, k), nil
		case took > 0:
		case c.Then == protocol.Hole:
			d.mode, d.chunked = astray, true
			p.layer.feed(k, nil, -1)
			return max(n, len(c.Data)+int(c.Missing)), nil, nil
		default:
			return n, nil, nil
		}
	}
}

// feed tells the layer of bytes of a body.
func (l *carried) feed(k protocol.Kind, data []byte, missing int) {
	l.calls[k].Body(k, data, missing)
}

// feedRaw tells the layer of bytes of a chunked body that cannot be followed; the body ends at end, unless that is 0.
func (l *carried) feedRaw(k protocol.Kind, data []byte, end int) {
	if end > 0 {
		data = data[:max(bytes.LastIndex(data[:end], []byte(last[:5])), 0)]
	}
	l.feed(k, data, 0)
}

// end sets in m what the layer knows at its end.
func (l *carried) end(fields *semantics.Fields, m *protocol.Message) {
	e := semantics.End{Status: l.status}
	if len(l.trailers) > 0 {
		f := fields.Header()
		defer fields.Release(f)
		(&header{lines: l.trailers}).fill(fields, f)
		e.Trailers = f.For(l.number)
	}
	l.calls[m.Kind].End(e, m)
}
