package e2e

import (
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/toposcope/toposcope/test/load/servers"
)

// TestLoss: with a ring buffer that is far too small events are lost. The counters tell so, what was counted and what the
// edge says it lost are what was sent, and no answer is taken for another's: each route has a status of its own.
func TestLoss(t *testing.T) {
	requireHost(t)
	forEachMethod(t, func(t *testing.T, method string) {
		s := startToposcope(t, options{method: method, args: []string{"--capture.ring-bytes=16384"}})
		server := startServer(t, servers.Config{Kind: servers.Go, Name: "lossy"})
		requests := []string{
			"GET /ok/{n}?bytes=2000", "POST /missing/{n}?status=404 body=2000", "GET /broken/{n}?status=500", "PUT /created/{n}?status=201 body=3000",
		}
		// How many requests a turn of a pipelining client held cannot be known when it was lost: then it is an estimate.
		for pipeline, tolerance := range map[string]float64{"1": 0, "4": 0.15} {
			t.Run("pipeline "+pipeline, func(t *testing.T) {
				client := "client-of-lossy-" + pipeline
				base, err := s.metrics()
				if err != nil {
					t.Fatal(err)
				}
				g := startLoad(t, client, server.Address, requests, "-count", "60000", "-connections", "16", "-pipeline", pipeline)
				g.start(t)
				r := g.report(t)
				if r.Failed > 0 || r.NotSent > 0 {
					t.Fatalf("the load did not go as planned: %+v", r)
				}
				status := map[string]string{}
				for _, op := range r.Operations {
					status[op.Method+" "+op.Route] = strconv.Itoa(op.Status)
				}
				var counted, lost float64
				eventually(t, settle, func() (err error) {
					counted, lost, err = checkLoss(t, s, base, client, float64(r.Sent), tolerance, status)
					return err
				})
				t.Logf("sent %d, counted %.0f, lost by the edge's own count %.0f", r.Sent, counted, lost)
				// A client that pipelines all the time may leave no moment at which pairing can be taken up again.
				if counted == 0 && pipeline == "1" {
					t.Error("nothing was counted")
				}
			})
		}
	})
}

func checkLoss(t *testing.T, s *toposcope, base metrics, client string, sent, tolerance float64, status map[string]string) (counted, lost float64, err error) {
	t.Helper()
	now, err := s.metrics()
	if err != nil {
		return 0, 0, err
	}
	for _, m := range now {
		wrong := m.name == "http_client_request_duration_seconds_count" && m.matches(of(client)) &&
			m.labels["error_type"] != "unanswered" && m.value > 0 &&
			m.labels["http_response_status_code"] != status[m.labels["http_request_method"]+" "+m.labels["http_route"]]
		if wrong {
			t.Fatalf("an answer was paired with a request that is not its own: %v %g", m.labels, m.value)
		}
	}
	counted = now.sum("traces_service_graph_request_total", edge(client, "")...)
	lost = now.sum("toposcope_edge_lost_total", edge(client, "")...)
	events := now.sum("toposcope_events_lost_total") - base.sum("toposcope_events_lost_total")
	switch {
	case events == 0:
		err = fmt.Errorf("nothing was lost in a ring of 16 KiB; sent %g, counted %g", sent, counted)
	case math.Abs(counted+lost-sent) > tolerance*sent:
		err = fmt.Errorf("%g counted and %g lost are %g, but %g were sent", counted, lost, counted+lost, sent)
	}
	return counted, lost, err
}
