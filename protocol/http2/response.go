package http2

import (
	"encoding/binary"
	"time"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/semantics"
)

// upgraded is the stream that answers the request by which an HTTP/1.1 connection became this one (RFC 7540 section 3.2): its
// request was seen, but not here.
const upgraded = 1

// response takes a header block of the server.
func (p *parser) response(c *protocol.Chunk, b *block, h *semantics.Header) *protocol.Message {
	const k = protocol.Response
	s := p.streams.find(b.stream)
	value := h.Get(semantics.Status)
	status := semantics.ParseStatus(value)
	switch {
	case status >= 100 && status < 200 && !b.end:
		m := b.message(c, protocol.Interim)
		m.Part = protocol.PartWhole
		m.Attrs.Add(protocol.HTTPResponseStatusCode, value)
		return m
	case s == nil && value == nil:
		return nil // the end of something whose beginning was not seen
	case s == nil:
		s = p.streams.add(b.stream)
		s.start = b.start.UnixNano()
	case value == nil && (s.answered || s.torn[k] && b.end): // trailers
		s.size[k] += b.size
		if !b.end {
			return nil
		}
		return p.end(c, s, k, h)
	case s.answered || value == nil && !h.Unresolved:
		return nil // no response begins so, nor ends
	}
	s.answered, s.status, s.torn[k] = true, int16(status), false
	m := p.answer(c, b, s, h)
	if m.Part == protocol.PartWhole || !s.asked && s.id != upgraded {
		p.streams.remove(s)
	}
	return m
}

// answer returns the message of a response's header.
func (p *parser) answer(c *protocol.Chunk, b *block, s *stream, h *semantics.Header) *protocol.Message {
	m := b.message(c, protocol.Response)
	switch {
	case s.layer >= 0:
		s.call.Header(h.For(int(s.layer)), m)
		if b.end {
			s.call.End(s.ending(c, h), m)
		}
	case s.status == 0:
		unknownStatus(m)
	default:
		m.Outcome, m.Error = semantics.Outcome(int(s.status))
		m.Attrs.Add(protocol.HTTPResponseStatusCode, h.Get(semantics.Status))
		m.Waiting = semantics.Lasts(h.Get(semantics.ContentType))
	}
	if s.tunnel && s.status >= 200 && s.status < 300 {
		m.Part = protocol.PartWhole // what goes through it is nobody's answer
	}
	return m
}

// end returns the end of the request or the response of s, with its trailers if it has some. A response's is the stream's.
func (p *parser) end(c *protocol.Chunk, s *stream, k protocol.Kind, trailers *semantics.Header) *protocol.Message {
	if s.lostOpening() {
		p.streams.remove(s)
		return nil
	}
	m := c.Message
	m.Reset()
	m.Kind, m.Part, m.ID, m.Size, m.Truncated = k, protocol.PartEnd, uint64(s.id), s.size[k], s.torn[k]
	s.size[k] = 0
	switch {
	case s.layer >= 0:
		s.call.End(s.ending(c, trailers), m)
	case k == protocol.Response && !s.answered:
		unknownStatus(m)
	}
	if k == protocol.Request {
		s.ended = true
	} else {
		p.streams.remove(s)
	}
	return m
}

func unknownStatus(m *protocol.Message) {
	m.Attrs.Add(protocol.HTTPResponseStatusCode, []byte(protocol.Unknown))
	m.Unresolved = true
}

// lostOpening says that a CONNECT may have been answered unseen: what ends now is the tunnel, and not what was asked.
func (s *stream) lostOpening() bool { return s.tunnel && s.torn[protocol.Response] }

// ending is what a layer is told of a message's end.
func (s *stream) ending(c *protocol.Chunk, trailers *semantics.Header) semantics.End {
	if trailers != nil {
		trailers = trailers.For(int(s.layer))
	}
	return semantics.End{Trailers: trailers, Status: int(s.status), Took: time.Duration(c.First.UnixNano() - s.start)}
}

// reset takes a RST_STREAM frame.
func (p *parser) reset(c *protocol.Chunk, f *frame, code uint32) (int, *protocol.Message, error) {
	s := p.streams.find(f.stream)
	if s == nil {
		return f.size(), nil, nil // it was over
	}
	if s.lostOpening() || code == codeNone && s.answered && s.torn[protocol.Response] { // it may follow an end that was lost
		p.streams.remove(s)
		return f.size(), nil, nil
	}
	if m := p.before(c, s, true); m != nil {
		return 0, m, nil
	}
	if p.streams.find(f.stream) == nil { // an answer to nothing that was told; after a loss it counts as missing
		m := c.Message
		m.Reset()
		m.Kind, m.ID = protocol.Response, uint64(f.stream)
		return f.size(), m, nil
	}
	s.size[protocol.Response] += int64(f.size())
	return f.size(), p.breakOff(c, s, code, c.Dir == p.client), nil
}

// breakOff ends an exchange whose response will not come, or not in full.
func (p *parser) breakOff(c *protocol.Chunk, s *stream, code uint32, byClient bool) *protocol.Message {
	m := c.Message
	m.Reset()
	m.Kind, m.ID, m.Size, m.Truncated = protocol.Response, uint64(s.id), s.size[protocol.Response], true
	if s.answered {
		m.Part = protocol.PartEnd
	}
	switch {
	case s.layer >= 0:
		e := s.ending(c, nil)
		e.Reset, e.ByClient, e.Code = true, byClient, code
		s.call.End(e, m)
	case code == codeCancel && byClient && s.answered:
		// The client has seen enough, as one that closes an HTTP/1.1 connection within the answer.
	case code == codeCancel && byClient:
		m.Outcome, m.Error = protocol.Failed, protocol.ErrorUnanswered
	default:
		m.Outcome, m.Error = protocol.Failed, codeName(code)
	}
	p.streams.remove(s)
	return m
}

// goAway takes a GOAWAY frame. What a server will not take it has not begun (RFC 9113 section 6.8).
func (p *parser) goAway(c *protocol.Chunk, f *frame, payload []byte) (int, *protocol.Message, error) {
	if p.known && c.Dir != p.client {
		p.lastAt = c.First
		p.last = min(p.last, binary.BigEndian.Uint32(payload)&largestStreamID)
	}
	if m := p.refused(c); m != nil {
		return 0, m, nil
	}
	return f.size(), nil, nil
}

// refused ends one of the requests that the server will not take. They are told one by one; those for which there is no room with
// the GOAWAY frame itself are told with whatever moves next.
func (p *parser) refused(c *protocol.Chunk) *protocol.Message {
	n := len(p.streams.open)
	if n == 0 || p.streams.open[n-1].id <= p.last || p.steps >= maxSteps || len(c.Data) == 0 {
		return nil
	}
	s := p.streams.open[n-1]
	if m := p.before(c, s, true); m != nil || p.streams.find(s.id) == nil {
		return m
	}
	m := p.breakOff(c, s, codeRefused, false)
	if p.lastAt.UnixNano() > s.start { // else it was asked in spite of it, and has its answer at once
		m.Start = p.lastAt
	}
	return m
}
