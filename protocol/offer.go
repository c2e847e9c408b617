package protocol

import (
	"errors"

	"github.com/toposcope/toposcope/collector/event"
)

// maxIdleSteps bounds how often a parser may return a message in a row without taking a byte, beyond as often as requests may be
// outstanding: one frame may end them all.
const maxIdleSteps = 8

// offer shows v, which continues direction d at its pos, to the parser until it wants more.
func (t *Tracker) offer(c *conn, d event.Dir, v *view, then Then) {
	st := &c.dirs[d]
	for idle := 0; c.reason == ""; {
		if st.pos >= st.end && (then != Ended && then != Idle || v.alone) {
			return
		}
		data := v.from(st.pos)
		if c.parser == nil {
			if !t.identify(c, d, v, data, then) {
				return
			}
			continue
		}
		if st.lost {
			if !t.resync(c, d, v, data, then) {
				return
			}
			continue
		}
		n, m, err := c.parser.Next(t.chunk(c, d, v, data, then))
		if n < 0 || n > maxTake {
			err = ErrSyntax
		}
		upgrade, ok := asUpgrade(err)
		if !ok {
			t.broken(c, d)
			return
		}
		switch {
		case m != nil:
			t.message(c, d, v, m, uint64(n))
		case n > 0 && st.open == nil && !c.pair.byID: // by ID, a parser takes frames that are of no message
			c.unattributed(d)
		case n > 0 && c.vague && d != c.pair.reqDir:
			t.ambiguous(c)
		}
		t.take(st, v, uint64(n))
		if upgrade != nil {
			t.upgrade(c, upgrade)
			continue
		}
		if n > 0 {
			idle = 0
			continue
		}
		if m == nil {
			return
		}
		if idle++; idle > maxIdleSteps+t.cfg.MaxPipelined {
			t.broken(c, d)
			return
		}
	}
}

// asUpgrade reports whether err is nil or an Upgrade.
func asUpgrade(err error) (*Upgrade, bool) {
	if err == nil {
		return nil, true
	}
	var u *Upgrade
	ok := errors.As(err, &u)
	return u, ok
}

// maxTake bounds what a parser may take at once: more is no length of anything.
const maxTake = 1 << 60

// take moves on by n bytes.
func (t *Tracker) take(st *stream, v *view, n uint64) {
	if n == 0 {
		return
	}
	st.pos += n
	if last := min(st.pos, st.end); last > v.base {
		m, _ := v.at(last - 1)
		st.took = m.at.UnixNano()
	}
}

// resync looks for a place where the parser may go on. It reports whether there is one.
func (t *Tracker) resync(c *conn, d event.Dir, v *view, data []byte, then Then) bool {
	st := &c.dirs[d]
	if len(data) == 0 {
		return false
	}
	ch := t.chunk(c, d, v, data, then)
	n, ok := c.parser.Resync(ch)
	n = min(max(n, 0), len(data))
	t.take(st, v, uint64(n))
	if st.lost = !ok; n > 0 {
		c.unattributed(d)
	}
	if !ok && n == len(data) && ch.Turn && c.errors > 0 {
		t.wrong(c) // one more turn that breaks the rules
	}
	return ok
}

// chunk makes what a parser is shown, in place: it is too large to be copied for every segment.
func (t *Tracker) chunk(c *conn, d event.Dir, v *view, data []byte, then Then) *Chunk {
	st, ch := &c.dirs[d], &t.ch
	ch.Dir, ch.Off, ch.Data, ch.Then, ch.Missing = d, st.pos, data, then, 0
	ch.Request, ch.Message, ch.pair = c.pair.next(), t.scratch, &c.pair
	if len(data) > 0 {
		first, start := v.at(st.pos)
		ch.First, ch.Last = first.at, first.at
		ch.Call, ch.Turn = start && first.call, start && first.turn
		if len(v.marks) > 1 {
			last, _ := v.at(st.pos + uint64(len(data)) - 1)
			ch.Last = last.at
		}
	} else {
		ch.First = ns(st.took)
		ch.Last = ch.First
		ch.Call, ch.Turn = false, false
	}
	if end := st.pos + uint64(len(data)); then == Hole && st.end > end {
		ch.Missing = st.end - end
	}
	return ch
}

// broken handles bytes that break the protocol's rules: the open message is dropped, and after a few tries the connection is refused.
func (t *Tracker) broken(c *conn, d event.Dir) {
	t.count.protocols[c.proto].parseErrors.Add(1)
	st := &c.dirs[d]
	t.lose(c, d, max(st.pos, st.end), true)
	t.wrong(c)
}

// wrong counts the tries that a connection has.
func (t *Tracker) wrong(c *conn) {
	if c.errors++; int(c.errors) > t.cfg.MaxErrors {
		t.refuse(c, ReasonUnknown)
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
		t.become(c, to)
	case u.To == "tls":
		t.refuse(c, ReasonTLS)
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
	trust := c.pair.trust
	if c.spec != nil {
		trust = synced // both ends agreed on where the new protocol begins
		c.ledger.based = false
	}
	c.pair = pairer{trust: trust}
	c.spec, c.parser, c.proto, c.carries = s, nil, uint8(len(t.specs)), uint8(len(t.specs))
	c.turns, c.sniffed, c.errors, c.vague, c.wide = 0, 0, 0, false, false
	if s == nil {
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
		t.verdicts.SetVerdict(c.id, Verdict{Head: s.Capture.Head, Tail: s.Capture.Tail, Whole: s.Capture.Whole})
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
		t.verdicts.SetVerdict(c.id, Verdict{Refused: true})
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
