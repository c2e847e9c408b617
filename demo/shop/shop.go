// Package shop is the demo's shop: a table of services, what each serves and whom it asks for that, and the HTTP and gRPC servers
// and clients that act it out.
//
// A service is data. To add one, add it to Services; to make one misbehave, change its endpoint's Fault. Only a new gRPC method needs
// code, a line in shoppb's shop.proto and what its messages hold, and a new query of a database.
package shop

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// Service is one process of the shop, or several. What it is asked by is all HTTP or all gRPC; beside that it may take from queues.
type Service struct {
	Name      string
	Endpoints []Endpoint
	// Next, where there is any, is what it serves in its next version, which a fault deploys.
	Next []Endpoint
	// Instances is how many processes it is; 0 means one. Who calls it draws one of them for each request.
	Instances int
	// Speaks is the protocol of a service that is a database: "mysql". Port is the one by which that is known.
	Speaks string
	Port   int
}

// Endpoint is what a service serves on one route, or by one gRPC method.
type Endpoint struct {
	// Method and Pattern are HTTP's, the pattern in net/http's form: "/items/{sku}".
	Method, Pattern string
	// RPC is the full name of a gRPC method: "/shop.v1.Stock/GetLevel". With it Method, Pattern, Status and Body mean nothing.
	RPC string
	// Queue is a list in Redis that the service takes from: what it finds is its request, that nobody waits for.
	Queue string
	// Status is the answer when all went well; 0 means 200.
	Status int
	// Work is the median of the time spent here, beside that of Calls. It is spread log-normally.
	Work time.Duration
	// Body is the size of the answer in bytes, Chunks in how many flushed pieces it is sent (0: with a Content-Length). Of a gRPC
	// method that answers with a stream, Chunks is the number of messages.
	Body, Chunks int
	// Lookups are made in turn, before Calls.
	Lookups []Lookup
	Calls   []Call
	Fault   Fault
}

// Lookup is a DNS lookup that serving an endpoint takes.
type Lookup struct {
	// Kind is one of package resolver's.
	Kind string
	// Name may have wildcards as a Call's Route has.
	Name string
	// Share and Optional are as in Call.
	Share    float64
	Optional bool
}

// Call is a request that serving an endpoint takes.
type Call struct {
	Server string
	// Method and Route are HTTP's, the route being the server's pattern. Its wildcards are filled with the values of the caller's
	// wildcards of the same name, or with ones drawn at random.
	Method, Route string
	// RPC is the full name of a gRPC method, in place of Method and Route.
	RPC string
	// Query is the name of something to ask a database, in place of Method and Route.
	Query string
	// Body is the size of an HTTP request's body in bytes.
	Body int
	// Messages is how many messages the client sends, where the gRPC method takes a stream.
	Messages int
	// Share is how many of the requests make this call, 0..1; 0 means all.
	Share float64
	// Close asks for a connection of its own, closed after the call. The server's name is looked up for it. HTTP only.
	Close bool
	// Optional says that the endpoint answers well even where this call fails.
	Optional bool
}

// Fault is what goes wrong at an endpoint in the steady traffic, as shares of its requests (0..1), and how slow a slow answer is.
type Fault struct {
	Errors []Error
	Slow   float64
	SlowBy time.Duration
}

// Error is an answer that is none. Over HTTP it is the status that goes with the code.
type Error struct {
	Code  codes.Code
	Share float64
}

// Find returns the service called name.
func Find(services []Service, name string) (Service, bool) {
	for _, s := range services {
		if s.Name == name {
			return s, true
		}
	}
	return Service{}, false
}

// Version is s in one of its versions: 2 is the next, any other the one that is there.
func (s Service) Version(n int) Service {
	if n == 2 && s.Next != nil {
		s.Endpoints = s.Next
	}
	s.Next = nil
	return s
}

// Processes are the names of s's processes: its own, or, where there are several, that with a number.
func (s Service) Processes() []string {
	if s.Instances < 2 {
		return []string{s.Name}
	}
	var names []string
	for i := range s.Instances {
		names = append(names, fmt.Sprintf("%s-%d", s.Name, i+1))
	}
	return names
}

// ServiceOf is the service that the process called name is of.
func ServiceOf(services []Service, name string) (Service, bool) {
	for _, s := range services {
		if slices.Contains(s.Processes(), name) {
			return s, true
		}
	}
	return Service{}, false
}

// Peers are the names of the services that s calls, each once, in order of first use.
func (s Service) Peers() []string {
	var peers []string
	add := func(name string) {
		if !slices.Contains(peers, name) {
			peers = append(peers, name)
		}
	}
	for _, e := range s.Endpoints {
		if e.Queue != "" {
			add(queueServer)
		}
		for _, c := range e.Calls {
			add(c.Server)
		}
	}
	return peers
}

// Protocol is what s speaks: "http", "grpc", or what a database does.
func (s Service) Protocol() string {
	switch {
	case s.Speaks != "":
		return s.Speaks
	case len(s.Endpoints) > 0 && s.Endpoints[0].RPC != "":
		return "grpc"
	}
	return "http"
}

// LooksUp says whether s asks the name server: for a lookup, a gRPC service, or a connection of its own for a call.
func (s Service) LooksUp() bool {
	return slices.ContainsFunc(s.Endpoints, func(e Endpoint) bool {
		return len(e.Lookups) > 0 || slices.ContainsFunc(e.Calls, func(c Call) bool { return c.Close || c.RPC != "" })
	})
}

// StartOrder sorts services so that each comes after those it calls in any of its versions. A call that leads nowhere, or in a circle, is an error.
func StartOrder(services []Service) ([]Service, error) {
	const visiting, done = 1, 2
	state := map[string]int{}
	var order []Service
	var visit func(name string, path []string) error
	visit = func(name string, path []string) error {
		path = append(path, name)
		switch state[name] {
		case done:
			return nil
		case visiting:
			return fmt.Errorf("services call each other in a circle: %s", strings.Join(path, " -> "))
		}
		s, ok := Find(services, name)
		if !ok {
			return fmt.Errorf("unknown service: %s", strings.Join(path, " -> "))
		}
		state[name] = visiting
		for _, p := range slices.Concat(s.Peers(), s.Version(2).Peers()) {
			if err := visit(p, path); err != nil {
				return err
			}
		}
		state[name] = done
		order = append(order, s)
		return nil
	}
	for _, s := range services {
		if err := visit(s.Name, nil); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// Fill replaces the wildcards of route with what value returns for their names.
func Fill(route string, value func(name string) string) string {
	var b strings.Builder
	for {
		open := strings.IndexByte(route, '{')
		end := strings.IndexByte(route, '}')
		if open < 0 || end < open {
			b.WriteString(route)
			return b.String()
		}
		b.WriteString(route[:open])
		b.WriteString(value(route[open+1 : end]))
		route = route[end+1:]
	}
}
