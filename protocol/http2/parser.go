package http2

import (
	"encoding/binary"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/semantics"
)

// parser is the state of one connection.
type parser struct {
	cfg      *config
	dirs     [2]direction
	client   event.Dir // the direction of requests
	known    bool      // that it is
	prefaced bool      // the connection's beginning was seen
	steps    uint8     // messages returned in a row without taking a byte
	only     int8      // what all streams so far speak
	newest   uint32    // the highest ID of a request
	last     uint32    // the last stream that the server takes, by GOAWAY
	lastAt   time.Time // when it said so
	streams  streams
}

// direction is the state of one direction.
type direction struct {
	table    table
	in       payload // of the DATA frame that is being taken
	block    block   // of the header that is being put together
	allowed  uint32  // the longest frame that the other end has announced to take
	bounded  bool    // nothing that it has announced was missed
	resynced bool    // its beginning, or something since, was not seen
	inSync   bool    // frames were read
	adrift   bool    // looking for a place to go on at
}

// maxSteps bounds how many messages are returned in a row without taking a byte; the framework allows for eight.
const maxSteps = 6

func newParser(cfg *config) *parser {
	p := &parser{cfg: cfg, last: largestStreamID, only: undecided}
	for i := range p.dirs {
		p.dirs[i].table.tear() // until a preface is seen
	}
	return p
}

// Next implements protocol.Parser.
func (p *parser) Next(c *protocol.Chunk) (int, *protocol.Message, error) {
	c = c.WithMessage()
	n, m, err := p.next(c, &p.dirs[c.Dir&1])
	if n > 0 || m == nil {
		p.steps = 0
	} else {
		p.steps++
	}
	return n, m, err
}

func (p *parser) next(c *protocol.Chunk, d *direction) (int, *protocol.Message, error) {
	if m := p.refused(c); m != nil {
		return 0, m, nil
	}
	d.inSync = true
	if d.in.open {
		return p.payload(c, d, 0)
	}
	if len(c.Data) > 0 && c.Data[0] == preface[0] {
		if n, ok := p.preface(c); ok {
			return n, nil, nil
		}
	}
	if len(c.Data) < frameHeader {
		return 0, nil, nil
	}
	f := readFrame(c.Data)
	if !f.valid() || p.tooLong(d, &f) || d.block.open && (f.kind != frameContinuation || f.stream != d.block.stream) {
		return 0, nil, protocol.ErrSyntax
	}
	switch f.kind {
	case frameData:
		return p.data(c, d, &f)
	case frameHeaders, framePush, frameContinuation:
		return p.fragment(c, d, &f)
	case frameReset, frameSettings, frameGoAway:
		return p.control(c, d, &f)
	default:
		return f.size(), nil, nil
	}
}

// tooLong reports whether f is longer than the other end allows, so that it is no frame. What belongs to an open stream is
// believed: settings may have been missed.
func (p *parser) tooLong(d *direction, f *frame) bool {
	switch {
	case f.length <= smallestLimit, f.length <= d.allowed:
		return false
	case f.kind > frameContinuation:
		return true
	default:
		return d.bounded && (f.kind != frameData || p.streams.find(f.stream) == nil)
	}
}

// preface takes a client's first bytes; ok is false when they are none. n is 0 when they may yet be.
func (p *parser) preface(c *protocol.Chunk) (n int, ok bool) {
	n = min(len(c.Data), len(preface))
	if string(c.Data[:n]) != preface[:n] || p.prefaced || p.known && p.client != c.Dir {
		return 0, false
	}
	if n < len(preface) {
		return 0, true
	}
	p.prefaced, p.known, p.client = true, true, c.Dir
	for i := range p.dirs {
		if d := &p.dirs[i]; !d.resynced {
			d.table.begins()
			p.dirs[i^1].bounded = true
		}
	}
	return n, true
}

// maxControl bounds the payload of a frame of settings that is read.
const maxControl = 4 << 10

// control takes a frame that is about the connection or a whole stream.
func (p *parser) control(c *protocol.Chunk, d *direction, f *frame) (int, *protocol.Message, error) {
	need := f.size()
	switch {
	case f.kind == frameGoAway:
		need = frameHeader + goAwayLength // what follows is for people
	case f.length > maxControl:
		return f.size(), nil, nil
	}
	if len(c.Data) < need {
		return 0, nil, nil
	}
	payload := c.Data[frameHeader:need]
	switch f.kind {
	case frameSettings:
		p.settings(&p.dirs[c.Dir.Reverse()&1], payload)
	case frameGoAway:
		return p.goAway(c, f, payload)
	case frameReset:
		return p.reset(c, f, binary.BigEndian.Uint32(payload))
	}
	return f.size(), nil, nil
}

// settings takes what one end allows the other. Its table size only permits; what the encoder makes of it stands in the blocks.
// A limit holds from when it was sent, which is earlier than when it is obeyed, and what was allowed once is not refused later.
func (p *parser) settings(other *direction, payload []byte) {
	for ; len(payload) >= settingLength; payload = payload[settingLength:] {
		if binary.BigEndian.Uint16(payload) == settingFrameSize {
			other.allowed = max(other.allowed, binary.BigEndian.Uint32(payload[2:]))
		}
	}
}

// learn notes who asks. It reports whether that agrees with what is known.
func (p *parser) learn(client event.Dir) bool {
	if !p.known {
		p.known, p.client = true, client
	}
	return p.client == client
}

// kind is the Kind of the messages that direction d carries.
func (p *parser) kind(d event.Dir) protocol.Kind {
	if d == p.client {
		return protocol.Request
	}
	return protocol.Response
}

// release takes back what read gave, with the names that were found out.
func (p *parser) release(d *direction, h *semantics.Header) {
	loose, _ := h.Loose()
	for _, l := range loose {
		if l.Named != semantics.None {
			d.table.learn(l.Ref, l.Named)
			d.table.learn(l.NameRef, l.Named)
		}
	}
	p.cfg.fields.Release(h)
}
