package protocol

import (
	"net/netip"
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// conn is the state of one connection. An idle one is this struct, its parser, and an entry of a map.
type conn struct {
	id      event.ConnID
	spec    *Spec // nil while undecided
	parser  Parser
	hello   *hello // while the beginning of TLS is being read
	reorder *reorder
	peers   map[netip.AddrPort]*conn // of a datagram socket
	far     *far                     // of a peer of one
	dirs    [2]stream
	pair    pairer
	nextSeq uint64
	lastAt  int64 // when the last segment moved, ns since 1970
	task    event.Task
	reason  Reason // why it is not decoded; "" while it may be
	ports   [2]uint16

	role    event.Role
	source  event.Source
	lastDir event.Dir
	proto   uint8 // index into counters.protocols
	carries uint8 // the same, of the last exchange: what a loss is reported of
	errors  uint8 // runs of bytes that broke the rules since the last exchange
	again   uint8 // times that it was undecided again
	turns   uint8 // turns that nobody recognised
	proxied uint8 // preambles of proxies
	strays  uint8 // segments that came though it is refused
	sniffed int32 // bytes that nobody recognised

	announced, existing, removed, watched bool
	moved                                 bool // a segment was seen
	quiet                                 bool // it was idle before the current turn
	vague                                 bool // the end of an open message may have gone by unseen
	swapped                               bool // a new parser must look at what the other direction holds
	wide                                  bool // the kernel was asked for more because of pipelining
	datagram                              bool // a peer of a datagram socket
	tunnel                                bool // what was spoken before has gone on as anything
	asking                                bool // a peer of this datagram socket owes an answer

	ledger ledger
}

// startLost puts c in the state of a connection that is older than capture: the same as after a loss.
func (c *conn) startLost() {
	for d := range c.dirs {
		c.dirs[d].lost = true
	}
	c.pair.trust = lost
}

// segment handles the next segment of c in order.
func (t *Tracker) segment(c *conn, s *event.Segment) {
	d := s.Dir & 1
	st := &c.dirs[d]
	if !st.started {
		st.started = true
		if c.existing {
			st.pos, st.end = s.Off, s.Off
		}
	}
	if s.Size <= 0 && len(s.Data) == 0 {
		return
	}
	off, head, tail, size, cut := s.Off, s.Data, s.Tail, s.Size, false
	if off != st.end || size != len(head) {
		run := clip(s)
		run.skip(st.end)
		if run.size == 0 {
			t.count.duplicates.Add(1)
			return
		}
		off, head, tail, size, cut = run.off, run.head, run.tail, run.size, run.cut
	}
	m := &t.one[0]
	m.at, m.task, m.number, m.call, m.torn = s.Time, s.Task, s.Turn, !cut, st.gap
	if m.task == (event.Task{}) {
		m.task = c.task
	}
	at := s.Time.UnixNano()
	m.turn = m.call && (!c.moved || c.lastDir != d || st.gap && (!s.Turns || s.Turn != c.ledger.turn))
	// On a connection that is older than capture lastAt is when it was first seen, and nothing has moved since.
	pause := (c.moved || c.existing) && at-c.lastAt >= int64(t.cfg.IdleAfter)
	if pause || m.turn {
		c.quiet = pause
	}
	st.gap, c.moved, c.lastDir, c.lastAt = false, true, d, max(at, c.lastAt)
	c.ledger.moved(s)
	if st.open != nil && m.turn && d == c.pair.reqDir && c.pair.next() != nil {
		c.ledger.emitted++ // the request goes on after an interim response: a turn without an exchange of its own
	}

	if off > st.end {
		t.jump(c, d, off)
	}
	st.suspect = false
	t.feed(c, d, head, m)
	if hidden := size - len(head) - len(tail); hidden > 0 {
		t.hole(c, d, uint64(hidden), m)
		m.call, m.turn = false, false
	}
	t.feed(c, d, tail, m)
	if c.swapped {
		c.swapped = false
		t.reoffer(c, d.Reverse())
	}
}

// clipped is what a segment brings: size bytes from off, of which the head and the tail were captured.
type clipped struct {
	off        uint64
	head, tail []byte
	size       int
	cut        bool // the beginning was cut off: it had been seen
}

// clip reads a segment, mending lengths that contradict each other.
func clip(s *event.Segment) clipped {
	return clipped{off: s.Off, head: s.Data, tail: s.Tail, size: max(s.Size, len(s.Data)+len(s.Tail))}
}

// skip cuts off what lies before off.
func (r *clipped) skip(off uint64) {
	if r.off >= off {
		return
	}
	r.cut = true
	if off-r.off >= uint64(r.size) {
		r.off, r.head, r.tail, r.size = off, nil, nil, 0
		return
	}
	n := int(off - r.off)
	if beforeTail := r.size - len(r.tail); n > beforeTail {
		r.tail = r.tail[n-beforeTail:]
	}
	r.head = r.head[min(n, len(r.head)):]
	r.off, r.size = off, r.size-n
}

// feed handles captured bytes of the call m that continue direction d.
func (t *Tracker) feed(c *conn, d event.Dir, data []byte, m *mark) {
	st := &c.dirs[d]
	if len(data) == 0 || c.reason != "" {
		return
	}
	if skip := t.skipTo(c, d, uint64(len(data)), m); skip > 0 {
		if data = data[skip:]; len(data) == 0 {
			return
		}
		m.call, m.turn = false, false
	}
	if st.run != nil && m.turn && !m.torn {
		if t.interrupted(c, d); c.reason != "" {
			return
		}
	}
	st.end += uint64(len(data))
	m.end = st.end
	v := view{base: st.end - uint64(len(data)), data: data}
	if st.run != nil {
		before := cap(st.run.data)
		st.run.append(data, *m)
		t.runs.held += cap(st.run.data) - before
		v = view{base: st.pos, data: st.run.data, marks: st.run.marks}
	} else {
		v.marks = t.one[:1] // which is m
	}
	t.offer(c, d, &v, Continues)
	t.retain(c, d, &v)
}

// interrupted is called when a new turn of direction d begins while bytes of an earlier one are held. Where no message is known to be
// open they were the end of something, not the beginning; or nobody knew them; or the rest of a hello was lost.
func (t *Tracker) interrupted(c *conn, d event.Dir) {
	st := &c.dirs[d]
	switch {
	case c.hello != nil:
		if !c.hello.promised {
			t.refuse(c, ReasonTLS)
		}
		return
	case c.parser == nil:
		t.unrecognised(c, d, len(st.run.data), true)
	case !st.lost:
		return
	}
	c.unattributed(d)
	t.releaseRun(st)
	st.pos = st.end
}

// skipTo lets n bytes go by as far as they are of no interest and returns how many are not looked at.
func (t *Tracker) skipTo(c *conn, d event.Dir, n uint64, m *mark) uint64 {
	st := &c.dirs[d]
	if st.pos <= st.end {
		return 0
	}
	n = min(n, st.pos-st.end)
	st.end += n
	st.took = m.at.UnixNano()
	if st.pos == st.end {
		t.arrived(c, d)
	}
	return n
}

// retain keeps what the parser left of v for the next time.
func (t *Tracker) retain(c *conn, d event.Dir, v *view) {
	st := &c.dirs[d]
	if st.pos >= st.end || c.reason != "" {
		t.releaseRun(st)
		return
	}
	left := st.end - st.pos
	if st.run == nil {
		st.run = t.runs.get()
	}
	before := cap(st.run.data)
	st.run.keep(v, st.pos)
	t.runs.held += cap(st.run.data) - before
	if left <= uint64(t.cfg.MaxBuffer) && t.runs.held <= t.cfg.MaxHeld {
		return
	}
	t.count.evictedBuffers.Add(1)
	rest := view{base: st.pos, data: st.run.data, marks: st.run.marks}
	t.offer(c, d, &rest, Hole)
	if st.pos < st.end && c.reason == "" {
		t.lose(c, d, st.end, true)
	}
	t.releaseRun(st)
}

// hole handles n bytes of the call m that moved and were not captured.
func (t *Tracker) hole(c *conn, d event.Dir, n uint64, m *mark) {
	st := &c.dirs[d]
	if c.reason != "" {
		return
	}
	t.cut(c)
	if n -= t.skipTo(c, d, n, m); n == 0 {
		return
	}
	v := view{base: st.end, marks: t.one[:0]}
	if st.run != nil {
		v = view{base: st.pos, data: st.run.data, marks: st.run.marks}
	}
	st.end += n
	m.end, m.call, m.turn = st.end, false, false
	v.marks = append(v.marks, *m)
	t.offer(c, d, &v, Hole)
	switch {
	case c.reason != "":
	case st.pos < st.end:
		t.lose(c, d, st.end, c.spec != nil && !st.lost)
	case st.open != nil && st.byPart:
		t.endHidden(c, d)
	}
	t.releaseRun(st)
}

// reoffer shows what direction d holds to a parser that is new to it.
func (t *Tracker) reoffer(c *conn, d event.Dir) {
	st := &c.dirs[d]
	if st.run == nil {
		return
	}
	v := view{base: st.pos, data: st.run.data, marks: st.run.marks}
	t.offer(c, d, &v, Continues)
	t.retain(c, d, &v)
}

func (t *Tracker) releaseRun(st *stream) {
	if st.run != nil {
		t.runs.put(st.run)
		st.run = nil
	}
}

// release gives back all that c holds beyond itself, without a word to the sink but of TLS.
func (t *Tracker) release(c *conn) {
	t.greeted(c)
	for d := range c.dirs {
		t.releaseRun(&c.dirs[d])
		c.dirs[d].open = nil
	}
	t.dropEarly(c, 0)
	p := &c.pair
	for _, q := range []*queue{&p.outstanding, &p.held} {
		for m := q.pop(); m != nil; m = q.pop() {
			t.recycle(m)
		}
	}
	p.ids, p.bytes = nil, 0
	t.recycle(p.orphan)
	p.orphan = nil
	c.parser, c.peers, c.vague = nil, nil, false
}

func ns(at int64) time.Time { return time.Unix(0, at) }
