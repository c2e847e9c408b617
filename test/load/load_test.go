package load

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestRun: the report says what the server saw, for every way of sending.
func TestRun(t *testing.T) {
	mixed := []Request{
		{Method: "GET", Path: "/users/{n}"},
		{Method: "POST", Path: "/items?x=1", Body: 100},
		{Method: "HEAD", Path: "/head"},
		{Method: "DELETE", Path: "/none"},
		{Method: "GET", Path: "/chunked"},
		{Method: "GET", Path: "/missing"},
	}
	for _, test := range []struct {
		name        string
		plan        Plan
		connections int
	}{
		{"closed loop", Plan{Count: 600, Connections: 4, Requests: mixed}, 4},
		{"paced", Plan{Count: 600, Rate: 6000, Connections: 3, Requests: mixed}, 3},
		{"rate and duration", Plan{Duration: 100 * time.Millisecond, Rate: 6000, Connections: 3, Requests: mixed}, 3},
		{"no keep-alive", Plan{Count: 60, Connections: 2, Close: true, Requests: mixed}, 60},
		{"pipelined", Plan{Count: 600, Connections: 2, Pipeline: 8, Requests: mixed}, 2},
		{"big header", Plan{Count: 12, Connections: 1, Requests: []Request{{Method: "GET", Path: "/users/{n}", Header: 64 << 10}}}, 1},
		{"big body", Plan{Count: 6, Connections: 1, Requests: []Request{{Method: "PUT", Path: "/items", Body: 1 << 20}}}, 1},
		{"warmed", Plan{Count: 60, Connections: 3, Warm: 2, Requests: mixed}, 3},
		{"net/http", Plan{Count: 600, Connections: 4, NetHTTP: true, Warm: 1, Requests: mixed}, 4},
		{"net/http, paced", Plan{Count: 600, Rate: 6000, Connections: 3, NetHTTP: true, Requests: mixed}, 3},
		{"net/http, no keep-alive", Plan{Count: 60, Connections: 2, NetHTTP: true, Close: true, Requests: mixed}, 60},
	} {
		t.Run(test.name, func(t *testing.T) {
			var saw, large atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				saw.Add(1)
				if len(r.Header["X-Padding"]) == 16 {
					large.Add(1)
				}
				answer(w, r)
			}))
			defer server.Close()
			test.plan.Target = server.Listener.Addr().String()
			r, err := Run(t.Context(), test.plan, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := test.plan.planned()
			if r.Planned != want || r.Sent != want || r.Completed != want || r.Failed != 0 || r.NotSent != 0 {
				t.Errorf("want %d sent and completed, got %+v", want, r)
			}
			if r.Warm != test.plan.Warm*test.plan.Connections || int(saw.Load()) != want+r.Warm {
				t.Errorf("the server saw %d requests; %d were sent and %d before the start", saw.Load(), want, r.Warm)
			}
			if r.Connections != test.connections {
				t.Errorf("%d connections, want %d", r.Connections, test.connections)
			}
			if test.plan.Requests[0].Header > 0 && int(large.Load()) != want {
				t.Errorf("%d requests came with a 64 KiB header, want %d", large.Load(), want)
			}
			checkOperations(t, r, test.plan.Requests)
		})
	}
}

// answer is what the tests' server says.
func answer(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // else the server closes the connection
	switch r.URL.Path {
	case "/missing":
		http.NotFound(w, r)
	case "/none":
		w.WriteHeader(http.StatusNoContent)
	case "/chunked":
		for range 3 {
			fmt.Fprint(w, strings.Repeat("x", 5000))
			w.(http.Flusher).Flush()
		}
	default:
		fmt.Fprint(w, "ok")
	}
}

