package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/test/load/servers"
)

// mixed are requests whose answers differ in every label.
var mixed = []string{
	"GET /users/{n}",
	"GET /items/{n}?status=404",
	"POST /orders body=300",
	"GET /broken?status=500",
	"DELETE /users/{n}?status=204",
	"HEAD /",
}

var simple = []string{"GET /users/{n}"}

// countCase is a load whose every request must be counted once, at both ends.
type countCase struct {
	name     string
	server   servers.Kind
	listen   string // "": 127.0.0.1
	before   bool   // server and connections, each of them used, are older than Toposcope
	requests []string
	args     []string // httpload's
}

// flags splits a line of httpload's flags.
func flags(line string) []string { return strings.Fields(line) }

var countCases = []countCase{
	{name: "go/2000-per-second", server: servers.Go, requests: mixed, args: flags("-rate 2000 -duration 5s -connections 16")},
	{name: "go/before", server: servers.Go, before: true, requests: mixed, args: flags("-rate 2000 -duration 2s -connections 16 -warm 1")},
	{name: "go/before-unused", server: servers.Go, before: true, requests: simple, args: flags("-count 100 -connections 4")},
	{name: "go/close", server: servers.Go, requests: mixed, args: flags("-close -rate 500 -count 1002 -connections 8")},
	{name: "go/5000-connections-per-second", server: servers.Go, requests: simple, args: flags("-close -rate 5000 -duration 2s -connections 32")},
	{name: "go/pipelined", server: servers.Go, requests: mixed, args: flags("-pipeline 8 -count 4800 -connections 2")},
	{name: "go/pipelined-before", server: servers.Go, before: true, requests: mixed, args: flags("-pipeline 6 -count 600 -connections 2 -warm 1")},
	{name: "go/1MiB-both-ways", server: servers.Go, requests: []string{"PUT /echo?echo=1 body=1048576"}, args: flags("-count 60 -connections 2")},
	{name: "go/64KiB-header", server: servers.Go, requests: []string{"GET /users/{n} header=65536"}, args: flags("-count 200 -connections 2")},
	{name: "go/chunked", server: servers.Go, requests: []string{"GET /chunked?chunked=100000"}, args: flags("-count 200 -connections 2")},
	{name: "go/no-body", server: servers.Go, requests: []string{"HEAD /x?bytes=5000", "GET /x?status=204", "GET /x?status=304", "GET /x"}, args: flags("-count 400 -connections 2")},
	{name: "go/ipv6", server: servers.Go, listen: "[::1]:0", requests: mixed, args: flags("-count 600 -connections 4")},
	{name: "go/ipv6-before", server: servers.Go, listen: "[::1]:0", before: true, requests: mixed, args: flags("-count 600 -connections 4 -warm 1")},
	{name: "go/ipv4-mapped", server: servers.Go, listen: "[::]:0", requests: mixed, args: flags("-count 600 -connections 4")},
	{name: "go/10000-connections", server: servers.Go, requests: simple, args: flags("-count 10000 -connections 10000")},

	{name: "nginx/2000-per-second", server: servers.Nginx, requests: mixed, args: flags("-rate 2000 -duration 5s -connections 16")},
	{name: "nginx/before", server: servers.Nginx, before: true, requests: mixed, args: flags("-rate 2000 -duration 2s -connections 16 -warm 1")},
	{name: "nginx/close", server: servers.Nginx, requests: mixed, args: flags("-close -count 1002 -connections 8")},
	{name: "nginx/pipelined", server: servers.Nginx, requests: mixed, args: flags("-pipeline 8 -count 2400 -connections 2")},
	{name: "nginx/sendfile", server: servers.Nginx, requests: []string{"GET " + servers.StaticPath}, args: flags("-count 100 -connections 2")},
	{name: "nginx/1MiB-up", server: servers.Nginx, requests: []string{"POST /up body=1048576"}, args: flags("-count 60 -connections 2")},
	{name: "nginx/64KiB-header", server: servers.Nginx, requests: []string{"GET /users/{n} header=65536"}, args: flags("-count 200 -connections 2")},
	{name: "nginx/ipv6", server: servers.Nginx, listen: "[::1]:0", requests: mixed, args: flags("-count 600 -connections 4")},

	{name: "python/keep-alive", server: servers.Python, requests: mixed, args: flags("-rate 300 -count 900 -connections 4")},
	{name: "python/before", server: servers.Python, before: true, requests: mixed, args: flags("-count 300 -connections 4 -warm 1")},
	{name: "python/close", server: servers.Python, requests: mixed, args: flags("-close -count 300 -connections 4")},
	{name: "python/1MiB-both-ways", server: servers.Python, requests: []string{"PUT /echo?echo=1 body=1048576"}, args: flags("-count 20 -connections 2")},
	{name: "python/64KiB-header", server: servers.Python, requests: []string{"GET /users/{n} header=65536"}, args: flags("-count 60 -connections 2")},
	{name: "python/chunked", server: servers.Python, requests: []string{"GET /chunked?chunked=100000"}, args: flags("-count 60 -connections 2")},

	{name: "node/keep-alive", server: servers.Node, requests: mixed, args: flags("-rate 1000 -count 1998 -connections 8")},
	{name: "node/before", server: servers.Node, before: true, requests: mixed, args: flags("-count 600 -connections 4 -warm 1")},
	{name: "node/close", server: servers.Node, requests: mixed, args: flags("-close -count 600 -connections 4")},
	{name: "node/pipelined", server: servers.Node, requests: mixed, args: flags("-pipeline 4 -count 600 -connections 2")},
	{name: "node/1MiB-both-ways", server: servers.Node, requests: []string{"PUT /echo?echo=1 body=1048576"}, args: flags("-count 20 -connections 2")},
	{name: "node/64KiB-header", server: servers.Node, requests: []string{"GET /users/{n} header=65536"}, args: flags("-count 100 -connections 2")},
	{name: "node/chunked", server: servers.Node, requests: []string{"GET /chunked?chunked=100000"}, args: flags("-count 100 -connections 2")},
}

