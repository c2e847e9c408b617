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
		return Service{name, []Endpoint{e}}
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

// TestServices: every call of the shop's table leads to an endpoint that exists, and the table can be started.
func TestServices(t *testing.T) {
	services := Services()
	if _, err := StartOrder(services); err != nil {
		t.Fatal(err)
	}
	serves := map[string]bool{}
	for _, s := range services {
		for _, e := range s.Endpoints {
			serves[s.Name+" "+e.Method+" "+e.Pattern] = true
		}
	}
	for _, s := range services {
		for _, e := range s.Endpoints {
			for _, c := range e.Calls {
				if !serves[c.Server+" "+c.Method+" "+c.Route] {
					t.Errorf("%s %s %s calls %s %s %s, which is not served", s.Name, e.Method, e.Pattern, c.Server, c.Method, c.Route)
				}
			}
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
