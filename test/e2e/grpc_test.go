package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/test/load/rpc"
	"github.com/toposcope/toposcope/test/load/servers"
)

// kinds of calls: each method, each code, and both where that makes a difference on the wire.
var (
	everyMethod = []string{
		"test.Shop/Get", "test.Shop/Put bytes=40000", "test.Shop/List messages=7", "test.Shop/Upload messages=5 bytes=9000",
		"test.Shop/Chat messages=4", "test.Orders/Track messages=0", "test.Shop/Missing",
	}
	everyCode    = callsOfEveryCode("test.Orders/Place")
	streamErrors = []string{
		"test.Shop/List messages=3 code=13", "test.Shop/List messages=0 code=5", "test.Shop/Upload code=3", "test.Shop/Chat messages=3 code=14",
	}
	// The server would take much longer than the client is willing to wait.
	givenUp = []string{
		"test.Orders/Place delay=5000ms deadline=500ms", "test.Orders/Cancel delay=5000ms cancel=200ms", "test.Shop/List delay=5000ms cancel=200ms",
		"test.Shop/Chat delay=5000ms deadline=500ms", "test.Orders/Track messages=1",
	}
	everyCall = slices.Concat(everyMethod, everyCode, streamErrors)
)

func callsOfEveryCode(method string) (all []string) {
	for code := range 17 {
		all = append(all, fmt.Sprintf("%s code=%d", method, code))
	}
	return all
}

// callCase is gRPC calls each of which must be counted once, at both ends, with its method and its code.
type callCase struct {
	name           string
	client, server servers.Kind // GRPC is grpc-go, GRPCNode grpc-js
	calls          []string
	count          int
	// streams are under way at once on each connection, of which there is one, or connections with grpc-go.
	streams, connections int
	web                  string // grpcload's flag
	// warm are made on each connection before Toposcope starts; "before" alone opens it.
	before bool
	warm   []string
}

var callCases = []callCase{
	{name: "go/4000", client: servers.GRPC, server: servers.GRPC, calls: everyCall, count: 4000, streams: 10, connections: 4},
	{name: "go/100-streams", client: servers.GRPC, server: servers.GRPC, calls: withDelay(everyCall), count: 1000, streams: 100},
	{name: "go/given-up", client: servers.GRPC, server: servers.GRPC, calls: givenUp, count: 50, streams: 10},
	{name: "go/before-unused", client: servers.GRPC, server: servers.GRPC, calls: everyCall, count: 500, streams: 4, before: true},
	{name: "node/to-go", client: servers.GRPCNode, server: servers.GRPC, calls: everyCall, count: 500, streams: 10},
	{name: "node/from-go", client: servers.GRPC, server: servers.GRPCNode, calls: everyCall, count: 500, streams: 10},
	{name: "node/both", client: servers.GRPCNode, server: servers.GRPCNode, calls: everyCall, count: 280, streams: 28},
	{name: "node/given-up", client: servers.GRPCNode, server: servers.GRPCNode, calls: givenUp, count: 50, streams: 10},
	{name: "connect/grpc", client: servers.GRPC, server: servers.GRPCWeb, calls: everyCode, count: 170, streams: 5, web: "grpc"},
	{name: "web/http2", client: servers.GRPC, server: servers.GRPCWeb, calls: webCalls, count: 190, streams: 5, web: "http2"},
	{name: "web/http1", client: servers.GRPC, server: servers.GRPCWeb, calls: webCalls, count: 190, streams: 5, web: "http1"},
}

var webCalls = append(callsOfEveryCode("test.Shop/Get"), "test.Shop/List messages=3", "test.Shop/List messages=2 code=5")

// withDelay lets every call take so long that as many are under way as may be.
func withDelay(calls []string) []string {
	slow := make([]string, len(calls))
	for i, c := range calls {
		slow[i] = c + " delay=20ms"
	}
	return slow
}

// caller is a gRPC client whose connections are open.
type caller struct {
	callCase
	*process
	clientName, serverName string
	parsed, parsedWarm     []rpc.Call // calls and warm
}

// startCalls starts c's server and client, and returns when the client's connections are open and warm.
func startCalls(t *testing.T, c callCase) *caller {
	t.Helper()
	name := "grpc-" + filepath.Base(filepath.Dir(c.name)) + "-" + filepath.Base(c.name)
	p := &caller{callCase: c, clientName: "client-of-" + name, serverName: name}
	server := startServer(t, servers.Config{Kind: c.server, Name: name})
	p.start(t, server.Address)
	return p
}

