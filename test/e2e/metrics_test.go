package e2e

import (
	"bytes"
	"fmt"
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

// with lists the series called name whose labels are as pairs say and that are not zero, to show in an error.
func (m metrics) with(name string, pairs ...string) string {
	var b strings.Builder
	for _, s := range m {
		if s.name == name && s.value != 0 && s.matches(pairs) {
			fmt.Fprintf(&b, "\n\t%s%v %g", s.name, s.labels, s.value)
		}
	}
	return b.String()
}
