package packet

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// flowKey names a connection. With Config.PerEnd a is its local end, else the lesser of the two. It has no padding, so that
// the map hashes it as one run of bytes.
type flowKey struct {
	a, b         [16]byte
	aport, bport uint16
	netns        uint32
}

// state is how far a connection has come.
type state uint8

const (
	synSent state = iota
	established
	closed // remembered so that stragglers are no new connection
)

// flow is a connection.
type flow struct {
	key  flowKey
	id   event.ConnID
	task event.Task

	older, newer *flow // in a flowList

	halves [2]half // by event.Dir
	seq    uint64  // number of the next Segment
	turn   uint32
	synAt  int64
	// rttFrom is when the last SYN came, until the handshake is over.
	rttFrom int64
	last    int64 // when its last packet came
	first   int64
	rtt     int64

	state     state
	role      event.Role
	local     uint8 // the end of the key that is the local one: 0 for a
	lastDir   event.Dir
	moved     bool    // lastDir and turn are set
	turns     bool    // turn is exact
	lost      [2]bool // bytes of that direction were lost since the last Segment
	existing  bool    // its SYN was not seen
	announced bool    // Opened was emitted
	waiting   bool    // in Assembler.waiting
}

// flowList is a list of flows by time; the head is the latest.
type flowList struct {
	head, tail *flow
	n          int
}

func (l *flowList) push(f *flow) {
	f.newer, f.older = nil, l.head
	if l.head != nil {
		l.head.newer = f
	} else {
		l.tail = f
	}
	l.head = f
	l.n++
}

func (l *flowList) remove(f *flow) {
	if f.newer != nil {
		f.newer.older = f.older
	} else {
		l.head = f.older
	}
	if f.older != nil {
		f.older.newer = f.newer
	} else {
		l.tail = f.newer
	}
	f.newer, f.older = nil, nil
	l.n--
}

// side is the end of its flow's key that the packet at hand came from, and that key.
func (a *Assembler) side() (k flowKey, from uint8) {
	d := &a.dg
	if a.cfg.PerEnd && d.way == Incoming || !a.cfg.PerEnd && less(&d.dst, d.dport, &d.src, d.sport) {
		return flowKey{d.dst, d.src, d.dport, d.sport, d.netns}, 1
	}
	return flowKey{d.src, d.dst, d.sport, d.dport, d.netns}, 0
}

func less(a *[16]byte, aport uint16, b *[16]byte, bport uint16) bool {
	if c := bytes.Compare(a[:], b[:]); c != 0 {
		return c < 0
	}
	return aport < bport
}

// dir is the direction of bytes that come from that end.
func (f *flow) dir(from uint8) event.Dir {
	if from == f.local {
		return event.Sent
	}
	return event.Received
}

func (f *flow) flow() event.Flow {
	local, remote := endpoint(f.key.a, f.key.aport), endpoint(f.key.b, f.key.bport)
	if f.local == 1 {
		local, remote = remote, local
	}
	return event.Flow{Local: local, Remote: remote, NetNS: f.key.netns}
}

func endpoint(a [16]byte, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a).Unmap(), port)
}

// newFlow makes the flow k whose local end is that one, at the cost of another when there are too many.
func (a *Assembler) newFlow(k flowKey, local uint8) *flow {
	for len(a.flows) >= a.cfg.MaxFlows {
		a.evict()
	}
	f := a.freeFlows
	if f == nil {
		f = &flow{}
	} else {
		a.freeFlows = f.older
	}
	*f = flow{key: k, local: local, turns: true, first: a.dg.at, last: a.dg.at, task: a.dg.task}
	a.flows[k] = f
	a.opening.push(f)
	return f
}

// list is the one that f is in.
func (a *Assembler) list(f *flow) *flowList {
	return [...]*flowList{synSent: &a.opening, established: &a.open, closed: &a.ended}[f.state]
}

// become changes f's state.
func (a *Assembler) become(f *flow, s state) {
	a.list(f).remove(f)
	f.state = s
	a.list(f).push(f)
}

