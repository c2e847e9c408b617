// Package shop is the demo's shop: a table of services, what each serves and whom it asks for that, and the HTTP and gRPC servers
// and clients that act it out.
//
// A service is data. To add one, add it to Services; to make one misbehave, change its endpoint's Fault. Only a new gRPC method needs
// code: a line in shoppb's shop.proto, and what its messages hold.
package shop

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// Service is one process of the shop. Its endpoints are all HTTP's or all gRPC's.
type Service struct {
	Name      string
	Endpoints []Endpoint
}

// Endpoint is what a service serves on one route, or by one gRPC method.
type Endpoint struct {
	// Method and Pattern are HTTP's, the pattern in net/http's form: "/items/{sku}".
	Method, Pattern string
	// RPC is the full name of a gRPC method: "/shop.v1.Stock/GetLevel". With it Method, Pattern, Status and Body mean nothing.
	RPC string
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

// Peers are the names of the services that s calls, each once, in order of first use.
func (s Service) Peers() []string {
	var peers []string
	for _, e := range s.Endpoints {
		for _, c := range e.Calls {
			if !slices.Contains(peers, c.Server) {
				peers = append(peers, c.Server)
			}
		}
	}
	return peers
}

// Protocol is what s speaks: "http" or "grpc".
func (s Service) Protocol() string {
	if len(s.Endpoints) > 0 && s.Endpoints[0].RPC != "" {
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

// StartOrder sorts services so that each comes after those it calls. A call that leads nowhere, or in a circle, is an error.
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
		for _, p := range s.Peers() {
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
