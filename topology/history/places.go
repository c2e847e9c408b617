package history

import (
	"context"

	"github.com/toposcope/toposcope/topology"
)

func byInstance(g Group) bool { return g == ByNode || g == ByPod || g == ByProcess }

// instanceKey names an instance of a service.
type instanceKey struct {
	topology.ServiceKey
	instance string
}

// process is what a process's info series tells.
type process struct {
	instanceKey
	topology.Instance
	kind string
}

// places knows the nodes of a window and which of them each end of an edge belongs to, by the grouping asked for.
type places struct {
	group     Group
	kinds     map[topology.ServiceKey]string // of services
	seen      map[topology.ServiceKey]bool   // services with an info sample in the window itself
	processes []process
	byID      map[instanceKey]*process
}

// readPlaces reads the info series. Samples from before the window tell what a node is, too, but only one within it makes
// a node without traffic appear.
func (h *History) readPlaces(ctx context.Context, q *Query) (places, error) {
	p := places{
		group: q.Group, kinds: map[topology.ServiceKey]string{}, seen: map[topology.ServiceKey]bool{},
		byID: map[instanceKey]*process{},
	}
	from := q.Window.Start.Add(-h.opt.Lookback)
	err := h.source.Select(ctx, topology.MetricNodeInfo, nil, from, q.Window.End, func(s *Series) error {
		key := serviceKey(s.Labels)
		p.kinds[key] = topology.StrongerKind(p.kinds[key], s.Labels[topology.LabelKind])
		if s.Samples[len(s.Samples)-1].Time.After(q.Window.Start) {
			p.seen[key] = true
		}
		return nil
	})
	if err != nil {
		return p, err
	}
	err = h.source.Select(ctx, topology.MetricProcessInfo, nil, from, q.Window.End, func(s *Series) error {
		l := s.Labels
		key := serviceKey(l)
		p.kinds[key] = topology.StrongerKind(p.kinds[key], l[topology.LabelKind])
		if !s.Samples[len(s.Samples)-1].Time.After(q.Window.Start) {
			return nil
		}
		p.processes = append(p.processes, process{
			instanceKey: instanceKey{key, l[topology.LabelServiceInstance]}, kind: l[topology.LabelKind],
			Instance: topology.Instance{
				PID: pid(l[topology.LabelPID]), Process: l[topology.LabelExecutable], Pod: l[topology.LabelK8sPod],
				Container:   first(l[topology.LabelK8sContainer], l[topology.LabelContainer]),
				Node:        first(l[topology.LabelK8sNode], l[topology.LabelHost]),
				SystemdUnit: l[topology.LabelUnit],
			},
		})
		return nil
	})
	for i := range p.processes {
		p.byID[p.processes[i].instanceKey] = &p.processes[i]
	}
	return p, err
}

func serviceKey(l map[string]string) topology.ServiceKey {
	return topology.ServiceKey{Namespace: l[topology.LabelServiceNamespace], Name: l[topology.LabelServiceName]}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// edge is the key, in p's grouping, of the edge that a series with these labels belongs to.
func (p *places) edge(l map[string]string) topology.EdgeKey {
	client := topology.ServiceKey{Namespace: l[topology.LabelClientNamespace], Name: l[topology.LabelClient]}
	server := topology.ServiceKey{Namespace: l[topology.LabelServerNamespace], Name: l[topology.LabelServer]}
	return topology.EdgeKey{
		Client:   p.node(instanceKey{client, l[topology.LabelClientInstance]}),
		Server:   p.node(instanceKey{server, l[topology.LabelServerInstance]}),
		Protocol: l[topology.LabelProtocol],
	}
}

// node is the node that an instance belongs to. What can't be told apart keeps its service's name.
func (p *places) node(k instanceKey) topology.ServiceKey {
	switch p.group {
	case ByNamespace:
		if k.Namespace == "" {
			return topology.ServiceKey{Name: "(none)"}
		}
		return topology.ServiceKey{Name: k.Namespace}
	case ByNode:
		if at, ok := p.byID[k]; ok && at.Node != "" {
			return topology.ServiceKey{Name: at.Node}
		}
	case ByPod:
		if at, ok := p.byID[k]; ok && at.Pod != "" {
			return topology.ServiceKey{Namespace: k.Namespace, Name: at.Pod}
		}
	case ByProcess:
		if k.instance != "" {
			return topology.ServiceKey{Namespace: k.Namespace, Name: k.instance}
		}
	}
	return k.ServiceKey
}

// facts lists the nodes of the window: those with an info sample in it and the ends of edges.
func (p *places) facts(ends map[topology.ServiceKey]bool) map[topology.ServiceKey]topology.NodeFacts {
	out := map[topology.ServiceKey]topology.NodeFacts{}
	put := func(key topology.ServiceKey, kind string) {
		f := out[key]
		f.Kind = topology.StrongerKind(f.Kind, kind)
		out[key] = f
	}
	for i := range p.processes {
		at := &p.processes[i]
		key := p.node(at.instanceKey)
		kind := at.kind
		if p.group == ByNode {
			kind = "host"
		}
		put(key, kind)
		f := out[key]
		f.Instances = append(f.Instances, at.Instance)
		out[key] = f
	}
	for key, kind := range p.kinds {
		if !byInstance(p.group) {
			if node := p.node(instanceKey{ServiceKey: key}); p.seen[key] || ends[node] {
				put(node, kind)
			}
		} else if ends[key] {
			put(key, kind)
		}
	}
	return out
}
