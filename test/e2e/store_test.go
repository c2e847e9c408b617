package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/toposcope/toposcope/test/load/servers"
)

// TestCrash: a Toposcope that is killed loses what it had seen since its last scrape, and nothing else.
func TestCrash(t *testing.T) {
	requireHost(t)
	data := filepath.Join(t.TempDir(), "data")
	s := startToposcope(t, options{method: "auto", data: data})
	server := startServer(t, servers.Config{Kind: servers.Go, Name: "remembered"})
	g := startLoad(t, "client-of-remembered", server.Address, simple, "-count", "300", "-connections", "2")
	g.start(t)
	r := g.report(t)
	(&expectation{client: "client-of-remembered", server: "remembered", operations: r.Operations}).await(t, s, nil)
	stored := time.Now()
	s.kill()

	s = startToposcope(t, options{method: "auto", data: data})
	eventually(t, settle, func() error {
		got, err := s.query(`traces_service_graph_request_total{client="client-of-remembered", client_service_namespace="`+namespace+`"}`, stored)
		if err == nil && got != 300 {
			err = fmt.Errorf("%g requests are remembered, want 300", got)
		}
		return err
	})
}

// query evaluates a PromQL expression with one result.
func (s *toposcope) query(expression string, at time.Time) (float64, error) {
	q := url.Values{"query": {"sum(" + expression + ")"}, "time": {fmt.Sprintf("%.3f", float64(at.UnixMilli())/1000)}}
	body, err := s.get("/api/v1/query?" + q.Encode())
	if err != nil {
		return 0, err
	}
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, err
	}
	if len(answer.Data.Result) != 1 {
		return 0, fmt.Errorf("no result for %s: %s", expression, body)
	}
	var value float64
	_, err = fmt.Sscan(fmt.Sprint(answer.Data.Result[0].Value[1]), &value)
	return value, err
}
