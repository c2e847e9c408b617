package metrics_test

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/topology"
	"github.com/toposcope/toposcope/topology/metrics"
)

var start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// names resolves two processes, and no address.
type names map[uint32]*labeler.Resource

func (n names) Process(t event.Task) *labeler.Resource { return n[t.PID] }

func (n names) Address(netip.AddrPort, uint32, time.Time) (*labeler.Resource, bool) {
	return nil, false
}

func shop() names {
	return names{
		10: {Name: "web", Namespace: "shop", InstanceID: "web@h1", Kind: labeler.KindService, PID: 10, Executable: "web", Host: "h1"},
		20: {
			Name: "cart", Namespace: "shop", InstanceID: "cart@h1", Kind: labeler.KindService, PID: 20, Executable: "cart",
			Host: "h1", Labels: []labeler.Label{{Name: "team", Value: "payments"}},
		},
	}
}

// call plays a connection from web to cart with one call of every system at both of its ends.
func call(t *topology.Topology) {
	s := t.Shard(0)
	f := event.Flow{Local: netip.MustParseAddrPort("127.0.0.1:40000"), Remote: netip.MustParseAddrPort("127.0.0.1:80"), NetNS: 1}
	web, cart := event.Task{PID: 10}, event.Task{PID: 20}
	s.Handle(&event.Opened{Conn: 1, Flow: f, Role: event.RoleClient, Owner: web, Time: start, ConnectDuration: time.Millisecond})
	s.Handle(&event.Opened{Conn: 2, Flow: f.Mirror(), Role: event.RoleServer, Time: start})
	s.Handle(&event.Accepted{Conn: 2, Task: cart, Time: start, Wait: time.Millisecond})
	for system := protocol.SystemHTTP; system <= protocol.SystemDNS; system++ {
		spec := &protocol.Spec{Name: fmt.Sprintf("p%d", system), System: system}
		for side, id := range []event.ConnID{1, 2} {
			x := &protocol.Exchange{
				Conn: id, Side: protocol.Side(side), Task: []event.Task{web, cart}[side], Protocol: spec,
				Request:  &protocol.Message{Start: start, End: start, Size: 10},
				Response: &protocol.Message{Start: start, End: start.Add(3 * time.Millisecond), Size: 20},
			}
			x.Request.Attrs.SetString(protocol.HTTPRequestMethod, "GET")
			x.Request.Attrs.SetString(protocol.URLPath, "/users/12?q=secret")
			x.Response.Attrs.SetString(protocol.HTTPResponseStatusCode, "200")
			s.Exchange(x)
			x.Request.Waiting = true
			s.Exchange(x)
			x.Request.Upkeep = true
			s.Exchange(x)
		}
	}
	s.Resolved(&topology.Resolution{Task: web, Name: "cart", Type: "A", Code: "NOERROR", Start: start, End: start.Add(time.Millisecond)})
	s.Handle(&event.Listening{Local: netip.MustParseAddrPort("0.0.0.0:80"), Task: cart, Open: true, Queue: 2, Time: start})
	s.Handle(&event.Stats{Conn: 1, Time: start.Add(time.Second), RTT: time.Millisecond})
}

func sources() metrics.Sources {
	return metrics.Sources{
		Build:        metrics.Build{Version: "1.0.0", Revision: "abc", GoVersion: "go1.26"},
		Method:       func() string { return "tracepoint" },
		Programs:     func() map[string]bool { return map[string]bool{"sent": true, "received": false} },
		Events:       func() uint64 { return 12 },
		Lost:         func() map[string]uint64 { return map[string]uint64{"ring": 1, "reserve": 0} },
		Filtered:     func() int64 { return 4 },
		KernelMemory: func() uint64 { return 1 << 20 },
		Trackers: func() []protocol.Counters {
			c := protocol.NewTracker([]*protocol.Spec{{Name: "http"}}, protocol.Config{}, nil, nil).Counters()
			c.TLS[protocol.TLSLabels{Version: "1.3", ALPN: "h2"}] = 3
			return []protocol.Counters{c, c}
		},
	}
}

