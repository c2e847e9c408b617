package postgresql

import (
	"encoding/binary"
	"time"

	"github.com/toposcope/toposcope/protocol"
)

// server is the state of the server's direction.
type server struct {
	// open is set while an answer was returned as PartHead; form is its request's.
	open bool
	form form
	// seen is how many answers of a flushed request there were.
	seen int
	// code is the SQLSTATE of the answer's first error, "" for none; waiting: it is the stream of a replication.
	code    string
	waiting bool
	// failed is set from the error of a batch to the ReadyForQuery of its Sync.
	failed bool
	// early is an error that came before all of its request did.
	early early
	// readies is how many ReadyForQuery came since the last answer, of those that the next request expects before its own.
	readies int
	// astray: the end of the open answer may be among bytes that were not seen; tail is the end of what was seen since.
	astray bool
	tail   []byte
}

// early is an ErrorResponse that waits for its request; size is 0 when there is none.
type early struct {
	code string
	at   time.Time
	size int64
}

// begin forgets the answer that has ended.
func (s *server) begin() { *s = server{failed: s.failed} }

// answers reads what the server sends.
func (p *parser) answers(c *protocol.Chunk) (int, *protocol.Message, error) {
	s := &p.server
	switch {
	case p.asked != 0:
		return p.negotiated(c)
	case s.astray:
		return p.stray(c)
	case s.open:
		return p.walk(c)
	}
	f, ok, err := readFrame(c.Data, &serverKinds, c.Then)
	if err != nil || !ok {
		return 0, nil, err
	}
	return p.first(c, &f)
}

// first reads a message while no answer is open: it begins one, or is none.
func (p *parser) first(c *protocol.Chunk, f *frame) (int, *protocol.Message, error) {
	s := &p.server
	switch f.kind {
	case 'N', 'A', 'v', 'K':
		return aside(c, f.size)
	case '3':
		p.closed()
		return aside(c, f.size)
	case 'S':
		p.escapes.told(p.reader, f.body)
		return aside(c, f.size)
	case 'R':
		if c.Request == nil || len(f.body) < 4 || binary.BigEndian.Uint32(f.body) != 0 { // a round of authentication
			return aside(c, f.size)
		}
	case 'G':
		if c.Request != nil {
			p.copyIn(form(c.Request.Form))
		}
		return aside(c, f.size)
	case 'Z':
		return p.ready(c, f)
	}
	if c.Request == nil {
		return p.orphan(c, f)
	}
	s.begin()
	s.form = form(c.Request.Form)
	return p.walk(c)
}

// ready reads a ReadyForQuery while no answer is open. In a batch that has failed it ends what was passed over. All that was sent before
// its Sync has been answered now: a request that has not has missed its answer.
func (p *parser) ready(c *protocol.Chunk, f *frame) (int, *protocol.Message, error) {
	s, cl := &p.server, &p.client
	if c.Request == nil {
		s.early, cl.syncs = early{}, max(cl.syncs-1, 0)
		p.isReady()
		return f.size, nil, nil
	}
	req := form(c.Request.Form)
	switch {
	case s.early.size > 0:
		return p.late(c, f)
	case s.readies < req.syncs():
		s.readies++
		p.isReady()
		return aside(c, f.size)
	case !s.failed:
		return 0, nil, protocol.ErrSyntax
	}
	n := 0
	if req.is(isPrepare) { // the Sync that is answered is its own
		n = f.size
		p.isReady()
	}
	m := c.Message
	m.Reset()
	m.Kind, m.Outcome, m.Error = protocol.Response, protocol.Failed, Aborted
	return n, m, nil
}

// late ends a request that failed before all of it was sent, with the error that came then.
func (p *parser) late(c *protocol.Chunk, f *frame) (int, *protocol.Message, error) {
	e := p.server.early
	p.server.begin()
	p.server.code = e.code
	m := p.end(c)
	if form(c.Request.Form).is(isPrepare) { // the Sync that is answered is its own
		m.Size = e.size + int64(f.size)
		p.isReady()
		return f.size, m, nil
	}
	p.server.failed = true
	m.Start, m.Size = e.at, e.size
	return 0, m, nil
}

// orphan reads a message that belongs to an answer whose request is not known. What ends a request is returned, for the framework to see
// that one is missing.
func (p *parser) orphan(c *protocol.Chunk, f *frame) (int, *protocol.Message, error) {
	switch f.kind {
	case 'E':
		code, fatal := p.sqlState(f.body)
		switch {
		case fatal: // the server's own: it ends the connection
			return f.size, nil, nil
		case p.client.group.open: // the error of what is being sent
			p.server.early = early{code, c.Last, int64(f.size)}
			return f.size, nil, nil
		}
		p.server.begin()
		p.server.code = code
	case 'C', 'I', 's':
		if f.kind == 'C' {
			p.completed(f.body, false)
		}
		p.server.begin()
	default:
		return f.size, nil, nil
	}
	return f.size, p.end(c), nil
}

