package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
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
	var all metrics
	for line := range strings.Lines(string(body)) {
		name, _, _ := strings.Cut(line, "{")
		// Nine in ten lines are buckets, which no test looks at: /metrics is read many times.
		if strings.HasPrefix(line, "#") || strings.HasSuffix(name, "_bucket") {
			continue
		}
		one, err := parseSample(strings.TrimSpace(line))
		if err != nil {
			return nil, fmt.Errorf("parsing /metrics: %w: %q", err, line)
		}
		all = append(all, one)
	}
	return all, nil
}

// parseSample reads a line of Prometheus's text format: name{label="value",…} number
func parseSample(line string) (s sample, err error) {
	at := strings.IndexAny(line, "{ ")
	if at < 0 {
		return s, errors.New("no value")
	}
	s.name, s.labels = line[:at], map[string]string{}
	rest := strings.TrimPrefix(line[at:], "{")
	for len(rest) > 0 && rest[0] != '}' && rest[0] != ' ' {
		label, quoted, ok := strings.Cut(rest, "=")
		if !ok {
			return s, errors.New("a label without a value")
		}
		value, err := strconv.QuotedPrefix(quoted) // the escapes of the format are among Go's
		if err != nil {
			return s, err
		}
		if s.labels[label], err = strconv.Unquote(value); err != nil {
			return s, err
		}
		rest = strings.TrimPrefix(quoted[len(value):], ",")
	}
	s.value, err = strconv.ParseFloat(strings.TrimLeft(rest, "} "), 64)
	return s, err
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
