package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/toposcope/toposcope/test/load"
	"github.com/toposcope/toposcope/test/load/servers"
)

// http2Client is a client that is not ours. ADDRESS in its command is nghttpx's address, TOOLS the folder tools.
type http2Client struct {
	name       string
	command    []string
	operations []load.Operation
}

func get(route string, status, n int) load.Operation {
	return load.Operation{Method: "GET", Route: route, Status: status, Count: n}
}

var http2Clients = []http2Client{
	{
		"h2load",
		[]string{"h2load", "-n4000", "-c4", "-m20", "http://ADDRESS/users/7"},
		[]load.Operation{get("/users/{id}", 200, 4000)},
	},
	{
		"h2load-errors",
		[]string{"h2load", "-n300", "-c1", "-m100", "http://ADDRESS/users/7", "http://ADDRESS/broken?status=503", "http://ADDRESS/items/9?status=404"},
		[]load.Operation{get("/users/{id}", 200, 100), get("/broken", 503, 100), get("/items/{id}", 404, 100)},
	},
	{
		"h2load-bodies",
		[]string{"h2load", "-n20", "-c2", "-m5", "-d", "TOOLS/body", "http://ADDRESS/upload/7?echo=1"},
		[]load.Operation{{Method: "POST", Route: "/upload/{id}", Status: 200, Count: 20}},
	},
	{
		// One at a time: this curl breaks off the second request that it makes on a connection.
		"curl-prior-knowledge",
		[]string{"sh", "-c", "for i in $(seq 20); do curl -sS -o /dev/null --http2-prior-knowledge http://ADDRESS/users/$i; done"},
		[]load.Operation{get("/users/{id}", 200, 20)},
	},
	{
		"nghttp",
		[]string{"nghttp", "-n", "-m100", "http://ADDRESS/users/7?chunked=40000"},
		[]load.Operation{get("/users/{id}", 200, 100)},
	},
	{
		"nghttp-padded",
		[]string{"nghttp", "-n", "-b200", "-m20", "--continuation", "http://ADDRESS/users/7"},
		[]load.Operation{get("/users/{id}", 200, 20)},
	},
	// These begin with a request in HTTP/1.1, which is answered in HTTP/2 and counts as that.
	{
		"curl-upgrade",
		[]string{"curl", "-sS", "-o", "/dev/null", "--http2", "http://ADDRESS/users/[1-100]"},
		[]load.Operation{get("/users/{id}", 200, 100)},
	},
	{
		"nghttp-upgrade",
		[]string{"nghttp", "-n", "-u", "-m50", "http://ADDRESS/users/7", "http://ADDRESS/broken?status=503"},
		[]load.Operation{get("/users/{id}", 200, 50), get("/broken", 503, 50)},
	},
}

// testHTTP2Clients: plain HTTP/2, through a proxy that speaks HTTP/1.1 behind. Of the proxy's own requests it is known how many there
// are in all.
func testHTTP2Clients(t *testing.T, s *toposcope) {
	// Of a connection that is not known yet the first 512 KiB are copied whole, both directions together: what each of these clients'
	// connections carries in all stays below, since a starved machine may take long to know it.
	if err := os.WriteFile(filepath.Join(tools, "body"), make([]byte, 20_000), 0o644); err != nil {
		t.Fatal(err)
	}
	const name, proxy = "behind-nghttpx", "nghttpx"
	backend := startServer(t, servers.Config{Kind: servers.Go, Name: name})
	front := startServer(t, servers.Config{Kind: servers.Nghttpx, Name: proxy, Backend: backend.Address})
	all := map[load.Operation]int{}
	for _, c := range http2Clients {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(c.command[0], expand(c.command[1:], front.Address)...)
			cmd.Env = append(os.Environ(), "OTEL_SERVICE_NAME="+c.name)
			mustRun(t, cmd)
			e := requests(c.name, proxy, "http2", c.operations...)
			e.sharedServer = true
			e.await(t, s, nil)
		})
		for _, op := range c.operations {
			n := op.Count
			op.Count = 0
			all[op] += n
		}
	}
	t.Run("behind", func(t *testing.T) {
		var sum []load.Operation
		for op, n := range all {
			op.Count = n
			sum = append(sum, op)
		}
		requests(proxy, name, "http", sum...).await(t, s, nil)
	})
	t.Run("pushed", func(t *testing.T) { testPushed(t, s) })
}

// testPushed: what a server pushes is the answer to no request.
func testPushed(t *testing.T, s *toposcope) {
	const client, name = "client-of-push", "nghttpd"
	server := startServer(t, servers.Config{
		Kind: servers.Nghttpd, Name: name, Args: []string{"--push=/=/style.css", "--trailer=x-sum: 1", "--padding=50"},
	})
	for _, p := range []string{"/", "/style.css", "/none"} {
		cmd := exec.Command("nghttp", "-n", "-m10", fmt.Sprintf("http://%s%s", server.Address, p))
		cmd.Env = append(os.Environ(), "OTEL_SERVICE_NAME="+client)
		mustRun(t, cmd)
	}
	requests(client, name, "http2", get("/", 200, 10), get("/style.css", 200, 10), get("/none", 404, 10)).await(t, s, nil)
}
