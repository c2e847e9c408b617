package topology

import (
	"cmp"
	"slices"
)

// EdgeTotals is what one edge did within a window.
type EdgeTotals struct {
	EdgeKey
	Requests, Failed, Rejected, Lost float64
	// Waiting are some of Requests, Upkeep are none of them.
	Waiting, Upkeep          float64
	SentBytes, ReceivedBytes float64
	// Client and Server are the latencies seen at each end; nil or empty where that end was not watched.
	ClientSeconds, ServerSeconds *Distribution
}

// Active says whether anything happened on e.
func (e *EdgeTotals) Active() bool { return e.Requests > 0 || e.Lost > 0 || e.Upkeep > 0 }

// Latency is the one that pages show: the client's where it was seen, since that is what the caller waits for, else the
// server's.
func (e *EdgeTotals) Latency() *Distribution {
	if e.ClientSeconds != nil && e.ClientSeconds.Count > 0 {
		return e.ClientSeconds
	}
	return e.ServerSeconds
}

// add merges o, an edge of the same key, into e.
func (e *EdgeTotals) add(o *EdgeTotals) {
	e.Requests += o.Requests
	e.Failed += o.Failed
	e.Rejected += o.Rejected
	e.Lost += o.Lost
	e.Waiting += o.Waiting
	e.Upkeep += o.Upkeep
	e.SentBytes += o.SentBytes
	e.ReceivedBytes += o.ReceivedBytes
	e.ClientSeconds = sum(e.ClientSeconds, o.ClientSeconds)
	e.ServerSeconds = sum(e.ServerSeconds, o.ServerSeconds)
}

// sum adds b to a, which it owns.
func sum(a, b *Distribution) *Distribution {
	if b == nil || b.Count == 0 {
		return a
	}
	if a == nil {
		a = &Distribution{}
	}
	a.Add(b)
	return a
}

// NodeFacts is what is known of a node beside its traffic.
type NodeFacts struct {
	Kind      string
	Instances []Instance
}

// PairKey names all connections from a client to a server.
type PairKey struct{ Client, Server ServiceKey }

// Totals is all that happened within a window, from which Build makes the graph. The same type is filled from live
// aggregates and from stored series.
type Totals struct {
	Window      Window
	Edges       []EdgeTotals
	Retransmits map[PairKey]float64
	// Nodes has an entry for each node that was known within the window, with traffic or without.
	Nodes map[ServiceKey]NodeFacts
}

// Build makes the graph of t: nodes in the order of their ids, edges in the order of client, server and protocol. A node's
// numbers are the sums over all edges that lead to it; an edge on which nothing happened is left out.
func Build(t *Totals) *Graph {
	edges := merged(t.Edges)
	nodes := map[ServiceKey]*served{}
	for key := range t.Nodes {
		nodes[key] = &served{}
	}
	at := func(k ServiceKey) *served {
		n, ok := nodes[k]
		if !ok {
			n = &served{}
			nodes[k] = n
		}
		return n
	}
	g := &Graph{Window: t.Window, Nodes: make([]Node, 0, len(nodes)), Edges: make([]Edge, 0, len(edges))}
	seconds := t.Window.Seconds()
	ids := map[ServiceKey]string{}
	id := func(k ServiceKey) string {
		s, ok := ids[k]
		if !ok {
			s = k.ID()
			ids[k] = s
		}
		return s
	}
	for _, e := range edges {
		if !e.Active() {
			continue
		}
		at(e.Client).made = true
		at(e.Server).add(e)
		g.Edges = append(g.Edges, e.edge(seconds, id, t.Retransmits[PairKey{e.Client, e.Server}]))
	}
	for key, n := range nodes {
		g.Nodes = append(g.Nodes, n.node(key, id(key), t.Nodes[key], seconds))
	}
	slices.SortFunc(g.Nodes, func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(g.Edges, func(a, b Edge) int {
		return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.Server, b.Server), cmp.Compare(a.Protocol, b.Protocol))
	})
	return g
}

// merged sums edges of the same key. Latencies of edges that stand alone are shared with the input, others are not.
func merged(in []EdgeTotals) []*EdgeTotals {
	byKey := make(map[EdgeKey]*EdgeTotals, len(in))
	out := make([]*EdgeTotals, 0, len(in))
	for i := range in {
		e, ok := byKey[in[i].EdgeKey]
		switch {
		case !ok:
			byKey[in[i].EdgeKey] = &in[i]
			out = append(out, &in[i])
		default:
			e.add(&in[i])
		}
	}
	return out
}

