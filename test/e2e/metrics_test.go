package e2e

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// metrics is one reading of /metrics. A histogram is there by its _count and _sum.
type metrics []sample

type sample struct {
	name   string
	labels map[string]string
	value  float64
}

func (s *toposcope) metrics() (metrics, error) {
	body, err := s.get("/metrics")
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("parsing /metrics: %w", err)
	}
	var all metrics
	for name, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			all = append(all, samples(name, labels, m)...)
		}
	}
	return all, nil
}

func samples(name string, labels map[string]string, m *dto.Metric) metrics {
	switch {
	case m.Histogram != nil:
		return metrics{
			{name + "_count", labels, float64(m.GetHistogram().GetSampleCount())},
			{name + "_sum", labels, m.GetHistogram().GetSampleSum()},
		}
	case m.Counter != nil:
		return metrics{{name, labels, m.GetCounter().GetValue()}}
	case m.Gauge != nil:
		return metrics{{name, labels, m.GetGauge().GetValue()}}
	default:
		return metrics{{name, labels, m.GetUntyped().GetValue()}}
	}
}

// sum adds up the series called name whose labels are as pairs ("name", "value", …) say.
func (m metrics) sum(name string, pairs ...string) float64 {
	var sum float64
	for _, s := range m {
		if s.name == name && s.matches(pairs) {
			sum += s.value
		}
	}
	return sum
}

func (s sample) matches(pairs []string) bool {
	for i := 0; i < len(pairs); i += 2 {
		if s.labels[pairs[i]] != pairs[i+1] {
			return false
		}
	}
	return true
}

// edge is the pairs that select what client asks of server; either may be "" for any.
func edge(client, server string) []string {
	var pairs []string
	if client != "" {
		pairs = append(pairs, "client", client, "client_service_namespace", namespaceOf(client))
	}
	if server != "" {
		pairs = append(pairs, "server", server, "server_service_namespace", namespaceOf(server))
	}
	return pairs
}

// of is the pairs that select a service's own series.
func of(service string) []string {
	return []string{"service_name", service, "service_namespace", namespaceOf(service)}
}

// with lists the series called name whose labels are as pairs say and that are not zero, to show in an error.
func (m metrics) with(name string, pairs ...string) string {
	var lines []string
	for _, s := range m {
		if s.name != name || s.value == 0 || !s.matches(pairs) {
			continue
		}
		var labels []string
		for label, value := range s.labels {
			if value != "" && label != "host_name" && label != "process_executable_name" {
				labels = append(labels, label+"="+value)
			}
		}
		slices.Sort(labels)
		lines = append(lines, fmt.Sprintf("\n\t%s{%s} %g", s.name, strings.Join(labels, ", "), s.value))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}
