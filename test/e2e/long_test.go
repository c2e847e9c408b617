package e2e

import (
	"fmt"
	"testing"

	"github.com/toposcope/toposcope/test/load/servers"
)

// TestLong: the load of the nightly run, five times in a row. Every run is reported with what was not sent; where events
// were lost, what was counted and what the edge says it lost must be what was sent.
func TestLong(t *testing.T) {
	requireHost(t, "nginx")
	if !*long {
		t.Skip("run with -long")
	}
	const runs = 5
	forEachMethod(t, func(t *testing.T, method string) {
		s := startToposcope(t, options{method: method})
		for _, rate := range []int{2000, 10000} {
			for _, kind := range []servers.Kind{servers.Go, servers.Nginx} {
				for run := 1; run <= runs; run++ {
					name := fmt.Sprintf("long-%s-%d-%d", kind, rate, run)
					t.Run(name, func(t *testing.T) { testLong(t, s, name, kind, rate) })
				}
			}
		}
	})
}

func testLong(t *testing.T, s *toposcope, name string, kind servers.Kind, rate int) {
	server := "server-of-" + name
	if kind == servers.Nginx {
		server = nginxName
	}
	running := startServer(t, servers.Config{Kind: kind, Name: server})
	g := startLoad(t, name, running.Address, mixed, flags(fmt.Sprintf("-rate %d -duration 20s -connections 32", rate))...)
	base, err := s.metrics()
	if err != nil {
		t.Fatal(err)
	}
	g.start(t)
	r := g.report(t)
	e := &expectation{client: name, server: server, operations: r.Operations}
	exact := func() error {
		now, err := s.metrics()
		if err != nil {
			return err
		}
		lost := now.sum("toposcope_edge_lost_total", edge(name, "")...)
		counted := now.sum("traces_service_graph_request_total", edge(name, "")...)
		t.Logf("%s: planned %d, sent %d, not sent %d, failed %d, counted %g, lost %g, p99 %.1f ms",
			name, r.Planned, r.Sent, r.NotSent, r.Failed, counted, lost, r.LatencySeconds.P99*1e3)
		if lost > 0 && counted+lost == float64(r.Sent) {
			return nil
		}
		return e.check(base, now)
	}
	eventually(t, settle, exact)
}
