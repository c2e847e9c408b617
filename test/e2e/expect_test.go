package e2e

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"testing"

	"github.com/toposcope/toposcope/test/load"
)

// expectation is what one client sent to one server, to be found in Toposcope's answers, no more and no less.
type expectation struct {
	client, server string
	// operations by method, route and status; status 0 is a request that was not answered.
	operations []load.Operation
	// sharedClient is set where the client asks other servers too: what it does in all is then not checked. Likewise
	// sharedServer.
	sharedClient, sharedServer bool
}

func (e *expectation) total() (total, failed int) {
	for _, op := range e.operations {
		total += op.Count
		if op.Status == 0 || op.Status >= http.StatusInternalServerError {
			failed += op.Count
		}
	}
	return total, failed
}

// await waits until /metrics shows e on top of base, and the stored series do.
func (e *expectation) await(t *testing.T, s *toposcope, base metrics) {
	t.Helper()
	e.awaitMetrics(t, s, base)
	awaitTopology(t, s, e)
}

func (e *expectation) awaitMetrics(t *testing.T, s *toposcope, base metrics) {
	t.Helper()
	eventually(t, settle, func() error {
		now, err := s.metrics()
		if err != nil {
			return err
		}
		return e.check(base, now)
	})
}

// check compares the growth of every series from base to now with e.
func (e *expectation) check(base, now metrics) error {
	var errs []error
	want := func(n int, name string, pairs ...string) {
		if got := now.sum(name, pairs...) - base.sum(name, pairs...); got != float64(n) {
			errs = append(errs, fmt.Errorf("%s%v grew by %g, want %d", name, pairs, got, n))
		}
	}
	total, failed := e.total()
	both := append(edge(e.client, e.server), "protocol", "http")
	want(total, "traces_service_graph_request_total", both...)
	want(failed, "traces_service_graph_request_failed_total", both...)
	want(total, "traces_service_graph_request_client_seconds_count", both...)
	want(total, "traces_service_graph_request_server_seconds_count", both...)
	if !e.sharedClient {
		want(total, "traces_service_graph_request_total", edge(e.client, "")...)
		want(total, "http_client_request_duration_seconds_count", of(e.client)...)
	}
	if !e.sharedServer {
		want(total, "traces_service_graph_request_total", edge("", e.server)...)
		want(total, "http_server_request_duration_seconds_count", of(e.server)...)
	}
	for _, op := range e.operations {
		pairs := []string{"http_request_method", op.Method, "http_route", op.Route}
		if op.Status != 0 {
			pairs = append(pairs, "http_response_status_code", strconv.Itoa(op.Status))
		} else {
			pairs = append(pairs, "error_type", "unanswered")
		}
		if !e.sharedClient {
			want(op.Count, "http_client_request_duration_seconds_count", append(pairs, of(e.client)...)...)
		}
		if !e.sharedServer {
			want(op.Count, "http_server_request_duration_seconds_count", append(pairs, of(e.server)...)...)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w\nedges:%s%s\noperations:%s%s", err,
			now.with("traces_service_graph_request_total", edge(e.client, "")...),
			now.with("traces_service_graph_request_total", edge("", e.server)...),
			now.with("http_client_request_duration_seconds_count", of(e.client)...),
			now.with("http_server_request_duration_seconds_count", of(e.server)...))
	}
	return nil
}

// awaitTopology waits until the graph since Toposcope's start shows on each edge as many requests as expected.
func awaitTopology(t *testing.T, s *toposcope, expected ...*expectation) {
	t.Helper()
	eventually(t, settle, func() error {
		g, err := s.topology()
		if err != nil {
			return err
		}
		var errs []error
		for _, e := range expected {
			total, _ := e.total()
			if got := g.requests(e.client, e.server); math.Abs(got-float64(total)) > 0.01 {
				errs = append(errs, fmt.Errorf("the topology shows %.2f requests from %s to %s, want %d", got, e.client, e.server, total))
			}
		}
		return errors.Join(errs...)
	})
}

// checkNothingLost fails t where events were lost: then the counts above are right by luck.
func checkNothingLost(t *testing.T, s *toposcope) {
	t.Helper()
	m, err := s.metrics()
	if err != nil {
		t.Fatal(err)
	}
	if lost := m.sum("toposcope_events_lost_total"); lost > 0 {
		t.Errorf("%g events were lost:%s", lost, m.with("toposcope_events_lost_total"))
	}
}
