package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/toposcope/toposcope/api"
	"github.com/toposcope/toposcope/api/store/tsdb"
)

// TestPrometheusScrapes lets a real Prometheus read /metrics as text, as OpenMetrics and as protobuf: it must take every
// sample and warn of nothing.
func TestPrometheusScrapes(t *testing.T) {
	binary, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed")
	}
	reg, writer := scraped(t)
	a, err := api.New(api.Options{Gatherer: reg, Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(a.Handler())
	t.Cleanup(server.Close)
	// This version of Prometheus cannot be told to prefer plain text.
	text := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Accept", "text/plain; version=0.0.4")
		a.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(text.Close)

	tests := []struct {
		name, target, histogram string
		flags                   []string
	}{
		{"text", text.URL, `traces_service_graph_request_client_seconds_bucket{le="+Inf"}`, nil},
		{"openmetrics", server.URL, `traces_service_graph_request_client_seconds_bucket{le="+Inf"}`, nil},
		{"protobuf", server.URL, `traces_service_graph_request_client_seconds`, []string{"--enable-feature=native-histograms"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // each takes 5 s to begin with its target
			p := startPrometheus(t, binary, tt.target, tt.flags...)
			if n := p.await("count(" + tt.histogram + ")"); n != "2" {
				t.Errorf("%s histograms, want 2", n)
			}
			if n := p.await(`count(toposcope_store_samples_total > 0)`); n != "1" {
				t.Errorf("%s counters, want 1", n)
			}
			if n := p.await("up"); n != "1" {
				t.Errorf("up is %s", n)
			}
			log := p.stop()
			for line := range strings.Lines(log) {
				warns := strings.Contains(line, "level=warn") || strings.Contains(line, "level=error")
				if warns && !strings.Contains(line, "Received SIGTERM") {
					t.Errorf("Prometheus says %s", line)
				}
			}
		})
	}
}

// scraped is a registry with all that a store brings, and histograms in both forms with odd label values.
func scraped(t *testing.T) (*prometheus.Registry, *tsdb.Writer) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	store, err := tsdb.Open(tsdb.Options{Dir: t.TempDir(), Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close(context.Background()) })
	writer := tsdb.NewWriter(store, tsdb.WriterOptions{Gatherer: reg, Registerer: reg})
	tsdb.NewEngine(tsdb.EngineOptions{Registerer: reg})
	latency := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "traces_service_graph_request_client_seconds", Help: "In both forms.",
		Buckets: prometheus.DefBuckets, NativeHistogramBucketFactor: 1.1,
	}, []string{"client", "server"})
	reg.MustRegister(latency)
	latency.WithLabelValues("web", "a \"quoted\"\nname, größer").Observe(0.01)
	latency.WithLabelValues("web", "").Observe(2)
	return reg, writer
}

// prom is a running Prometheus.
type prom struct {
	t       *testing.T
	cmd     *exec.Cmd
	log     bytes.Buffer
	address string
	ended   bool
}

func startPrometheus(t *testing.T, binary, target string, flags ...string) *prom {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("scrape_configs: [{job_name: j, scrape_interval: 200ms, scrape_timeout: 200ms, static_configs: [{targets: [%q]}]}]\n", u.Host)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &prom{t: t, address: l.Addr().String()}
	l.Close()
	p.cmd = exec.Command(binary, append([]string{
		"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + p.address,
	}, flags...)...)
	p.cmd.Stderr = &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop() })
	return p
}

// await asks until there is an answer, for 30 s at most.
func (p *prom) await(query string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if v, ok := p.query(ctx, query); ok {
			return v
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.t.Fatalf("no answer to %s; Prometheus says\n%s", query, p.stop())
	return ""
}

func (p *prom) query(ctx context.Context, query string) (string, bool) {
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+p.address+"/api/v1/query?query="+url.QueryEscape(query), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", false // it has not started yet
	}
	defer answer.Body.Close()
	var v struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&v); err != nil || len(v.Data.Result) == 0 {
		return "", false
	}
	return fmt.Sprint(v.Data.Result[0].Value[1]), true
}

// stop ends it and returns what it has logged.
func (p *prom) stop() string {
	if !p.ended {
		p.ended = true
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Wait()
		http.DefaultClient.CloseIdleConnections()
	}
	return p.log.String()
}
