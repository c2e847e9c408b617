package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
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
		edges, statements := runDemo(t, path)
		for _, e := range edges {
			t.Run(e.client+" to "+e.server, func(t *testing.T) { e.await(t, s, base) })
		}
		t.Run("databases", func(t *testing.T) { awaitStatements(t, s, base, statements) })
		checkNothingLost(t, s)
	})
}

// statement is what the shop reports of operations of one kind on a database.
type statement struct {
	Client, Server, System, Operation, Collection, Status string
	Count                                                 float64
}

// pairs select the series of s.
func (s *statement) pairs() []string {
	operation := strings.TrimSuffix(s.Operation, " TRANSACTION") // one is named by the first word
	return append(of(s.Client), "db_system_name", s.System, "db_operation_name", operation, "db_collection_name", s.Collection, "error_type", s.Status)
}

// awaitStatements waits until /metrics shows what the shop asked its databases, by operation, collection and error, and on edges.
func awaitStatements(t *testing.T, s *toposcope, base metrics, list []statement) {
	t.Helper()
	eventually(t, settle, func() error {
		now, err := s.metrics()
		if err != nil {
			return err
		}
		var errs []error
		edges := map[[3]string]float64{}
		for _, st := range list {
			edges[[3]string{st.Client, st.Server, st.System}] += st.Count
			const name = "db_client_operation_duration_seconds_count"
			if got := now.sum(name, st.pairs()...) - base.sum(name, st.pairs()...); got != st.Count {
				errs = append(errs, fmt.Errorf("%v: %g, want %g", st.pairs(), got, st.Count))
			}
		}
		for e, want := range edges {
			const name = "traces_service_graph_request_total"
			pairs := []string{"client", e[0], "server", e[1], "protocol", e[2], "client_service_namespace", namespace}
			if got := now.sum(name, pairs...) - base.sum(name, pairs...); got != want {
				errs = append(errs, fmt.Errorf("from %s to %s: %g, want %g", e[0], e[1], got, want))
			}
		}
		return errors.Join(errs...)
	})
	if len(list) < 15 {
		t.Errorf("the shop reports only %d kinds of operations", len(list))
	}
}

// runDemo runs the shop for some seconds and returns what it reports: an expectation for each edge of HTTP, and what it asked databases.
func runDemo(t *testing.T, path string) ([]*expectation, []statement) {
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
		DB []statement
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
	return edges, report.DB
}
