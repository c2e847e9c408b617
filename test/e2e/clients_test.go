package e2e

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/test/load"
	"github.com/toposcope/toposcope/test/load/servers"
)

// testClients: clients that are not ours.
func testClients(t *testing.T, s *toposcope) {
	for _, kind := range []servers.Kind{servers.Go, servers.Nginx} {
		for _, c := range otherClients {
			t.Run(c.name+" to "+string(kind), func(t *testing.T) {
				name := "server-of-" + c.name
				if kind == servers.Nginx {
					name = nginxName
				}
				server := startServer(t, servers.Config{Kind: kind, Name: name})
				base, err := s.metrics()
				if err != nil {
					t.Fatal(err)
				}
				client := c.name + "-to-" + string(kind)
				cmd := exec.Command(c.command[0], expand(c.command[1:], server.Address)...)
				cmd.Env = append(os.Environ(), "OTEL_SERVICE_NAME="+client)
				mustRun(t, cmd)
				(&expectation{client: client, server: name, operations: c.operations}).awaitMetrics(t, s, base)
			})
		}
		t.Run("wrk to "+string(kind), func(t *testing.T) { testWrk(t, s, kind) })
	}
}

func expand(args []string, address string) []string {
	expanded := make([]string, len(args))
	for i, a := range args {
		expanded[i] = strings.NewReplacer("ADDRESS", address, "TOOLS", tools).Replace(a)
	}
	return expanded
}

var otherClients = []struct {
	name       string
	command    []string
	operations []load.Operation
}{
	{
		"curl",
		[]string{"curl", "-sS", "-o", "/dev/null", "http://ADDRESS/users/[1-200]"},
		[]load.Operation{{Method: "GET", Route: "/users/{id}", Status: 200, Count: 200}},
	},
	{
		"curl-close",
		[]string{"curl", "-sS", "-o", "/dev/null", "-H", "Connection: close", "http://ADDRESS/users/[1-100]"},
		[]load.Operation{{Method: "GET", Route: "/users/{id}", Status: 200, Count: 100}},
	},
	{
		"curl-head",
		[]string{"curl", "-sS", "-o", "/dev/null", "-I", "http://ADDRESS/users/[1-100]"},
		[]load.Operation{{Method: "HEAD", Route: "/users/{id}", Status: 200, Count: 100}},
	},
	{
		// curl asks with "Expect: 100-continue" before a body of more than 1 MiB.
		"curl-continue",
		[]string{"curl", "-sS", "-o", "/dev/null", "-H", "Expect: 100-continue", "--data-binary", "@/bin/bash", "http://ADDRESS/upload/[1-20]"},
		[]load.Operation{{Method: "POST", Route: "/upload/{id}", Status: 200, Count: 20}},
	},
	{
		"python",
		[]string{"python3", "testdata/client.py", "ADDRESS", "200", "keep"},
		[]load.Operation{{Method: "GET", Route: "/users/{id}", Status: 200, Count: 100}, {Method: "POST", Route: "/orders", Status: 200, Count: 100}},
	},
	{
		"python-close",
		[]string{"python3", "testdata/client.py", "ADDRESS", "100", "close"},
		[]load.Operation{{Method: "GET", Route: "/users/{id}", Status: 200, Count: 50}, {Method: "POST", Route: "/orders", Status: 200, Count: 50}},
	},
}

// testWrk: wrk says how many answers it read, and leaves up to one request per connection unanswered when its time is up.
func testWrk(t *testing.T, s *toposcope, kind servers.Kind) {
	const connections = 8
	server := startServer(t, servers.Config{Kind: kind, Name: "server-of-wrk"})
	client := "wrk-to-" + string(kind)
	script := filepath.Join(t.TempDir(), "count.lua")
	if err := os.WriteFile(script, []byte(`done = function(s) io.write("answers ", s.requests, "\n") end`), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("wrk", "-t2", "-c", strconv.Itoa(connections), "-d", "2s", "-s", script, "http://"+server.Address+"/users/7")
	cmd.Env = append(os.Environ(), "OTEL_SERVICE_NAME="+client)
	var answers float64
	for _, line := range lines(mustRun(t, cmd)) {
		if n, ok := strings.CutPrefix(line, "answers "); ok {
			answers, _ = strconv.ParseFloat(n, 64)
		}
	}
	if answers == 0 {
		t.Fatal("wrk got no answer")
	}
	eventually(t, settle, func() error {
		m, err := s.metrics()
		if err != nil {
			return err
		}
		lost := m.sum("toposcope_events_lost_total")
		got := m.sum("http_client_request_duration_seconds_count", append(of(client), "http_response_status_code", "200")...)
		open := m.sum("http_client_request_duration_seconds_count", append(of(client), "error_type", "unanswered")...)
		total := m.sum("traces_service_graph_request_total", edge(client, "")...)
		if got != answers || open > connections || total != got+open {
			return fmt.Errorf("%g answered, %g unanswered, %g in all; wrk read %g answers on %d connections; %g events lost", got, open, total, answers, connections, math.Round(lost))
		}
		return nil
	})
}
