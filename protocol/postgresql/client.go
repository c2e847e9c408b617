package postgresql

import (
	"time"

	"github.com/toposcope/toposcope/protocol"
)

// client is the state of the client's direction.
type client struct {
	typed   bool // past the StartupMessage
	syncs   int  // Syncs since the last request that end none, and whose ReadyForQuery has not come
	copying bool // the request of a COPY is open: CopyDone or CopyFail ends it
	feeding bool // the server has asked for a COPY's data
	astray  bool // in a COPY's data, some of which was not seen: until a message begins a turn
	group   group
}

// group is what of an extended query's messages makes one request: Parse, Bind and Describe up to the Execute.
type group struct {
	open      bool
	truncated bool
	start     time.Time
	size      int64
	answers   int
	about     *statement // the first one that it names; nil: none that is known
}

// requests reads what the client sends: whole messages up to one that makes a request.
func (p *parser) requests(c *protocol.Chunk) (int, *protocol.Message, error) {
	cl := &p.client
	if !cl.typed && len(c.Data) > 0 && c.Data[0] == 0 { // no type is 0
		return p.startup(c)
	}
	if cl.astray {
		switch p.found(c) {
		case protocol.No:
			return len(c.Data) + int(c.Missing), nil, nil
		case protocol.More:
			return 0, nil, nil
		}
	}
	n := 0
	for n < len(c.Data) {
		f, ok, err := readFrame(c.Data[n:], &clientKinds, c.Then)
		if err != nil && n == 0 {
			return 0, nil, err
		}
		if err != nil || !ok {
			break
		}
		cl.typed = true
		if n > 0 && cl.begins(f.kind) {
			break // what is offered next begins with it, and so does its time
		}
		m, took := p.message(c, &f)
		if n += took; m != nil {
			return n, m, nil
		}
	}
	switch {
	case n > 0:
	case c.Then == protocol.Ended && cl.group.open:
		return 0, p.prepared(c, false), nil
	case c.Then == protocol.Hole && (cl.copying || cl.feeding): // rows
		cl.astray = true
		return len(c.Data) + int(c.Missing), nil, nil
	}
	return n, nil, nil
}

// found judges whether a message begins where rows went astray. The request that they belong to ends with its answer.
func (p *parser) found(c *protocol.Chunk) protocol.Sniffed {
	if !c.Turn || c.Then != protocol.Continues {
		return protocol.No
	}
	opinion := chain(c.Data, &fromClient)
	if opinion == protocol.Yes {
		p.resume()
	}
	return opinion
}

// begins reports whether a message of that kind is the first one of a request.
func (cl *client) begins(kind byte) bool {
	switch kind {
	case 'Q', 'F':
		return true
	case 'P', 'B', 'D', 'E':
		return !cl.group.open
	}
	return false
}

// message takes in a message. took is 0 when it ends a request that does not hold it; it is offered again.
func (p *parser) message(c *protocol.Chunk, f *frame) (m *protocol.Message, took int) {
	cl := &p.client
	switch f.kind {
	case 'Q', 'F':
		if cl.group.open {
			return p.prepared(c, false), 0
		}
		p.ledger.sent++
		if f.kind == 'F' {
			return p.call(c), f.size
		}
		return p.query(c, f), f.size
	case 'P', 'B', 'D', 'E':
		return p.extended(c, f), f.size
	case 'C':
		if len(f.body) > 0 {
			if name, _, ok := cString(f.body[1:]); ok {
				p.memory.close(f.body[0], name)
				p.ledger.closes++
			}
		}
	case 'S':
		p.ledger.sent++
		if !cl.group.open {
			cl.syncs = min(cl.syncs+1, maxSyncs)
			return nil, f.size
		}
		cl.group.size += int64(f.size)
		return p.prepared(c, true), f.size
	case 'H':
		if cl.group.open {
			cl.group.size += int64(f.size)
			return p.prepared(c, false), f.size
		}
		return nil, f.size
	case 'c', 'f':
		if cl.copying {
			cl.copying = false
			m = c.Message
			m.Reset()
			m.Part = protocol.PartEnd
			return m, f.size
		}
	}
	if cl.group.open {
		cl.group.size += int64(f.size)
	}
	return nil, f.size
}

