package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/toposcope/toposcope/api"
	"github.com/toposcope/toposcope/topology"
	"github.com/toposcope/toposcope/topology/history"
)

// graphs answers with what it holds and keeps the query it was asked.
type graphs struct {
	id  string
	q   history.Query
	err error
	do  func(context.Context) // before answering
}

func (g *graphs) ask(ctx context.Context, id string, q history.Query) error {
	g.id, g.q = id, q
	if g.do != nil {
		g.do(ctx)
	}
	return g.err
}

func (g *graphs) Graph(ctx context.Context, q history.Query) (*topology.Graph, error) {
	return &topology.Graph{Window: q.Window, Nodes: []topology.Node{node}, Edges: []topology.Edge{edge}}, g.ask(ctx, "", q)
}

func (g *graphs) Node(ctx context.Context, id string, q history.Query) (*topology.NodeDetail, error) {
	return &topology.NodeDetail{
		Window: q.Window, Node: node, Series: []topology.Point{{Time: q.Window.End}},
		Operations: []topology.Operation{{Side: "server", Protocol: "http", Operation: "GET /users/{id}"}},
		Callers:    []topology.Edge{edge}, Callees: []topology.Edge{},
	}, g.ask(ctx, id, q)
}

func (g *graphs) Edge(ctx context.Context, id string, q history.Query) (*topology.EdgeDetail, error) {
	return &topology.EdgeDetail{
		Window: q.Window, Edge: edge, Series: []topology.Point{}, ClientSeconds: &topology.Quantiles{P50Seconds: &half},
	}, g.ask(ctx, id, q)
}

var (
	half = 0.5
	node = topology.Node{
		ID: "shop/cart", Name: "cart", Namespace: "shop", Kind: "service", RequestsPerSecond: 12.5, FailedRatio: &half,
		Health: topology.HealthCritical, Instances: []topology.Instance{{PID: 4242, Process: "java"}},
	}
	edge = topology.Edge{ID: "shop/web~~shop/cart~~http", Client: "shop/web", Server: "shop/cart", Protocol: "http", P50Seconds: &half}
)

// capture is a switch.
type capture struct {
	enabled bool
	reason  string
	err     error
}

func (c *capture) Enabled() bool { return c.enabled }

func (c *capture) Reason() string { return c.reason }

func (c *capture) SetEnabled(_ context.Context, enabled bool) error {
	if c.err == nil {
		c.enabled = enabled
	}
	return c.err
}

// filters holds any document that says it is one.
type filters struct {
	doc    map[string]any
	source string
}

func (f *filters) InForce() (any, string) { return f.doc, f.source }

func (f *filters) Set(_ context.Context, document []byte) error {
	var doc map[string]any
	if err := json.Unmarshal(document, &doc); err != nil {
		return fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	if doc["default_action"] == "deny" {
		return fmt.Errorf("%w: change the file filters.yaml", api.ErrConflict)
	}
	f.doc, f.source = doc, "api"
	return nil
}

func (f *filters) Reset(context.Context) error {
	f.doc, f.source = map[string]any{"default_action": "include"}, "config"
	return nil
}

var now = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

// parts are what a test's API is made of.
type parts struct {
	graphs  *graphs
	capture *capture
	reg     *prometheus.Registry
	options api.Options
}

func newParts() *parts {
	p := &parts{graphs: &graphs{}, capture: &capture{enabled: true}, reg: prometheus.NewRegistry()}
	f := &filters{}
	_ = f.Reset(context.Background())
	p.options = api.Options{
		Graphs:     p.graphs,
		Prometheus: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s %s", r.Method, r.URL) }),
		Gatherer:   p.reg,
		Registerer: p.reg,
		Capture:    p.capture,
		Filters:    f,
		Status: func() api.Status {
			return api.Status{
				Version: "1.2.3", StartTime: now.Add(-time.Hour),
				Capture: api.CaptureStatus{Method: "fexit", Programs: []api.ProgramStatus{{Name: "tcp_sendmsg", Attached: true}}},
				Stages:  []api.StageStatus{{Name: "ring", Events: 10, Lost: 1, Unresolved: 2}},
			}
		},
		UI: fstest.MapFS{
			"index.html":             {Data: []byte("<!doctype html><title>Toposcope</title>")},
			"assets/index-a1b2c3.js": {Data: bytes.Repeat([]byte("console.log('hello');\n"), 1000)},
			"favicon.svg":            {Data: []byte("<svg/>")},
			".gitkeep":               {},
		},
		Now: func() time.Time { return now },
	}
	return p
}

func (p *parts) handler(t *testing.T) http.Handler {
	t.Helper()
	a, err := api.New(p.options)
	if err != nil {
		t.Fatal(err)
	}
	return a.Handler()
}

// request does "METHOD /path", header lines and, after an empty line, a body.
func request(t *testing.T, h http.Handler, text string) *httptest.ResponseRecorder {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	method, target, _ := strings.Cut(lines[0], " ")
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, l := range lines[1:] {
		name, value, _ := strings.Cut(l, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
