package history_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/topology"
	"github.com/toposcope/toposcope/topology/history"
)

// TestDetail holds the pages of nodes and edges against the graph of the same window.
func TestDetail(t *testing.T) {
	w := newWorld(t, topology.Config{Protocols: specs})
	g := newTraffic(w, 9)
	w.scrape(t, 0)
	for i := 1; i <= 20; i++ {
		g.run(time.Duration(i)*15*time.Second, 100)
		w.scrape(t, time.Duration(i)*15*time.Second)
	}
	h, ctx := history.New(w.store, history.Options{}), context.Background()
	q := history.Query{Window: window(0, 300*time.Second)}
	graph, err := h.Graph(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	operations := 0
	for _, n := range graph.Nodes {
		d, err := h.Node(ctx, n.ID, q)
		if err != nil {
			t.Fatal(err)
		}
		same(t, n.ID, d.Node, n)
		rate, in := 0.0, 0.0
		for _, p := range d.Series {
			rate += p.RequestsPerSecond / float64(len(d.Series))
		}
		for _, e := range d.Callers {
			in += e.RequestsPerSecond
		}
		if len(d.Series) != 20 || math.Abs(rate-n.RequestsPerSecond) > 1e-9 || math.Abs(in-n.RequestsPerSecond) > 1e-9 {
			t.Errorf("%s: %d points with %g/s, callers with %g/s; want 20 with %g/s", n.ID, len(d.Series), rate, in, n.RequestsPerSecond)
		}
		operations += len(d.Operations)
		checkOperations(t, d)
	}
	if operations == 0 {
		t.Error("no node has operations")
	}
	for _, e := range graph.Edges {
		d, err := h.Edge(ctx, e.ID, q)
		if err != nil {
			t.Fatal(err)
		}
		same(t, e.ID, d.Edge, e)
		rate := 0.0
		for _, p := range d.Series {
			rate += p.RequestsPerSecond / float64(len(d.Series))
		}
		if math.Abs(rate-e.RequestsPerSecond) > 1e-9 {
			t.Errorf("%s: points with %g/s, want %g/s", e.ID, rate, e.RequestsPerSecond)
		}
		if d.ClientSeconds == nil && d.ServerSeconds == nil && e.P50Seconds != nil {
			t.Errorf("%s: latency at neither end", e.ID)
		}
	}
}

// checkOperations holds an operation as a whole against its statuses.
func checkOperations(t *testing.T, d *topology.NodeDetail) {
	t.Helper()
	type key struct{ side, protocol, operation string }
	whole, parts := map[key]float64{}, map[key]float64{}
	for _, o := range d.Operations {
		k := key{o.Side, o.Protocol, o.Operation}
		if o.FailedRatio == nil || *o.FailedRatio < 0 || *o.FailedRatio > 1 {
			t.Errorf("%v failed %v", k, value(o.FailedRatio))
		}
		if o.Status == "" {
			whole[k] = o.RequestsPerSecond
		} else {
			parts[k] += o.RequestsPerSecond
		}
	}
	for k, n := range parts {
		if whole[k] < n-1e-9 {
			t.Errorf("%v: %g/s in all, %g/s by status", k, whole[k], n)
		}
	}
}

// TestOperationFailed holds the rule of failure, as labels tell it.
func TestOperationFailed(t *testing.T) {
	for _, tc := range []struct {
		metric string
		labels map[string]string
		row    string // side, protocol, operation, status
		failed float64
	}{
		{topology.MetricHTTPServer, map[string]string{"http_request_method": "GET", "http_route": "/a", "http_response_status_code": "200"}, "server http GET /a 200", 0},
		{topology.MetricHTTPServer, map[string]string{"http_request_method": "GET", "http_route": "/a", "http_response_status_code": "499", "error_type": "499"}, "server http GET /a 499", 0},
		{topology.MetricHTTPClient, map[string]string{"http_request_method": "GET", "http_route": "/a", "http_response_status_code": "404", "error_type": "404"}, "client http GET /a 404", 0},
		{topology.MetricHTTPServer, map[string]string{"http_request_method": "GET", "http_response_status_code": "500", "error_type": "500"}, "server http GET 500", 1},
		{topology.MetricHTTPClient, map[string]string{"http_request_method": "GET", "error_type": "unanswered"}, "client http GET ", 1},
		{topology.MetricRPCServer, map[string]string{"rpc_system_name": "grpc", "rpc_method": "a.B/C", "rpc_response_status_code": "NOT_FOUND"}, "server grpc a.B/C NOT_FOUND", 0},
		{topology.MetricRPCServer, map[string]string{"rpc_system_name": "grpc", "rpc_method": "a.B/C", "rpc_response_status_code": "UNAVAILABLE"}, "server grpc a.B/C UNAVAILABLE", 1},
		{topology.MetricDBClient, map[string]string{"db_system_name": "mysql", "db_operation_name": "SELECT", "db_collection_name": "t", "error_type": "1064"}, "client mysql SELECT t ", 1},
		{topology.MetricDNSResolution, map[string]string{"dns_question_type": "A", "dns_response_code": "NXDOMAIN", "error_type": "NXDOMAIN"}, "client dns A NXDOMAIN", 0},
		{topology.MetricDNSResolution, map[string]string{"dns_question_type": "A", "dns_response_code": "SERVFAIL", "error_type": "SERVFAIL"}, "client dns A SERVFAIL", 1},
		{topology.MetricMessagingClient, map[string]string{"messaging_system": "kafka", "messaging_operation_name": "send", "messaging_destination_name": "q"}, "client kafka send q ", 0},
	} {
		t.Run(tc.row, func(t *testing.T) {
			m := newMemory()
			m.put(topology.MetricNodeInfo, map[string]string{"service_name": "a"}, start.Add(time.Second), time.Time{},
				history.Sample{Value: 1}, history.Sample{})
			for _, name := range []string{"a", "b"} { // b is another service
				labels := map[string]string{"service_name": name}
				for k, v := range tc.labels {
					labels[k] = v
				}
				for at, n := range []float64{0, 6} {
					h := &history.Histogram{Count: n, Sum: n, Buckets: map[int32]float64{0: n}}
					m.put(tc.metric, labels, start.Add(time.Duration(at)*time.Second), time.Time{}, history.Sample{Value: math.NaN(), Histogram: h}, history.Sample{})
				}
			}
			d, err := history.New(m, history.Options{}).Node(context.Background(), "a", history.Query{Window: window(-time.Second, 5*time.Second)})
			if err != nil {
				t.Fatal(err)
			}
			o := d.Operations[len(d.Operations)-1] // the first is of all statuses together
			if got := fmt.Sprintf("%s %s %s %s", o.Side, o.Protocol, o.Operation, o.Status); got != tc.row {
				t.Errorf("row %q", got)
			}
			if *o.FailedRatio != tc.failed || o.RequestsPerSecond != 1 {
				t.Errorf("failed %g of %g/s, want %g of 1/s", *o.FailedRatio, o.RequestsPerSecond, tc.failed)
			}
		})
	}
}

// TestGroupByNode tells the machines apart by the instance series.
func TestGroupByNode(t *testing.T) {
	w := newWorld(t, topology.Config{Protocols: specs})
	g := newTraffic(w, 11)
	a := w.scrape(t, 0)
	g.run(time.Minute, 1000)
	live := topology.Between(a, w.scrape(t, time.Minute))
	sum := func(g *topology.Graph) (n float64) {
		for _, e := range g.Edges {
			n += e.RequestsPerSecond
		}
		return n
	}
	h := history.New(w.store, history.Options{})
	for _, group := range []history.Group{history.ByNode, history.ByPod, history.ByProcess, history.ByNamespace} {
		graph, err := h.Graph(context.Background(), history.Query{Window: live.Window, Group: group})
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(sum(graph)-sum(live)) > 1e-9 {
			t.Errorf("by %s: %g/s, want %g/s", group, sum(graph), sum(live))
		}
		ids := map[string]string{}
		for _, n := range graph.Nodes {
			ids[n.ID] = n.Kind
		}
		if group == history.ByNode && (ids["h0"] != "host" || ids["h1"] != "host") {
			t.Errorf("machines h0 and h1 are not among %v", ids)
		}
		for _, e := range graph.Edges {
			if _, ok := ids[e.Client]; !ok {
				t.Errorf("by %s: edge from nowhere: %s", group, e.ID)
			}
		}
		if !slices.IsSortedFunc(graph.Nodes, func(a, b topology.Node) int { return strings.Compare(a.ID, b.ID) }) {
			t.Errorf("by %s: nodes not in order", group)
		}
	}
}

// TestLastStep: in a window that is no whole number of steps long none is short, so that none shows a scrape as a peak.
func TestLastStep(t *testing.T) {
	w := newWorld(t, topology.Config{Protocols: specs})
	g := newTraffic(w, 3)
	w.scrape(t, 0)
	for i := 1; i <= 5; i++ {
		g.run(time.Duration(i)*15*time.Second, 200)
		w.scrape(t, time.Duration(i)*15*time.Second)
	}
	h, ctx := history.New(w.store, history.Options{}), context.Background()
	for _, end := range []time.Duration{64 * time.Second, 75 * time.Second, 76 * time.Second} {
		q := history.Query{Window: window(0, end)}
		graph, err := h.Graph(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range graph.Nodes {
			d, err := h.Node(ctx, n.ID, q)
			if err != nil {
				t.Fatal(err)
			}
			begin := q.Window.Start
			for _, p := range d.Series {
				if length := p.Time.Sub(begin); length < 15*time.Second-time.Microsecond {
					t.Fatalf("%s in %s: a step of %s", n.ID, end, length)
				}
				begin = p.Time
			}
			if !begin.Equal(q.Window.End) {
				t.Errorf("%s in %s: the last step ends at %s", n.ID, end, begin.Sub(q.Window.Start))
			}
		}
	}
}
