package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/test/load"
	"github.com/toposcope/toposcope/test/load/servers"
)

// users are n requests for GET /users/{n} that were answered with 200.
func users(n int) []load.Operation {
	return []load.Operation{{Method: "GET", Route: "/users/{id}", Status: 200, Count: n}}
}

// script starts testdata/sockets.py.
func script(t *testing.T, name string, args ...string) (p *process, address string) {
	t.Helper()
	p = startProcess(t, name, "python3", append([]string{"testdata/sockets.py"}, args...)...)
	return p, p.line(t, "listening ")
}

// TestIdentity: an exchange is that of the process which reads and writes, whoever opened or accepted the connection.
func TestIdentity(t *testing.T) {
	requireHost(t, "python3", "curl")
	forEachMethod(t, func(t *testing.T, method string) {
		excluded := copyServer(t)
		s := startToposcope(t, options{method: method, config: fmt.Sprintf(`
filters:
  rules:
    - action: exclude
      match: {executable: %q}
`, excluded)})
		for _, test := range []struct {
			name string
			run  func(t *testing.T, s *toposcope, base metrics)
		}{
			{"fork inherits a connection", testFork},
			{"connection passed over a UNIX socket", testPassed},
			{"exec keeps a connection", testExec},
			{"process calls itself", testSelfCall},
			{"process gone at once", testShortLived},
			{"port used again by another", testPortReuse},
			{"peer excluded by a filter", func(t *testing.T, s *toposcope, base metrics) { testExcluded(t, s, base, excluded) }},
		} {
			t.Run(test.name, func(t *testing.T) {
				base, err := s.metrics()
				if err != nil {
					t.Fatal(err)
				}
				test.run(t, s, base)
			})
		}
		checkNothingLost(t, s)
	})
}

// copyServer puts a copy of httpserve where a filter can tell it from others.
func copyServer(t *testing.T) (path string) {
	t.Helper()
	program, err := os.ReadFile(filepath.Join(tools, "httpserve"))
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "httpserve")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func testFork(t *testing.T, s *toposcope, base metrics) {
	_, address := script(t, "forking", "fork")
	g := startLoad(t, "client-of-forking", address, simple, flags("-count 60 -connections 6")...)
	g.start(t)
	r := g.report(t)
	(&expectation{client: "client-of-forking", server: "forking", operations: r.Operations}).await(t, s, base)
}

func testPassed(t *testing.T, s *toposcope, base metrics) {
	_, address := script(t, "acceptor", "pass", "worker")
	g := startLoad(t, "client-of-worker", address, simple, flags("-count 60 -connections 3")...)
	g.start(t)
	r := g.report(t)
	(&expectation{client: "client-of-worker", server: "worker", operations: r.Operations}).await(t, s, base)
}

func testExec(t *testing.T, s *toposcope, base metrics) {
	_, address := script(t, "before-exec", "exec", "after-exec", "10")
	g := startLoad(t, "client-of-exec", address, simple, flags("-count 25 -connections 1")...)
	g.start(t)
	if r := g.report(t); r.Completed != 25 {
		t.Fatalf("the load did not go as planned: %+v", r)
	}
	for _, e := range []expectation{
		{client: "client-of-exec", server: "before-exec", operations: users(10), sharedClient: true},
		{client: "client-of-exec", server: "after-exec", operations: users(15), sharedClient: true},
	} {
		e.await(t, s, base)
	}
}

func testSelfCall(t *testing.T, s *toposcope, base metrics) {
	p, _ := script(t, "calls-itself", "self", "50")
	(&generator{p}).start(t)
	p.line(t, "done")
	(&expectation{client: "calls-itself", server: "calls-itself", operations: users(50)}).await(t, s, base)
}

// testShortLived: a process that ends after one request, within milliseconds of its start, has its name all the same.
func testShortLived(t *testing.T, s *toposcope, base metrics) {
	const client, name, runs = "short-lived", "server-of-short-lived", 10
	server := startServer(t, servers.Config{Kind: servers.Go, Name: name})
	for range runs {
		cmd := exec.Command("curl", "-sS", "-o", "/dev/null", "http://"+server.Address+"/users/1")
		cmd.Env = append(os.Environ(), "OTEL_SERVICE_NAME="+client)
		mustRun(t, cmd)
	}
	(&expectation{client: client, server: name, operations: users(runs)}).await(t, s, base)
}

func testPortReuse(t *testing.T, s *toposcope, base metrics) {
	address := "" // a free one, at first
	for _, name := range []string{"first-on-port", "second-on-port"} {
		server := startServer(t, servers.Config{Kind: servers.Go, Name: name, Listen: address})
		address = server.Address
		g := startLoad(t, "client-of-port", address, simple, flags("-count 100 -connections 2")...)
		g.start(t)
		if r := g.report(t); r.Completed != 100 {
			t.Fatalf("the load did not go as planned: %+v", r)
		}
		(&expectation{client: "client-of-port", server: name, operations: users(100), sharedClient: true}).await(t, s, base)
		server.Stop()
	}
}

// testExcluded: the client's side is counted, the server's is not looked at.
func testExcluded(t *testing.T, s *toposcope, base metrics, program string) {
	server, err := servers.Start(servers.Config{Kind: servers.Go, Name: "excluded", Program: program})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	g := startLoad(t, "client-of-excluded", server.Address, simple, flags("-count 50 -connections 2")...)
	g.start(t)
	g.report(t)
	eventually(t, settle, func() error {
		now, err := s.metrics()
		if err != nil {
			return err
		}
		for name, want := range map[string]float64{
			"traces_service_graph_request_total":                50,
			"http_client_request_duration_seconds_count":        50,
			"traces_service_graph_request_client_seconds_count": 50,
			"traces_service_graph_request_server_seconds_count": 0,
		} {
			pairs := edge("client-of-excluded", "")
			if strings.HasPrefix(name, "http") {
				pairs = of("client-of-excluded")
			}
			if got := now.sum(name, pairs...) - base.sum(name, pairs...); got != want {
				return fmt.Errorf("%s grew by %g, want %g%s", name, got, want, now.with(name, pairs...))
			}
		}
		if found := now.with("http_server_request_duration_seconds_count", of("excluded")...); found != "" {
			return fmt.Errorf("what an excluded process served is counted:%s", found)
		}
		return nil
	})
}