func checkOperations(t *testing.T, r *Report, requests []Request) {
	t.Helper()
	status := map[string]int{"/missing": 404, "/none": 204}
	sum := 0
	for _, op := range r.Operations {
		sum += op.Count
		want := 200
		if s := status[op.Route]; s != 0 {
			want = s
		}
		if op.Status != want || op.Count != r.Sent/len(requests) {
			t.Errorf("got %+v, want status %d, %d times", op, want, r.Sent/len(requests))
		}
	}
	if sum != r.Sent || len(r.Operations) != len(requests) {
		t.Errorf("the operations %v do not add up to %d", r.Operations, r.Sent)
	}
}

// TestFailures: what was sent and not answered is failed, what could not be sent is not sent.
func TestFailures(t *testing.T) {
	for _, test := range []struct {
		name  string
		serve func(c net.Conn) // each connection
		want  Report
		err   string
	}{
		{
			"closed before an answer", func(c net.Conn) { readRequest(c) },
			Report{Planned: 4, Sent: 4, Failed: 4},
			"closed early",
		},
		{
			"closed within an answer", func(c net.Conn) {
				readRequest(c)
				fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
			},
			Report{Planned: 4, Sent: 4, Failed: 4},
			"closed early",
		},
		{
			"no HTTP", func(c net.Conn) {
				readRequest(c)
				fmt.Fprint(c, "220 mail ready\r\n\r\n")
			},
			Report{Planned: 4, Sent: 4, Failed: 4},
			`no status line: "220 mail ready"`,
		},
		{
			"an interim answer first, until close", func(c net.Conn) {
				readRequest(c)
				fmt.Fprint(c, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody")
			},
			Report{Planned: 4, Sent: 4, Completed: 4},
			"",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			listener := listen(t, test.serve)
			r, err := Run(t.Context(), Plan{
				Target: listener.Addr().String(), Count: 4, Connections: 1, Requests: []Request{{Method: "GET", Path: "/"}},
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.Planned != test.want.Planned || r.Sent != test.want.Sent || r.Completed != test.want.Completed || r.Failed != test.want.Failed {
				t.Errorf("got %+v, want %+v", r, test.want)
			}
			if test.err != "" && r.Errors[test.err] != 4 {
				t.Errorf("got errors %v, want 4 × %s", r.Errors, test.err)
			}
		})
	}
}

// TestNotSent: a server that goes away leaves requests unsent, not failed.
func TestNotSent(t *testing.T) {
	accepted := make(chan struct{}, 1)
	listener := listen(t, func(c net.Conn) {
		accepted <- struct{}{}
		readRequest(c)
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
	r, err := Run(t.Context(), Plan{
		Target: listener.Addr().String(), Count: 5, Connections: 1, Requests: []Request{{Method: "GET", Path: "/"}},
	}, func() error {
		<-accepted
		return listener.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Completed != 1 || r.NotSent != 4 || r.Errors["connection refused"] != 4 {
		t.Errorf("got %+v, want one completed and four not sent", r)
	}
}

func listen(t *testing.T, serve func(net.Conn)) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			serve(c)
			c.Close()
		}
	}()
	return listener
}

func readRequest(c net.Conn) {
	for s := bufio.NewScanner(c); s.Scan() && s.Text() != ""; {
		continue
	}
}

func TestParseRequest(t *testing.T) {
	for _, test := range []struct {
		in   string
		want Request
		err  string
	}{
		{"GET /a", Request{Method: "GET", Path: "/a"}, ""},
		{"POST /a/{n}?b=c body=10 header=20", Request{Method: "POST", Path: "/a/{n}?b=c", Body: 10, Header: 20}, ""},
		{"GET", Request{}, "want METHOD /PATH"},
		{"GET a", Request{}, "want METHOD /PATH"},
		{"GET /a body=x", Request{}, "is no size"},
		{"GET /a colour=1", Request{}, "unknown option"},
	} {
		got, err := ParseRequest(test.in)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%q: got error %v, want one with %q", test.in, err, test.err)
			}
			continue
		}
		if err != nil || got != test.want {
			t.Errorf("%q: got %+v, %v, want %+v", test.in, got, err, test.want)
		}
	}
}