// served collects what a node served.
type served struct {
	requests, failed, rejected float64
	latency                    Distribution
	made                       bool
}

func (n *served) add(e *EdgeTotals) {
	n.requests += e.Requests
	n.failed += e.Failed
	n.rejected += e.Rejected
	n.latency.Add(e.Latency())
}

func (n *served) node(k ServiceKey, id string, facts NodeFacts, seconds float64) Node {
	q := n.latency.Quantiles()
	out := Node{
		ID: id, Name: k.Name, Namespace: k.Namespace, Kind: facts.Kind,
		RequestsPerSecond: perSecond(n.requests, seconds),
		FailedRatio:       ratio(n.failed, n.requests),
		RejectedRatio:     ratio(n.rejected, n.requests),
		P50Seconds:        q.P50Seconds, P95Seconds: q.P95Seconds, P99Seconds: q.P99Seconds,
		Health:    n.health(),
		Instances: slices.Clone(facts.Instances),
	}
	if out.Kind == "" {
		out.Kind = "unknown"
	}
	if out.Instances == nil {
		out.Instances = []Instance{}
	}
	slices.SortFunc(out.Instances, compareInstances)
	return out
}

func (n *served) health() Health {
	switch {
	case n.requests == 0 && n.made:
		return HealthOK
	case n.requests == 0:
		return HealthIdle
	case n.failed >= 0.05*n.requests:
		return HealthCritical
	case n.failed >= 0.01*n.requests:
		return HealthWarning
	default:
		return HealthOK
	}
}

func (e *EdgeTotals) edge(seconds float64, id func(ServiceKey) string, retransmits float64) Edge {
	q := e.Latency().Quantiles()
	client, server := id(e.Client), id(e.Server)
	return Edge{
		ID: client + edgeSeparator + server + edgeSeparator + escape(e.Protocol), Client: client, Server: server,
		Protocol:          e.Protocol,
		RequestsPerSecond: perSecond(e.Requests, seconds),
		FailedRatio:       ratio(e.Failed, e.Requests),
		RejectedRatio:     ratio(e.Rejected, e.Requests),
		P50Seconds:        q.P50Seconds, P95Seconds: q.P95Seconds, P99Seconds: q.P99Seconds,
		SentBytesPerSecond:     perSecond(e.SentBytes, seconds),
		ReceivedBytesPerSecond: perSecond(e.ReceivedBytes, seconds),
		RetransmitsPerSecond:   perSecond(retransmits, seconds),
		WaitingPerSecond:       perSecond(e.Waiting, seconds),
		UpkeepPerSecond:        perSecond(e.Upkeep, seconds),
		Lost:                   e.Lost,
	}
}

// Edge is the edge called k, and the latency at each of its ends; ok is false when t does not have it. Unlike Build it also
// finds an edge that stood still.
func (t *Totals) Edge(k EdgeKey) (edge Edge, client, server *Quantiles, ok bool) {
	for _, e := range merged(t.Edges) {
		if e.EdgeKey != k {
			continue
		}
		edge = e.edge(t.Window.Seconds(), ServiceKey.ID, t.Retransmits[PairKey{k.Client, k.Server}])
		return edge, seen(e.ClientSeconds), seen(e.ServerSeconds), true
	}
	return Edge{}, nil, nil, false
}

func seen(d *Distribution) *Quantiles {
	if d == nil || d.Count == 0 {
		return nil
	}
	q := d.Quantiles()
	return &q
}

// PointOf sums edges up over w, one step of a page.
func PointOf(w Window, edges []EdgeTotals) Point {
	var n served
	for i := range edges {
		n.add(&edges[i])
	}
	q := n.latency.Quantiles()
	return Point{
		Time: w.End, RequestsPerSecond: perSecond(n.requests, w.Seconds()),
		FailedRatio: ratio(n.failed, n.requests), RejectedRatio: ratio(n.rejected, n.requests),
		P50Seconds: q.P50Seconds, P95Seconds: q.P95Seconds, P99Seconds: q.P99Seconds,
	}
}

func perSecond(n, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return n / seconds
}

// ratio is part of whole, nil where there is no whole.
func ratio(part, whole float64) *float64 {
	if whole <= 0 {
		return nil
	}
	r := part / whole
	return &r
}

func compareInstances(a, b Instance) int {
	return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Container, b.Container),
		cmp.Compare(a.SystemdUnit, b.SystemdUnit), cmp.Compare(a.Process, b.Process), cmp.Compare(a.PID, b.PID))
}
