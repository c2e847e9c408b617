package topology

import (
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/protocol"
)

// conn is what a shard knows of one end of a connection.
type conn struct {
	id                         event.ConnID
	flow                       event.Flow
	role                       event.Role
	datagram, existing, closed bool
	// task is who read or wrote last; who accepted, connected or holds the socket until then.
	task             event.Task
	who              *labeler.Resource // task's process at its last segment; nil when not known
	opened, closedAt int64             // Unix nanoseconds
	// peer is the other end, when it is on this host.
	peer *conn

	// far is what the resolver said of the remote address, asked again after a second.
	far        *labeler.Resource
	farWatched bool
	farUntil   int64

	// memo is the edge of the last exchange.
	memo memo

	// claimed is how many exchanges the server's end counted since it knew of no watched client, the last of which began
	// at claimedUntil. If a client's end turns up after all, it must not count them again.
	claimed      uint64
	claimedUntil int64

	tcp tcpState
}

// memo saves looking an edge up for each exchange of a connection.
type memo struct {
	client, server *labeler.Resource
	spec           *protocol.Spec
	ref            *edgeRef
}

// lingering is for how long a closed connection is remembered: exchanges that end with it come after its Closed, and the
// other end's may be later still.
const (
	lingering    = 10 * time.Second
	maxLingering = 1 << 15
)

// opened takes a connection in and joins it with its other end.
func (s *Shard) opened(e *event.Opened) {
	if c, ok := s.conns[e.Conn]; ok {
		c.adopt(e)
		return
	}
	if len(s.conns) >= s.t.cfg.Limits.Connections {
		s.t.leftOut[leftOutConnections].Add(1)
		return
	}
	c := &conn{
		id: e.Conn, flow: e.Flow, role: e.Role, datagram: e.Datagram, existing: e.Existing, task: e.Owner,
		opened: e.Time.UnixNano(),
	}
	c.tcp.connect = e.ConnectDuration
	s.conns[e.Conn] = c
	if c.datagram {
		s.t.datagrams.set(c)
		return
	}
	if p := s.mirror(c); p != nil {
		c.peer, p.peer = p, c
	}
	s.flows[c.flow] = c
	if flow, ok := anyNetns(c.flow); ok {
		s.flows[flow] = c
	}
	s.pending = append(s.pending, c)
}

// adopt takes over what a second announcement of the same connection can tell.
func (c *conn) adopt(e *event.Opened) {
	if c.role == event.RoleUnknown {
		c.role = e.Role
	}
	if c.task.PID == 0 {
		c.task = e.Owner
	}
}

// anyNetns is f as it looks from another network namespace, the two joined by a veth pair. Loopback addresses are the
// namespace's own.
func anyNetns(f event.Flow) (event.Flow, bool) {
	if f.NetNS == 0 || f.Local.Addr().IsLoopback() || f.Remote.Addr().IsLoopback() {
		return f, false
	}
	f.NetNS = 0
	return f, true
}

// mirror is the other end of c on this host, nil when there is none or it belongs to an earlier use of the same ports.
func (s *Shard) mirror(c *conn) *conn {
	p, ok := s.flows[c.flow.Mirror()]
	if !ok {
		flow, far := anyNetns(c.flow)
		if !far {
			return nil
		}
		p = s.flows[flow.Mirror()]
	}
	if p == nil || p == c || p.peer != nil || p.closed && c.opened > p.closedAt {
		return nil
	}
	return p
}

// closed remembers c for a while longer.
func (s *Shard) closed(e *event.Closed) {
	c, ok := s.conns[e.Conn]
	if !ok || c.closed {
		return
	}
	c.closed, c.closedAt = true, e.Time.UnixNano()
	s.account(c, &e.Stats, e, c.closedAt)
	s.lingering = append(s.lingering, c)
}

// forget removes connections that closed long enough ago.
func (s *Shard) forget(now int64) {
	n := 0
	for n < len(s.lingering) {
		c := s.lingering[n]
		if now-c.closedAt < int64(lingering) && len(s.lingering)-n <= maxLingering {
			break
		}
		delete(s.conns, c.id)
		if s.last == c {
			s.last = nil
		}
		if c.datagram {
			s.t.datagrams.remove(c)
		}
		if s.flows[c.flow] == c {
			delete(s.flows, c.flow)
		}
		if flow, ok := anyNetns(c.flow); ok && s.flows[flow] == c {
			delete(s.flows, flow)
		}
		n++
	}
	s.lingering = drop(s.lingering, n)
}

// drop removes the first n of list, without keeping them from the garbage collector.
func drop(list []*conn, n int) []*conn {
	if n == 0 {
		return list
	}
	clear(list[:n])
	if n == len(list) {
		return list[:0]
	}
	if n < len(list)/2 {
		return list[n:] // append moves the rest when it grows
	}
	m := copy(list, list[n:])
	clear(list[m:])
	return list[:m]
}

// made is when the connection was made, or now for one that is older than capture: whoever has the address now had it then,
// as far as anybody can tell.
func (c *conn) made(now time.Time) time.Time {
	if c.existing {
		return now
	}
	return time.Unix(0, c.opened)
}

// known tells a process that the resolver knows from one that left no trace.
func known(r *labeler.Resource) bool { return r != nil && r.Kind != labeler.KindUnknown }

// remote is who the other end of c is, and whether it is watched. Of an end on this host whose process is not known, capture
// tells because it watches it.
func (s *Shard) remote(c *conn, at time.Time) (*labeler.Resource, bool) {
	if p := c.peer; p != nil && p.task.PID != 0 {
		if p.who != nil {
			return p.who, s.isWatched(p.task)
		}
		if r := s.t.resolver.Process(p.task); known(r) {
			return r, s.isWatched(p.task)
		}
	}
	if now := at.UnixNano(); c.far == nil || now >= c.farUntil || now < c.farUntil-2*int64(time.Second) {
		c.far, c.farWatched = s.t.resolver.Address(c.flow.Remote, c.flow.NetNS, c.made(at))
		if c.far == nil {
			c.far = s.unknown
		}
		c.farUntil = now + int64(time.Second)
	}
	return c.far, c.farWatched || c.peer != nil
}

func (s *Shard) isWatched(t event.Task) bool { return s.t.watched == nil || s.t.watched.Watched(t) }

// local is who is at c's own end.
func (s *Shard) local(c *conn, t event.Task, at time.Time) *labeler.Resource {
	if t.PID == 0 {
		t = c.task
	}
	if t == c.task && c.who != nil {
		return c.who
	}
	if t.PID != 0 {
		if r := s.t.resolver.Process(t); known(r) {
			return r
		}
	}
	if c.datagram {
		return s.unknown // who asked left no trace, and the port is somebody else's by now
	}
	if r, _ := s.t.resolver.Address(c.flow.Local, c.flow.NetNS, c.made(at)); r != nil {
		return r
	}
	return s.unknown
}

// NetNS is the network namespace of a connection that the shard knows; 0 when it knows none.
func (s *Shard) NetNS(id event.ConnID) uint32 {
	if c, ok := s.conns[id]; ok {
		return c.flow.NetNS
	}
	return 0
}

// Flow is the two ends of a connection that the shard knows, and when it was opened; ok false: it knows none.
func (s *Shard) Flow(id event.ConnID) (f event.Flow, opened time.Time, ok bool) {
	c, ok := s.conns[id]
	if !ok {
		return f, opened, false
	}
	return c.flow, time.Unix(0, c.opened), true
}
