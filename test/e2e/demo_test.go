package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/toposcope/toposcope/test/load"
)

// TestDemo: the map of the demo's shop is what the shop says it did, call by call.
func TestDemo(t *testing.T) {
	requireHost(t)
	path, err := binary("toposcope-demo", "TOPOSCOPE_DEMO_BIN")
	if err != nil {
		t.Skip(err)
	}
	forEachMethod(t, func(t *testing.T, method string) {
		s := startToposcope(t, options{method: method})
		base, err := s.metrics()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range runDemo(t, path) {
			t.Run(e.client+" to "+e.server, func(t *testing.T) { e.await(t, s, base) })
		}
		checkNothingLost(t, s)
	})
}

// runDemo runs the shop for some seconds and returns what it reports, one expectation for each edge.
func runDemo(t *testing.T, path string) []*expectation {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	mustRun(t, exec.Command(path, "--rate=60", "--duration=5s", "--report="+file))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Calls []struct {
			Client, Server, Method, Route string
			Status, Count                 int
		}
	}
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	wildcard := regexp.MustCompile(`\{\w+\}`)
	var edges []*expectation
	byEdge := map[[2]string]*expectation{}
	for _, c := range report.Calls {
		key := [2]string{c.Client, c.Server}
		if byEdge[key] == nil {
			byEdge[key] = &expectation{client: c.Client, server: c.Server, sharedClient: true, sharedServer: true}
			edges = append(edges, byEdge[key])
		}
		e := byEdge[key]
		e.operations = append(e.operations, load.Operation{
			Method: c.Method, Route: wildcard.ReplaceAllString(c.Route, "{id}"), Status: c.Status, Count: c.Count,
		})
	}
	if len(edges) < 12 {
		t.Fatalf("the shop has only %d edges", len(edges))
	}
	return edges
}
