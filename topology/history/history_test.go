package history_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/topology"
	"github.com/toposcope/toposcope/topology/history"
)

// counter puts samples of one edge's counter, "seconds=value", into a store.
func (m *memory) counter(t *testing.T, name, client, server string, samples ...string) {
	t.Helper()
	labels := map[string]string{"client": client, "server": server, "protocol": "http"}
	for _, s := range samples {
		var at int
		var v float64
		if _, err := fmt.Sscanf(s, "%d=%g", &at, &v); err != nil {
			t.Fatal(err)
		}
		m.put(name, labels, start.Add(time.Duration(at)*time.Second), time.Time{}, history.Sample{Value: v}, history.Sample{})
	}
}

func window(from, to time.Duration) topology.Window {
	return topology.Window{Start: start.Add(from), End: start.Add(to)}
}

// TestIncrease reads one counter over (60 s, 120 s].
func TestIncrease(t *testing.T) {
	for _, tc := range []struct {
		name    string
		samples string
		want    float64
	}{
		{"in between", "60=10 75=12 120=15", 5},
		{"the sample at the start is the baseline", "59=10 61=11 120=15", 5},
		{"a sample at the end counts, later ones do not", "60=1 120=3 121=9", 2},
		{"new series: from its zero sample", "70=0 75=3", 3},
		{"one call only", "118=0 120=1", 1},
		{"no zero sample: what was before is not known", "75=1000 90=1003", 3},
		{"a single sample without one", "75=1000", 0},
		{"reset", "60=10 75=12 90=1 120=4", 6},
		{"reset with a zero sample", "60=10 75=12 80=0 90=1 120=4", 6},
		{"reset to more than before, with a zero sample", "60=10 75=0 90=15", 15},
		{"two resets", "60=10 75=2 90=1 120=1", 3},
		{"stood still", "60=10 75=10 120=10", 0},
		{"baseline too old to be one", "-300=10 75=12 90=13", 1},
		{"old baseline still good", "-230=10 75=12 90=13", 3},
		{"ended before", "30=10 45=12", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMemory()
			m.counter(t, topology.MetricRequests, "web", "cart", strings.Fields(tc.samples)...)
			g, err := history.New(m, history.Options{}).Graph(context.Background(), history.Query{Window: window(time.Minute, 2*time.Minute)})
			if err != nil {
				t.Fatal(err)
			}
			got := 0.0
			for _, e := range g.Edges {
				got += e.RequestsPerSecond * 60
			}
			if math.Abs(got-tc.want) > 1e-9 {
				t.Errorf("%s: grew by %g, want %g", tc.samples, got, tc.want)
			}
		})
	}
}

// native puts samples of one edge's latency, each a list of buckets and counts, into a store.
func (m *memory) native(name string, schema int32, at time.Duration, buckets map[int32]float64) {
	h := &history.Histogram{Schema: schema, Buckets: buckets}
	for i, c := range buckets {
		h.Count += c
		h.Sum += c * math.Exp2(math.Ldexp(float64(i), -int(schema)))
	}
	m.put(name, map[string]string{"client": "web", "server": "cart", "protocol": "http"}, start.Add(at), time.Time{},
		history.Sample{Value: math.NaN(), Histogram: h}, history.Sample{})
}

// TestHistogramIncrease reads one latency over (60 s, 120 s]: schema 0, buckets up to 1, 2, 4 … seconds.
func TestHistogramIncrease(t *testing.T) {
	type sample struct {
		at      time.Duration
		schema  int32
		buckets map[int32]float64
	}
	s := time.Second
	for _, tc := range []struct {
		name    string
		samples []sample
		p99     float64 // rounded to the bucket's upper bound
	}{
		{"grew", []sample{{60 * s, 0, map[int32]float64{1: 100}}, {120 * s, 0, map[int32]float64{1: 100, 3: 2}}}, 8},
		{"reset", []sample{{60 * s, 0, map[int32]float64{5: 100}}, {120 * s, 0, map[int32]float64{1: 4}}}, 2},
		{"reset within", []sample{
			{60 * s, 0, map[int32]float64{5: 100}},
			{75 * s, 0, map[int32]float64{5: 100, 3: 100}},
			{120 * s, 0, map[int32]float64{1: 4}},
		}, 8},
		{"reset that the count hides", []sample{{60 * s, 0, map[int32]float64{1: 2}}, {120 * s, 0, map[int32]float64{5: 4}}}, 32},
		{"coarser now", []sample{{60 * s, 1, map[int32]float64{1: 100, 2: 50}}, {120 * s, 0, map[int32]float64{1: 150, 4: 2}}}, 16},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMemory()
			m.counter(t, topology.MetricRequests, "web", "cart", "60=0", "120=1")
			for _, x := range tc.samples {
				m.native(topology.MetricClientSeconds, x.schema, x.at, x.buckets)
			}
			g, err := history.New(m, history.Options{}).Graph(context.Background(), history.Query{Window: window(time.Minute, 2*time.Minute)})
			if err != nil {
				t.Fatal(err)
			}
			if len(g.Edges) != 1 || g.Edges[0].P99Seconds == nil {
				t.Fatalf("edges %+v", g.Edges)
			}
			if got := math.Exp2(math.Ceil(math.Log2(*g.Edges[0].P99Seconds))); got != tc.p99 {
				t.Errorf("p99 is %g, in the bucket up to %g; want %g", *g.Edges[0].P99Seconds, got, tc.p99)
			}
		})
	}
}

