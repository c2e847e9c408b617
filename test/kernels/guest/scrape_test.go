package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/test/kernels"
	"github.com/toposcope/toposcope/test/kernels/guest/traffic"
)

// page is what Toposcope shows of three lookups, one of which failed, as the client saw them.
const page = `# TYPE toposcope_capture_method_info gauge
toposcope_capture_method_info{method="fexit"} 1
toposcope_capture_method_info{method="kprobe"} 0
# TYPE toposcope_events_lost_total counter
toposcope_events_lost_total{stage="ring"} 0
# TYPE traces_service_graph_request_total counter
traces_service_graph_request_total{client="dns-client",server="dns-server",protocol="dns"} 3
# TYPE traces_service_graph_request_failed_total counter
traces_service_graph_request_failed_total{client="dns-client",server="dns-server",protocol="dns"} 1
# TYPE traces_service_graph_request_client_seconds histogram
traces_service_graph_request_client_seconds_bucket{client="dns-client",server="dns-server",protocol="dns",le="+Inf"} 3
traces_service_graph_request_client_seconds_sum{client="dns-client",server="dns-server",protocol="dns"} 1
traces_service_graph_request_client_seconds_count{client="dns-client",server="dns-server",protocol="dns"} 3
# TYPE traces_service_graph_request_server_seconds histogram
traces_service_graph_request_server_seconds_bucket{client="dns-client",server="dns-server",protocol="dns",le="+Inf"} 3
traces_service_graph_request_server_seconds_sum{client="dns-client",server="dns-server",protocol="dns"} 1
traces_service_graph_request_server_seconds_count{client="dns-client",server="dns-server",protocol="dns"} 3
# TYPE dns_lookup_duration_seconds histogram
dns_lookup_duration_seconds_bucket{service_name="dns-client",dns_question_name="a.test",dns_question_type="A",dns_response_code="NOERROR",le="+Inf"} 2
dns_lookup_duration_seconds_sum{service_name="dns-client",dns_question_name="a.test",dns_question_type="A",dns_response_code="NOERROR"} 1
dns_lookup_duration_seconds_count{service_name="dns-client",dns_question_name="a.test",dns_question_type="A",dns_response_code="NOERROR"} 2
dns_lookup_duration_seconds_bucket{service_name="dns-client",dns_question_name="b.test",dns_question_type="A",dns_response_code="REFUSED",le="+Inf"} 1
dns_lookup_duration_seconds_sum{service_name="dns-client",dns_question_name="b.test",dns_question_type="A",dns_response_code="REFUSED"} 1
dns_lookup_duration_seconds_count{service_name="dns-client",dns_question_name="b.test",dns_question_type="A",dns_response_code="REFUSED"} 1
`

// TestCompare: what was counted right is right, and whatever differs shows.
func TestCompare(t *testing.T) {
	p, _ := traffic.Find("dns")
	made := []traffic.Operation{{Key: "a.test A NOERROR", Count: 2}, {Key: "b.test A REFUSED", Failed: true, Count: 1}}
	for _, test := range []struct {
		name, was, is string
		wrong         []string
	}{
		{name: "right"},
		{
			"a request more", "request_total{client=\"dns-client\",server=\"dns-server\",protocol=\"dns\"} 3", "request_total{client=\"dns-client\",server=\"dns-server\",protocol=\"dns\"} 4",
			[]string{"dns edges of the client", "dns edge", "dns edges of the server"},
		},
		{
			"an edge to another", "request_total{client=\"dns-client\",server=\"dns-server\"", "request_total{client=\"dns-client\",server=\"other\"",
			[]string{"dns edge", "dns edges of the server"},
		},
		{"another code", "REFUSED", "SERVFAIL", []string{"dns client b.test A REFUSED", "dns client b.test A SERVFAIL"}},
		{"an event lost", "{stage=\"ring\"} 0", "{stage=\"ring\"} 1", []string{"events lost"}},
		{
			"no time of the server", "request_server_seconds_count{client=\"dns-client\",server=\"dns-server\",protocol=\"dns\"} 3",
			"request_server_seconds_count{client=\"dns-client\",server=\"dns-server\",protocol=\"dns\"} 2",
			[]string{"dns edge, timed by the server"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := scrapeOf(t, strings.ReplaceAll(page, test.was, test.is))
			rep := kernels.Report{Counts: s.compare(pairs{{Protocol: p}}, [][]traffic.Operation{made})}
			var wrong []string
			for _, c := range rep.Wrong() {
				wrong = append(wrong, c.What)
			}
			if !slices.Equal(wrong, test.wrong) {
				t.Errorf("wrong are %q, want %q", wrong, test.wrong)
			}
			var exchanges uint64
			for _, c := range rep.Counts {
				if c.Protocol == p.Name {
					exchanges += c.Want
				}
			}
			if exchanges != 3 {
				t.Errorf("%d exchanges, want 3", exchanges)
			}
			if s.methods() != "fexit" {
				t.Errorf("the way in force is %q", s.methods())
			}
		})
	}
}

func scrapeOf(t *testing.T, page string) scrape {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(page))
	}))
	defer srv.Close()
	s, err := (&running{address: srv.Listener.Addr().String()}).scrape(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKeptPrivileges(t *testing.T) {
	text := func(s string) *string { return &s }
	all := len(capabilities())
	for name, test := range map[string]struct {
		privileges
		want map[int]bool // some, and whether they are kept
		n    int
	}{
		"all":               {privileges{}, nil, all},
		"all but one":       {privileges{drop: text("cap_sys_admin")}, map[int]bool{21: false, 39: true}, all - 1},
		"two":               {privileges{keep: text("CAP_BPF,cap_perfmon")}, map[int]bool{38: true, 39: true}, 2},
		"none":              {privileges{keep: text("")}, nil, 0},
		"a user has none":   {privileges{user: 1}, nil, 0},
		"unless it is said": {privileges{user: 1, keep: text("cap_net_raw")}, map[int]bool{13: true}, 1},
	} {
		kept, err := test.kept()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i, want := range test.want {
			if slices.Contains(kept, i) != want {
				t.Errorf("%s: capability %d is kept: %t", name, i, !want)
			}
		}
		if len(kept) != test.n {
			t.Errorf("%s: %d are kept, want %d", name, len(kept), test.n)
		}
	}
	if _, err := (&privileges{drop: text("cap_nonsense")}).kept(); err == nil {
		t.Error("an unknown capability is no error")
	}
}