// evict makes room for one flow: one that has ended, else one that was never answered, else the longest idle.
func (a *Assembler) evict() {
	f := a.ended.tail
	if f == nil {
		if f = a.opening.tail; f == nil {
			f = a.open.tail
		}
		a.count.Evicted++
		a.evicted = true
		a.end(f, event.CloseTimeout, f.last)
	}
	a.forget(f)
}

// forget removes a flow that has ended.
func (a *Assembler) forget(f *flow) {
	a.ended.remove(f)
	delete(a.flows, f.key)
	if f.waiting { // Assembler.waiting still has it; the garbage collector may
		return
	}
	f.older = a.freeFlows
	a.freeFlows = f
}

// touch notes that a packet of f came.
func (a *Assembler) touch(f *flow) {
	f.last = max(f.last, a.dg.at)
	if !a.dg.task.IsZero() {
		f.task = a.dg.task
	}
	if f.state == established && a.open.head != f {
		a.open.remove(f)
		a.open.push(f)
	}
}

// linger is for how long a flow that has ended is remembered.
const linger = time.Minute

// expireFlows ends what has been idle for too long and forgets what ended long ago.
func (a *Assembler) expireFlows() {
	for f := a.opening.tail; f != nil && a.now-f.first >= int64(a.cfg.ConnectWait); f = a.opening.tail {
		a.failed(f, timedOut, f.last)
	}
	for f := a.open.tail; f != nil; f = a.open.tail {
		if a.now-f.last < int64(a.cfg.TCPIdle) {
			break
		}
		a.end(f, event.CloseTimeout, f.last)
	}
	for f := a.ended.tail; f != nil && a.now-f.last >= int64(linger); f = a.ended.tail {
		a.forget(f)
	}
}

// Error numbers of Linux, whatever this is built for: ETIMEDOUT and ECONNREFUSED.
const (
	timedOut = 110
	refused  = 111
)

// failed ends a flow that was never established.
func (a *Assembler) failed(f *flow, errno int, at int64) {
	a.end(f, event.CloseTimeout, at)
	if f.role == event.RoleClient {
		a.emit(&event.ConnectFailed{
			Flow: f.flow(), Task: f.task, Time: time.Unix(0, at), Duration: time.Duration(max(at-f.synAt, 0)), Errno: errno,
		})
	}
}

// end closes f, whose packets are remembered for a while longer.
func (a *Assembler) end(f *flow, why event.CloseReason, at int64) {
	a.giveUp(f)
	a.drop(f)
	a.become(f, closed)
	if !f.announced {
		return
	}
	sent, received := &f.halves[event.Sent], &f.halves[event.Received]
	st := f.stats(a.cfg.PerEnd)
	st.Time = time.Unix(0, at)
	a.emit(&event.Closed{
		Conn: f.id, Seq: f.seq, Turn: f.turn, Turns: f.turns && f.moved,
		Sent: max(sent.next, sent.told), Received: max(received.next, received.told), Reason: why, Time: st.Time, Stats: st,
	})
}

// stats are the totals of f so far.
func (f *flow) stats(perEnd bool) event.Stats {
	sent, received := &f.halves[event.Sent], &f.halves[event.Received]
	st := event.Stats{
		Conn: f.id, RTT: time.Duration(f.rtt), Retransmits: uint64(sent.retransmits), Sent: sent.next, Received: received.next,
	}
	if !perEnd {
		st.Retransmits += uint64(received.retransmits)
	}
	return st
}

// announce emits Opened.
func (a *Assembler) announce(f *flow) {
	f.announced = true
	a.lastConn++
	f.id = a.lastConn
	at := a.dg.at
	o := &event.Opened{Conn: f.id, Flow: f.flow(), Role: f.role, Existing: f.existing, Owner: f.task}
	switch {
	case f.existing:
		o.Time = time.Unix(0, f.first)
		if !a.evicted { // else it may be one that was forgotten
			o.LastActive = time.Unix(0, min(a.started, f.first))
		}
	default:
		o.Time = time.Unix(0, at)
		if f.role == event.RoleClient && f.synAt != 0 {
			o.ConnectDuration = time.Duration(max(at-f.synAt, 0))
		}
	}
	a.emit(o)
}
