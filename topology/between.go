package topology

// Between is the graph of what happened after the snapshot a and until b; a nil counts from the beginning. It is the live
// counterpart of history.Graph.
func Between(a, b *Snapshot) *Graph {
	t := &Totals{
		Window: Window{End: b.Time, Start: b.Started}, Retransmits: map[PairKey]float64{},
		Nodes: map[ServiceKey]NodeFacts{},
	}
	if a == nil {
		a = &Snapshot{Time: b.Started}
	}
	t.Window.Start = a.Time
	type edgeID struct {
		EdgeKey
		t ConnectionType
	}
	before := make(map[edgeID]*EdgeState, len(a.Edges))
	for i := range a.Edges {
		before[edgeID{a.Edges[i].EdgeKey, a.Edges[i].Type}] = &a.Edges[i]
	}
	for i := range b.Edges {
		e := &b.Edges[i]
		old := before[edgeID{e.EdgeKey, e.Type}]
		if old == nil || !old.Created.Equal(e.Created) {
			old = &EdgeState{}
		}
		t.Edges = append(t.Edges, e.since(old))
	}
	retransmits := make(map[PairKey]*PairState, len(a.Pairs))
	for i := range a.Pairs {
		retransmits[a.Pairs[i].PairKey] = &a.Pairs[i]
	}
	for i := range b.Pairs {
		p := &b.Pairs[i]
		n := p.Retransmits
		if old := retransmits[p.PairKey]; old != nil && old.Created.Equal(p.Created) {
			n -= old.Retransmits
		}
		t.Retransmits[p.PairKey] += float64(n)
	}
	for _, n := range b.Nodes {
		t.Nodes[n.Service] = NodeFacts{Kind: string(n.Kind)}
	}
	for _, p := range b.Processes {
		f := t.Nodes[p.Service]
		f.Kind = StrongerKind(f.Kind, string(p.Resource.Kind))
		f.Instances = append(f.Instances, p.instance())
		t.Nodes[p.Service] = f
	}
	return Build(t)
}

func (e *EdgeState) since(old *EdgeState) EdgeTotals {
	return EdgeTotals{
		EdgeKey: e.EdgeKey, Requests: float64(e.Requests - old.Requests), Failed: float64(e.Failed - old.Failed),
		Rejected: float64(e.Rejected - old.Rejected), Lost: float64(e.Lost - old.Lost),
		Waiting: float64(e.Waiting - old.Waiting), Upkeep: float64(e.Upkeep - old.Upkeep),
		SentBytes: float64(e.Sent - old.Sent), ReceivedBytes: float64(e.Received - old.Received),
		ClientSeconds: e.ClientSeconds.Distribution().Since(old.ClientSeconds.Distribution()),
		ServerSeconds: e.ServerSeconds.Distribution().Since(old.ServerSeconds.Distribution()),
	}
}

func (p *ProcessState) instance() Instance {
	r := p.Resource
	return Instance{
		PID: r.PID, Process: r.Executable, Pod: r.K8sPod,
		Container: nonEmpty(r.K8sContainer, r.ContainerName), Node: nonEmpty(r.K8sNode, r.Host),
		SystemdUnit: r.Unit,
	}
}

func nonEmpty(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
