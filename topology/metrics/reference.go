package metrics

import (
	"fmt"
	"slices"
	"strings"

	"github.com/toposcope/toposcope/topology"
)

// Reference is the catalogue as a page of Markdown.
func Reference() string {
	var b strings.Builder
	resource := (&topology.Config{}).ResourceLabels()
	b.WriteString("# Metrics\n\nGenerated from the catalogue by `go generate ./topology/metrics`; do not edit.\n\n")
	b.WriteString("Every label below is on every series of its metric, empty where it does not apply. Histograms have classic ")
	b.WriteString("buckets from 5 ms to 10 s and native ones at once. Counters and histograms carry their start time, at which ")
	b.WriteString("the store writes a zero sample.\n\n")
	fmt.Fprintf(&b, "**Resource labels**: %s, then the business labels, and `process_pid` where `metrics.process_pid` is set.\n\n",
		code(resource))
	b.WriteString("| metric | type | unit | labels | |\n|---|---|---|---|---|\n")
	for _, m := range Catalogue(resource) {
		labels := code(m.Labels)
		if len(m.Labels) > len(resource) && slices.Equal(m.Labels[:len(resource)], resource) {
			labels = "resource labels, " + code(m.Labels[len(resource):])
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.Name, m.Type, m.Unit, labels, m.Help)
	}
	b.WriteString(fields)
	return b.String()
}

// code lists names as code.
func code(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "`" + strings.Join(names, "`, `") + "`"
}

// fields says which series each field of the topology API is computed from.
const fields = `
## Fields of the topology

| field | series |
|---|---|
| ` + "`nodes[].id`, `name`, `namespace`" + ` | labels of ` + "`toposcope_node_info`" + ` and of the edges' ends |
| ` + "`nodes[].kind`" + ` | ` + "`toposcope_node_info`, `toposcope_process_info`" + `, label ` + "`kind`" + ` |
| ` + "`nodes[].instances`" + ` | ` + "`toposcope_process_info`" + ` |
| ` + "`nodes[].requestsPerSecond`, `failedRatio`, `rejectedRatio`, quantiles, `health`" + ` | sums of the edges that lead to the node |
| ` + "`edges[].requestsPerSecond`" + ` | ` + "`traces_service_graph_request_total`" + ` |
| ` + "`edges[].failedRatio`" + ` | ` + "`traces_service_graph_request_failed_total`" + ` over the requests |
| ` + "`edges[].rejectedRatio`" + ` | ` + "`toposcope_edge_rejected_total`" + ` over the requests |
| ` + "`edges[].p50Seconds`, `p95Seconds`, `p99Seconds`" + ` | ` + "`traces_service_graph_request_client_seconds`" + ` where the client's end was watched, else ` + "`traces_service_graph_request_server_seconds`" + ` |
| ` + "`edges[].sentBytesPerSecond`, `receivedBytesPerSecond`" + ` | ` + "`toposcope_edge_sent_bytes_total`, `toposcope_edge_received_bytes_total`" + ` |
| ` + "`edges[].retransmitsPerSecond`" + ` | ` + "`toposcope_tcp_retransmits_total`" + ` of the pair, whatever the protocol |
| ` + "`edges[].waitingPerSecond`, `upkeepPerSecond`" + ` | ` + "`toposcope_edge_waiting_total`, `toposcope_edge_upkeep_total`" + `; only edges that have some have these series |
| ` + "`edges[].lost`" + ` | ` + "`toposcope_edge_lost_total`" + ` |
| the same with ` + "`group=node`, `pod`, `process`" + ` | ` + "`toposcope_edge_instance_requests_total`, `toposcope_edge_instance_requests_failed_total`, `toposcope_process_info`" + `; no latency |

## Reasons

` + "`toposcope_series_dropped_total`" + `: ` + "`series`" + ` (limits.series), ` + "`peers`" + ` (limits.peers_per_service), ` + "`instances`" + `
(limits.instances_per_service), ` + "`routes` and `values`" + ` (limits.routes_per_service: paths, and each other open-ended label).

` + "`toposcope_exchanges_left_out_total`" + `: ` + "`self`" + ` (an end is Toposcope's own), ` + "`unopened`" + ` (the connection's opening was lost; it is
counted as an operation only),
` + "`connections`" + ` (connections that were one too many to remember; their exchanges are unopened), ` + "`negative_duration`" + ` (counted, as lasting 0 s).
`
