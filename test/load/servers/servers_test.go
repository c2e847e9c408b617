package servers

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/toposcope/toposcope/test/load"
)

// TestStart: every server answers every kind of request as the tests that use it expect.
func TestStart(t *testing.T) {
	program := filepath.Join(t.TempDir(), "httpserve")
	if out, err := exec.Command("go", "build", "-o", program, "../httpserve").CombinedOutput(); err != nil {
		t.Fatalf("building httpserve: %v: %s", err, out)
	}
	for _, kind := range []Kind{Go, Python, Node, Nginx} {
		for _, listen := range []string{"127.0.0.1:0", "[::1]:0"} {
			t.Run(string(kind)+" "+listen, func(t *testing.T) {
				need(t, kind)
				s, err := Start(Config{Kind: kind, Name: "test", Listen: listen, Dir: t.TempDir(), Program: program})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Stop()
				check(t, kind, s)
			})
		}
	}
}

func need(t *testing.T, kind Kind) {
	t.Helper()
	program := map[Kind]string{
		Python: "python3", Node: "node", Nginx: "/usr/sbin/nginx",
		Nghttpx: "nghttpx", Nghttpd: "nghttpd", Dnsmasq: "dnsmasq", Unbound: "unbound", CoreDNS: "dig",
		MariaDB: "mariadb-install-db", PostgreSQL: "psql", Redis: "redis-server",
	}[kind]
	if program == "" {
		return
	}
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

func check(t *testing.T, kind Kind, s *Server) {
	t.Helper()
	requests := []load.Request{
		{Method: "GET", Path: "/users/{n}"},
		{Method: "GET", Path: "/missing?status=404"},
		{Method: "GET", Path: "/broken?status=500"},
		{Method: "DELETE", Path: "/none?status=204"},
		{Method: "HEAD", Path: "/head"},
		{Method: "POST", Path: "/post", Body: 1 << 20},
		{Method: "GET", Path: "/headers", Header: 64 << 10},
	}
	if kind == Nginx {
		requests = append(requests, load.Request{Method: "GET", Path: StaticPath})
	} else {
		requests = append(requests,
			load.Request{Method: "GET", Path: "/chunked?chunked=100000"},
			load.Request{Method: "PUT", Path: "/echo?echo=1", Body: 1 << 20},
			load.Request{Method: "GET", Path: "/cached?status=304"})
	}
	status := map[string]int{"/missing": 404, "/broken": 500, "/none": 204, "/cached": 304}
	for _, plan := range []load.Plan{{Connections: 1}, {Connections: 2, Close: true}, {Connections: 1, Pipeline: 3}} {
		plan.Target, plan.Requests, plan.Count = s.Address, requests, 3*len(requests)
		r, err := load.Run(t.Context(), plan, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Completed != plan.Count {
			t.Fatalf("got %+v, want %d completed", r, plan.Count)
		}
		for _, op := range r.Operations {
			want := 200
			if s := status[op.Route]; s != 0 {
				want = s
			}
			if op.Status != want {
				t.Errorf("%s %s: got status %d, want %d", op.Method, op.Route, op.Status, want)
			}
		}
	}
}