// walk goes along an answer: whole messages, up to its end if that is there.
func (p *parser) walk(c *protocol.Chunk) (int, *protocol.Message, error) {
	s := &p.server
	n := 0
	for n < len(c.Data) {
		if n += rows(c.Data[n:]); n >= len(c.Data) {
			break
		}
		f, ok, err := readFrame(c.Data[n:], &serverKinds, c.Then)
		if err != nil && n == 0 {
			return 0, nil, err
		}
		if err != nil || !ok {
			break
		}
		ended, ok := p.step(&f)
		switch {
		case !ok && n == 0:
			return 0, nil, protocol.ErrSyntax
		case !ok:
			return p.more(c, n)
		}
		if n += f.size; ended {
			return n, p.end(c), nil
		}
	}
	switch {
	case n > 0:
		return p.more(c, n)
	case c.Then == protocol.Hole:
		s.astray = true
		return len(c.Data) + int(c.Missing), nil, nil
	case c.Then == protocol.Ended:
		return len(c.Data), p.broken(c), nil
	}
	return 0, nil, nil
}

// more is what there is of an answer that goes on after n bytes.
func (p *parser) more(c *protocol.Chunk, n int) (int, *protocol.Message, error) {
	if p.server.open {
		return n, nil, nil
	}
	m := p.response(c)
	m.Part, p.server.open = protocol.PartHead, true
	return n, m, nil
}

// step takes in a message of an answer. ended: it is the last one. ok false: it has no place in it.
func (p *parser) step(f *frame) (ended, ok bool) {
	s := &p.server
	switch f.kind {
	case 'Z':
		p.isReady()
		return true, !s.form.skips()
	case '3':
		p.closed()
	case 'E':
		if code, _ := p.sqlState(f.body); s.code == "" {
			s.code = code
		}
		s.failed = s.form.skips()
		return s.failed || s.form.is(isConnect), true
	case 'C', 'I', 's':
		if f.kind == 'C' {
			p.completed(f.body, true)
		}
		return s.form.is(isExecute), s.form.is(isExecute) || s.form.is(isQuery)
	case '1', '2', 'T', 'n':
		s.seen++
		return s.form.is(isFlushed) && s.seen >= s.form.answers(), true
	case 'S':
		p.escapes.told(p.reader, f.body)
	case 'G':
		p.copyIn(s.form)
	case 'W':
		s.waiting = true
	}
	return false, true
}

// copyIn notes that the client is asked for the data of a COPY. A Sync that was sent with the Execute is passed over.
func (p *parser) copyIn(f form) {
	p.client.feeding = true
	if f.is(isExecute) {
		p.ledger.sent -= p.client.syncs
		p.client.syncs = 0
	}
}

// response makes c.Message an answer, as far as it is known.
func (p *parser) response(c *protocol.Chunk) *protocol.Message {
	s := &p.server
	m := c.Message
	m.Reset()
	m.Kind, m.Waiting = protocol.Response, s.waiting
	if s.code != "" {
		m.Outcome, m.Error = protocol.Failed, s.code
		m.Attrs.SetString(protocol.DBStatusCode, s.code)
	}
	return m
}

// end makes c.Message the answer, or the end of the one that is open.
func (p *parser) end(c *protocol.Chunk) *protocol.Message {
	m := p.response(c)
	if p.server.open {
		m.Part = protocol.PartEnd
	}
	p.server.begin()
	return m
}

// broken ends an answer that the end of the connection cut short; a stream ends so.
func (p *parser) broken(c *protocol.Chunk) *protocol.Message {
	m := p.end(c)
	if m.Error == "" && !m.Waiting {
		m.Outcome, m.Error = protocol.Failed, protocol.ErrorUnanswered
	}
	return m
}

// stray passes over bytes until something says that the open answer has ended: a ReadyForQuery at the end of what is there, the next
// answer, or that nothing comes any more. How it ended is known by the first alone.
func (p *parser) stray(c *protocol.Chunk) (int, *protocol.Message, error) {
	s := &p.server
	switch c.Then {
	case protocol.Hole:
		s.tail = s.tail[:0]
		return len(c.Data) + int(c.Missing), nil, nil
	case protocol.Idle, protocol.Ended:
		return len(c.Data), p.lostEnd(c), nil
	}
	if c.Turn || c.Call && c.Data[0] == 'A' { // a notification comes when the server has nothing else to do
		switch chain(c.Data, &fromServer) {
		case protocol.Yes:
			return 0, p.lostEnd(c), nil
		case protocol.More:
			return 0, nil, nil
		}
	}
	s.tail = append(s.tail, c.Data[max(0, len(c.Data)-farthest):]...)
	if n := len(s.tail) - farthest; n > 0 {
		s.tail = append(s.tail[:0], s.tail[n:]...)
	}
	last := lastBefore(s.tail)
	if c.Request != nil || last == nil { // another one waits, and it cannot be told whose end it is
		return len(c.Data), nil, nil
	}
	if last[0] == 'E' {
		s.code, _ = p.sqlState(last[headerSize:])
	}
	if s.form.skips() {
		p.client.syncs = max(p.client.syncs-1, 0)
	}
	p.isReady()
	m := p.end(c)
	m.Truncated = true
	return len(c.Data), m, nil
}

// lostEnd ends an answer whose end was not seen.
func (p *parser) lostEnd(c *protocol.Chunk) *protocol.Message {
	m := p.end(c)
	m.Truncated, m.Unresolved = true, true
	if m.Error == "" {
		m.Attrs.SetString(protocol.DBStatusCode, protocol.Unknown)
	}
	return m
}
