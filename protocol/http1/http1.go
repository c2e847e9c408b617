// Package http1 decodes HTTP/1.0 and HTTP/1.1 (RFC 9110, RFC 9112) as it is seen on a connection, not as it ought to be: it
// follows framing as servers and clients do and is lenient where they are.
package http1

import (
	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/semantics"
)

// Name is the protocol's name.
const Name = "http"

// What is copied of each turn. The head holds a request with large cookies: 8 KiB is the limit that common servers set for a
// header (nginx large_client_header_buffers, Apache LimitRequestFieldSize); a larger one still counts, by its first line. The
// tail holds what says that a streamed body has ended: the last chunk with a few trailers.
const (
	captureHead = 8 << 10
	captureTail = 256
)

// Spec describes HTTP/1, and what layers are spoken in it (gRPC-Web), to the framework. Layers are asked in their order.
func Spec(layers ...semantics.Layer) *protocol.Spec {
	var fields *semantics.Fields
	if len(layers) > 0 {
		fields = semantics.NewFields(layers...)
	}
	return &protocol.Spec{
		Name:    Name,
		System:  protocol.SystemHTTP,
		Aliases: []string{"http/1.1", "http/1.0"},
		Ports:   []uint16{80, 8080, 8000},
		Sniff:   sniff,
		New:     func() protocol.Parser { return &parser{fields: fields} },
		Pairing: protocol.InOrder,
		Capture: protocol.Capture{Head: captureHead, Tail: captureTail},
	}
}

// mode is what comes next in a direction.
type mode uint8

const (
	atHead      mode = iota // a message
	atChunkSize             // the line that begins a chunk
	atChunkEnd              // the line end after a chunk's data
	atTrailers              // the lines after the last chunk
	inLength                // a body whose length is known, and that is looked at
	untilClose              // a body that the close of the connection ends
	astray                  // a body whose end cannot be told: until a message begins a turn
)

// direction is the state of one direction. The open message itself is in the tracker's care.
type direction struct {
	scanned uint64 // no empty line ends before this offset; saves looking again when a head comes bit by bit
	mode    mode
	chunked bool  // astray in a chunked body: its last chunk may still be recognised
	open    bool  // a message was returned as PartHead
	layered bool  // the body is looked at, see carried
	left    int64 // of it, or of its chunk
}

type parser struct {
	fields *semantics.Fields // of the layers; nil: there are none
	layer  *carried          // nil: no request was of a layer so far
	dirs   [2]direction
	known  bool // who asks and who answers is known
	reqDir event.Dir
}

var _ protocol.Parser = (*parser)(nil)

// Next implements protocol.Parser.
func (p *parser) Next(c *protocol.Chunk) (int, *protocol.Message, error) {
	c = c.WithMessage()
	d := &p.dirs[c.Dir&1]
	switch d.mode {
	case atHead:
		return p.head(c, d)
	case inLength:
		return p.read(c, d)
	case untilClose:
		return p.toClose(c, d)
	case astray:
		return p.stray(c, d)
	default:
		return p.chunks(c, d)
	}
}

// Resync implements protocol.Parser: a message begins a turn, or it is not looked for. In the middle of a turn a line that
// looks like a head may be part of a body.
func (p *parser) Resync(c *protocol.Chunk) (int, bool) {
	d := &p.dirs[c.Dir&1]
	*d = direction{}
	if !c.Turn {
		return len(c.Data), false
	}
	data := skipEmptyLines(c.Data) // they are rather the end of what was lost
	lead := len(c.Data) - len(data)
	if len(data) == 0 {
		return lead, false
	}
	switch p.begins(c.Dir, data) {
	case protocol.Yes:
		return lead, true
	case protocol.More:
		return lead, false
	default:
		return len(c.Data), false
	}
}

// begins judges whether a message that direction d may carry starts at data.
func (p *parser) begins(d event.Dir, data []byte) protocol.Sniffed {
	switch {
	case !p.known:
		return sniff(d, data)
	case d == p.reqDir:
		return sniffRequest(data)
	default:
		return sniffResponse(data)
	}
}

// learn notes who asks; it reports whether that agrees with what is known.
func (p *parser) learn(d event.Dir, request bool) bool {
	reqDir := d
	if !request {
		reqDir = d.Reverse()
	}
	if !p.known {
		p.known, p.reqDir = true, reqDir
	}
	return p.reqDir == reqDir
}

// part makes c.Message the end of the message that direction d has open, and closes it.
func (p *parser) part(c *protocol.Chunk, d *direction, kind protocol.Kind) *protocol.Message {
	m := c.Message
	m.Reset()
	m.Kind, m.Part = kind, protocol.PartEnd
	if d.layered {
		p.layer.end(p.fields, m)
	}
	d.open, d.layered = false, false
	return m
}

// kind is what direction d carries.
func (p *parser) kind(d event.Dir) protocol.Kind {
	if d == p.reqDir {
		return protocol.Request
	}
	return protocol.Response
}
