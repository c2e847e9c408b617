package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/toposcope/toposcope/test/kernels"
)

// scrape is one reading of /metrics, cut down to what is compared.
type scrape struct {
	server, client tally
	edge, failed   uint64
	methods        map[string]bool // toposcope_capture_method_info
	notes          []string
}

// read asks for /metrics.
func (s *scrape) read(ctx context.Context) error {
	var page bytes.Buffer
	if err := get(ctx, "/metrics", &page); err != nil {
		return err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(&page)
	if err != nil {
		return fmt.Errorf("reading /metrics: %w", err)
	}
	s.server = operations(families["http_server_request_duration_seconds"], serverName)
	s.client = operations(families["http_client_request_duration_seconds"], clientName)
	s.edge = edge(families["traces_service_graph_request_total"])
	s.failed = edge(families["traces_service_graph_request_failed_total"])
	s.methods = map[string]bool{}
	for _, m := range families["toposcope_capture_method_info"].GetMetric() {
		if m.GetGauge().GetValue() == 1 {
			s.methods[label(m, "method")] = true
		}
	}
	for _, name := range []string{
		"toposcope_capture_method_info", "toposcope_ebpf_program_attached", "toposcope_events_total",
		"toposcope_events_lost_total", "toposcope_stream_gaps_total", "toposcope_parse_errors_total",
		"toposcope_exchanges_total", "toposcope_undecoded_connections", "toposcope_series_dropped_total",
	} {
		s.note(families[name])
	}
	return nil
}

// operations sums a histogram's counts of one service by method, route and status.
func operations(f *dto.MetricFamily, service string) tally {
	t := tally{}
	for _, m := range f.GetMetric() {
		if label(m, "service_name") != service {
			continue
		}
		key := fmt.Sprintf("%s %s %s", label(m, "http_request_method"), label(m, "http_route"), label(m, "http_response_status_code"))
		t[tallyKey(key)] += m.GetHistogram().GetSampleCount()
	}
	return t
}

// edge sums the counter of the edge from the load's client to its server.
func edge(f *dto.MetricFamily) uint64 {
	var n uint64
	for _, m := range f.GetMetric() {
		if label(m, "client") == clientName && label(m, "server") == serverName {
			n += uint64(m.GetCounter().GetValue())
		}
	}
	return n
}

// note keeps a family's values, without the zeros, for a reader who looks for a difference.
func (s *scrape) note(f *dto.MetricFamily) {
	for _, m := range f.GetMetric() {
		value := m.GetCounter().GetValue() + m.GetGauge().GetValue()
		if value == 0 {
			continue
		}
		var labels []string
		for _, l := range m.GetLabel() {
			labels = append(labels, l.GetName()+"="+strconv.Quote(l.GetValue()))
		}
		s.notes = append(s.notes, fmt.Sprintf("%s{%s} %g", f.GetName(), strings.Join(labels, ","), value))
	}
}

// compare lists every count that was sent on both sides and the edge, and whatever was counted that was not sent.
func (s *scrape) compare(way string, sent tally) []kernels.Count {
	var total, failed uint64
	for key, n := range sent {
		total += n
		if status := key[strings.LastIndexByte(string(key), ' ')+1:]; status[0] == '5' {
			failed += n
		}
	}
	var method uint64
	if s.methods[way] && len(s.methods) == 1 {
		method = 1
	}
	counts := []kernels.Count{
		{What: "capture method is " + way, Want: 1, Got: method},
		{What: "edge", Want: total, Got: s.edge},
		{What: "edge, failed", Want: failed, Got: s.failed},
	}
	for _, side := range []struct {
		name string
		seen tally
	}{{"client", s.client}, {"server", s.server}} {
		for _, key := range sortedKeys(sent) {
			counts = append(counts, kernels.Count{What: side.name + " " + string(key), Want: sent[key], Got: side.seen[key]})
		}
		for _, key := range sortedKeys(side.seen) {
			if sent[key] == 0 {
				counts = append(counts, kernels.Count{What: side.name + " " + string(key), Got: side.seen[key]})
			}
		}
	}
	return counts
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
