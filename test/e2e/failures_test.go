package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/toposcope/toposcope/test/load"
	"github.com/toposcope/toposcope/test/load/servers"
)

// TestFailures: what ended badly is counted as that, once.
func TestFailures(t *testing.T) {
	requireHost(t, "python3")
	forEachMethod(t, func(t *testing.T, method string) {
		s := startToposcope(t, options{method: method})
		for _, test := range []struct {
			name string
			run  func(t *testing.T, s *toposcope, base metrics)
		}{
			{"client killed while it waits", testClientKilled},
			{"server killed while it is asked", testServerKilled},
			{"connection refused", testRefused},
			{"listener stopped", testStopped},
		} {
			t.Run(test.name, func(t *testing.T) {
				base, err := s.metrics()
				if err != nil {
					t.Fatal(err)
				}
				test.run(t, s, base)
			})
		}
		checkNothingLost(t, s)
	})
}

// unanswered is one request for GET /users/{n} that got no answer.
var unanswered = []load.Operation{{Method: "GET", Route: "/users/{id}", Status: 0, Count: 1}}

func testClientKilled(t *testing.T, s *toposcope, base metrics) {
	server, address := script(t, "mute-to-killed", "mute")
	g := startLoad(t, "killed-client", address, simple, "-count", "1")
	awaitPair(t, s, "killed-client", "mute-to-killed", map[string]float64{"active_connections": 1})
	g.start(t)
	server.line(t, "got")
	g.kill()
	// The server could still answer, for all it knows, and holds its end open until it is gone too.
	server.kill()
	(&expectation{client: "killed-client", server: "mute-to-killed", operations: unanswered}).await(t, s, base)
}

func testServerKilled(t *testing.T, s *toposcope, base metrics) {
	server, address := script(t, "killed-server", "mute")
	g := startLoad(t, "client-of-killed", address, simple, "-count", "1")
	awaitPair(t, s, "client-of-killed", "killed-server", map[string]float64{"active_connections": 1})
	g.start(t)
	server.line(t, "got")
	server.kill()
	r := g.report(t)
	if r.Failed != 1 {
		t.Fatalf("the load did not fail as planned: %+v", r)
	}
	(&expectation{client: "client-of-killed", server: "killed-server", operations: r.Operations}).await(t, s, base)
}

func testRefused(t *testing.T, s *toposcope, base metrics) {
	const attempts = 5
	g := startLoad(t, "refused-client", freeAddress(t), simple, "-close", "-rate", "20", "-count", fmt.Sprint(attempts))
	g.start(t)
	if r := g.report(t); r.Errors["connection refused"] != attempts {
		t.Fatalf("the load was not refused: %+v", r)
	}
	eventually(t, settle, func() error {
		now, err := s.metrics()
		if err != nil {
			return err
		}
		const name = "toposcope_tcp_connect_failures_total"
		if got := now.sum(name, edge("refused-client", "")...) - base.sum(name, edge("refused-client", "")...); got != attempts {
			return fmt.Errorf("%s grew by %g, want %d%s", name, got, attempts, now.with(name))
		}
		if found := now.with("traces_service_graph_request_total", edge("refused-client", "")...); found != "" {
			return fmt.Errorf("a request that was never sent is counted:%s", found)
		}
		return nil
	})
}

// testStopped: a connection waits in the accept queue of a process that is stopped, and the wait shows in full.
func testStopped(t *testing.T, s *toposcope, base metrics) {
	wait := 3 * time.Second
	if *long {
		wait = 10 * time.Second
	}
	server := startServer(t, servers.Config{Kind: servers.Go, Name: "stopped"})
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	dialled := time.Now()
	g := startLoad(t, "client-of-stopped", server.Address, simple, "-count", "1")
	connected := time.Now()
	g.start(t)
	<-time.After(wait - time.Since(connected)) // the length of the stop is what is measured
	if err := server.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r := g.report(t)
	most := time.Since(dialled)
	(&expectation{client: "client-of-stopped", server: "stopped", operations: r.Operations}).await(t, s, base)
	eventually(t, settle, func() error {
		now, err := s.metrics()
		if err != nil {
			return err
		}
		const name = "toposcope_tcp_accept_duration_seconds"
		count := now.sum(name+"_count", edge("", "stopped")...)
		sum := now.sum(name+"_sum", edge("", "stopped")...)
		if count != 1 || sum < wait.Seconds() || sum > most.Seconds() {
			return fmt.Errorf("%g accepts took %.3f s, want 1 of %.3f to %.3f s", count, sum, wait.Seconds(), most.Seconds())
		}
		return nil
	})
}
