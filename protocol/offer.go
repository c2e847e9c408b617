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
			if t.broken(c, d, v, data) {
				continue
			}
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
			t.broken(c, d, v, nil)
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
	st.fresh = false
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