// TestHostileStore has buckets at the ends of what an index can be.
func TestHostileStore(t *testing.T) {
	m := newMemory()
	m.counter(t, topology.MetricRequests, "web", "cart", "60=0", "120=1")
	m.native(topology.MetricClientSeconds, 3, time.Minute, map[int32]float64{})
	m.native(topology.MetricClientSeconds, 3, 2*time.Minute, map[int32]float64{math.MinInt32: 1, math.MaxInt32: 1, 0: 1})
	if _, err := history.New(m, history.Options{}).Graph(context.Background(), history.Query{Window: window(time.Minute, 2*time.Minute)}); err != nil {
		t.Fatal(err)
	}
}

// TestClassicOnly has a store without native histograms: the same but for the quantiles, which are near.
func TestClassicOnly(t *testing.T) {
	w := newWorld(t, topology.Config{Protocols: specs})
	w.store.noNative = true
	g := newTraffic(w, 5)
	a := w.scrape(t, 0)
	g.run(time.Minute, 3000)
	want := topology.Between(a, w.scrape(t, time.Minute))
	got, err := history.New(w.store, history.Options{}).Graph(context.Background(), history.Query{Window: want.Window})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Edges) != len(want.Edges) {
		t.Fatalf("%d edges, want %d", len(got.Edges), len(want.Edges))
	}
	for i := range got.Edges {
		g, w := &got.Edges[i], &want.Edges[i]
		for _, q := range [][2]*float64{{g.P50Seconds, w.P50Seconds}, {g.P95Seconds, w.P95Seconds}, {g.P99Seconds, w.P99Seconds}} {
			if (q[0] == nil) != (q[1] == nil) || q[0] != nil && (*q[0] > *q[1]*3+0.005 || *q[1] > *q[0]*3+0.005) {
				t.Errorf("edge %s: quantiles %v and %v", g.ID, value(q[0]), value(q[1]))
			}
		}
		g.P50Seconds, g.P95Seconds, g.P99Seconds = w.P50Seconds, w.P95Seconds, w.P99Seconds
	}
	same(t, "edges", got.Edges, want.Edges)
}

func value(p *float64) any {
	if p == nil {
		return nil
	}
	return *p
}

// chain is a store in which a calls b calls c calls d, b in namespace "n", one call from b to c failed, all of protocol
// http but c to d.
func chain(t *testing.T) *history.History {
	t.Helper()
	m := newMemory()
	put := func(name, client, server, protocol string, v float64) {
		labels := map[string]string{"client": client, "server": server, "protocol": protocol}
		if client == "b" {
			labels["client_service_namespace"] = "n"
		}
		if server == "b" {
			labels["server_service_namespace"] = "n"
		}
		m.put(name, labels, start.Add(2*time.Second), start.Add(time.Second), history.Sample{Value: v}, history.Sample{})
	}
	for i, e := range []string{"ab", "bc", "cd"} {
		protocol := []string{"http", "http", "mysql"}[i]
		put(topology.MetricRequests, e[:1], e[1:], protocol, 60)
		put(topology.MetricFailed, e[:1], e[1:], protocol, map[string]float64{"bc": 1}[e])
	}
	for name, ns := range map[string]string{"a": "", "b": "n", "c": "", "d": "", "idle": ""} {
		m.put(topology.MetricNodeInfo, map[string]string{"service_name": name, "service_namespace": ns, "kind": "service"},
			start.Add(2*time.Second), time.Time{}, history.Sample{Value: 1}, history.Sample{})
	}
	return history.New(m, history.Options{})
}

