package shop

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/toposcope/toposcope/demo/dice"
	"github.com/toposcope/toposcope/demo/fault"
	"github.com/toposcope/toposcope/demo/tally"
)

// startHTTP serves s until the test ends, and returns its address. s asks others by c.
func startHTTP(t *testing.T, s Service, c *Client, f fault.Fault) string {
	t.Helper()
	var faults fault.Switch
	faults.Set(f)
	server := httptest.NewServer(Handler(s, c, &faults))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// one is a service with one endpoint.
func one(name string, e Endpoint) Service {
	e.Method, e.Pattern = "GET", "/"
	return Service{Name: name, Endpoints: []Endpoint{e}}
}

// get asks the service called name at address, and returns the status that is counted, -1 if none is.
func get(t *testing.T, ctx context.Context, name, address string) int {
	t.Helper()
	book := &tally.Book{}
	client := NewClient("me", netip.Addr{}, map[string]string{name: address}, book)
	defer client.Close()
	client.Do(ctx, Call{Server: name, Method: "GET", Route: "/"}, visit())
	switch rows := book.Calls.Rows(); {
	case len(rows) == 0:
		return -1
	case len(rows) > 1 || rows[0].Count != 1:
		t.Fatalf("counted as %v", rows)
		return 0
	default:
		return rows[0].Key.Status
	}
}

// TestHTTPStatus: what goes wrong at a service, and what goes wrong at one that it asks.
func TestHTTPStatus(t *testing.T) {
	for _, test := range []struct {
		code         codes.Code
		own, gateway int
	}{
		{codes.OK, 200, 200},
		{codes.NotFound, 404, 404},
		{codes.InvalidArgument, 400, 400},
		{codes.FailedPrecondition, 409, 409},
		{codes.Unavailable, 503, 502},
		{codes.Internal, 500, 502},
	} {
		var fails Fault
		if test.code != codes.OK {
			fails.Errors = []Error{{test.code, 1}}
		}
		back := startHTTP(t, one("back", Endpoint{Fault: fails}), nil, fault.Fault{})
		if got := get(t, t.Context(), "back", back); got != test.own {
			t.Errorf("%s: the service answers %d, want %d", test.code, got, test.own)
		}
		call := Call{Server: "back", Method: "GET", Route: "/"}
		for _, optional := range []bool{false, true} {
			call.Optional = optional
			asks := NewClient("front", netip.Addr{}, map[string]string{"back": back}, &tally.Book{})
			front := startHTTP(t, one("front", Endpoint{Calls: []Call{call}}), asks, fault.Fault{})
			want := test.gateway
			if optional {
				want = 200
			}
			if got := get(t, t.Context(), "front", front); got != want {
				t.Errorf("%s: the service in front answers %d, want %d (optional: %t)", test.code, got, want, optional)
			}
			asks.Close()
		}
	}
}

// TestHTTPFaults: faults that are switched on are met, and those who give up waiting count no status.
func TestHTTPFaults(t *testing.T) {
	for _, test := range []struct {
		fault   fault.Fault
		timeout time.Duration
		want    int
	}{
		{fault.Fault{}, time.Minute, 200},
		{fault.Fault{Fail: 1}, time.Minute, 503},
		{fault.Fault{Slow: 1, SlowBy: time.Millisecond}, time.Minute, 200},
		{fault.Fault{Slow: 1, SlowBy: time.Minute}, 50 * time.Millisecond, 0},
		{fault.Fault{Lost: 1}, 50 * time.Millisecond, 0},
	} {
		address := startHTTP(t, one("back", Endpoint{}), nil, test.fault)
		ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
		if got := get(t, ctx, "back", address); got != test.want {
			t.Errorf("%+v: counted with status %d, want %d", test.fault, got, test.want)
		}
		cancel()
	}
}

// TestFaultsAlone: a fault that is switched on changes nothing else of what a request meets.
func TestFaultsAlone(t *testing.T) {
	e := Endpoint{Work: time.Nanosecond, Fault: Fault{Errors: []Error{{codes.NotFound, 0.5}}}}
	fates := func(f fault.Fault) (fates []codes.Code) {
		var faults fault.Switch
		faults.Set(f)
		w := worker{"back", nil, &faults}
		for d := dice.New(1, "test"); len(fates) < 200; {
			fates = append(fates, w.work(t.Context(), e, NewVisit(d.Trace(), "back", nil)))
		}
		return fates
	}
	before, during := fates(fault.Fault{}), fates(fault.Fault{Fail: 0.5})
	seen := map[codes.Code]int{}
	for i, code := range during {
		seen[code]++
		if code != codes.Unavailable && code != before[i] {
			t.Fatalf("request %d meets %s, and %s without the fault", i, code, before[i])
		}
	}
	if seen[codes.Unavailable] == 0 || seen[codes.NotFound] == 0 || seen[codes.OK] == 0 {
		t.Errorf("requests meet %v", seen)
	}
}

// TestUnnamed: a request whose server's name cannot be looked up is not counted: nothing went out.
func TestUnnamed(t *testing.T) {
	back := startHTTP(t, one("back", Endpoint{}), nil, fault.Fault{})
	book := &tally.Book{}
	// A name server that is not there.
	client := NewClient("me", netip.Addr{}, map[string]string{"back": back, NameServer: "127.0.0.1:1"}, book)
	defer client.Close()
	call := Call{Server: "back", Method: "GET", Route: "/", Close: true}
	if code := client.Do(t.Context(), call, visit()); code != codes.Unavailable {
		t.Errorf("the call ends with %s", code)
	}
	calls, lookups := book.Calls.Rows(), book.Lookups.Rows()
	if len(calls) > 0 || len(lookups) != 1 || lookups[0].Key.Outcome != "failed" {
		t.Errorf("counted: calls %v, lookups %v", calls, lookups)
	}
	call.Close = false // the pool knows the address
	if code := client.Do(t.Context(), call, visit()); code != codes.OK {
		t.Errorf("the call on a kept connection ends with %s", code)
	}
}

// TestNoServer: a request that finds no server fails and is not counted either.
func TestNoServer(t *testing.T) {
	if got := get(t, t.Context(), "back", "127.0.0.1:1"); got != -1 {
		t.Errorf("counted with status %d", got)
	}
}

// TestOutside: a request without a trace is served.
func TestOutside(t *testing.T) {
	address := startHTTP(t, one("back", Endpoint{Body: 10}), nil, fault.Fault{})
	resp, err := http.Get("http://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
}
