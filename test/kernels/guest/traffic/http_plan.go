package traffic

import "net/http"

// how a step uses its connections.
type how int

const (
	keepAlive how = iota // requests one after another on the same connection
	oneShot              // a connection for each request, closed by "Connection: close"
	pipelined            // all requests of a connection in one write, then all answers
)

// step is one row of the load: Conns connections at the same time, Requests on each.
type step struct {
	name     string
	how      how
	conns    int
	requests int

	method string
	path   string
	route  string // what http_route must be
	status int

	ipv6    bool
	old     bool // the connections are open, and used, before Toposcope starts
	body    int  // bytes of request body
	chunked bool // the body's length is not told
	expect  bool // Expect: 100-continue
	headers int  // bytes of one more request header
}

// smallPlan is the rows that one of each kind of traffic is in.
func smallPlan() []step {
	var steps []step
	for _, s := range plan() {
		switch s.name {
		case "open before start", "keep-alive, IPv6", "connection each", "pipelined", "body 1 MiB", "sendfile 1 MiB", "404", "503":
			s.requests = portion(s.requests, true)
			steps = append(steps, s)
		}
	}
	return steps
}

// plan is the whole load. Counts are small: emulated code is slow.
func plan() []step {
	const get, post = http.MethodGet, http.MethodPost
	return []step{
		{name: "open before start", old: true, conns: 3, requests: 10, method: get, path: "/old", route: "/old", status: 200},
		{name: "open before start, IPv6", old: true, ipv6: true, conns: 2, requests: 5, method: get, path: "/old6", route: "/old6", status: 200},
		{name: "keep-alive", conns: 4, requests: 15, method: get, path: "/plain", route: "/plain", status: 200},
		{name: "keep-alive, IPv6", ipv6: true, conns: 2, requests: 15, method: get, path: "/plain", route: "/plain", status: 200},
		{name: "connection each", how: oneShot, conns: 2, requests: 10, method: get, path: "/once", route: "/once", status: 200},
		{name: "pipelined", how: pipelined, conns: 2, requests: 15, method: get, path: "/queue", route: "/queue", status: 200},
		{name: "pipelined, IPv6", how: pipelined, ipv6: true, conns: 1, requests: 15, method: get, path: "/queue6", route: "/queue6", status: 200},
		{name: "template", conns: 1, requests: 5, method: get, path: "/users/1207/orders", route: "/users/{id}/orders", status: 200},
		{name: "body 1 MiB", conns: 2, requests: 2, method: post, path: "/upload", route: "/upload", status: 200, body: 1 << 20},
		{name: "body 1 MiB, chunked", conns: 1, requests: 2, method: http.MethodPut, path: "/upload", route: "/upload", status: 200, body: 1 << 20, chunked: true},
		{name: "body after 100", conns: 1, requests: 5, method: post, path: "/expect", route: "/expect", status: 200, body: 1 << 10, expect: true},
		{name: "answer 1 MiB", conns: 2, requests: 2, method: get, path: "/download", route: "/download", status: 200},
		{name: "answer in chunks", conns: 1, requests: 5, method: get, path: "/chunks", route: "/chunks", status: 200},
		{name: "sendfile 1 MiB", conns: 2, requests: 2, method: get, path: "/file", route: "/file", status: 200},
		{name: "headers 64 KiB", conns: 1, requests: 5, method: get, path: "/headers", route: "/headers", status: 200, headers: 64 << 10},
		{name: "HEAD", conns: 1, requests: 5, method: http.MethodHead, path: "/download", route: "/download", status: 200},
		{name: "204", conns: 1, requests: 5, method: http.MethodDelete, path: "/empty", route: "/empty", status: 204},
		{name: "304", conns: 1, requests: 5, method: get, path: "/same", route: "/same", status: 304},
		{name: "404", conns: 1, requests: 5, method: get, path: "/missing", route: "/missing", status: 404},
		{name: "429", conns: 1, requests: 5, method: http.MethodPatch, path: "/busy", route: "/busy", status: 429},
		{name: "503", conns: 1, requests: 5, method: get, path: "/broken", route: "/broken", status: 503},
	}
}
