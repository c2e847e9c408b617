package protocol

import "github.com/toposcope/toposcope/collector/event"

// broken handles bytes at direction d's pos that break the protocol's rules: the open message is dropped. It reports whether the
// bytes are to be looked at again: they begin a message of another protocol. After a few tries the connection is undecided again.
func (t *Tracker) broken(c *conn, d event.Dir, v *view, data []byte) (again bool) {
	t.count.protocols[c.proto].parseErrors.Add(1)
	st := &c.dirs[d]
	if again = t.changes(c, d, v, data); again {
		pos, held := st.pos, st.run
		st.run = nil // v is of it
		t.reinfer(c)
		st.run, st.pos, st.lost, st.fresh = held, pos, false, true
		return again
	}
	t.lose(c, d, max(st.pos, st.end), true)
	t.wrong(c)
	return false
}

// changes says whether c goes on in another protocol, without a word that its own has for it: a turn begins with a message of that
// one.
func (t *Tracker) changes(c *conn, d event.Dir, v *view, data []byte) bool {
	st := &c.dirs[d]
	if len(data) == 0 || c.datagram || int(c.again) >= t.cfg.MaxReinferences {
		return false
	}
	if mk, first := v.at(st.pos); !first || !mk.turn || mk.torn || st.open != nil {
		return false
	}
	o, s := t.sniff(c, d, data)
	return o == Yes && s != c.spec || o != Yes && sniffTLS(data) == Yes
}

// wrong counts the tries that a connection has.
func (t *Tracker) wrong(c *conn) {
	if c.errors++; int(c.errors) <= t.cfg.MaxErrors {
		return
	}
	if int(c.again) < t.cfg.MaxReinferences && !c.datagram {
		t.reinfer(c)
		return
	}
	t.refuse(c, ReasonUnknown)
}

// reinfer makes c undecided again, in the state after a loss. What is outstanding is missed.
func (t *Tracker) reinfer(c *conn) {
	c.again++
	t.count.reinferred.Add(1)
	t.forget(c, nil, c.pair.outstanding.n)
	t.balanceAll(c)
	t.become(c, nil)
	c.pair.trust, c.tunnel = lost, true
	for d := range c.dirs {
		st := &c.dirs[d]
		t.releaseRun(st)
		st.pos, st.lost, st.fresh = st.end, true, false
	}
}

// upgrade goes on in another protocol from where both directions are.
func (t *Tracker) upgrade(c *conn, u *Upgrade) {
	var to *Spec
	for _, s := range t.specs {
		if to == nil && s.speaks(u.To) {
			to = s
		}
	}
	asks := c.pair.reqDir
	var carried *Message
	if u.ID != 0 && to != nil && to.Pairing == ByID && c.pair.outstanding.n == 1 {
		carried = c.pair.pop()
	}
	if c.pair.outstanding.n > 0 {
		t.forget(c, nil, c.pair.outstanding.n)
	}
	t.balanceAll(c)
	c.swapped = true
	switch {
	case u.To == "" || to != nil:
		again := to != nil && to == c.spec
		t.become(c, to)
		c.tunnel = c.tunnel || to == nil
		if c.agreed(); again { // the parser was wrong about what it saw, so nobody knows what is outstanding
			c.pair.trust = lost
		}
	case u.To == "tls":
		t.become(c, nil)
		c.agreed()
		t.expectTLS(c, true, false)
	default:
		t.refuse(c, ReasonUnknown)
	}
	if carried != nil {
		carried.ID = u.ID
		c.pair.knowsDir, c.pair.reqDir = true, asks
		c.pair.push(carried)
		c.ledger.lastID = u.ID
	}
}

// agreed notes that both ends know where the next message begins, and that none before it waits for its answer.
func (c *conn) agreed() {
	c.pair.trust = synced
	for d := range c.dirs {
		if st := &c.dirs[d]; !st.lost && st.pos <= st.end {
			st.fresh = true
		}
	}
}

// become makes s the protocol of c; nil makes it undecided again.
func (t *Tracker) become(c *conn, s *Spec) {
	for d := range c.dirs {
		c.dirs[d].open = nil
	}
	for m := c.pair.held.pop(); m != nil; m = c.pair.held.pop() {
		t.emit(c, m)
	}
	for m := c.pair.pop(); m != nil; m = c.pair.pop() {
		t.recycle(m)
	}
	t.recycle(c.pair.orphan)
	c.pair = pairer{trust: c.pair.trust}
	was := c.spec
	c.ledger.based = c.ledger.based && was == nil
	c.spec, c.parser, c.proto, c.carries = s, nil, uint8(len(t.specs)), uint8(len(t.specs))
	c.turns, c.sniffed, c.errors, c.vague, c.wide = 0, 0, 0, false, false
	if s == nil {
		if was != nil && t.verdicts != nil && !c.datagram {
			t.verdicts.SetVerdict(c.id, Verdict{Undecided: true})
		}
		return
	}
	for i := range t.specs {
		if t.specs[i] == s {
			c.proto, c.carries = uint8(i), uint8(i)
		}
	}
	c.parser, c.pair.byID = c.parserOf(s), s.Pairing == ByID
	if owed := c.ledger.owed; c.pair.byID && owed > 0 { // it will show
		c.ledger.owed = 0
		c.ledger.holed(uint64(owed))
	}
	if !c.exact() {
		t.balanceAll(c)
	}
	if t.verdicts != nil && !c.datagram {
		t.verdicts.SetVerdict(c.id, s.verdict())
	}
}

// verdict is what the kernel is told of a connection that speaks s.
func (s *Spec) verdict() Verdict {
	return Verdict{Head: s.Capture.Head, Tail: s.Capture.Tail, Whole: s.Capture.Whole}
}

// strays is how many segments of a refused connection may come: what was under way when it was refused.
const strays = 64

// stray is called for a segment of a refused connection. Of one that goes on and on the kernel has forgotten that nobody wants it:
// it remembers the verdicts of so many connections, and a long-lived one has seen that many come and go.
func (t *Tracker) stray(c *conn) {
	if c.strays++; c.strays%strays == 0 && t.verdicts != nil {
		t.verdicts.SetVerdict(c.id, Verdict{Refused: true, Why: c.reason, Again: true})
	}
}

// cut is called for bytes of c that moved and were not captured. Where all are wanted that may be for the same reason.
func (t *Tracker) cut(c *conn) {
	if s := c.spec; s != nil && s.Capture.Whole && t.verdicts != nil && !c.datagram {
		v := s.verdict()
		v.Again = true
		t.verdicts.SetVerdict(c.id, v)
	}
}

// refuse ends decoding of c for good.
func (t *Tracker) refuse(c *conn, why Reason) {
	t.forget(c, nil, c.pair.outstanding.n)
	t.balanceAll(c)
	held := c.reorder
	c.reorder = nil
	t.release(c)
	c.reorder = held // may hold the connection's end
	c.reason, c.spec = why, nil
	if why == ReasonTLS {
		t.count.tls.Add(1)
	} else {
		t.count.unknown.Add(1)
	}
	if t.verdicts != nil {
		t.verdicts.SetVerdict(c.id, Verdict{Refused: true, Why: why})
	}
}

func (s *Spec) speaks(name string) bool {
	if s.Name == name {
		return true
	}
	for _, a := range s.Aliases {
		if a == name {
			return true
		}
	}
	return false
}
