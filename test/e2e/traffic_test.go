package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/toposcope/toposcope/test/load"
	"github.com/toposcope/toposcope/test/load/rpc"
)

// outcome is how an exchange ended, as an edge counts it.
type outcome int

const (
	succeeded outcome = iota
	rejected
	failed
)

// operation is exchanges of one kind: those whose series have the labels of pairs ("name", "value", …).
type operation struct {
	pairs   []string
	outcome outcome
	count   int
}

// traffic is what one client asked one server by one protocol, to be found in Toposcope's answers, no more and no less.
type traffic struct {
	client, server, protocol string
	// clientMetric and serverMetric are histograms of operations; a protocol need not have one for the server's side.
	clientMetric, serverMetric string
	operations                 []operation
	// givenUp is set where the client gives calls up: at its deadline or before, of which the time alone tells.
	givenUp bool
	// sharedClient is set where the client has other traffic counted by the same metric; likewise sharedServer.
	sharedClient, sharedServer bool
}

func (e *traffic) sum(outcomes ...outcome) (n int) {
	for _, op := range e.operations {
		if slices.Contains(outcomes, op.outcome) {
			n += op.count
		}
	}
	return n
}

func (e *traffic) total() int { return e.sum(succeeded, rejected, failed) }

// await waits until /metrics shows e on top of base.
func (e *traffic) await(t *testing.T, s *toposcope, base metrics) {
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
func (e *traffic) check(base, now metrics) error {
	var errs []error
	want := func(n int, name string, pairs ...string) {
		if got := now.sum(name, pairs...) - base.sum(name, pairs...); got != float64(n) {
			errs = append(errs, fmt.Errorf("%s%v grew by %g, want %d", name, pairs, got, n))
		}
	}
	e.checkEdge(want)
	for _, side := range []struct {
		metric, service string
		shared          bool
	}{{e.clientMetric, e.client, e.sharedClient}, {e.serverMetric, e.server, e.sharedServer}} {
		if side.metric == "" || side.shared {
			continue
		}
		name := side.metric + "_count"
		want(e.total(), name, of(side.service)...)
		if e.givenUp {
			errs = append(errs, e.checkGivenUp(now, name, side.service))
			continue
		}
		for _, op := range e.operations {
			want(op.count, name, append(of(side.service), op.pairs...)...)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w\nedges:%s%s\noperations:%s%s", err,
			now.with("traces_service_graph_request_total", edge(e.client, "")...),
			now.with("traces_service_graph_request_total", edge("", e.server)...),
			now.with(e.clientMetric+"_count", of(e.client)...), now.with(e.serverMetric+"_count", of(e.server)...))
	}
	return nil
}

// checkGivenUp: as many calls as were given up are CANCELLED or DEADLINE_EXCEEDED. A process that stalls writes or reads a call so late
// that its deadline looks like a cancellation, but not half of them.
func (e *traffic) checkGivenUp(now metrics, metric, service string) error {
	sent := map[string]int{}
	for _, op := range e.operations {
		sent[op.pairs[len(op.pairs)-1]] += op.count
	}
	got := func(code string) int {
		return int(now.sum(metric, append(of(service), "rpc_response_status_code", code)...))
	}
	deadline, cancelled := got("DEADLINE_EXCEEDED"), got("CANCELLED")
	if got("OK") != sent["OK"] || deadline+cancelled != sent["DEADLINE_EXCEEDED"]+sent["CANCELLED"] ||
		deadline > sent["DEADLINE_EXCEEDED"] || 2*deadline < sent["DEADLINE_EXCEEDED"] {
		return fmt.Errorf("%s of %s: %d OK, %d at the deadline, %d cancelled; sent were %v%s", metric, service, got("OK"), deadline, cancelled, sent,
			now.with(metric, of(service)...))
	}
	return nil
}

func (e *traffic) checkEdge(want func(n int, name string, pairs ...string)) {
	pair := edge(e.client, e.server)
	named := append(edge(e.client, e.server), "protocol", e.protocol)
	want(e.total(), "traces_service_graph_request_total", pair...)
	want(e.total(), "traces_service_graph_request_total", named...)
	if !e.givenUp {
		want(e.sum(failed), "traces_service_graph_request_failed_total", named...)
		want(e.sum(rejected), "toposcope_edge_rejected_total", named...)
	}
	want(0, "toposcope_edge_lost_total", named...)
	want(e.total(), "traces_service_graph_request_client_seconds_count", named...)
	if e.serverMetric != "" {
		want(e.total(), "traces_service_graph_request_server_seconds_count", named...)
	}
	if !e.sharedClient {
		want(e.total(), "traces_service_graph_request_total", edge(e.client, "")...)
	}
	if !e.sharedServer {
		want(e.total(), "traces_service_graph_request_total", edge("", e.server)...)
	}
}

// failing are the codes of gRPC with which a call has failed; with any other but OK it was the caller's mistake.
var failing = []string{
	"UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
}

func outcomeOf(code string) outcome {
	switch {
	case code == "OK":
		return succeeded
	case slices.Contains(failing, code):
		return failed
	}
	return rejected
}

// calls is what a gRPC client has reported.
func calls(client, server string, operations []rpc.Operation) *traffic {
	e := &traffic{
		client: client, server: server, protocol: "grpc",
		clientMetric: "rpc_client_call_duration_seconds", serverMetric: "rpc_server_call_duration_seconds",
	}
	for _, op := range operations {
		e.operations = append(e.operations, operation{
			pairs:   []string{"rpc_system_name", "grpc", "rpc_method", op.Method, "rpc_response_status_code", op.Code},
			outcome: outcomeOf(op.Code), count: op.Count,
		})
	}
	return e
}

// requests is what a client of HTTP of any version has sent.
func requests(client, server, protocol string, operations ...load.Operation) *traffic {
	e := &traffic{
		client: client, server: server, protocol: protocol,
		clientMetric: "http_client_request_duration_seconds", serverMetric: "http_server_request_duration_seconds",
	}
	for _, op := range operations {
		o := operation{
			pairs: []string{"http_request_method", op.Method, "http_route", op.Route, "http_response_status_code", strconv.Itoa(op.Status)},
			count: op.Count,
		}
		switch {
		case op.Status >= 500:
			o.outcome = failed
		case op.Status >= 400:
			o.outcome = rejected
		}
		e.operations = append(e.operations, o)
	}
	return e
}
