package topology

import (
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
)

// tcpState is what the connection series need of one end.
type tcpState struct {
	pair *pair
	// counts is set at the end that the connection is counted by, active while it is in the gauge.
	counts, active bool
	// ignored is an end that is Toposcope's own or not watched.
	ignored bool
	connect time.Duration
	// Totals that have been booked.
	sent, received, retransmits uint64
}

// bindAfter is how long a connection may wait for its other end to be known before its series are chosen.
const bindAfter = time.Second

// bind chooses the series of c, once its role is known. The connection is counted by the client's end where that is
// watched, else by the server's; whichever end was bound first keeps it. Labels are those known at that moment and stay.
func (s *Shard) bind(c *conn, at time.Time) {
	t := &c.tcp
	if c.datagram || t.pair != nil || t.ignored || c.role == event.RoleUnknown {
		return
	}
	local := s.local(c, c.task, at)
	remote, watched := s.remote(c, at)
	if local.Self || remote.Self || c.task.PID != 0 && known(local) && !s.isWatched(c.task) {
		t.ignored = true
		return
	}
	client, server := local, remote
	if c.role == event.RoleServer {
		client, server = remote, local
	}
	if p := c.peer; p != nil && p.tcp.pair != nil {
		t.pair = p.tcp.pair // one name for both ends
	} else {
		t.pair = s.pairFor(client, server, at)
	}
	t.counts = (c.role == event.RoleClient || !watched) && (c.peer == nil || !c.peer.tcp.counts)
	s.update(&t.pair, at, func(p *pair) (cost int) {
		if t.counts {
			if !c.existing {
				p.connects++
			}
			if !c.closed {
				p.active++
				t.active = true
			}
		}
		if t.connect > 0 {
			cost = p.connect.observe(t.connect, at)
		}
		return cost
	})
}

// pairKey is a shard's name for a pair.
type resourcePair struct{ client, server *labeler.Resource }

func (s *Shard) pairFor(client, server *labeler.Resource, at time.Time) *pair {
	k := resourcePair{client, server}
	if p, ok := s.pairs[k]; ok {
		return p
	}
	p := s.t.registry.pair(client, server, at)
	s.pairs[k] = p
	return p
}

// update changes a pair under its lock, found again when it was removed for having been idle.
func (s *Shard) update(at **pair, now time.Time, change func(*pair) (cost int)) {
	for {
		p := *at
		p.mu.Lock()
		if !p.gone {
			cost := change(p)
			p.cost += cost
			p.last = max(p.last, now.UnixNano())
			p.mu.Unlock()
			s.t.registry.series.Add(int64(cost))
			return
		}
		p.mu.Unlock()
		clear(s.pairs)
		*at = s.t.registry.pairOf(p.PairKey, now)
	}
}

// account books what the kernel's totals of c grew by; e is not nil at the end of the connection.
func (s *Shard) account(c *conn, st *event.Stats, e *event.Closed, nanos int64) {
	at := time.Unix(0, nanos)
	s.bind(c, at)
	t := &c.tcp
	if t.pair == nil {
		return
	}
	sent, received := st.Sent, st.Received
	if e != nil { // a way of capture without the kernel's totals still knows the offsets
		sent, received = max(sent, e.Sent), max(received, e.Received)
	}
	ds, dr := grown(&t.sent, sent), grown(&t.received, received)
	retransmits := grown(&t.retransmits, st.Retransmits)
	if c.role == event.RoleServer {
		ds, dr = dr, ds
	}
	s.update(&t.pair, at, func(p *pair) (cost int) {
		p.retransmits += retransmits // each end resends its own
		if t.counts {
			p.sent += ds
			p.received += dr
			if st.RTT > 0 {
				cost = p.rtt.observe(st.RTT, at)
			}
		}
		if e != nil && t.active {
			p.active--
			t.active = false
		}
		return cost
	})
}

// grown books a total and returns by how much it is more than what was.
func grown(booked *uint64, total uint64) uint64 {
	if total <= *booked {
		return 0
	}
	d := total - *booked
	*booked = total
	return d
}

// accepted is the moment at which both ends are known.
func (s *Shard) accepted(e *event.Accepted) {
	c, ok := s.conns[e.Conn]
	if !ok {
		return
	}
	if e.Task.PID != 0 {
		c.task = e.Task
	}
	if c.role == event.RoleUnknown {
		c.role = event.RoleServer
	}
	if c.peer != nil {
		s.bind(c.peer, e.Time)
	}
	s.bind(c, e.Time)
	if e.Wait < 0 || c.tcp.pair == nil {
		return
	}
	s.update(&c.tcp.pair, e.Time, func(p *pair) int { return p.accept.observe(e.Wait, e.Time) })
}

func (s *Shard) connectFailed(e *event.ConnectFailed) {
	c := conn{flow: e.Flow, role: event.RoleClient, task: e.Task, opened: e.Time.UnixNano()}
	client := s.local(&c, e.Task, e.Time)
	server, _ := s.remote(&c, e.Time)
	if client.Self || server.Self {
		return
	}
	p := s.pairFor(client, server, e.Time)
	s.update(&p, e.Time, func(p *pair) int {
		p.failures++
		return 0
	})
}

// bindPending binds connections whose other end has had its time to show.
func (s *Shard) bindPending(now int64) {
	n := 0
	for n < len(s.pending) && now-s.pending[n].opened >= int64(bindAfter) {
		s.bind(s.pending[n], time.Unix(0, now))
		n++
	}
	s.pending = drop(s.pending, n)
}
