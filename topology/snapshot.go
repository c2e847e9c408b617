package topology

import (
	"cmp"
	"slices"
	"time"

	"github.com/toposcope/toposcope/labeler"
)

// Snapshot is a copy of all aggregates, in no particular order. Totals count since each one's Created.
type Snapshot struct {
	Time time.Time
	// Started is when counting began.
	Started    time.Time
	Edges      []EdgeState
	Instances  []InstanceEdgeState
	Operations []OperationState
	Pairs      []PairState
	Processes  []ProcessState
	Nodes      []NodeState
	// AcceptQueues are connections that wait to be accepted, by the service that listens.
	AcceptQueues map[ServiceKey]int
	// Dropped counts what limits folded into Other, LeftOut the exchanges that are on no edge; both by reason.
	Dropped, LeftOut []ReasonCount
}

// EdgeState is an edge's totals.
type EdgeState struct {
	EdgeKey
	Type                             ConnectionType
	Created                          time.Time
	Requests, Failed, Rejected, Lost uint64
	Sent, Received                   uint64 // bytes of requests, bytes of responses
	// Waiting are those of the requests that waited for something to happen, Upkeep exchanges that are no requests; each counts
	// since its own Created, zero when there was none.
	Waiting, Upkeep               uint64
	WaitingCreated, UpkeepCreated time.Time
	ClientSeconds, ServerSeconds  HistogramState
	ClientKind, ServerKind        labeler.Kind
}

// InstanceEdgeState is an edge's totals by instance.
type InstanceEdgeState struct {
	EdgeKey
	ClientInstance, ServerInstance string
	Created                        time.Time
	Requests, Failed               uint64
}

// OperationState is an operation's latency. Resource are the values of Config.ResourceLabels, Values those of
// Metric.Labels.
type OperationState struct {
	Metric           OperationMetric
	Resource, Values []string
	Seconds          HistogramState
}

// PairState is the connections of a pair.
type PairState struct {
	PairKey
	Created                         time.Time
	Active                          int64
	Connects, Failures, Retransmits uint64
	Sent, Received                  uint64
	Connect, Accept, RTT            HistogramState
}

// ProcessState is a process with traffic that has an info series.
type ProcessState struct {
	Service  ServiceKey
	Instance string
	Resource *labeler.Resource
}

// NodeState is a node of the graph.
type NodeState struct {
	Service ServiceKey
	Kind    labeler.Kind
}

// ReasonCount counts by a reason of a closed set.
type ReasonCount struct {
	Reason string
	Count  uint64
}

// ResourceLabels are the names of the labels that OperationState.Resource has values of.
func (t *Topology) ResourceLabels() []string { return t.cfg.ResourceLabels() }

// Snapshot copies all aggregates as they are now, after removing those that have been idle for too long. It may be called
// from any goroutine.
func (t *Topology) Snapshot(now time.Time) *Snapshot {
	r := &t.registry
	r.expire(now.Add(-t.cfg.Idle))
	s := &Snapshot{Time: now, Started: t.started, AcceptQueues: t.listeners.queues(t.resolver)}
	edges, instances, operations, pairs := r.list(s)
	var arena []uint64
	for _, e := range edges {
		s.Edges = append(s.Edges, EdgeState{})
		arena = e.copyTo(&s.Edges[len(s.Edges)-1], arena)
	}
	for _, i := range instances {
		i.mu.Lock()
		s.Instances = append(s.Instances, InstanceEdgeState{
			EdgeKey: EdgeKey{i.Client, i.Server, i.Protocol}, ClientInstance: i.ClientInstance,
			ServerInstance: i.ServerInstance, Created: i.created, Requests: i.requests, Failed: i.failed,
		})
		i.mu.Unlock()
	}
	for _, o := range operations {
		st := OperationState{Metric: o.metric, Resource: o.resource, Values: o.values[:len(o.fields())]}
		o.mu.Lock()
		st.Seconds, arena = o.seconds.state(o.created, arena)
		o.mu.Unlock()
		s.Operations = append(s.Operations, st)
	}
	for _, p := range pairs {
		s.Pairs = append(s.Pairs, PairState{})
		arena = p.copyTo(&s.Pairs[len(s.Pairs)-1], arena)
	}
	s.Nodes = nodesOf(s.Edges)
	for i := range t.leftOut {
		s.LeftOut = append(s.LeftOut, ReasonCount{leftOut(i).String(), t.leftOut[i].Load()})
	}
	s.Dropped[dropRoutes].Count = t.routes.Overflowed()
	return s
}

// list names all aggregates, and copies what the registry's lock guards.
func (r *registry) list(s *Snapshot) (e []*edge, i []*instanceEdge, o []*operation, p []*pair) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.edges {
		e = append(e, v)
	}
	for _, v := range r.byInstance {
		i = append(i, v)
	}
	for _, v := range r.operations {
		o = append(o, v)
	}
	for _, v := range r.pairs {
		p = append(p, v)
	}
	s.Processes = r.shown()
	for reason, n := range r.dropped {
		s.Dropped = append(s.Dropped, ReasonCount{dropReason(reason).String(), n})
	}
	return e, i, o, p
}

func (e *edge) copyTo(s *EdgeState, arena []uint64) []uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	*s = EdgeState{
		EdgeKey: EdgeKey{e.Client, e.Server, e.Protocol}, Type: e.Type, Created: e.created,
		Requests: e.requests, Failed: e.failed, Rejected: e.rejected, Lost: e.lost, Sent: e.sent, Received: e.received,
		ClientKind: e.clientKind, ServerKind: e.serverKind,
		Waiting: e.waiting.n, WaitingCreated: e.waiting.created, Upkeep: e.upkeep.n, UpkeepCreated: e.upkeep.created,
	}
	s.ClientSeconds, arena = e.client.state(e.client.created, arena)
	s.ServerSeconds, arena = e.server.state(e.server.created, arena)
	return arena
}

func (p *pair) copyTo(s *PairState, arena []uint64) []uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	*s = PairState{
		PairKey: p.PairKey, Created: p.created, Active: p.active, Connects: p.connects, Failures: p.failures,
		Retransmits: p.retransmits, Sent: p.sent, Received: p.received,
	}
	s.Connect, arena = p.connect.state(p.connect.created, arena)
	s.Accept, arena = p.accept.state(p.accept.created, arena)
	s.RTT, arena = p.rtt.state(p.rtt.created, arena)
	return arena
}

// nodesOf are the ends of edges. Where one name was met as two kinds, the one that tells more stands.
func nodesOf(edges []EdgeState) []NodeState {
	kinds := map[ServiceKey]labeler.Kind{}
	put := func(k ServiceKey, kind labeler.Kind) {
		kinds[k] = labeler.Kind(StrongerKind(string(kinds[k]), string(kind)))
	}
	for i := range edges {
		put(edges[i].Client, edges[i].ClientKind)
		put(edges[i].Server, edges[i].ServerKind)
	}
	out := make([]NodeState, 0, len(kinds))
	for k, kind := range kinds {
		out = append(out, NodeState{k, kind})
	}
	slices.SortFunc(out, func(a, b NodeState) int {
		return cmp.Or(cmp.Compare(a.Service.Namespace, b.Service.Namespace), cmp.Compare(a.Service.Name, b.Service.Name))
	})
	return out
}

// StrongerKind is the kind of the two that tells more: agents may know different things of one name.
func StrongerKind(a, b string) string {
	order := []string{
		string(labeler.KindUnknown), string(labeler.KindExternal), string(labeler.KindHost), string(labeler.KindService),
		string(labeler.KindWorkload),
	}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}
