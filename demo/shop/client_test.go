package shop

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/toposcope/toposcope/demo/dns"
	"github.com/toposcope/toposcope/demo/fault"
	"github.com/toposcope/toposcope/demo/tally"
)

// startNames runs a name server that knows the service called name, until the test ends, and returns its address.
func startNames(t *testing.T, name string, at net.Addr) string {
	t.Helper()
	l, err := dns.Listen([]string{"127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	server := dns.Server{Zone: dns.NewZone(), Faults: func() fault.Fault { return fault.Fault{} }}
	server.Zone.Put(name, "http", at.(*net.TCPAddr).AddrPort())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the name server ended with %v", err)
		}
	})
	return l.Addr().String()
}

// TestFrom: a client with an address of its own calls from that, and looks a name up once for all connections that it keeps.
func TestFrom(t *testing.T) {
	from := netip.MustParseAddr("127.77.1.9")
	callers := make(chan string, 3)
	back := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { callers <- r.RemoteAddr }))
	defer back.Close()
	book := &tally.Book{}
	client := NewClient("me", from, map[string]string{
		"back": back.Listener.Addr().String(), NameServer: startNames(t, "back", back.Listener.Addr()),
	}, book)
	defer client.Close()
	for i, test := range []struct {
		closes  bool
		lookups uint64
	}{{false, 1}, {false, 1}, {true, 2}} {
		client.kept.CloseIdleConnections() // so that each call makes a connection
		if code := client.Do(t.Context(), Call{Server: "back", Method: "GET", Route: "/", Close: test.closes}, visit()); code != codes.OK {
			t.Fatalf("call %d ends with %s", i, code)
		}
		if caller := netip.MustParseAddrPort(<-callers); caller.Addr() != from {
			t.Errorf("call %d comes from %s, want %s", i, caller, from)
		}
		rows := book.Lookups.Rows()
		if len(rows) != 1 || rows[0].Count != test.lookups || rows[0].Key.Outcome != "found" {
			t.Errorf("lookups after call %d: %v, want %d", i, rows, test.lookups)
		}
	}
}

// TestAskedFrom: it asks the name server from there too.
func TestAskedFrom(t *testing.T) {
	from := netip.MustParseAddr("127.77.1.9")
	server, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client := NewClient("me", from, map[string]string{NameServer: server.LocalAddr().String()}, &tally.Book{})
	defer client.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = client.find(ctx, "back") // nobody answers
	}()
	if err := server.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, asker, err := server.ReadFromUDPAddrPort(make([]byte, 512))
	if err != nil || asker.Addr() != from {
		t.Errorf("asked from %s, %v, want %s", asker, err, from)
	}
	cancel()
	<-ended
}
