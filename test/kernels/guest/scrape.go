package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/toposcope/toposcope/test/kernels"
	"github.com/toposcope/toposcope/test/kernels/guest/traffic"
)

// scrape is one reading of /metrics.
type scrape map[string]*dto.MetricFamily

func (r *running) scrape(ctx context.Context) (scrape, error) {
	var page bytes.Buffer
	if err := r.get(ctx, "/metrics", &page); err != nil {
		return nil, err
	}
	dropBuckets(&page)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(&page)
	if err != nil {
		return nil, fmt.Errorf("reading /metrics: %w", err)
	}
	return families, nil
}

// dropBuckets takes the lines of buckets, nine in ten, out of page: emulated code is slow.
func dropBuckets(page *bytes.Buffer) {
	all := page.Bytes()
	page.Truncate(0) // what is kept is written over what was read
	for line := range bytes.Lines(all) {
		if name, _, _ := bytes.Cut(line, []byte{'{'}); !bytes.HasSuffix(name, []byte("_bucket")) {
			page.Write(line)
		}
	}
}

// labels are those that a series must have.
type labels map[string]string

// sum adds up the series of a family, histograms by their counts.
func (s scrape) sum(family string, want labels) uint64 {
	var sum uint64
	for _, m := range s[family].GetMetric() {
		if matches(m, want) {
			sum += value(m)
		}
	}
	return sum
}

func matches(m *dto.Metric, want labels) bool {
	for name, v := range want {
		if label(m, name) != v {
			return false
		}
	}
	return true
}

func value(m *dto.Metric) uint64 {
	return uint64(m.GetCounter().GetValue()+m.GetGauge().GetValue()) + m.GetHistogram().GetSampleCount()
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// methods are the ways of capture in force.
func (s scrape) methods() string {
	var all []string
	for _, m := range s["toposcope_capture_method_info"].GetMetric() {
		if value(m) == 1 {
			all = append(all, label(m, "method"))
		}
	}
	return strings.Join(all, ",")
}

// operations sums a histogram's counts by the values of the labels called names.
func (s scrape) operations(family string, want labels, names []string) map[string]uint64 {
	all := map[string]uint64{}
	for _, m := range s[family].GetMetric() {
		if !matches(m, want) {
			continue
		}
		values := make([]string, len(names))
		for i, name := range names {
			values[i] = label(m, name)
		}
		all[traffic.Key(values...)] += value(m)
	}
	return all
}

// notes are the values, without the zeros, that explain a difference.
func (s scrape) notes() []string {
	var all []string
	for _, family := range []string{
		"toposcope_capture_method_info", "toposcope_ebpf_program_attached", "toposcope_events_total",
		"toposcope_events_lost_total", "toposcope_stream_gaps_total", "toposcope_parse_errors_total",
		"toposcope_exchanges_total", "toposcope_undecoded_connections", "toposcope_series_dropped_total",
		"traces_service_graph_request_total",
	} {
		for _, m := range s[family].GetMetric() {
			if value(m) == 0 {
				continue
			}
			var pairs []string
			for _, l := range m.GetLabel() {
				if l.GetValue() != "" {
					pairs = append(pairs, l.GetName()+"="+strconv.Quote(l.GetValue()))
				}
			}
			all = append(all, fmt.Sprintf("%s{%s} %d", family, strings.Join(pairs, ","), value(m)))
		}
	}
	return all
}

// packets is the way of capture that knows no tasks: a client's name is known only while its socket is open.
const packets = "packet"

// comparison lists what was counted against what was done.
type comparison struct {
	scrape
	counts []kernels.Count
	// nameless is set where clients may have no name: then edges to the server are compared, whoever calls it, and no client's
	// operations; those of a protocol whose servers have none are compared whoever's they are.
	nameless bool
}

func (c *comparison) add(what string, want, got uint64) {
	c.counts = append(c.counts, kernels.Count{What: what, Want: want, Got: got})
}

// compare lists every count of what the pairs did, and whatever was counted that they did not.
func (s scrape) compare(all pairs, made [][]traffic.Operation) []kernels.Count {
	c := comparison{scrape: s, nameless: s.methods() == packets}
	c.add("events lost", 0, s.sum("toposcope_events_lost_total", nil))
	for i, p := range all {
		c.edge(p.Protocol, made[i])
		client := labels{"service_name": p.ClientName()}
		if c.nameless {
			client = nil
		}
		if !c.nameless || p.Server == "" {
			c.operations(p.Protocol, p.Client, client, "client", made[i])
		}
		if p.Server != "" {
			c.operations(p.Protocol, p.Server, labels{"service_name": p.ServerName()}, "server", made[i])
		}
	}
	return c.counts
}

// edge compares the edge from the client to the server, and that neither is an end of another.
func (c *comparison) edge(p traffic.Protocol, made []traffic.Operation) {
	sum := func(is func(traffic.Operation) bool) (n uint64) {
		for _, op := range made {
			if is(op) {
				n += op.Count
			}
		}
		return n
	}
	const requests = "traces_service_graph_request_total"
	edge := labels{"client": p.ClientName(), "server": p.ServerName(), "protocol": p.Name}
	total := sum(traffic.Operation.IsRequest)
	if c.nameless {
		delete(edge, "client")
	} else {
		c.add(p.Name+" edges of the client", total, c.sum(requests, labels{"client": p.ClientName()}))
	}
	c.add(p.Name+" edge", total, c.sum(requests, edge))
	c.add(p.Name+" edges of the server", total, c.sum(requests, labels{"server": p.ServerName()}))
	for _, part := range []struct {
		what, family string
		is           func(traffic.Operation) bool
	}{
		{"failed", "traces_service_graph_request_failed_total", func(op traffic.Operation) bool { return op.IsRequest() && op.Failed }},
		{"rejected", "toposcope_edge_rejected_total", func(op traffic.Operation) bool { return op.IsRequest() && op.Rejected }},
		{"upkeep", "toposcope_edge_upkeep_total", func(op traffic.Operation) bool { return !op.IsRequest() }},
		{"lost", "toposcope_edge_lost_total", func(traffic.Operation) bool { return false }},
		{"timed by the client", "traces_service_graph_request_client_seconds", traffic.Operation.IsRequest},
		{"timed by the server", "traces_service_graph_request_server_seconds", traffic.Operation.IsRequest},
	} {
		if c.nameless && strings.HasPrefix(part.what, "timed") {
			continue // one that has no name may have no side
		}
		c.add(p.Name+" edge, "+part.what, sum(part.is), c.sum(part.family, edge))
	}
}

// operations compares one end's histogram. The server's counts, or those of the client of a protocol whose servers have none, stand
// for the protocol's exchanges.
func (c *comparison) operations(p traffic.Protocol, family string, of labels, end string, made []traffic.Operation) {
	protocol := ""
	if end == "server" || p.Server == "" {
		protocol = p.Name
	}
	want, got := map[string]uint64{}, c.scrape.operations(family, of, p.Labels)
	for _, op := range made {
		want[op.Key] += op.Count
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		c.counts = append(c.counts, kernels.Count{
			What: p.Name + " " + end + " " + key, Protocol: protocol, Want: want[key], Got: got[key],
		})
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if want[key] == 0 && got[key] > 0 {
			c.add(p.Name+" "+end+" "+key, 0, got[key])
		}
	}
}
