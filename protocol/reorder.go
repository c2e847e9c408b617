package protocol

import (
	"slices"
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// early is an event that came before its turn: a copy, since the ring reuses the original.
type early struct {
	seq    uint64
	seg    event.Segment
	closed *event.Closed // instead of seg
	since  time.Time     // when it came, by the later of its own time and the last Tick
}

// reorder holds the early events of a connection, in order. A connection has one only while a number is missing.
type reorder struct {
	events []early
	bytes  int
}

func (t *Tracker) handleSegment(s *event.Segment) {
	c := t.conns[s.Conn]
	if c == nil {
		if c = t.stranger(s); c == nil {
			return
		}
	}
	if c.reason != "" {
		t.stray(c)
		return
	}
	if s.Datagram {
		t.datagram(c, s)
		if c.reorder != nil {
			t.drain(c) // the socket's end may wait
		}
		return
	}
	if s.Source != c.source && !t.switchSource(c, s) {
		return
	}
	switch {
	case s.Seq == c.nextSeq:
		c.nextSeq++
		t.segment(c, s)
		if c.reorder != nil {
			t.drain(c)
		}
	case s.Seq < c.nextSeq:
		t.count.late.Add(1)
	default:
		t.hold(c, early{seq: s.Seq, seg: *s})
	}
}

// stranger makes the state of a connection whose Opened was lost or whose state was evicted: nothing is known of it but
// that it is older than this segment.
func (t *Tracker) stranger(s *event.Segment) *conn {
	if t.gone[uint64(s.Conn)%uint64(len(t.gone))] == s.Conn+1 {
		t.count.late.Add(1)
		return nil
	}
	c := t.add(s.Conn)
	c.existing, c.source, c.nextSeq = true, s.Source, s.Seq
	c.lastAt = s.Time.UnixNano() // nothing is known of what was before
	c.startLost()
	return c
}

// switchSource decides what to do with a segment of another source than the connection's: TLS plaintext retires the wire's.
func (t *Tracker) switchSource(c *conn, s *event.Segment) bool {
	switch {
	case !c.moved:
		c.source = s.Source
		return true
	case s.Source == event.SourceTLS:
		t.release(c)
		t.become(c, nil)
		c.source, c.nextSeq, c.moved = s.Source, 0, false
		c.dirs = [2]stream{}
		c.ledger = ledger{based: !c.existing}
		return true
	default:
		return false
	}
}

func (t *Tracker) handleClosed(e *event.Closed) {
	c := t.conns[e.Conn]
	switch {
	case c == nil:
	case c.reason != "":
		t.remove(c)
	case c.source != event.SourceTLS && e.Seq > c.nextSeq:
		closed := *e
		t.hold(c, early{seq: e.Seq, closed: &closed})
	default:
		for c.reorder != nil && !c.removed {
			t.giveUp(c) // the end itself was lost, and nothing more will come
		}
		if !c.removed {
			t.closed(c, e)
		}
	}
}

// hold keeps an event until its number's turn comes.
func (t *Tracker) hold(c *conn, e early) {
	r := c.reorder
	if r == nil {
		r = &reorder{}
		c.reorder = r
		t.watchOver(c)
	}
	i, found := slices.BinarySearchFunc(r.events, e.seq, func(a early, seq uint64) int {
		switch {
		case a.seq < seq:
			return -1
		case a.seq > seq:
			return 1
		}
		return 0
	})
	if found && e.closed == nil {
		t.count.duplicates.Add(1)
		return
	}
	e.since = e.seg.Time
	if e.closed != nil {
		e.since = e.closed.Time
	}
	if t.now.After(e.since) {
		e.since = t.now
	}
	n := len(e.seg.Data) + len(e.seg.Tail)
	buf := append(append(make([]byte, 0, n), e.seg.Data...), e.seg.Tail...)
	cut := len(e.seg.Data)
	e.seg.Data, e.seg.Tail = buf[:cut:cut], buf[cut:]
	if i == 0 && len(r.events) > 0 && r.events[0].since.Before(e.since) {
		e.since = r.events[0].since // what is before both has been missing since then
	}
	r.events = slices.Insert(r.events, i, e)
	r.bytes += n
	t.runs.held += n
	t.count.reordered.Add(1)
	for c.reorder != nil && !c.removed &&
		(len(c.reorder.events) >= t.cfg.ReorderEvents || c.reorder.bytes > t.cfg.ReorderBytes || t.runs.held > t.cfg.MaxHeld) {
		t.giveUp(c)
	}
}

// giveUp takes the missing numbers for lost and goes on with the first event that is there.
func (t *Tracker) giveUp(c *conn) {
	first := &c.reorder.events[0]
	missing := first.seq - c.nextSeq
	c.nextSeq = first.seq
	t.gap(c, missing, first)
	t.drain(c)
}

// drain handles held events whose turn has come.
func (t *Tracker) drain(c *conn) {
	r := c.reorder
	i := 0
	for ; i < len(r.events) && r.events[i].seq <= c.nextSeq && c.reason == ""; i++ {
		e := &r.events[i]
		t.unhold(r, e)
		if e.closed != nil {
			t.dropEarly(c, i+1)
			t.closed(c, e.closed)
			return
		}
		c.nextSeq++
		t.segment(c, &e.seg)
	}
	if i == len(r.events) {
		c.reorder = nil
		return
	}
	if c.reason != "" {
		if ended := t.dropEarly(c, i); ended {
			t.remove(c)
		}
		return
	}
	r.events = slices.Delete(r.events, 0, i)
}

func (t *Tracker) unhold(r *reorder, e *early) {
	n := len(e.seg.Data) + len(e.seg.Tail)
	r.bytes -= n
	t.runs.held -= n
}

// dropEarly lets go of what is held from the i-th event on and says whether the connection's end was among it.
func (t *Tracker) dropEarly(c *conn, i int) (ended bool) {
	r := c.reorder
	if r == nil {
		return false
	}
	for ; i < len(r.events); i++ {
		t.unhold(r, &r.events[i])
		ended = ended || r.events[i].closed != nil
	}
	c.reorder = nil
	return ended
}
