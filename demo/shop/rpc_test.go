package shop

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/toposcope/toposcope/demo/dice"
	"github.com/toposcope/toposcope/demo/fault"
	"github.com/toposcope/toposcope/demo/tally"
)

// rpcCalls are the calls of the shop's table by gRPC, each method once.
func rpcCalls() []Call {
	var calls []Call
	for _, s := range Services() {
		for _, e := range s.Endpoints {
			for _, c := range e.Calls {
				known := func(other Call) bool { return other.RPC == c.RPC }
				if c.RPC != "" && !slices.ContainsFunc(calls, known) {
					calls = append(calls, c)
				}
			}
		}
	}
	return calls
}

// startRPC serves the service called name until the test ends, with faults of its own and one that is switched on, and in no time. It
// returns a client of it.
func startRPC(t *testing.T, name string, own Fault, switched fault.Fault) (*Client, *tally.Book) {
	t.Helper()
	s, ok := Find(Services(), name)
	if !ok {
		t.Fatalf("no service %s", name)
	}
	for i := range s.Endpoints {
		s.Endpoints[i].Fault, s.Endpoints[i].Work = own, 0
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var faults fault.Switch
	faults.Set(switched)
	server := RPCServer(s, NewClient(name, netip.Addr{}, nil, &tally.Book{}), &faults)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	book := &tally.Book{}
	client := NewClient("me", netip.Addr{}, map[string]string{name: listener.Addr().String()}, book)
	t.Cleanup(func() {
		client.Close()
		server.Stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return client, book
}

// visit is one that nothing came before.
func visit() *Visit { return NewVisit(dice.New(1, "test").Trace(), "me", nil) }

// TestRPCCodes: every call of the table ends with the code that its server answers with, and is counted with that.
func TestRPCCodes(t *testing.T) {
	for _, call := range rpcCalls() {
		for code := codes.OK; code <= codes.Unauthenticated; code++ {
			var own Fault
			if code != codes.OK {
				own.Errors = []Error{{code, 1}}
			}
			client, book := startRPC(t, call.Server, own, fault.Fault{})
			if got := client.Do(t.Context(), call, visit()); got != code {
				t.Errorf("%s ends with %s, want %s", call.RPC, got, code)
			}
			rows := book.RPCs.Rows()
			if len(rows) != 1 || rows[0].Count != 1 {
				t.Fatalf("%s with %s is counted as %v", call.RPC, code, rows)
			}
			// grpc's own list of names, read backwards.
			var counted codes.Code
			if err := counted.UnmarshalJSON([]byte(`"` + rows[0].Key.Code + `"`)); err != nil || counted != code {
				t.Errorf("%s with %s is counted as %v", call.RPC, code, rows)
			}
			if want := strings.TrimPrefix(call.RPC, "/"); rows[0].Key.Method != want || rows[0].Key.Server != call.Server {
				t.Errorf("%s of %s is counted as %v", call.RPC, call.Server, rows)
			}
		}
	}
}

// TestRPCFaults: faults that are switched on are met by every kind of call.
func TestRPCFaults(t *testing.T) {
	for _, call := range rpcCalls() {
		for _, test := range []struct {
			fault fault.Fault
			code  codes.Code
		}{
			{fault.Fault{Fail: 1}, codes.Unavailable},
			{fault.Fault{Lost: 1}, codes.DeadlineExceeded},
			{fault.Fault{Slow: 1, SlowBy: time.Minute}, codes.DeadlineExceeded},
		} {
			client, book := startRPC(t, call.Server, Fault{}, test.fault)
			timeout := 10 * time.Second
			if test.code == codes.DeadlineExceeded {
				timeout = 100 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			code := client.Do(ctx, call, visit())
			cancel()
			if rows := book.RPCs.Rows(); code != test.code || len(rows) != 1 || rows[0].Key.Code != codeName(test.code) {
				t.Errorf("%s with %+v ends with %s and is counted as %v, want %s", call.RPC, test.fault, code, rows, test.code)
			}
		}
	}
}

// TestRPCNotSent: a call that finds no server fails, and is not counted: nothing went out.
func TestRPCNotSent(t *testing.T) {
	book := &tally.Book{}
	client := NewClient("me", netip.Addr{}, map[string]string{"stock": "127.0.0.1:1"}, book) // a port at which nobody listens
	defer client.Close()
	for _, call := range rpcCalls() {
		call.Server = "stock"
		if code := client.Do(t.Context(), call, visit()); code != codes.Unavailable {
			t.Errorf("%s ends with %s", call.RPC, code)
		}
	}
	if rows := book.RPCs.Rows(); len(rows) > 0 {
		t.Errorf("counted: %v", rows)
	}
}
