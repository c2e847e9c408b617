package protocol

import (
	"github.com/toposcope/toposcope/collector/event"
)

// message takes in what a parser returned: n bytes from the stream's pos on are the message's.
func (t *Tracker) message(c *conn, d event.Dir, v *view, m *Message, n uint64) {
	st := &c.dirs[d]
	switch {
	case m.Part == PartEnd && !c.pair.byID:
		t.partEnd(c, d, v, m, n)
		return
	case m.Part == PartEnd && !t.partEndByID(c, d, v, m, n):
		return
	}
	first, _ := v.at(st.pos)
	if m.Start.IsZero() {
		m.Start = first.at
	}
	m.Task = first.task
	to := st.pos + n
	m.End = m.Start
	if last := min(to, st.end); last > st.pos {
		l, _ := v.at(last - 1)
		m.End = l.at
	}
	if m.Size == 0 {
		m.Size = int64(n)
	}
	whole := m.Part == PartWhole && to <= st.end
	switch m.Kind {
	case Request, OneWay:
		if m.Refused && n == 0 {
			d = d.Reverse()
		}
		t.request(c, d, m, whole, first.number)
	case Response:
		t.response(c, d, m, whole)
	case Interim:
		if c.vague {
			t.endOpen(c, d, false)
		}
		if to > v.base+uint64(len(v.data)) { // the answer itself may be in the hole
			c.unattributed(d)
		}
	}
}

// begun notes that m, which is in the pairer's care, has not ended yet.
func (st *stream) begun(m *Message) {
	st.open, st.openAt, st.byPart = m, st.pos, m.Part == PartHead
}

// interleaved says that m's end is found by its ID: other messages come between.
func (p *pairer) interleaved(m *Message) bool { return p.byID && m.Part == PartHead }

// request takes in a request that began in the turn of that number.
func (t *Tracker) request(c *conn, d event.Dir, m *Message, whole bool, turn uint32) {
	p, st := &c.pair, &c.dirs[d]
	if !p.knowsDir {
		p.knowsDir, p.reqDir = true, d
	}
	if !p.byID && d != p.reqDir {
		return
	}
	t.endOpen(c, d, false)
	if p.trust == probation && p.outstanding.n == 0 && p.held.n >= probationLength {
		t.confirm(c)
	}
	t.asked(c, turn)
	if !p.admit(c.quiet) {
		t.missed(c, 1)
		return
	}
	// An answer whose end goes by unseen is still open when the next request comes; that is no pipelining.
	if p.outstanding.n > 0 && !p.byID && !c.vague && !t.pipelining(c) {
		return
	}
	if p.byID && !t.asksAgain(c, m) {
		return
	}
	if p.byID {
		t.skipped(c, m.ID)
	}
	for t.full(p) {
		t.overflow(c)
		if !p.byID {
			t.missed(c, 1)
			return
		}
	}
	m = t.own(m)
	if m.NoReply || m.Kind == OneWay {
		t.emit(c, m)
		return
	}
	p.push(m)
	if !whole && !p.interleaved(m) {
		st.begun(m)
	}
	t.adoptOrphan(c, m)
}

// pipelining notes that a request came while another is outstanding. It reports whether the request may be taken.
func (t *Tracker) pipelining(c *conn) bool {
	p := &c.pair
	p.pipelined, p.clean = true, 0
	if !c.wide && t.verdicts != nil && !c.spec.Capture.Whole {
		// Many small answers make one turn: the head of a turn no longer holds the head of each of them.
		c.wide = true
		t.verdicts.SetVerdict(c.id, Verdict{Head: t.cfg.MaxBuffer, Tail: c.spec.Capture.Tail})
	}
	if p.trust != probation {
		return true
	}
	n := p.outstanding.n + p.held.n + 1
	t.dropAll(c)
	p.trust = lost
	t.missed(c, n)
	return false
}

// asksAgain handles a request whose ID is outstanding: a datagram is the same one sent again, and the first counts; on a
// stream the ID is free again, so an answer was missed. It reports whether the request may be taken.
func (t *Tracker) asksAgain(c *conn, m *Message) bool {
	old := c.pair.match(m.ID)
	if old == nil {
		return true
	}
	if c.datagram {
		return false
	}
	t.drop(c, old)
	t.missed(c, 1)
	return true
}

// askedBuffers is how many times MaxBuffer the attributes of what waits for its answer may take: by a compressed header a few bytes
// stand for many.
const askedBuffers = 16

// full says whether a request more has no room.
func (t *Tracker) full(p *pairer) bool {
	return p.outstanding.n >= t.cfg.MaxPipelined || p.bytes > askedBuffers*t.cfg.MaxBuffer
}

// overflow makes room in a pairer whose queue is full: in order it cannot know what to forget, by ID it forgets the oldest.
func (t *Tracker) overflow(c *conn) {
	t.count.evictedRequests.Add(1)
	if c.pair.byID {
		t.drop(c, c.pair.outstanding.head)
		t.missed(c, 1)
		return
	}
	t.forget(c, nil, c.pair.outstanding.n)
}

// adoptOrphan pairs a request with an answer that was seen before it: a call that sends may return, and be numbered,
// after another thread has read the answer. The request is older by the clock, or the answer is not its own.
func (t *Tracker) adoptOrphan(c *conn, req *Message) {
	p := &c.pair
	resp := p.orphan
	if resp == nil {
		return
	}
	p.orphan = nil
	if p.outstanding.n > 1 || !req.Start.Before(resp.Start) {
		t.recycle(resp)
		return
	}
	req.answer, resp.asked = resp, req
	c.ledger.emitted-- // by the numbers it came in the turn of the next request
	t.finish(c, req)
}