func TestFilters(t *testing.T) {
	for _, tc := range []struct {
		name         string
		q            history.Query
		nodes, edges string
	}{
		{"all", history.Query{}, "a c d idle n/b", "a~~n/b~~http c~~d~~mysql n/b~~c~~http"},
		{"namespace", history.Query{Namespace: "n"}, "a c n/b", "a~~n/b~~http n/b~~c~~http"},
		{"namespace without traffic", history.Query{Namespace: "x"}, "", ""},
		{"focus", history.Query{Focus: "a"}, "a n/b", "a~~n/b~~http"},
		{"focus, deeper", history.Query{Focus: "a", Depth: 2}, "a c n/b", "a~~n/b~~http n/b~~c~~http"},
		{"focus against the calls", history.Query{Focus: "d", Depth: 3}, "a c d n/b", "a~~n/b~~http c~~d~~mysql n/b~~c~~http"},
		{"focus on an idle one", history.Query{Focus: "idle"}, "idle", ""},
		{"protocol", history.Query{Protocol: "mysql"}, "c d", "c~~d~~mysql"},
		{"failed", history.Query{FailedOnly: true}, "c n/b", "n/b~~c~~http"},
		{"failed, with focus", history.Query{FailedOnly: true, Focus: "a"}, "a", ""},
		{"failed of a protocol", history.Query{FailedOnly: true, Protocol: "mysql"}, "", ""},
		{
			"by namespace",
			history.Query{Group: history.ByNamespace},
			"n ~28none~29",
			"n~~~28none~29~~http ~28none~29~~n~~http ~28none~29~~~28none~29~~mysql",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.q.Window = window(0, time.Minute)
			g, err := chain(t).Graph(context.Background(), tc.q)
			if err != nil {
				t.Fatal(err)
			}
			var nodes, edges []string
			for _, n := range g.Nodes {
				nodes = append(nodes, n.ID)
				if n.ID == "c" && tc.q.Group == "" && n.RequestsPerSecond != 1 && tc.q.Protocol == "" {
					t.Errorf("c serves %g/s; a filter must not change it", n.RequestsPerSecond)
				}
			}
			for _, e := range g.Edges {
				edges = append(edges, e.ID)
			}
			if got := strings.Join(nodes, " "); got != tc.nodes {
				t.Errorf("nodes %q, want %q", got, tc.nodes)
			}
			if got := strings.Join(edges, " "); got != tc.edges {
				t.Errorf("edges %q, want %q", got, tc.edges)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	h, ctx := chain(t), context.Background()
	w := window(0, time.Minute)
	graph := func(q history.Query) error { _, err := h.Graph(ctx, q); return err }
	node := func(id string) error { _, err := h.Node(ctx, id, history.Query{Window: w}); return err }
	edge := func(id string) error { _, err := h.Edge(ctx, id, history.Query{Window: w}); return err }
	for name, tc := range map[string]struct{ got, want error }{
		"no window":       {graph(history.Query{}), history.ErrBadQuery},
		"window reversed": {graph(history.Query{Window: window(time.Minute, 0)}), history.ErrBadQuery},
		"group":           {graph(history.Query{Window: w, Group: "planet"}), history.ErrBadQuery},
		"focus":           {graph(history.Query{Window: w, Focus: "nobody"}), history.ErrNotFound},
		"node":            {node("nobody"), history.ErrNotFound},
		"no node":         {node("%%%"), history.ErrNotFound},
		"edge":            {edge("a~~c~~http"), history.ErrNotFound},
		"no edge":         {edge("a"), history.ErrNotFound},
	} {
		if !errors.Is(tc.got, tc.want) {
			t.Errorf("%s: %v, want %v", name, tc.got, tc.want)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := h.Graph(ctx, history.Query{Window: w}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestHealth has a pure client, an idle node, and servers with more and more failures.
func TestHealth(t *testing.T) {
	m := newMemory()
	for name, failed := range map[string]float64{"good": 0, "odd": 9, "warned": 10, "edgy": 49, "bad": 50} {
		m.counter(t, topology.MetricRequests, "client", name, "1=0", "2=1000")
		m.counter(t, topology.MetricFailed, "client", name, "1=0", fmt.Sprintf("2=%g", failed))
	}
	m.counter(t, topology.MetricRequests, "quiet", "good", "-1=0", "2=0")
	m.put(topology.MetricNodeInfo, map[string]string{"service_name": "quiet", "kind": "service"}, start.Add(time.Second),
		time.Time{}, history.Sample{Value: 1}, history.Sample{})
	g, err := history.New(m, history.Options{}).Graph(context.Background(), history.Query{Window: window(0, time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]topology.Health{
		"client": topology.HealthOK, "quiet": topology.HealthIdle, "good": topology.HealthOK, "odd": topology.HealthOK,
		"warned": topology.HealthWarning, "edgy": topology.HealthWarning, "bad": topology.HealthCritical,
	}
	if len(g.Nodes) != len(want) {
		t.Errorf("%d nodes, want %d", len(g.Nodes), len(want))
	}
	for _, n := range g.Nodes {
		if n.Health != want[n.ID] {
			t.Errorf("%s is %s, want %s", n.ID, n.Health, want[n.ID])
		}
		if served := n.RequestsPerSecond > 0; (n.FailedRatio != nil) != served || (n.RejectedRatio != nil) != served {
			t.Errorf("%s: no traffic is null, not 0: %+v", n.ID, n)
		}
	}
}

// TestCallRightBeforeTheScrape is the shortest-lived edge: one call within the last interval.
func TestCallRightBeforeTheScrape(t *testing.T) {
	w := newWorld(t, topology.Config{Protocols: specs})
	g := newTraffic(w, 3)
	w.scrape(t, 0)
	g.at = 15*time.Second - 100*time.Millisecond
	g.open()
	g.call()
	live := topology.Between(nil, w.scrape(t, 15*time.Second))
	graph, err := history.New(w.store, history.Options{}).Graph(context.Background(), history.Query{Window: live.Window})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "graph", graph, live)
	if len(graph.Edges) != 1 || math.Round(graph.Edges[0].RequestsPerSecond*15) != 1 {
		t.Errorf("edges %+v", graph.Edges)
	}
}
