package rpc

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
)

// TestRun: every call of every kind ends as it asked, is counted once, and comes from no other call.
func TestRun(t *testing.T) {
	native := []string{
		"test.Shop/Get", "test.Shop/Put bytes=100000", "test.Shop/List messages=5", "test.Shop/Upload messages=4 bytes=20000",
		"test.Shop/Chat messages=3", "test.Shop/Chat messages=3 code=7", "test.Shop/Upload code=3", "test.Shop/List messages=0 code=5",
		"test.Shop/Missing", "test.Orders/Place delay=2s deadline=100ms", "test.Orders/Track delay=2s cancel=100ms",
	}
	web := []string{"test.Shop/Get", "test.Shop/List messages=5", "test.Shop/List messages=2 code=5"}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		native = append(native, fmt.Sprintf("test.Orders/Cancel code=%d", code))
		web = append(web, fmt.Sprintf("test.Orders/Cancel code=%d", code))
	}
	for _, test := range []struct {
		name  string
		serve func(net.Listener) error
		web   Web
		calls []string
	}{
		{"grpc-go", Serve, Native, native},
		{"connect-go", ServeWeb, WebNative, web},
		{"web over HTTP/1.1", ServeWeb, WebOver1, web},
		{"web over HTTP/2", ServeWeb, WebOver2, web},
		{"web compressed", ServeWeb, WebGzip, web},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() { _ = test.serve(l) }() // its error is that l was closed
			checkRun(t, Plan{Target: l.Addr().String(), Connections: 2, Streams: 20, Web: test.web}, test.calls)
		})
	}
}

func checkRun(t *testing.T, p Plan, calls []string) {
	t.Helper()
	const rounds = 3
	want := map[Operation]int{}
	for _, text := range calls {
		c, err := ParseCall(text)
		if err != nil {
			t.Fatal(err)
		}
		p.Calls = append(p.Calls, c)
		want[Operation{Method: c.Method, Code: Name(c.Wanted())}] += rounds
	}
	p.Warm, p.Count = p.Calls[:2], rounds*len(p.Calls)
	r, err := Run(context.Background(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Wrong) > 0 || r.Planned != p.Count || r.Warm != 4 {
		t.Errorf("planned %d, warm %d, wrong: %v", r.Planned, r.Warm, r.Wrong)
	}
	for _, op := range r.Operations {
		n := op.Count
		op.Count = 0
		if want[op] != n {
			t.Errorf("%d of %+v, want %d", n, op, want[op])
		}
		delete(want, op)
	}
	if len(want) > 0 {
		t.Errorf("not made: %v", want)
	}
}

func TestParseCall(t *testing.T) {
	for _, bad := range []string{"", "Get", "a/b/c", "test.Shop/Get code=x", "test.Shop/Get delay=5", "test.Shop/Get colour=red"} {
		if c, err := ParseCall(bad); err == nil {
			t.Errorf("%q is %+v", bad, c)
		}
	}
}

// TestName: the names are those of the table in gRPC's statuscodes.md.
func TestName(t *testing.T) {
	want := []string{
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
		"UNAUTHENTICATED",
	}
	var got []string
	for c := codes.OK; c <= codes.Unauthenticated; c++ {
		got = append(got, Name(c))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