func gather(t *testing.T, cfg topology.Config) map[string]*dto.MetricFamily {
	t.Helper()
	cfg.Now = func() time.Time { return start }
	topo, err := topology.New(cfg, shop())
	if err != nil {
		t.Fatal(err)
	}
	call(topo)
	c, err := metrics.New(topo, sources(), func() time.Time { return start.Add(time.Minute) })
	if err != nil {
		t.Fatal(err)
	}
	// A pedantic registry holds every series against its description.
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	list, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*dto.MetricFamily{}
	for _, f := range list {
		out[f.GetName()] = f
	}
	return out
}

// TestCatalogue has every declared metric come out with its type, help, labels and start time.
func TestCatalogue(t *testing.T) {
	cfg := topology.Config{BusinessLabels: []string{"team"}, ProcessPID: true}
	families := gather(t, cfg)
	catalogue := metrics.Catalogue(cfg.ResourceLabels())
	for _, m := range catalogue {
		f, ok := families[m.Name]
		if !ok {
			t.Errorf("%s has no series", m.Name)
			continue
		}
		delete(families, m.Name)
		if got := strings.ToLower(f.GetType().String()); got != m.Type.String() || f.GetHelp() != m.Help {
			t.Errorf("%s: type %s, help %q", m.Name, got, f.GetHelp())
		}
		for _, s := range f.Metric {
			created := s.GetCounter().GetCreatedTimestamp()
			if m.Type == metrics.Histogram {
				created = s.GetHistogram().GetCreatedTimestamp()
				if len(s.GetHistogram().Bucket) != 11 || len(s.GetHistogram().PositiveSpan) == 0 {
					t.Errorf("%s has not both kinds of buckets: %v", m.Name, s)
				}
			}
			if m.Type != metrics.Gauge && created.AsTime().Before(start.Add(-time.Second)) {
				t.Errorf("%s has no start time: %v", m.Name, s)
			}
		}
	}
	for name := range families {
		t.Errorf("%s is not in the catalogue", name)
	}
}

func TestOperationLabels(t *testing.T) {
	f := gather(t, topology.Config{BusinessLabels: []string{"team"}})["http_server_request_duration_seconds"]
	got := map[string]string{}
	for _, l := range f.Metric[0].Label {
		got[l.GetName()] = l.GetValue()
	}
	for name, want := range map[string]string{
		"service_name": "cart", "service_namespace": "shop", "service_instance_id": "cart@h1", "host_name": "h1",
		"process_executable_name": "cart", "team": "payments", "http_request_method": "GET", "http_route": "/users/{id}",
		"http_response_status_code": "200", "error_type": "", "k8s_pod_name": "",
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %q, %t; want %q", name, v, ok, want)
		}
	}
	if _, ok := got["process_pid"]; ok {
		t.Error("process_pid is there without being asked for")
	}
}

// TestLint allows no exception: the names of Tempo and OpenTelemetry pass as they are.
func TestLint(t *testing.T) {
	var families []*dto.MetricFamily
	for _, f := range gather(t, topology.Config{}) {
		families = append(families, f)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestBusinessLabelsAreChecked(t *testing.T) {
	for _, label := range []string{"service_name", "http_route", "not-a-name", ""} {
		topo, err := topology.New(topology.Config{BusinessLabels: []string{label}}, shop())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := metrics.New(topo, metrics.Sources{}, nil); err == nil {
			t.Errorf("the business label %q is taken", label)
		}
	}
}

// TestEmpty has nothing wired and nothing seen.
func TestEmpty(t *testing.T) {
	topo, err := topology.New(topology.Config{}, shop())
	if err != nil {
		t.Fatal(err)
	}
	c, err := metrics.New(topo, metrics.Sources{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	if got := strings.Join(names, " "); got != "toposcope_build_info toposcope_exchanges_left_out_total toposcope_series_dropped_total" {
		t.Errorf("series of an empty topology: %s", got)
	}
}

var update = flag.Bool("update", false, "write reference.md")

// TestReference keeps reference.md what the catalogue says.
func TestReference(t *testing.T) {
	want := metrics.Reference()
	if *update {
		if err := os.WriteFile("reference.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("reference.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("reference.md is not what the catalogue says; run go generate ./topology/metrics")
	}
}
