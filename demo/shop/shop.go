// Package shop is the demo's shop: a table of services, what each serves and whom it asks for that, and the HTTP server and client that act it out.
//
// A service is data. To add one, add it to Services; to make one misbehave, change its endpoint's Fault.
package shop

import (
	"fmt"
	"strings"
	"time"
)

// Service is one process of the shop.
type Service struct {
	Name      string
	Endpoints []Endpoint
}

// Endpoint is what a service serves on one route.
type Endpoint struct {
	Method string
	// Pattern is net/http's: "/items/{sku}".
	Pattern string
	// Status is the answer when all went well; 0 means 200.
	Status int
	// Work is the median of the time spent here, beside that of Calls. It is spread log-normally.
	Work time.Duration
	// Body is the size of the answer in bytes, Chunks in how many flushed pieces it is sent (0: with a Content-Length).
	Body, Chunks int
	Calls        []Call
	Fault        Fault
}

// Call is a request that serving an endpoint takes.
type Call struct {
	Server, Method string
	// Route is the server's pattern. Its wildcards are filled with the values of the caller's wildcards of the same name, or
	// with ones drawn at random.
	Route string
	// Body is the size of the request's body in bytes.
	Body int
	// Share is how many of the requests make this call, 0..1; 0 means all.
	Share float64
	// Close asks for a connection of its own, closed after the call.
	Close bool
	// Optional says that the endpoint answers well even where this call fails.
	Optional bool
}

// Fault is what goes wrong at an endpoint, as shares of its requests (0..1), and how slow a slow answer is.
type Fault struct {
	Failed, NotFound, Slow float64
	SlowBy                 time.Duration
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
	seen := map[string]bool{}
	for _, e := range s.Endpoints {
		for _, c := range e.Calls {
			if !seen[c.Server] {
				seen[c.Server] = true
				peers = append(peers, c.Server)
			}
		}
	}
	return peers
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
