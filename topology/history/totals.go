package history

import (
	"context"
	"strconv"
	"time"

	"github.com/toposcope/toposcope/topology"
)

// edges collects what edges did in each step of a window.
type edges struct {
	steps int
	byKey map[topology.EdgeKey][]topology.EdgeTotals
	place places
	keep  func(topology.EdgeKey) bool
}

// row is the edge's totals by step; nil when the edge is not wanted.
func (e *edges) row(labels map[string]string) []topology.EdgeTotals {
	key := e.place.edge(labels)
	if e.keep != nil && !e.keep(key) {
		return nil
	}
	row, ok := e.byKey[key]
	if !ok {
		row = make([]topology.EdgeTotals, e.steps)
		for i := range row {
			row[i].EdgeKey = key
		}
		e.byKey[key] = row
	}
	return row
}

// edgeCounter is one series name and the number it feeds.
type edgeCounter struct {
	name  string
	field func(*topology.EdgeTotals) *float64
}

func edgeCounters(g Group) []edgeCounter {
	requests := func(e *topology.EdgeTotals) *float64 { return &e.Requests }
	failed := func(e *topology.EdgeTotals) *float64 { return &e.Failed }
	if byInstance(g) {
		return []edgeCounter{{topology.MetricInstanceRequests, requests}, {topology.MetricInstanceFailed, failed}}
	}
	return []edgeCounter{
		{topology.MetricRequests, requests},
		{topology.MetricFailed, failed},
		{topology.MetricRejected, func(e *topology.EdgeTotals) *float64 { return &e.Rejected }},
		{topology.MetricLost, func(e *topology.EdgeTotals) *float64 { return &e.Lost }},
		{topology.MetricWaiting, func(e *topology.EdgeTotals) *float64 { return &e.Waiting }},
		{topology.MetricUpkeep, func(e *topology.EdgeTotals) *float64 { return &e.Upkeep }},
		{topology.MetricSentBytes, func(e *topology.EdgeTotals) *float64 { return &e.SentBytes }},
		{topology.MetricReceivedBytes, func(e *topology.EdgeTotals) *float64 { return &e.ReceivedBytes }},
	}
}

// readEdges fills e from the series that q's grouping and protocol choose.
func (h *History) readEdges(ctx context.Context, q *Query, s steps, e *edges) error {
	var m []Matcher
	if q.Protocol != "" {
		m = []Matcher{{Name: topology.LabelProtocol, Value: q.Protocol}}
	}
	for _, c := range edgeCounters(q.Group) {
		err := h.counters(ctx, c.name, m, q.Window, s, func(labels map[string]string, step int, v float64) {
			if row := e.row(labels); row != nil {
				*c.field(&row[step]) += v
			}
		})
		if err != nil {
			return err
		}
	}
	if byInstance(q.Group) {
		return nil
	}
	latency := func(name string, field func(*topology.EdgeTotals) **topology.Distribution) error {
		return h.histograms(ctx, name, m, q.Window, s, func(labels map[string]string, step int, d *topology.Distribution) {
			row := e.row(labels)
			if row == nil {
				return
			}
			if at := field(&row[step]); *at == nil {
				*at = d
			} else {
				(*at).Add(d)
			}
		})
	}
	err := latency(topology.MetricClientSeconds, func(e *topology.EdgeTotals) **topology.Distribution {
		return &e.ClientSeconds
	})
	if err != nil {
		return err
	}
	return latency(topology.MetricServerSeconds, func(e *topology.EdgeTotals) **topology.Distribution {
		return &e.ServerSeconds
	})
}

// totals reads all that the graph of q is made of.
func (h *History) totals(ctx context.Context, q *Query) (*topology.Totals, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	if err := h.clip(ctx, q); err != nil {
		return nil, err
	}
	p, err := h.readPlaces(ctx, q)
	if err != nil {
		return nil, err
	}
	e := &edges{steps: 1, byKey: map[topology.EdgeKey][]topology.EdgeTotals{}, place: p}
	if err := h.readEdges(ctx, q, single(q.Window), e); err != nil {
		return nil, err
	}
	t := &topology.Totals{
		Window: q.Window, Edges: make([]topology.EdgeTotals, 0, len(e.byKey)),
		Retransmits: map[topology.PairKey]float64{},
	}
	ends := map[topology.ServiceKey]bool{}
	for key, row := range e.byKey {
		t.Edges = append(t.Edges, row[0])
		if row[0].Active() {
			ends[key.Client], ends[key.Server] = true, true
		}
	}
	t.Nodes = p.facts(ends)
	if byInstance(q.Group) {
		return t, nil
	}
	err = h.counters(ctx, topology.MetricRetransmits, nil, q.Window, single(q.Window),
		func(labels map[string]string, _ int, v float64) {
			if v > 0 {
				k := p.edge(labels)
				t.Retransmits[topology.PairKey{Client: k.Client, Server: k.Server}] += v
			}
		})
	return t, err
}

// points computes RED by step over the edges that keep wants.
func (h *History) points(ctx context.Context, q *Query, keep func(topology.EdgeKey) bool) ([]topology.Point, error) {
	s := h.divide(q.Window)
	p, err := h.readPlaces(ctx, q)
	if err != nil {
		return nil, err
	}
	e := &edges{steps: s.count, byKey: map[topology.EdgeKey][]topology.EdgeTotals{}, place: p, keep: keep}
	if err := h.readEdges(ctx, q, s, e); err != nil {
		return nil, err
	}
	out := make([]topology.Point, s.count)
	for i := range out {
		rows := make([]topology.EdgeTotals, 0, len(e.byKey))
		for _, row := range e.byKey {
			rows = append(rows, row[i])
		}
		end := s.start.Add(time.Duration(i+1) * s.width)
		if end.After(q.Window.End) {
			end = q.Window.End
		}
		w := topology.Window{Start: s.start.Add(time.Duration(i) * s.width), End: end}
		out[i] = topology.PointOf(w, rows)
	}
	return out, nil
}

// divide makes at most Options.Points steps, all of the same length and none shorter than the interval at which series are written,
// the last one included: a shorter one would show the writing, not the traffic.
func (h *History) divide(w topology.Window) steps {
	length := w.End.Sub(w.Start)
	n := max(1, int(length/max(h.opt.Interval, length/time.Duration(h.opt.Points))))
	return steps{w.Start, (length + time.Duration(n) - 1) / time.Duration(n), n}
}

func pid(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}