func parseCalls(t *testing.T, texts []string) (all []rpc.Call) {
	t.Helper()
	for _, text := range texts {
		c, err := rpc.ParseCall(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

func (p *caller) start(t *testing.T, target string) {
	t.Helper()
	p.parsed, p.parsedWarm = parseCalls(t, p.calls), parseCalls(t, p.warm)
	if p.client == servers.GRPCNode {
		args := append([]string{nodeScript("grpc.mjs"), "load", target, strconv.Itoa(p.streams), strconv.Itoa(p.count), strconv.Itoa(len(p.warm))}, p.calls...)
		p.process = startProcess(t, p.clientName, "node", args...)
	} else {
		args := []string{
			"-wait", "-target", target, "-connections", strconv.Itoa(max(p.connections, 1)), "-streams", strconv.Itoa(p.streams),
			"-count", strconv.Itoa(p.count), "-web", p.web,
		}
		for _, c := range p.warm {
			args = append(args, "-warm", c)
		}
		for _, c := range p.calls {
			args = append(args, "-call", c)
		}
		p.process = startProcess(t, p.clientName, filepath.Join(tools, "grpcload"), args...)
	}
	p.line(t, "ready")
}

// run makes the calls and returns what the client says became of them.
func (p *caller) run(t *testing.T) []rpc.Operation {
	t.Helper()
	(&generator{p.process}).start(t)
	r := &rpc.Report{}
	if err := json.Unmarshal([]byte("{"+p.line(t, "{")), r); err != nil {
		t.Fatalf("reading the report: %v", err)
	}
	made := 0
	for _, op := range r.Operations {
		made += op.Count
	}
	if made != p.count || len(r.Wrong) > 0 {
		t.Fatalf("%d of %d calls made, not as planned: %v", made, p.count, r.Wrong)
	}
	return r.Operations
}

func nodeScript(name string) string { return filepath.Join("..", "node", name) }

// TestHTTP2: what clients of HTTP/2 and gRPC sent is what Toposcope counts, by method and status, at both ends.
func TestHTTP2(t *testing.T) {
	requireHost(t, "node", "nghttpx", "nghttpd", "h2load", "nghttp", "curl")
	requireFile(t, "../node/node_modules/@grpc/grpc-js", "npm --prefix test/node ci")
	bestMethod(t, func(t *testing.T, method string) {
		early := map[string]*caller{}
		for _, c := range slices.Concat(callCases, olderCases) {
			if c.before {
				early[c.name] = startCalls(t, c)
			}
		}
		s := startToposcope(t, options{method: method})
		for _, c := range callCases {
			t.Run(c.name, func(t *testing.T) {
				p := early[c.name]
				if p == nil {
					p = startCalls(t, c)
				}
				e := calls(p.clientName, p.serverName, p.run(t))
				e.givenUp = strings.HasSuffix(c.name, "/given-up")
				e.await(t, s, nil)
				report(t, s, e)
			})
		}
		for _, c := range olderCases {
			t.Run(c.name, func(t *testing.T) { testOlder(t, s, early[c.name]) })
		}
		t.Run("web/http2-gzip", func(t *testing.T) { testCompressed(t, s) })
		t.Run("proxied", func(t *testing.T) { testProxiedCalls(t, s) })
		t.Run("http2", func(t *testing.T) { testHTTP2Clients(t, s) })
		checkNothingLost(t, s)
		checkNotSelf(t, s)
	})
}

// report prints how much of what was sent was counted.
func report(t *testing.T, s *toposcope, e *traffic) {
	t.Helper()
	now, err := s.metrics()
	if err != nil {
		t.Fatal(err)
	}
	counted := now.sum("traces_service_graph_request_total", edge(e.client, e.server)...)
	t.Logf("sent %d, counted %.0f: %.3f", e.total(), counted, counted/float64(e.total()))
}

// testCompressed: gRPC-Web's trailers are in the body, and may be compressed. What is not read is unknown, as on older connections
// what was said before.
func testCompressed(t *testing.T, s *toposcope) {
	p := startCalls(t, callCase{
		name: "web/http2-gzip", client: servers.GRPC, server: servers.GRPCWeb, web: "http2-gzip", calls: webCalls, count: 190, streams: 5,
	})
	p.parsedWarm = parseCalls(t, []string{"test.Shop/Get", "test.Shop/List messages=2 code=5"}) // what ends with such trailers
	testOlder(t, s, p)
}

// testProxiedCalls: nghttpx in the middle is a server of one edge and the client of another.
func testProxiedCalls(t *testing.T, s *toposcope) {
	const name, proxy = "grpc-behind-nghttpx", "nghttpx-of-grpc"
	backend := startServer(t, servers.Config{Kind: servers.GRPC, Name: name})
	front := startServer(t, servers.Config{Kind: servers.Nghttpx, Name: proxy, Backend: backend.Address + ";;proto=h2"})
	p := &caller{
		callCase:   callCase{client: servers.GRPC, calls: everyCall, count: 280, streams: 8},
		clientName: "client-of-nghttpx-grpc",
	}
	p.start(t, front.Address)
	operations := p.run(t)
	calls(p.clientName, proxy, operations).await(t, s, nil)
	calls(proxy, name, operations).await(t, s, nil)
}
