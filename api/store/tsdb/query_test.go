package tsdb_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/api/store/tsdb"
	"github.com/toposcope/toposcope/topology/history"
)

func TestSelect(t *testing.T) {
	b := newBench(t, tsdb.Options{})
	b.write(10, counter("calls_total", 3, b.at(4), "a", "x"), counter("calls_total", 7, b.at(4), "a", "y"), histogram("d_seconds", b.at(4), 0.5, 2, 2))
	b.write(25, counter("calls_total", 5, b.at(4), "a", "x"))
	b.write(40, counter("calls_total", 6, b.at(4), "a", "x"))

	tests := []struct {
		name       string
		metric     string
		matchers   []history.Matcher
		start, end float64
		want       []string
	}{
		{"all", "calls_total", nil, 0, 100, []string{"x 4=0 10=3 25=5 40=6", "y 4=0 10=7"}},
		{"the start is exclusive, the end inclusive", "calls_total", nil, 10, 25, []string{"x 25=5"}},
		{"equal", "calls_total", []history.Matcher{{Name: "a", Value: "y"}}, 0, 100, []string{"y 4=0 10=7"}},
		{"not equal", "calls_total", []history.Matcher{{Name: "a", Value: "y", Not: true}}, 0, 100, []string{"x 4=0 10=3 25=5 40=6"}},
		{"a label that must be absent", "calls_total", []history.Matcher{{Name: "a", Value: ""}}, 0, 100, nil},
		{"an empty window", "calls_total", nil, 25, 25, nil},
		{"a native histogram", "d_seconds", nil, 0, 100, []string{" 4={0 2.938735877055719e-39 0 0 0 map[]} 10={0 2.938735877055719e-39 0 3 4.5 map[-1:1 1:2]}"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			err := b.store.Select(t.Context(), tt.metric, tt.matchers, b.at(tt.start), b.at(tt.end), func(s *history.Series) error {
				line := s.Labels["a"]
				for _, p := range s.Samples {
					v := fmt.Sprint(p.Value)
					if p.Histogram != nil {
						v = fmt.Sprint(*p.Histogram)
					}
					line += fmt.Sprintf(" %v=%s", p.Time.Sub(b.now).Seconds(), v)
				}
				got = append(got, line)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestSelectEnds(t *testing.T) {
	b := newBench(t, tsdb.Options{})
	b.write(10, gauge("g", 1, "a", "x"), gauge("g", 1, "a", "y"))
	stop := fmt.Errorf("enough")
	n := 0
	err := b.store.Select(t.Context(), "g", nil, b.at(0), b.at(100), func(*history.Series) error { n++; return stop })
	if err == nil || err.Error() != "enough" || n != 1 {
		t.Errorf("yield's error: %v after %d series", err, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.store.Select(ctx, "g", nil, b.at(0), b.at(100), func(*history.Series) error { return nil }); err == nil {
		t.Error("an ended context is no error")
	}
}

// TestHandler asks Prometheus's API what Grafana and the UI ask it.
func TestHandler(t *testing.T) {
	b := newBench(t, tsdb.Options{})
	b.write(-20, counter("calls_total", 3, b.at(-30), "a", "x"), histogram("d_seconds", b.at(-30), 0.5))
	b.write(-5, counter("calls_total", 6, b.at(-30), "a", "x"), histogram("d_seconds", b.at(-30), 0.5, 0.5))

	engine := tsdb.NewEngine(tsdb.EngineOptions{})
	rules := tsdb.NewRules(tsdb.RulesOptions{Store: b.store, Engine: engine})
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte("groups: [{name: g, rules: [{alert: A, expr: calls_total > 1}]}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := rules.Load([]string{file}, time.Hour, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- rules.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })

	h := tsdb.NewHandler(tsdb.HandlerOptions{Store: b.store, Engine: engine, Writer: b.writer, Rules: rules})
	unix := func(s float64) string { return fmt.Sprint(b.at(s).Unix()) }
	tests := []struct {
		path string
		want string
	}{
		{"/query?time=" + unix(0) + "&query=sum(calls_total)", `"value":[` + unix(0) + `,"6"]`},
		{"/query?time=" + unix(0) + "&query=" + url.QueryEscape("increase(calls_total[1m])"), `"value":[` + unix(0) + `,"`},
		{"/query?time=" + unix(0) + "&query=" + url.QueryEscape("histogram_count(d_seconds)"), `"2"]`},
		{"/query_range?start=" + unix(-10) + "&end=" + unix(0) + "&step=5&query=calls_total", `"6"]]`},
		{"/series?match[]=calls_total", `"a":"x"`},
		{"/labels", `"le"`},
		{"/label/a/values", `["x"]`},
		{"/metadata?metric=calls_total", `{"calls_total":[{"type":"counter","unit":"","help":"Help of calls_total."}]}`},
		{"/metadata", `"d_seconds"`},
		{"/rules", `"name":"A"`},
		{"/alerts", `"alerts":[`},
		{"/status/buildinfo", `"version":"3.`},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", tt.path, nil))
			if w.Code != 200 || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("%d %s\nwant %s", w.Code, w.Body, tt.want)
			}
			if !json.Valid(w.Body.Bytes()) {
				t.Error("not JSON")
			}
		})
	}
}

func TestRulesErrors(t *testing.T) {
	b := newBench(t, tsdb.Options{})
	rules := tsdb.NewRules(tsdb.RulesOptions{Store: b.store, Engine: tsdb.NewEngine(tsdb.EngineOptions{})})
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: sum(\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := rules.Load([]string{file}, time.Minute, nil)
	if err == nil || !strings.Contains(err.Error(), file+": 5:11: group \"g\", rule 1, \"A\"") {
		t.Errorf("got %v", err)
	}
}

// TestPrometheusVersion keeps the version that the API reports in step with the module.
func TestPrometheusVersion(t *testing.T) {
	gomod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, require, _ := strings.Cut(string(gomod), "github.com/prometheus/prometheus ")
	var minor, patch int
	if _, err := fmt.Sscanf(require, "v0.%d.%d", &minor, &patch); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, tsdb.Options{})
	w := httptest.NewRecorder()
	tsdb.NewHandler(tsdb.HandlerOptions{Store: b.store, Engine: tsdb.NewEngine(tsdb.EngineOptions{})}).
		ServeHTTP(w, httptest.NewRequest("GET", "/status/buildinfo", nil))
	if want := fmt.Sprintf(`"version":"%d.%d.%d"`, minor/100, minor%100, patch); !strings.Contains(w.Body.String(), want) {
		t.Errorf("got %s, want %s", w.Body, want)
	}
}
