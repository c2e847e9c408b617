package api_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/toposcope/toposcope/api"
	"github.com/toposcope/toposcope/api/store/tsdb"
	"github.com/toposcope/toposcope/topology"
	"github.com/toposcope/toposcope/topology/history"
)

// calls is what a client has asked of a server, as the topology exports it.
type calls struct {
	client, server string
	requests       float64
	failed         float64
	created        time.Time
}

// edges exports calls.
type edges struct{ calls []calls }

func (*edges) Describe(chan<- *prometheus.Desc) {}

func (e *edges) Collect(ch chan<- prometheus.Metric) {
	names := []string{
		topology.LabelClient, topology.LabelServer, topology.LabelClientNamespace, topology.LabelServerNamespace,
		topology.LabelConnectionType, topology.LabelProtocol,
	}
	for _, c := range e.calls {
		for name, v := range map[string]float64{topology.MetricRequests: c.requests, topology.MetricFailed: c.failed} {
			desc := prometheus.NewDesc(name, "Help.", names, nil)
			ch <- prometheus.MustNewConstMetricWithCreatedTimestamp(desc, prometheus.CounterValue, v, c.created,
				c.client, c.server, "", "shop", "", "http")
		}
	}
}

// TestTopologyFromStore asks the API for what a writer has stored, the whole way and nothing replaced: a service that was
// called three times before the first write shows three.
func TestTopologyFromStore(t *testing.T) {
	store, err := tsdb.Open(tsdb.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close(context.Background()) })
	start := time.Now().Add(-time.Minute).Truncate(time.Second)
	at := start
	collector := &edges{}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collector)
	w := tsdb.NewWriter(store, tsdb.WriterOptions{Gatherer: reg, Now: func() time.Time { return at }})
	write := func(seconds int, c ...calls) {
		t.Helper()
		at, collector.calls = start.Add(time.Duration(seconds)*time.Second), c
		if err := w.Write(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	write(15, calls{"web", "cart", 3, 1, start.Add(10 * time.Second)})
	write(30, calls{"web", "cart", 6, 3, start.Add(10 * time.Second)}, calls{"cart", "price", 3, 0, start.Add(20 * time.Second)})

	a, err := api.New(api.Options{Graphs: history.New(store, history.Options{}), Now: func() time.Time { return start.Add(30 * time.Second) }})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(path, described string) *httptest.ResponseRecorder {
		t.Helper()
		w := request(t, a.Handler(), "GET "+path)
		if err := api.Validate("GET", described, w.Code, w.Body.Bytes()); err != nil {
			t.Errorf("%v\n%s", err, w.Body)
		}
		return w
	}
	var g topology.Graph
	if err := json.Unmarshal(ask("/api/v1/topology?window=30s", "/api/v1/topology").Body.Bytes(), &g); err != nil {
		t.Fatal(err)
	}
	got := map[string][2]float64{}
	for _, e := range g.Edges {
		got[e.Client+" "+e.Server] = [2]float64{e.RequestsPerSecond * 30, *e.FailedRatio}
		ask("/api/v1/topology/edges/"+e.ID+"?window=30s", "/api/v1/topology/edges/{id}")
	}
	if len(got) != 2 || got["web shop/cart"] != [2]float64{6, 0.5} || got["cart shop/price"] != [2]float64{3, 0} {
		t.Errorf("edges: %v", got)
	}
	if w := ask("/api/v1/topology/nodes/shop/cart?window=30s", "/api/v1/topology/nodes/{id}"); w.Code != 200 {
		t.Errorf("node: %d %s", w.Code, w.Body)
	}
	for path, want := range map[string]int{
		"/api/v1/topology/nodes/shop/nobody": 404, "/api/v1/topology/edges/nonsense": 404, "/api/v1/topology/nodes/": 404,
		"/api/v1/topology?focus=nobody": 404,
	} {
		w := request(t, a.Handler(), "GET "+path)
		if w.Code != want {
			t.Errorf("%s: %d %s, want %d", path, w.Code, w.Body, want)
		}
		wantProblem(t, w)
	}
}
