package main

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/demo/fault"
	"github.com/toposcope/toposcope/demo/tally"
)

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// operations are how many of a report's are of client, server and status.
func operations(pages tally.Pages, client, server, status string) (n uint64) {
	for _, r := range pages.Operations {
		if r.Key.Client == client && r.Key.Server == server && r.Key.Status == status {
			n += r.Count
		}
	}
	return n
}

// TestScenarios: each of the faults that the help lists can be switched on, shows in what the shop answers, and ends without a trace.
// What it was is in the report.
func TestScenarios(t *testing.T) {
	t.Parallel()
	r := startShop(t, "--rate=20", "--dns-address=127.0.0.1:0")
	web, users := "http://"+r.addresses["web"], "http://"+r.addresses["users"]
	asks := func(url string, want int) func() bool {
		return func() bool { got, _ := ask(t, "GET", url, ""); return got == want }
	}
	// well says that all is well again: both instances of a service are met, most likely.
	well := func(url string) func() bool {
		return func() bool {
			for range 8 {
				if status, _ := ask(t, "GET", url, ""); status != http.StatusOK {
					return false
				}
			}
			return true
		}
	}
	shows := map[string]func(){
		"slow queries": func() {
			until(t, "a late answer", func() bool {
				begin := time.Now()
				ask(t, "GET", web+"/items/10001", "")
				return time.Since(begin) >= 700*time.Millisecond
			})
		},
		"database errors": func() { until(t, "an error", asks(users+"/users/1", http.StatusBadGateway)) },
		"dead database":   func() { until(t, "an error", asks(web+"/cart/1", http.StatusBadGateway)) },
		"dead instance": func() {
			until(t, "an error", asks(web+"/items/10001", http.StatusBadGateway))
			until(t, "an answer", asks(web+"/items/10001", http.StatusOK))
		},
		"bad deploy": func() {
			until(t, "an error", asks("http://"+r.addresses["recommendations"]+"/recommendations/1", http.StatusBadGateway))
		},
		"DNS failure":   func() { until(t, "an error", func() bool { return r.lookUp(t, "web") == "failed" }) },
		"traffic surge": func() {},
	}
	for _, s := range scenarios() {
		faults, _, _ := strings.Cut(s.faults, " for ") // they end when all is seen, not before
		set, err := fault.Parse(faults, places())
		if err != nil {
			t.Fatal(err)
		}
		if status, text := ask(t, "PUT", r.faults, faults); status != http.StatusOK || text != set.String() {
			t.Fatalf("%s: PUT answers %d %s", s.name, status, text)
		}
		if shows[s.name] == nil {
			t.Fatalf("no test of %s", s.name)
		}
		shows[s.name]()
		if status, text := ask(t, "DELETE", r.faults, ""); status != http.StatusOK || text != "" {
			t.Fatalf("%s: DELETE answers %d %s", s.name, status, text)
		}
		for _, url := range []string{web + "/", web + "/items/10001", web + "/cart/1", users + "/users/1"} {
			until(t, url+" is well again after "+s.name, well(url))
		}
	}
	pages := r.stop(t)
	for _, want := range []struct{ client, server, status string }{
		{"users", "mongodb", "50"}, {"recommendations", "mysql", ""}, {"recommendations", "mysql", "1054"},
	} {
		if operations(pages, want.client, want.server, want.status) == 0 {
			t.Errorf("the report has no operation like %+v", want)
		}
	}
}

// TestTimed: a database that is down for a time comes back by itself, with what it had in the beginning.
func TestTimed(t *testing.T) {
	t.Parallel()
	r := startShop(t, "--rate=20", "--dns-address=127.0.0.1:0", "--fault=mysql=down for 300ms")
	until(t, "no fault", func() bool { _, text := ask(t, "GET", r.faults, ""); return text == "" })
	until(t, "an item", func() bool {
		status, _ := ask(t, "GET", "http://"+r.addresses["web"]+"/items/10001", "")
		return status == http.StatusOK
	})
	if operations(r.stop(t), "catalogue", "mysql", "") == 0 {
		t.Error("the report has nothing that was asked of mysql")
	}
}

// TestSurge: customers come more often. As often as usual these here would take some seven minutes.
func TestSurge(t *testing.T) {
	t.Parallel()
	const requests = 20
	r := startShop(t, "--rate=0.05", "--requests=20", "--dns-address=127.0.0.1:0", "--fault=load=surge:100")
	var sent uint64
	for _, c := range r.wait(t).Calls {
		if c.Key.Client == loadName {
			sent += c.Count
		}
	}
	if sent != requests {
		t.Errorf("%d requests were sent, want %d", sent, requests)
	}
}

// TestHelpListsFaults: --help has a sentence for each fault.
func TestHelpListsFaults(t *testing.T) {
	out, _ := exec.CommandContext(t.Context(), os.Args[0], shopMark, "--help").CombinedOutput()
	for _, s := range scenarios() {
		if !strings.Contains(string(out), s.faults) || !strings.Contains(string(out), s.text) {
			t.Errorf("--help does not tell of %s: %s", s.name, out)
		}
	}
}
