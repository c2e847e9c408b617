package protocoltest

import (
	"net/netip"
	"slices"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// epoch is when every transcript begins.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const connID event.ConnID = 7

// The two ends' tasks.
var (
	clientTask = event.Task{PID: 100, TID: 100, Start: 1}
	serverTask = event.Task{PID: 200, TID: 200, Start: 2}
)

// script is a transcript as one end's socket hands it over.
type script struct {
	opened   *event.Opened // nil: capture does not tell
	segments []*event.Segment
	closed   *event.Closed
}

// record writes down t as seen from one of its ends.
func record(t *Transcript, side protocol.Side) script {
	local, remote := netip.MustParseAddrPort("10.0.0.1:40000"), netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), t.Port)
	role, task := event.RoleClient, clientTask
	if side == protocol.ServerSide {
		local, remote, role, task = remote, local, event.RoleServer, serverTask
	}
	if t.RoleUnknown {
		role = event.RoleUnknown
	}
	var peer netip.AddrPort
	if t.Datagram {
		peer = remote
	}
	s := script{opened: &event.Opened{
		Conn: connID, Flow: event.Flow{Local: local, Remote: remote}, Role: role, Existing: t.Existing, Datagram: t.Datagram, Time: epoch,
	}}
	var off [2]uint64
	for _, seg := range t.Segments {
		d := event.Received
		if seg.FromClient == (side == protocol.ClientSide) {
			d = event.Sent
		}
		size := len(seg.Data) + seg.Hidden
		s.segments = append(s.segments, &event.Segment{
			Conn: connID, Dir: d, Off: off[d], Task: task,
			Data: seg.Data, Size: size, Time: epoch.Add(seg.At), Datagram: t.Datagram, Peer: peer,
		})
		off[d] += uint64(size)
	}
	if t.Closed {
		s.closed = &event.Closed{
			Sent: off[event.Sent], Received: off[event.Received], Conn: connID,
			Reason: t.Reason, Time: epoch.Add(t.ClosedAt),
		}
	}
	return s.renumber()
}

// renumber gives the segments and their turns new numbers, as the kernel counts them: before anything is lost.
func (s script) renumber() script {
	turn := uint32(0)
	for i, seg := range s.segments {
		switch {
		case i == 0:
			turn = uint32(seg.Dir)
		case s.segments[i-1].Dir != seg.Dir:
			turn++
		}
		seg.Seq, seg.Turn, seg.Turns = uint64(i), turn, true
	}
	if s.closed != nil {
		c := *s.closed
		c.Seq, c.Turn, c.Turns = uint64(len(s.segments)), turn, len(s.segments) > 0
		s.closed = &c
	}
	return s
}

// turns is how many turns the client took.
func (s script) turns(side protocol.Side) int {
	n := 0
	for i, seg := range s.segments {
		fromClient := (seg.Dir == event.Sent) == (side == protocol.ClientSide)
		if fromClient && (i == 0 || s.segments[i-1].Dir != seg.Dir) {
			n++
		}
	}
	return n
}

// splitEvery cuts every segment into calls of at most n bytes.
func (s script) splitEvery(n int) script {
	var out []*event.Segment
	for _, seg := range s.segments {
		if len(seg.Data) == 0 {
			out = append(out, clone(seg))
			continue
		}
		hidden := seg.Size - len(seg.Data)
		for at := 0; at < len(seg.Data); at += n {
			end := min(at+n, len(seg.Data))
			out = append(out, part(seg, at, end, 0))
		}
		out[len(out)-1].Size += hidden
	}
	s.segments = out
	return s.renumber()
}

// splitAt cuts the i-th segment in two at byte at.
func (s script) splitAt(i, at int) script {
	out := make([]*event.Segment, 0, len(s.segments)+1)
	for j, seg := range s.segments {
		if j != i {
			out = append(out, clone(seg))
			continue
		}
		out = append(out, part(seg, 0, at, 0), part(seg, at, len(seg.Data), seg.Size-len(seg.Data)))
	}
	s.segments = out
	return s.renumber()
}

func clone(seg *event.Segment) *event.Segment {
	c := *seg
	return &c
}

// part is the call that moved bytes from to to of seg, and hidden ones after them.
func part(seg *event.Segment, from, to, hidden int) *event.Segment {
	c := clone(seg)
	c.Data, c.Off, c.Size = seg.Data[from:to], seg.Off+uint64(from), to-from+hidden
	return c
}

// without drops the i-th segment.
func (s script) without(i int) script {
	s.segments = slices.Delete(slices.Clone(s.segments), i, i+1)
	return s
}

// from begins with the i-th segment, on a connection that nobody announced.
func (s script) from(i int) script {
	s.opened, s.segments = nil, s.segments[i:]
	return s
}