// request makes c.Message a request of that form.
func (p *parser) request(c *protocol.Chunk, f form) *protocol.Message {
	f |= form(p.client.syncs) << syncsShift
	p.client.syncs, p.client.copying, p.client.feeding, p.ledger.deaf = 0, false, false, false
	m := c.Message
	m.Reset()
	m.Form = uint64(f)
	return m
}

// query is a simple Query. One that copies from the client goes on until the client has said all.
func (p *parser) query(c *protocol.Chunk, f *frame) *protocol.Message {
	m := p.request(c, isQuery)
	text, _, ended := cString(f.body)
	s := &p.memory.simple
	s.read(p.reader, text, !ended)
	s.cut = f.torn
	s.describe(m, "")
	p.setNamespace(m)
	if s.operation == opCopy {
		m.Part, p.client.copying = protocol.PartHead, true
	}
	return m
}

// call is a FunctionCall.
func (p *parser) call(c *protocol.Chunk) *protocol.Message {
	m := p.request(c, isCall)
	m.Attrs.SetString(protocol.DBSystem, Name)
	m.Attrs.SetString(protocol.DBOperation, opCall)
	p.setNamespace(m)
	return m
}

// extended takes in a message of an extended query. An Execute makes the request.
func (p *parser) extended(c *protocol.Chunk, f *frame) *protocol.Message {
	g := &p.client.group
	if !g.open {
		*g = group{open: true, start: c.First}
	}
	g.size += int64(f.size)
	var s *statement
	switch f.kind {
	case 'E':
		return p.execute(c, f)
	case 'P':
		s = p.parse(f)
	case 'B':
		s = p.bind(f)
	case 'D':
		s = p.described(f)
	}
	g.answers++
	if s != nil && s.cut {
		g.truncated = true
	}
	if g.about == nil {
		g.about = s
	}
	return nil
}

// parse takes in a Parse; nil when the name is not there.
func (p *parser) parse(f *frame) *statement {
	name, rest, ok := cString(f.body)
	if !ok {
		p.memory.lost(true)
		return nil
	}
	text, _, ended := cString(rest)
	s := p.memory.prepare(name)
	s.read(p.reader, text, !ended)
	s.cut = f.torn
	p.memory.prepared(name, s)
	return s
}

// bind takes in a Bind; nil when the names are not there.
func (p *parser) bind(f *frame) *statement {
	portal, rest, ok := cString(f.body)
	if !ok {
		p.memory.unbind()
		return nil
	}
	name, _, ok := cString(rest)
	if !ok {
		return p.memory.bind(portal, nil)
	}
	return p.memory.bind(portal, p.memory.find(name))
}

// described is what a Describe asks for; nil when that is not known.
func (p *parser) described(f *frame) *statement {
	if len(f.body) == 0 {
		return nil
	}
	name, _, ok := cString(f.body[1:])
	switch {
	case !ok:
		return nil
	case f.body[0] == 'P':
		return p.memory.open(name)
	default:
		return p.memory.find(name)
	}
}

// execute makes the group a request.
func (p *parser) execute(c *protocol.Chunk, f *frame) *protocol.Message {
	s := &p.memory.none
	if name, _, ok := cString(f.body); ok {
		if portal := p.memory.open(name); portal != nil {
			s = portal
		}
	}
	return p.grouped(c, isExecute, s, "")
}

// prepared makes the group, which has no Execute, a request; synced: a Sync ends it.
func (p *parser) prepared(c *protocol.Chunk, synced bool) *protocol.Message {
	g := &p.client.group
	f := isPrepare
	if !synced {
		f = isFlushed | form(g.answers)<<answersShift
	}
	s := g.about
	if s == nil {
		s = &p.memory.none
	}
	m := p.grouped(c, f, s, opPrepare)
	m.Upkeep = true
	return m
}

func (p *parser) grouped(c *protocol.Chunk, f form, s *statement, as string) *protocol.Message {
	g := &p.client.group
	m := p.request(c, f)
	m.Start, m.Size, m.Truncated = g.start, g.size, g.truncated
	s.describe(m, as)
	p.setNamespace(m)
	*g = group{}
	return m
}
