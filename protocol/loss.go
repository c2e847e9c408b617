package protocol

import (
	"github.com/toposcope/toposcope/collector/event"
)

// gap handles the loss of missing segments before first, the next one that is there. Which direction they were of shows at
// the next offset of each.
func (t *Tracker) gap(c *conn, missing uint64, first *early) {
	t.count.protocols[c.proto].gaps.Add(1)
	c.doubtPeers()
	both := &c.dirs
	if first.closed == nil && missing == 1 {
		d := first.seg.Dir & 1
		jumps := first.seg.Off > both[d].end
		if jumps && both[d].pos > first.seg.Off {
			both[d].suspect = true
			return // all that was lost is the middle of a body
		}
		// It was of this direction if the offset jumps, else of the other; so it is known whether a turn begins here.
		c.lastDir = d
		if !jumps {
			c.lastDir = d.Reverse()
		}
		both[c.lastDir].suspect = true
	} else {
		for d := range both {
			both[d].suspect, both[d].gap = true, true
		}
	}
	keep := c.openAnswer()
	if next, ok := first.turn(); keep != nil && ok && c.exact() && next != c.ledger.turn {
		keep = nil // the loss took the end of its turn, and so its own
	}
	n := 0
	if c.pair.byID || c.peers != nil {
		c.ledger.holed(missing)
	} else {
		known := c.pair.outstanding.n
		if keep != nil {
			known--
		}
		n = c.hidden(missing, first, known)
	}
	c.ledger.sinceExchange += uint32(min(missing, 1<<20))
	t.forget(c, keep, 0)
	t.missed(c, n)
}

// openAnswer is the request whose answer is being received; a loss elsewhere does not touch it.
func (c *conn) openAnswer() *Message {
	return c.pair.answering()
}

// jump handles bytes of direction d that never came: the next one there is at off.
func (t *Tracker) jump(c *conn, d event.Dir, off uint64) {
	st := &c.dirs[d]
	explained := st.suspect
	if !explained {
		t.count.protocols[c.proto].gaps.Add(1)
	}
	if st.pos > off {
		st.end = off // within a body
		return
	}
	t.lose(c, d, off, !explained)
}

// lose drops the open message of direction d, whose bytes up to off cannot be followed. unexplained: nobody has told the
// pairer yet.
func (t *Tracker) lose(c *conn, d event.Dir, off uint64, unexplained bool) {
	st := &c.dirs[d]
	t.releaseRun(st)
	if m := st.open; m != nil {
		st.open = nil
		c.vague = false
		t.dropOpen(c, m)
	}
	st.pos, st.end, st.lost, st.fresh = off, off, true, false
	switch {
	case !unexplained:
	case c.pair.byID:
		c.ledger.holed(1)
		t.forget(c, nil, 0)
	default:
		n := max(c.pair.outstanding.n, 1)
		t.forget(c, c.openAnswer(), 0)
		t.missed(c, n)
	}
}

// endHidden is called when the end of the open message of direction d, and what else, may have gone by uncaptured.
func (t *Tracker) endHidden(c *conn, d event.Dir) {
	p := &c.pair
	switch {
	case p.byID:
	case d != p.reqDir:
		c.vague = true
		t.watchOver(c)
		t.ambiguous(c)
	case p.trust == synced && p.clean < cleanHistory:
		p.trust = probation // there may be further requests among the bytes
	}
}

// ambiguous drops an answer whose end cannot be told from the beginning of another that is due.
func (t *Tracker) ambiguous(c *conn) {
	if n := c.pair.outstanding.n; c.vague && n > 1 && !c.pair.byID {
		c.vague = false
		t.forget(c, nil, n)
	}
}

// dropOpen takes an open message, and the exchange it belongs to, out of the pairer.
func (t *Tracker) dropOpen(c *conn, m *Message) {
	if m.Kind == Response {
		m = m.asked
	}
	if m != nil {
		t.drop(c, m)
		if c.pair.byID {
			t.missed(c, 1)
		}
	}
}

// drop takes one request out of the pairer.
func (t *Tracker) drop(c *conn, req *Message) {
	if c.exact() {
		c.ledger.owed++
	}
	c.pair.remove(req)
	t.disown(c, req)
	t.recycle(req)
}

// forget drops what is outstanding, but keep, and puts the pairer in the state after a loss. n exchanges are missed by it;
// those on probation, which the account has as emitted, are reported beside.
func (t *Tracker) forget(c *conn, keep *Message, n int) {
	p := &c.pair
	p.onLoss()
	if !p.byID {
		if keep != nil {
			p.remove(keep)
		}
		held := p.held.n
		t.dropAll(c)
		t.report(c, held)
		if keep != nil {
			p.push(keep)
		}
	}
	if n > 0 {
		t.missed(c, n)
	}
}

// dropAll empties the pairer.
func (t *Tracker) dropAll(c *conn) {
	p := &c.pair
	for p.outstanding.n > 0 {
		t.drop(c, p.outstanding.head)
	}
	for m := p.held.pop(); m != nil; m = p.held.pop() {
		t.recycle(m)
	}
	t.recycle(p.orphan)
	p.orphan = nil
}

// settled is called when no byte has moved for a while: a message whose end went by unseen has ended.
func (t *Tracker) settled(c *conn) {
	st := &c.dirs[c.pair.reqDir.Reverse()]
	if st.open != nil && st.byPart && c.parser != nil {
		t.offerHeld(c, c.pair.reqDir.Reverse(), Idle)
	}
	c.vague = st.open != nil // the parser may still wait for a sign
}

// offerHeld shows the parser what direction d holds, be it nothing, and what has become of the direction.
func (t *Tracker) offerHeld(c *conn, d event.Dir, then Then) {
	st := &c.dirs[d]
	v := view{base: st.pos, marks: t.one[:0]}
	if st.run != nil {
		v.data, v.marks = st.run.data, st.run.marks
	}
	t.offer(c, d, &v, then)
	t.retain(c, d, &v)
}

// closed ends a connection.
func (t *Tracker) closed(c *conn, e *event.Closed) {
	final := [2]uint64{event.Sent: e.Sent, event.Received: e.Received}
	for d := range c.dirs {
		if st := &c.dirs[d]; st.started && final[d] > st.end && c.source != event.SourceTLS {
			t.jump(c, event.Dir(d), final[d])
		}
	}
	order := [2]event.Dir{c.pair.reqDir, c.pair.reqDir.Reverse()}
	for _, d := range order {
		st := &c.dirs[d]
		if st.lost && st.run != nil {
			c.unattributed(d)
		}
		if c.parser != nil && !st.lost && st.pos <= st.end {
			t.offerHeld(c, d, Ended)
		}
		t.endOpen(c, d, true)
	}
	t.confirm(c)
	t.unanswered(c, e.Time)
	t.balanceEnd(c, e)
	t.endPeers(c, e.Time)
	t.unexplained(c)
	t.remove(c)
}