// attachedAt begins with the i-th segment of a connection that is announced as older than capture; numbers and offsets
// count from there.
func (s script) attachedAt(i int) script {
	if s.opened != nil {
		o := *s.opened
		o.Existing = true
		s.opened = &o
	}
	var base [2]uint64
	var seen [2]bool
	var out []*event.Segment
	for _, seg := range s.segments[i:] {
		c := clone(seg)
		if !seen[c.Dir] {
			seen[c.Dir], base[c.Dir] = true, c.Off
		}
		c.Off -= base[c.Dir]
		out = append(out, c)
	}
	s.segments = out
	if s.closed != nil {
		c := *s.closed
		c.Sent, c.Received = c.Sent-base[event.Sent], c.Received-base[event.Received]
		s.closed = &c
	}
	return s.renumber()
}

// limit is what a kernel copies: of each direction, head bytes from the start of a turn, and every and tail bytes at the start
// and the end of each call.
type limit struct{ head, every, tail int }

// cut copies as a kernel does.
func (s script) cut(l limit) script {
	var used [2]int
	var out []*event.Segment
	last := -1
	for _, seg := range s.segments {
		c := clone(seg)
		d := int(c.Dir)
		if d != last {
			used[d], last = 0, d
		}
		n := min(len(c.Data), max(l.every, l.head-used[d]))
		used[d] += n
		c.Tail = nil
		if hidden := c.Size > len(c.Data); !hidden {
			c.Tail = c.Data[max(n, len(c.Data)-l.tail):]
		}
		c.Data = c.Data[:n]
		out = append(out, c)
	}
	s.segments = out
	return s
}

// events lists what is handed over, in order.
func (s script) events() []event.Event {
	var out []event.Event
	for _, seg := range s.segments {
		out = append(out, seg)
	}
	if s.closed != nil {
		out = append(out, s.closed)
	}
	return out
}

// result is what a replay gave.
type result struct {
	exchanges []got
	gaps      uint64
	refused   bool
	verdicts  int
	open      protocol.Counters // before the connection's end
	end       protocol.Counters
}

// got is an exchange, copied.
type got struct {
	outcome, err      string
	duration          time.Duration
	request, response int64
	truncated         bool
	unresolved        bool
	waiting, upkeep   bool
	task              event.Task
	side              protocol.Side
	attrs             [2][]Attr
}

// collect is a Sink and a Verdicts.
type collect struct{ r *result }

func (c collect) Exchange(x *protocol.Exchange) {
	g := got{
		outcome: x.Outcome.String(), err: x.Error, duration: x.End().Sub(x.Start()),
		request: x.Request.Size, response: -1, task: x.Task, side: x.Side,
		truncated: x.Request.Truncated, unresolved: x.Request.Unresolved,
		waiting: x.Waiting(), upkeep: x.Request.Upkeep,
	}
	g.attrs[0] = attrs(&x.Request.Attrs)
	if x.Protocol.Carrier != "" {
		g.attrs[0] = append(g.attrs[0], Attr{"protocol", x.Protocol.Name})
	}
	if x.Response != nil {
		g.response, g.truncated = x.Response.Size, g.truncated || x.Response.Truncated
		g.unresolved = g.unresolved || x.Response.Unresolved
		g.attrs[1] = attrs(&x.Response.Attrs)
	}
	c.r.exchanges = append(c.r.exchanges, g)
}

func (c collect) Gap(_ event.ConnID, _ string, n uint64) { c.r.gaps += n }

func (c collect) SetVerdict(_ event.ConnID, v protocol.Verdict) {
	c.r.refused = c.r.refused || v.Refused
	c.r.verdicts++
}

func attrs(a *protocol.Attrs) []Attr {
	var out []Attr
	for i := range a.Len() {
		k, v := a.At(i)
		out = append(out, Attr{string(k), string(v)})
	}
	return out
}

// replay hands events to a tracker of its own. The buffers of a segment are overwritten after each call, as a ring does.
func replay(specs []*protocol.Spec, opened *event.Opened, events []event.Event) *result {
	r := &result{}
	t := protocol.NewTracker(specs, protocol.Config{Keep: protocol.Options{URLQuery: true}}, collect{r}, collect{r})
	if opened != nil {
		t.Handle(opened)
	}
	var buf []byte
	now := epoch
	for _, e := range events {
		seg, ok := e.(*event.Segment)
		if !ok {
			r.open = t.Counters()
			t.Handle(e)
			continue
		}
		c := *seg
		buf = append(append(buf[:0], seg.Data...), seg.Tail...)
		c.Data, c.Tail = buf[:len(seg.Data)], buf[len(seg.Data):]
		if seg.Time.After(now) {
			now = seg.Time
		}
		t.Tick(now)
		t.Handle(&c)
		for i := range buf {
			buf[i] = '#'
		}
	}
	if len(events) == 0 || r.open.Exchanges == nil {
		r.open = t.Counters()
	}
	t.Tick(epoch.Add(1000 * time.Hour))
	r.end = t.Counters()
	return r
}
