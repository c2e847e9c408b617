package history

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/toposcope/toposcope/topology"
)

// operationSeries says how one operation metric reads as rows of a page.
type operationSeries struct {
	name, side string
	// protocol is the row's protocol, or the label that names it.
	protocol, protocolLabel string
	// operation are the labels that, joined by a space, name the operation.
	operation []string
	status    string
}

// operationMetrics lists the operation metrics in the order of pages.
func operationMetrics() []operationSeries {
	http := []string{"http_request_method", "http_route"}
	rpc := []string{"rpc_method"}
	db := []string{"db_operation_name", "db_collection_name"}
	return []operationSeries{
		{topology.MetricHTTPServer, "server", "http", "", http, "http_response_status_code"},
		{topology.MetricHTTPClient, "client", "http", "", http, "http_response_status_code"},
		{topology.MetricRPCServer, "server", "rpc", "rpc_system_name", rpc, "rpc_response_status_code"},
		{topology.MetricRPCClient, "client", "rpc", "rpc_system_name", rpc, "rpc_response_status_code"},
		{topology.MetricDBServer, "server", "db", "db_system_name", db, "db_response_status_code"},
		{topology.MetricDBClient, "client", "db", "db_system_name", db, "db_response_status_code"},
		{
			topology.MetricMessagingClient, "client", "messaging", "messaging_system",
			[]string{"messaging_operation_name", "messaging_destination_name"},
			"",
		},
		{
			topology.MetricDNSResolution, "client", "dns", "",
			[]string{"dns_question_type", "dns_question_name"},
			"dns_response_code",
		},
	}
}

// operationKey is a row: one status of an operation, or all of them (status "").
type operationKey struct{ side, protocol, operation, status string }

type operationTotals struct {
	failed  float64
	latency topology.Distribution
}

// operations reads what the service key served and asked for, each operation as a whole and by status, busiest first.
func (h *History) operations(ctx context.Context, q *Query, key topology.ServiceKey) ([]topology.Operation, error) {
	m := []Matcher{
		{Name: topology.LabelServiceName, Value: key.Name}, {Name: topology.LabelServiceNamespace, Value: key.Namespace},
	}
	rows := map[operationKey]*operationTotals{}
	for _, o := range operationMetrics() {
		err := h.histograms(ctx, o.name, m, q.Window, single(q.Window),
			func(labels map[string]string, _ int, d *topology.Distribution) {
				k := o.key(labels)
				if q.Protocol != "" && !strings.HasPrefix(q.Protocol, k.protocol) {
					return
				}
				failed := 0.0
				if operationFailed(o.protocol, k.status, labels["error_type"]) {
					failed = d.Count
				}
				put(rows, k, d, failed)
				if k.status != "" {
					k.status = ""
					put(rows, k, d, failed)
				}
			})
		if err != nil {
			return nil, err
		}
	}
	return listed(rows, q.Window.Seconds()), nil
}

func (o *operationSeries) key(labels map[string]string) operationKey {
	k := operationKey{side: o.side, protocol: o.protocol, status: labels[o.status]}
	if p := labels[o.protocolLabel]; p != "" {
		k.protocol = p
	}
	var parts []string
	for _, l := range o.operation {
		if v := labels[l]; v != "" {
			parts = append(parts, v)
		}
	}
	k.operation = strings.Join(parts, " ")
	return k
}

func put(rows map[operationKey]*operationTotals, k operationKey, d *topology.Distribution, failed float64) {
	t, ok := rows[k]
	if !ok {
		t = &operationTotals{}
		rows[k] = t
	}
	t.latency.Add(d)
	t.failed += failed
}

// operationFailed is the rule of failure read back from labels.
func operationFailed(system, status, errorType string) bool {
	if errorType == "unanswered" {
		return true
	}
	switch system {
	case "http":
		return status >= "500" && len(status) == 3 || status == "" && errorType != ""
	case "rpc":
		switch status {
		case "UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS":
			return true
		}
		return status == "" && errorType != ""
	case "dns":
		switch status {
		case "SERVFAIL", "REFUSED", "FORMERR":
			return true
		}
		return status == "" && errorType != ""
	default:
		return errorType != ""
	}
}

func listed(rows map[operationKey]*operationTotals, seconds float64) []topology.Operation {
	out := make([]topology.Operation, 0, len(rows))
	for k, t := range rows {
		if t.latency.Count == 0 {
			continue
		}
		ratio := t.failed / t.latency.Count
		quantiles := t.latency.Quantiles()
		out = append(out, topology.Operation{
			Side: k.side, Protocol: k.protocol, Operation: k.operation, Status: k.status,
			RequestsPerSecond: t.latency.Count / seconds, FailedRatio: &ratio,
			P50Seconds: quantiles.P50Seconds, P95Seconds: quantiles.P95Seconds, P99Seconds: quantiles.P99Seconds,
		})
	}
	slices.SortFunc(out, func(a, b topology.Operation) int {
		return cmp.Or(cmp.Compare(b.Side, a.Side), cmp.Compare(b.RequestsPerSecond, a.RequestsPerSecond),
			cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Status, b.Status))
	})
	return out
}