func (t *Tracker) response(c *conn, d event.Dir, m *Message, whole bool) {
	p, st := &c.pair, &c.dirs[d]
	if !p.knowsDir && !p.byID { // by ID, either end may end an exchange
		p.knowsDir, p.reqDir = true, d.Reverse()
	}
	if !p.byID && d == p.reqDir {
		return
	}
	t.endOpen(c, d, false)
	req := p.match(m.ID)
	if req == nil {
		t.orphan(c, m, whole)
		return
	}
	if t.gaveUp(c, d, req) {
		return
	}
	req.answer = t.own(m)
	req.answer.asked = req
	switch {
	case whole:
		t.finish(c, req)
	case p.interleaved(req.answer):
		req.answer.partial = true
	default:
		st.begun(req.answer)
	}
}

// orphan handles a response whose request was not seen.
func (t *Tracker) orphan(c *conn, m *Message, whole bool) {
	p := &c.pair
	t.count.orphans.Add(1)
	switch {
	case p.byID:
		t.orphaned(c, m.ID)
	case p.trust == probation && p.held.n > 0:
		// It was left over: what is held was paired one off.
		n := p.held.n
		t.dropAll(c)
		t.balanceAll(c)
		p.trust, p.pipelined = lost, true
		t.report(c, n)
	case p.trust == synced && whole:
		t.recycle(p.orphan)
		p.orphan = t.own(m)
	}
}

// partEndByID ends the message that m is the end of, among those of others. It reports whether m is to be taken for a whole
// message instead: the end of an answer whose beginning was lost.
func (t *Tracker) partEndByID(c *conn, d event.Dir, v *view, m *Message, n uint64) (whole bool) {
	st := &c.dirs[d]
	req := c.pair.find(m.ID)
	if req == nil {
		return false
	}
	open := req
	if m.Kind == Response {
		if t.gaveUp(c, d, req) {
			return false
		}
		if open = req.answer; open == nil {
			m.Part, m.Truncated = PartWhole, true
			return true
		}
	}
	open.End = ns(st.took)
	if n > 0 {
		l, _ := v.at(min(st.pos+n, st.end) - 1)
		open.End = l.at
	}
	open.Size += m.Size
	open.merge(m)
	if open.partial = false; m.Kind == Response {
		t.finish(c, req)
	}
	return false
}

// gaveUp reports whether an end to req that came in direction d says nothing: who asked has given it up (a reset), and the answer
// may have been among what was lost.
func (t *Tracker) gaveUp(c *conn, d event.Dir, req *Message) bool {
	if !c.pair.byID || d != c.pair.reqDir || !req.doubt {
		return false
	}
	t.drop(c, req)
	t.missed(c, 1)
	c.explained(1)
	return true
}

// merge adds what the end of a message tells to its head.
func (m *Message) merge(end *Message) {
	m.Truncated = m.Truncated || end.Truncated
	m.Unresolved = m.Unresolved || end.Unresolved
	m.Waiting = m.Waiting || end.Waiting
	m.Upkeep = m.Upkeep || end.Upkeep
	if end.Error != "" {
		m.Outcome, m.Error = end.Outcome, end.Error
	}
	for i := range end.Attrs.Len() {
		m.Attrs.Set(end.Attrs.At(i))
	}
}

// partEnd ends the open message that m is the end of, in order.
func (t *Tracker) partEnd(c *conn, d event.Dir, v *view, m *Message, n uint64) {
	p, st := &c.pair, &c.dirs[d]
	var open *Message
	var req *Message
	from := st
	if m.Kind == Response {
		if req = p.answering(); req == nil {
			return
		}
		open, from = req.answer, &c.dirs[p.reqDir.Reverse()]
	} else if open = st.open; open == nil || open.Kind == Response || !st.byPart {
		return
	}
	open.End = ns(from.took)
	if n > 0 && from == st {
		l, _ := v.at(min(st.pos+n, st.end) - 1)
		open.End = l.at
	}
	if from == st {
		open.Size = int64(st.pos + n - st.openAt)
	} else {
		t.settle(from)
		open.End, open.Size = ns(from.took), int64(from.pos-from.openAt)
	}
	open.merge(m)
	if from.open == open {
		from.open = nil
	}
	c.vague = false
	if req != nil {
		t.finish(c, req)
	}
}

// settle takes what a stream holds as part of the message that just ended.
func (t *Tracker) settle(st *stream) {
	if st.run == nil {
		return
	}
	st.took = st.run.marks[len(st.run.marks)-1].at.UnixNano()
	st.pos = st.end
	t.releaseRun(st)
}

// arrived is called when the bytes that direction d skipped have all gone by.
func (t *Tracker) arrived(c *conn, d event.Dir) {
	if st := &c.dirs[d]; st.open != nil && !st.byPart {
		t.endOpen(c, d, false)
	}
}

// endOpen ends the open message of direction d at its last byte, where nothing else says that it ended.
func (t *Tracker) endOpen(c *conn, d event.Dir, truncated bool) {
	st := &c.dirs[d]
	m := st.open
	if m == nil {
		return
	}
	st.open = nil
	m.End = ns(st.took)
	if st.byPart {
		m.Size = int64(min(st.pos, st.end) - st.openAt)
		c.vague = false
	}
	m.Truncated = m.Truncated || truncated
	if m.Kind == Response && m.asked != nil {
		t.finish(c, m.asked)
	}
}
