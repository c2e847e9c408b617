package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/toposcope/toposcope/topology"
)

// ErrNotFound says that no series within the window belongs to the id that was asked for.
var ErrNotFound = errors.New("not found in the window")

// ErrBadQuery wraps what is wrong with a Query.
var ErrBadQuery = errors.New("bad query")

// Group is what one node of a graph stands for.
type Group string

// Groups. Node (a machine), pod and process are told apart by the instance series, which carry no latency: their
// quantiles are null.
const (
	ByService   Group = "service"
	ByNamespace Group = "namespace"
	ByNode      Group = "node"
	ByPod       Group = "pod"
	ByProcess   Group = "process"
)

// Query says which graph is wanted. The zero value of a field asks for everything.
type Query struct {
	Window topology.Window
	// Namespace keeps the edges with an end in that namespace, and their nodes.
	Namespace string
	// Focus is a node's id; nodes more than Depth (default 1) edges away from it are left out.
	Focus string
	Depth int
	// Protocol keeps the edges of that protocol; a node's numbers are then of that protocol too.
	Protocol string
	// FailedOnly keeps the edges that had a failed request, and their nodes.
	FailedOnly bool
	// Group defaults to ByService.
	Group Group
}

// Options tune a History. The zero value means the defaults.
type Options struct {
	// Lookback is how old a sample may be to count as the value at the start of a window. Default 5 minutes.
	Lookback time.Duration
	// Interval is how often series are written; a step of a detail page is never shorter. Default 15 s.
	Interval time.Duration
	// Points is how many steps a detail page has at most. Default 60.
	Points int
}

// History computes graphs from stored series. It keeps no state and may be used from any goroutine.
type History struct {
	source Source
	opt    Options
}

// New makes a History that reads from s.
func New(s Source, o Options) *History {
	if o.Lookback <= 0 {
		o.Lookback = 5 * time.Minute
	}
	if o.Interval <= 0 {
		o.Interval = 15 * time.Second
	}
	if o.Points <= 0 {
		o.Points = 60
	}
	return &History{source: s, opt: o}
}

// Graph is what talked to what within q.Window. Namespace, Focus and FailedOnly only choose what is shown: a node's
// numbers stay the sums over all edges that lead to it. Errors wrap ErrBadQuery, ErrNotFound (Focus is nobody's id) or
// come from the source.
func (h *History) Graph(ctx context.Context, q Query) (*topology.Graph, error) {
	t, err := h.totals(ctx, &q)
	if err != nil {
		return nil, err
	}
	return prune(topology.Build(t), &q)
}

// Node is one node in depth; id is a topology.Node's. Operations are there for Group service only.
func (h *History) Node(ctx context.Context, id string, q Query) (*topology.NodeDetail, error) {
	key, ok := topology.ParseNodeID(id)
	if !ok {
		return nil, fmt.Errorf("node %q: %w", id, ErrNotFound)
	}
	t, err := h.totals(ctx, &q)
	if err != nil {
		return nil, err
	}
	g := topology.Build(t)
	out := &topology.NodeDetail{
		Window: q.Window, Operations: []topology.Operation{}, Callers: []topology.Edge{}, Callees: []topology.Edge{},
	}
	found := false
	for i := range g.Nodes {
		if g.Nodes[i].ID == id {
			out.Node, found = g.Nodes[i], true
		}
	}
	if !found {
		return nil, fmt.Errorf("node %q: %w", id, ErrNotFound)
	}
	for _, e := range g.Edges {
		if e.Server == id {
			out.Callers = append(out.Callers, e)
		}
		if e.Client == id {
			out.Callees = append(out.Callees, e)
		}
	}
	if out.Series, err = h.points(ctx, &q, func(k topology.EdgeKey) bool { return k.Server == key }); err != nil {
		return nil, err
	}
	if q.Group == ByService {
		if out.Operations, err = h.operations(ctx, &q, key); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Edge is one edge in depth; id is a topology.Edge's. An edge whose series are there but stood still is found, with no
// traffic.
func (h *History) Edge(ctx context.Context, id string, q Query) (*topology.EdgeDetail, error) {
	key, ok := topology.ParseEdgeID(id)
	if !ok {
		return nil, fmt.Errorf("edge %q: %w", id, ErrNotFound)
	}
	q.Protocol = key.Protocol
	t, err := h.totals(ctx, &q)
	if err != nil {
		return nil, err
	}
	out := &topology.EdgeDetail{Window: q.Window}
	out.Edge, out.ClientSeconds, out.ServerSeconds, ok = t.Edge(key)
	if !ok {
		return nil, fmt.Errorf("edge %q: %w", id, ErrNotFound)
	}
	out.Series, err = h.points(ctx, &q, func(k topology.EdgeKey) bool { return k == key })
	if err != nil {
		return nil, err
	}
	return out, nil
}

// always is a series that is written from the first write to the last.
const always = "toposcope_build_info"

// clip moves the window's start to where recording began: a rate over time that nobody looked at would be too low.
func (h *History) clip(ctx context.Context, q *Query) error {
	var first time.Time
	err := h.source.Select(ctx, always, nil, q.Window.Start.Add(-h.opt.Lookback), q.Window.End, func(s *Series) error {
		if t := s.Samples[0].Time; first.IsZero() || t.Before(first) {
			first = t
		}
		return nil
	})
	if err != nil {
		return err
	}
	if first.After(q.Window.Start) && first.Before(q.Window.End) {
		q.Window.Start = first
	}
	return nil
}

// check fills q's defaults in.
func (q *Query) check() error {
	if !q.Window.End.After(q.Window.Start) {
		return fmt.Errorf("%w: the window ends at %s, not after its start %s", ErrBadQuery,
			q.Window.End.Format(time.RFC3339), q.Window.Start.Format(time.RFC3339))
	}
	if q.Depth <= 0 {
		q.Depth = 1
	}
	switch q.Group {
	case "":
		q.Group = ByService
	case ByService, ByNamespace, ByNode, ByPod, ByProcess:
	default:
		return fmt.Errorf("%w: group %q is none of service, namespace, node, pod and process", ErrBadQuery, q.Group)
	}
	return nil
}
