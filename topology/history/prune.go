package history

import (
	"fmt"
	"slices"

	"github.com/toposcope/toposcope/topology"
)

// prune leaves of g what q asks to see. Numbers stay as they are.
func prune(g *topology.Graph, q *Query) (*topology.Graph, error) {
	if q.Namespace == "" && q.Focus == "" && !q.FailedOnly && q.Protocol == "" {
		return g, nil
	}
	nodes := make(map[string]*topology.Node, len(g.Nodes))
	for i := range g.Nodes {
		nodes[g.Nodes[i].ID] = &g.Nodes[i]
	}
	keep := map[string]bool{}
	if q.FailedOnly || q.Protocol != "" {
		g.Edges = slices.DeleteFunc(g.Edges, func(e topology.Edge) bool {
			return q.FailedOnly && (e.FailedRatio == nil || *e.FailedRatio == 0)
		})
	} else {
		for id, n := range nodes {
			keep[id] = q.Namespace == "" || n.Namespace == q.Namespace
		}
	}
	if q.Namespace != "" {
		g.Edges = slices.DeleteFunc(g.Edges, func(e topology.Edge) bool {
			return nodes[e.Client].Namespace != q.Namespace && nodes[e.Server].Namespace != q.Namespace
		})
	}
	for _, e := range g.Edges {
		keep[e.Client], keep[e.Server] = true, true
	}
	if q.Focus != "" {
		if nodes[q.Focus] == nil {
			return nil, fmt.Errorf("node %q: %w", q.Focus, ErrNotFound)
		}
		near := around(g.Edges, q.Focus, q.Depth)
		for id := range keep {
			keep[id] = near[id]
		}
		keep[q.Focus] = true
		g.Edges = slices.DeleteFunc(g.Edges, func(e topology.Edge) bool { return !keep[e.Client] || !keep[e.Server] })
	}
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n topology.Node) bool { return !keep[n.ID] })
	return g, nil
}

// around is the set of nodes at most depth edges away from id, in either direction.
func around(edges []topology.Edge, id string, depth int) map[string]bool {
	next := map[string][]string{}
	for _, e := range edges {
		next[e.Client] = append(next[e.Client], e.Server)
		next[e.Server] = append(next[e.Server], e.Client)
	}
	near := map[string]bool{id: true}
	ring := []string{id}
	for ; depth > 0 && len(ring) > 0; depth-- {
		var outer []string
		for _, at := range ring {
			for _, to := range next[at] {
				if !near[to] {
					near[to] = true
					outer = append(outer, to)
				}
			}
		}
		ring = outer
	}
	return near
}
