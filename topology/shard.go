package topology

import (
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/topology/route"
)

var _ protocol.Sink = (*Shard)(nil)

// Shard takes the events and exchanges of the connections that one goroutine owns. Exchange and Gap are a
// protocol.Tracker's calls; whether Handle or the Tracker sees an event first does not matter.
type Shard struct {
	t       *Topology
	unknown *labeler.Resource

	conns map[event.ConnID]*conn
	last  *conn // the one that was asked for last: a segment is followed by its exchange
	// flows finds an end by its addresses: with its network namespace and, unless on loopback, also with none.
	flows     map[event.Flow]*conn
	pending   []*conn // not yet bound to connection series, oldest first
	lingering []*conn // closed, oldest first

	// Memories of what the registry answered, emptied now and then so that what is gone can go.
	edges      map[edgeRefKey]*edgeRef
	operations map[operationRefKey]*operation
	pairs      map[resourcePair]*pair
	strings    map[string]string
	recent     [recentOperations]recentOperation // the last ones, found without hashing their labels
	cleared    int64
	now        int64
}

// memory bounds each of the memories, keepMemory is for how long they last.
const (
	memory     = 1 << 16
	keepMemory = 5 * time.Minute
)

// edgeRef is what a shard needs to count a call on an edge.
type edgeRef struct {
	edge           *edge
	instance       *instanceEdge
	client, server *process // info series, nil: none
	routes         *route.Service
}

type edgeRefKey struct {
	client, server *labeler.Resource
	spec           *protocol.Spec
}

// operationRefKey holds interned strings only, but compares them by content.
type operationRefKey struct {
	resource *labeler.Resource
	metric   OperationMetric
	values   [maxFields]string
}

func newShard(t *Topology) *Shard {
	return &Shard{
		t: t, unknown: &labeler.Resource{Name: "unknown", Kind: labeler.KindUnknown},
		conns: map[event.ConnID]*conn{}, flows: map[event.Flow]*conn{},
		edges: map[edgeRefKey]*edgeRef{}, operations: map[operationRefKey]*operation{},
		pairs: map[resourcePair]*pair{}, strings: map[string]string{},
	}
}

// Handle takes an event. It keeps nothing of it.
func (s *Shard) Handle(ev event.Event) {
	switch e := ev.(type) {
	case *event.Segment:
		if c := s.conn(e.Conn); c != nil && e.Task.PID != 0 {
			if c.datagram && c.task != e.Task {
				c.task = e.Task
				s.t.datagrams.set(c)
			}
			c.task, c.who = e.Task, nil
			if r := s.processAt(e.Task, e.Time); known(r) {
				c.who = r // now: it may become another program before its exchange is known
			}
		}
	case *event.Opened:
		s.Tick(e.Time)
		s.opened(e)
	case *event.Accepted:
		s.accepted(e)
	case *event.Closed:
		s.Tick(e.Time)
		s.closed(e)
	case *event.ConnectFailed:
		s.connectFailed(e)
	case *event.Stats:
		s.Tick(e.Time)
		if c, ok := s.conns[e.Conn]; ok && !c.closed {
			s.account(c, e, nil, e.Time.UnixNano())
		}
	case *event.Listening:
		s.t.listeners.handle(e)
	}
}

// conn is the connection of that number; nil when it is not known.
func (s *Shard) conn(id event.ConnID) *conn {
	if c := s.last; c != nil && c.id == id {
		return c
	}
	c := s.conns[id]
	if c != nil {
		s.last = c
	}
	return c
}

func (s *Shard) processAt(t event.Task, at time.Time) *labeler.Resource {
	if s.t.history != nil {
		return s.t.history.ProcessAt(t, at)
	}
	return s.t.resolver.Process(t)
}

// Tick does what time alone calls for: it counts connections that have been quiet since they were opened and forgets
// closed ones. Events do the same; a goroutine that has none should call it about once a second.
func (s *Shard) Tick(now time.Time) {
	n := now.UnixNano()
	if n <= s.now {
		return
	}
	s.now = n
	s.bindPending(n)
	s.forget(n)
	if n-s.cleared > int64(keepMemory) {
		s.cleared = n
		clear(s.edges)
		clear(s.operations)
		clear(s.recent[:])
		clear(s.pairs)
		clear(s.strings)
	}
}

// Gap counts n exchanges that are known to be missed on a connection's edge, by the rule of sides: two ends that miss the
// same exchange are one gap.
func (s *Shard) Gap(id event.ConnID, name string, n uint64) {
	c, ok := s.conns[id]
	if !ok || c.role == event.RoleUnknown || name == "" && c.memo.spec == nil {
		return
	}
	at := time.Unix(0, s.now)
	spec := c.memo.spec
	if spec == nil {
		if spec = s.t.specOf(name); spec == nil {
			return
		}
	}
	client, server, owned := s.gapEnds(c, at)
	if !owned {
		return
	}
	for {
		ref := s.ref(c, client, server, spec, at)
		e := ref.edge
		e.mu.Lock()
		gone := e.gone
		if !gone {
			e.lost += n
			e.last = max(e.last, at.UnixNano())
		}
		e.mu.Unlock()
		if !gone {
			return
		}
		s.dropRef(c, client, server, spec)
	}
}

// gapEnds are the ends of the edge on which c misses exchanges; owned: it is this end that counts them. A datagram socket has
// many edges: the last one's it is.
func (s *Shard) gapEnds(c *conn, at time.Time) (client, server *labeler.Resource, owned bool) {
	if c.datagram {
		return c.memo.client, c.memo.server, c.memo.ref != nil
	}
	local := s.local(c, c.task, at)
	remote, watched := s.remote(c, at)
	if local.Self || remote.Self || c.role == event.RoleServer && watched {
		return nil, nil, false
	}
	if c.role == event.RoleServer {
		return remote, local, true
	}
	return local, remote, true
}

// intern gives b as a string, without allocating for one that was met before.
func (s *Shard) intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > maxValue {
		b = b[:maxValue]
	}
	if v, ok := s.strings[string(b)]; ok {
		return v
	}
	if len(s.strings) >= memory {
		clear(s.strings)
	}
	v := string(b)
	s.strings[v] = v
	return v
}