// prepared is a case whose server runs and whose generator has its connections open.
type prepared struct {
	countCase
	client, serverName string
	load               *generator
}

func prepare(t *testing.T, c countCase) *prepared {
	t.Helper()
	name := strings.ReplaceAll(c.name, "/", "-")
	p := &prepared{countCase: c, client: "client-of-" + name, serverName: name}
	if c.server == servers.Nginx {
		p.serverName = nginxName
	}
	s := startServer(t, servers.Config{Kind: c.server, Name: p.serverName, Listen: c.listen})
	target := s.Address
	if strings.HasPrefix(c.listen, "[::]:") {
		target = "127.0.0.1" + target[strings.LastIndexByte(target, ':'):]
	}
	p.load = startLoad(t, p.client, target, c.requests, c.args...)
	return p
}

// run sends the load and waits until it shows on top of base.
func (p *prepared) run(t *testing.T, s *toposcope, base metrics) *expectation {
	t.Helper()
	p.load.start(t)
	r := p.load.report(t)
	if r.Failed > 0 || r.NotSent > 0 || r.Planned == 0 {
		t.Fatalf("the load did not go as planned: %+v", r)
	}
	t.Logf("sent %d, not sent %d, %.0f/s, p99 %.1f ms", r.Sent, r.NotSent, r.PerSecond, r.LatencySeconds.P99*1e3)
	e := &expectation{client: p.client, server: p.serverName, operations: r.Operations}
	e.awaitMetrics(t, s, base)
	return e
}

// TestCounts: what the clients sent is what Toposcope counts, by method, route and status, at both ends.
func TestCounts(t *testing.T) {
	requireHost(t, "python3", "node", "nginx", "curl", "wrk")
	forEachMethod(t, func(t *testing.T, method string) {
		early := map[string]*prepared{}
		for _, c := range countCases {
			if c.before {
				early[c.name] = prepare(t, c)
			}
		}
		s := startToposcope(t, options{method: method})
		var seen []*expectation
		for _, c := range countCases {
			t.Run(c.name, func(t *testing.T) {
				p := early[c.name]
				if p == nil {
					p = prepare(t, c)
				}
				base, err := s.metrics()
				if err != nil {
					t.Fatal(err)
				}
				seen = append(seen, p.run(t, s, base))
			})
		}
		t.Run("proxy", func(t *testing.T) { testProxy(t, s) })
		t.Run("clients", func(t *testing.T) { testClients(t, s) })
		t.Run("later", func(t *testing.T) { checkLater(t, s, seen) })
		checkNothingLost(t, s)
		checkNotSelf(t, s)
	})
}

// checkLater: nothing was added to what was counted, and what is stored says the same.
func checkLater(t *testing.T, s *toposcope, seen []*expectation) {
	now, err := s.metrics()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range seen {
		e.sharedServer = e.server == nginxName // others have asked it since
		if err := e.check(nil, now); err != nil {
			t.Errorf("counted right at first, but later: %v", err)
		}
	}
	awaitTopology(t, s, seen...)
}

// testProxy: nginx in the middle is a server of one edge and the client of another.
func testProxy(t *testing.T, s *toposcope) {
	const client, backend = "client-of-proxy", "behind-proxy"
	b := startServer(t, servers.Config{Kind: servers.Go, Name: backend})
	proxy := startServer(t, servers.Config{Kind: servers.Nginx, Backend: b.Address})
	requests := []string{"GET /proxy/users/{n}", "POST /proxy/orders body=20000", "GET /proxy/items/{n}?status=404", "GET /proxy/broken?status=503"}
	base, err := s.metrics()
	if err != nil {
		t.Fatal(err)
	}
	g := startLoad(t, client, proxy.Address, requests, flags("-rate 500 -count 1000 -connections 8")...)
	g.start(t)
	r := g.report(t)
	(&expectation{client: client, server: nginxName, operations: r.Operations}).await(t, s, base)
	(&expectation{client: nginxName, server: backend, operations: r.Operations}).await(t, s, base)
}

// checkNotSelf: neither Toposcope nor those who read its metrics, as this test does, are on its map.
func checkNotSelf(t *testing.T, s *toposcope) {
	t.Helper()
	m, err := s.metrics()
	if err != nil {
		t.Fatal(err)
	}
	for _, pairs := range [][]string{edge("toposcope", ""), edge("", "toposcope"), edge("e2e.test", "")} {
		if found := m.with("traces_service_graph_request_total", pairs...); found != "" {
			t.Errorf("Toposcope's own traffic is counted:%s", found)
		}
	}
}

func mustRun(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return string(out)
}
