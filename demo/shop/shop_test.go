package shop

import (
	"slices"
	"strings"
	"testing"
)

func TestStartOrder(t *testing.T) {
	calls := func(name string, peers ...string) Service {
		e := Endpoint{Method: "GET", Pattern: "/"}
		for _, p := range peers {
			e.Calls = append(e.Calls, Call{Server: p, Method: "GET", Route: "/"})
		}
		return Service{Name: name, Endpoints: []Endpoint{e}}
	}
	for _, test := range []struct {
		name     string
		services []Service
		want     []string
		err      string
	}{
		{"chain", []Service{calls("a", "b"), calls("b", "c"), calls("c")}, []string{"c", "b", "a"}, ""},
		{"diamond", []Service{calls("a", "b", "c"), calls("b", "d"), calls("c", "d"), calls("d")}, []string{"d", "b", "c", "a"}, ""},
		{"circle", []Service{calls("a", "b"), calls("b", "a")}, nil, "a -> b -> a"},
		{"itself", []Service{calls("a", "a")}, nil, "a -> a"},
		{"nowhere", []Service{calls("a", "b")}, nil, "unknown service: a -> b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			order, err := StartOrder(test.services)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("got error %v, want one with %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, s := range order {
				names = append(names, s.Name)
			}
			if !slices.Equal(names, test.want) {
				t.Errorf("got %v, want %v", names, test.want)
			}
		})
	}
}

// served is how an endpoint, or a call of it, is known: by what it is asked with.
func served(service, method, route, rpc string) string {
	if rpc != "" {
		return service + " " + rpc
	}
	return service + " " + method + " " + route
}

// TestServices: every call of the shop's table, in any version, leads to an endpoint or a query that exists, every query is asked, and
// the table can be started.
func TestServices(t *testing.T) {
	services := Services()
	if _, err := StartOrder(services); err != nil {
		t.Fatal(err)
	}
	endpoints := map[string]bool{}
	for _, s := range services {
		for _, e := range slices.Concat(s.Endpoints, s.Next) {
			endpoints[served(s.Name, e.Method, e.Pattern, e.RPC)] = true
			if e.Queue == "" && (e.RPC != "") != (s.Protocol() == "grpc") {
				t.Errorf("%s speaks both HTTP and gRPC", s.Name)
			}
		}
	}
	unasked := queries()
	for _, s := range services {
		for _, e := range slices.Concat(s.Endpoints, s.Next) {
			for _, c := range e.Calls {
				from := served(s.Name, e.Method, e.Pattern, e.RPC)
				if server, ok := Find(services, c.Server); !ok || (server.Speaks != "") != (c.Query != "") {
					t.Errorf("%s calls %s, which does not take %+v", from, c.Server, c)
				} else if c.Query != "" && queries()[c.Query] == nil {
					t.Errorf("%s asks for %q, which is no query", from, c.Query)
				} else if call := served(c.Server, c.Method, c.Route, c.RPC); c.Query == "" && !endpoints[call] {
					t.Errorf("%s calls %s, which is not served", from, call)
				}
				delete(unasked, c.Query)
			}
		}
	}
	for name := range unasked {
		t.Errorf("nobody asks for %q", name)
	}
}

// TestProcesses: each process is of one service.
func TestProcesses(t *testing.T) {
	several := 0
	for _, s := range Services() {
		for _, name := range s.Processes() {
			if of, ok := ServiceOf(Services(), name); !ok || of.Name != s.Name {
				t.Errorf("%s is of %q, want %q", name, of.Name, s.Name)
			}
		}
		if len(s.Processes()) > 1 {
			several++
		}
	}
	if several == 0 {
		t.Error("no service has several instances")
	}
	if _, ok := ServiceOf(Services(), "bakery"); ok {
		t.Error("there is a bakery")
	}
}

// TestRPCMethods: a service that speaks gRPC serves the methods in the table, and all of them are called.
func TestRPCMethods(t *testing.T) {
	called := map[string]bool{}
	for _, s := range Services() {
		for _, e := range s.Endpoints {
			for _, c := range e.Calls {
				called[c.RPC] = true
			}
		}
	}
	for _, s := range Services() {
		if s.Protocol() != "grpc" {
			continue
		}
		var want, got []string
		for _, e := range s.Endpoints {
			want = append(want, e.RPC)
			if !called[e.RPC] {
				t.Errorf("%s is not called", e.RPC)
			}
		}
		server := RPCServer(s, nil, nil)
		for name, info := range server.GetServiceInfo() {
			for _, m := range info.Methods {
				got = append(got, "/"+name+"/"+m.Name)
			}
		}
		server.Stop()
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s serves %v, the table has %v", s.Name, got, want)
		}
	}
}

func TestFill(t *testing.T) {
	value := func(name string) string { return "<" + name + ">" }
	for route, want := range map[string]string{
		"/":                     "/",
		"/items/{sku}":          "/items/<sku>",
		"/cart/{user}/items":    "/cart/<user>/items",
		"/a/{b}/{c}":            "/a/<b>/<c>",
		"/broken}/{in/both/way": "/broken}/{in/both/way",
	} {
		if got := Fill(route, value); got != want {
			t.Errorf("Fill(%q) = %q, want %q", route, got, want)
		}
	}
}
