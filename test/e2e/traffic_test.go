package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/toposcope/toposcope/test/load"
	"github.com/toposcope/toposcope/test/load/db"
	"github.com/toposcope/toposcope/test/load/rpc"
	"github.com/toposcope/toposcope/test/load/servers"
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
	// upkeep is set for what a driver does on its own, which is no request of an edge unless it fails. How long an exchange takes that is
	// waiting is in no latency of an edge.
	upkeep, waiting bool
}

// isRequest says whether an edge counts the operation among its requests.
func (o operation) isRequest() bool { return !o.upkeep || o.outcome == failed }

// traffic is what one client asked one server by one protocol, to be found in Toposcope's answers, no more and no less.
type traffic struct {
	client, server, protocol string
	// clientMetric and serverMetric are histograms of operations; a protocol need not have one for the server's side.
	clientMetric, serverMetric string
	operations                 []operation
	// clientOnly is set where the server's view of the edge may be another: of what is lost on the way.
	clientOnly bool
	// givenUp is set where the client gives calls up: at its deadline or before, of which the time alone tells.
	givenUp bool
	// sharedClient is set where the client has other traffic counted by the same metric; likewise sharedServer.
	sharedClient, sharedServer bool
}

// sum is how many operations are of a kind.
func (e *traffic) sum(is func(operation) bool) (n int) {
	for _, op := range e.operations {
		if is(op) {
			n += op.count
		}
	}
	return n
}

// total is how many requests an edge counts.
func (e *traffic) total() int { return e.sum(operation.isRequest) }

// ended is how many of them ended so.
func (e *traffic) ended(as outcome) int {
	return e.sum(func(op operation) bool { return op.isRequest() && op.outcome == as })
}

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
		want(e.sum(func(operation) bool { return true }), name, of(side.service)...)
		if e.givenUp {
			errs = append(errs, e.checkGivenUp(now, name, side.service))
			continue
		}
		for _, op := range e.operations {
			alike := e.sum(func(o operation) bool { return slices.Equal(o.pairs, op.pairs) })
			want(alike, name, append(of(side.service), op.pairs...)...)
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
		want(e.ended(failed), "traces_service_graph_request_failed_total", named...)
		want(e.ended(rejected), "toposcope_edge_rejected_total", named...)
	}
	want(0, "toposcope_edge_lost_total", named...)
	want(e.sum(func(op operation) bool { return !op.isRequest() }), "toposcope_edge_upkeep_total", named...)
	want(e.sum(func(op operation) bool { return op.isRequest() && op.waiting }), "toposcope_edge_waiting_total", named...)
	timed := e.sum(func(op operation) bool { return op.isRequest() && !op.waiting })
	want(timed, "traces_service_graph_request_client_seconds_count", named...)
	if !e.clientOnly {
		want(timed, "traces_service_graph_request_server_seconds_count", named...)
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

// operated is what a client of a database or a queue has reported. Before says that its connections are older than Toposcope, which
// then knows neither whose server it is nor, for a while, the database.
func operated(client, server string, kind servers.Kind, before bool, operations []db.Operation) *traffic {
	names := systems[kind]
	e := &traffic{
		client: client, server: server, protocol: names.protocol,
		clientMetric: "db_client_operation_duration_seconds", serverMetric: "db_server_operation_duration_seconds",
	}
	labels := struct{ system, namespace, operation, collection string }{"db_system_name", "db_namespace", "db_operation_name", "db_collection_name"}
	if kind == servers.Kafka {
		e.clientMetric, e.serverMetric = "messaging_client_operation_duration_seconds", ""
		labels.system, labels.operation, labels.collection = "messaging_system", "messaging_operation_name", "messaging_destination_name"
	}
	for _, op := range operations {
		o := operation{
			pairs: []string{labels.operation, op.Name},
			count: op.Count, upkeep: op.Upkeep, waiting: op.Waiting,
		}
		failure := op.Code
		switch {
		case op.Rejected:
			o.outcome, failure = rejected, ""
		case op.Code != "":
			o.outcome = failed
		}
		o.pairs = append(o.pairs, "error_type", failure)
		if !op.Any {
			o.pairs = append(o.pairs, labels.collection, op.Collection)
		}
		if kind != servers.Kafka {
			o.pairs = append(o.pairs, "db_response_status_code", op.Code)
		}
		if !before {
			o.pairs = append(o.pairs, labels.system, names.system)
		}
		if !before && names.namespace != "" {
			o.pairs = append(o.pairs, labels.namespace, names.namespace)
		}
		e.operations = append(e.operations, o)
	}
	return e
}

// systems are the names of the protocols of databases and queues, of their systems, and of the database that all clients use.
var systems = map[servers.Kind]struct{ protocol, system, namespace string }{
	servers.MariaDB:    {"mysql", "mariadb", "shop"},
	servers.PostgreSQL: {"postgresql", "postgresql", "postgres"},
	servers.Redis:      {"redis", "redis", ""},
	servers.Mongo:      {"mongodb", "mongodb", ""},
	servers.Kafka:      {"kafka", "kafka", ""},
}
