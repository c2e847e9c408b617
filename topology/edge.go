package topology

import (
	"sync"
	"time"

	"github.com/toposcope/toposcope/labeler"
)

// edgeID names an edge's series.
type edgeID struct {
	Client, Server ServiceKey
	Type           ConnectionType
	Protocol       string
}

// edge aggregates the calls of one client to one server.
type edge struct {
	edgeID
	clientKind, serverKind labeler.Kind
	created                time.Time

	mu                         sync.Mutex
	gone                       bool
	last                       int64 // Unix nanoseconds
	cost                       int
	requests, failed, rejected uint64
	lost                       uint64
	sent, received             uint64
	waiting, upkeep            rare
	client, server             timed
}

// rare is a counter that most edges never need: its series begins with the first event.
type rare struct {
	n       uint64
	created time.Time
}

// count adds one; cost is the number of series that it needs more.
func (r *rare) count(at time.Time) (cost int) {
	if r.n++; r.n > 1 {
		return 0
	}
	r.created = startOf(at)
	return 1
}

// expire marks e as gone when nothing happened since before.
func (e *edge) expire(before int64) (cost int, gone bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gone = e.last < before
	return e.cost, e.gone
}

// instanceEdgeID names an edge's series by instance.
type instanceEdgeID struct {
	Client, Server                 ServiceKey
	ClientInstance, ServerInstance string
	Protocol                       string
}

// instanceEdge counts the calls of one instance to another.
type instanceEdge struct {
	instanceEdgeID
	created time.Time

	mu               sync.Mutex
	gone             bool
	last             int64
	requests, failed uint64
}

// count adds one request; false when e has been removed.
func (e *instanceEdge) count(failed bool, at int64) bool {
	e.mu.Lock()
	gone := e.gone
	if !gone {
		e.requests++
		if failed {
			e.failed++
		}
		e.last = max(e.last, at)
	}
	e.mu.Unlock()
	return !gone
}

func (e *instanceEdge) expire(before int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gone = e.last < before
	return e.gone
}

// startOf is the start time of a series whose first event is at t. It lies just before, since a series is zero at its
// start, and is cut to the stores' milliseconds.
func startOf(t time.Time) time.Time { return t.Add(-time.Millisecond).Truncate(time.Millisecond) }

// edge finds or makes the edge between two ends, folding them where a limit is reached.
func (r *registry) edge(client, server *labeler.Resource, t ConnectionType, protocol string, at time.Time) *edge {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := edgeID{Type: t, Protocol: protocol}
	id.Client, id.Server = r.admit(keyOf(client), keyOf(server))
	if e, ok := r.edges[id]; ok {
		return e
	}
	clientKind, serverKind := kindOf(client, id.Client), kindOf(server, id.Server)
	cost := edgeSeries
	if !r.take(cost) {
		id = edgeID{Client: otherKey, Server: otherKey, Protocol: protocol}
		clientKind, serverKind, cost = labeler.KindUnknown, labeler.KindUnknown, 0
		if e, ok := r.edges[id]; ok {
			return e
		}
	}
	e := &edge{edgeID: id, clientKind: clientKind, serverKind: serverKind, created: startOf(at), last: at.UnixNano(), cost: cost}
	r.edges[id] = e
	r.meet(id.Client, id.Server)
	return e
}

func kindOf(res *labeler.Resource, key ServiceKey) labeler.Kind {
	if key == otherKey || res.Kind == "" {
		return labeler.KindUnknown
	}
	return res.Kind
}

// instanceEdge finds or makes the edge e by instance; nil when these series are switched off or one too many.
func (r *registry) instanceEdge(e *edge, client, server *labeler.Resource, at time.Time) *instanceEdge {
	if !r.instances {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.instanceEdgeOf(instanceEdgeID{
		Client: e.Client, Server: e.Server, Protocol: e.Protocol,
		ClientInstance: r.instance(e.Client, client.InstanceID),
		ServerInstance: r.instance(e.Server, server.InstanceID),
	}, at)
}

// revive is a fresh start for i, which was removed for having been idle.
func (r *registry) revive(i *instanceEdge, at int64) *instanceEdge {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.instanceEdgeOf(i.instanceEdgeID, time.Unix(0, at))
}

func (r *registry) instanceEdgeOf(id instanceEdgeID, at time.Time) *instanceEdge {
	if i, ok := r.byInstance[id]; ok {
		return i
	}
	if !r.take(instanceSeries) {
		return nil
	}
	i := &instanceEdge{instanceEdgeID: id, created: startOf(at), last: at.UnixNano()}
	r.byInstance[id] = i
	return i
}
