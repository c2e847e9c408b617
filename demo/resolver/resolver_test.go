package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/demo/dns"
	"github.com/toposcope/toposcope/demo/fault"
	"github.com/toposcope/toposcope/demo/tally"
)

// start runs a name server with fault until the test ends, and returns a resolver that asks it.
func start(t *testing.T, f fault.Fault) *Resolver {
	t.Helper()
	listener, err := dns.Listen([]string{"127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Zone: dns.NewZone(), Faults: func() fault.Fault { return f }}
	server.Zone.Put("stock", "grpc", netip.MustParseAddrPort("127.0.0.1:9090"))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the name server ended with %v", err)
		}
	})
	return &Resolver{
		Client: "me", Server: "dns", Address: listener.Addr().String(), Search: dns.Search(), Dots: dns.Dots, Book: &tally.Book{},
	}
}

// lines are the questions that r's lookups took, one by line.
func lines(r *Resolver) []string {
	var all []string
	for _, q := range r.Book.Questions.Rows() {
		all = append(all, fmt.Sprintf("%s %s %s %s %d", q.Key.Transport, q.Key.Name, q.Key.Type, q.Key.Code, q.Count))
	}
	return all
}

// TestQuestions: each question of a lookup is counted with its transport, type and code, and the lookup once.
func TestQuestions(t *testing.T) {
	for _, test := range []struct {
		kind, name, outcome string
		questions           []string
	}{
		{IP, "stock", "found", []string{
			"udp stock.shop.svc.cluster.test. A NOERROR 1", "udp stock.shop.svc.cluster.test. AAAA NOERROR 1",
		}},
		{IP, "api.bank.example", "found", []string{
			"udp api.bank.example. A NOERROR 1", "udp api.bank.example. AAAA NOERROR 1",
			"udp api.bank.example.cluster.test. A NXDOMAIN 1", "udp api.bank.example.cluster.test. AAAA NXDOMAIN 1",
			"udp api.bank.example.shop.svc.cluster.test. A NXDOMAIN 1", "udp api.bank.example.shop.svc.cluster.test. AAAA NXDOMAIN 1",
			"udp api.bank.example.svc.cluster.test. A NXDOMAIN 1", "udp api.bank.example.svc.cluster.test. AAAA NXDOMAIN 1",
		}},
		{IP, "api.bank.example.", "found", []string{"udp api.bank.example. A NOERROR 1", "udp api.bank.example. AAAA NOERROR 1"}},
		{SRV, "_grpc._tcp.stock", "found", []string{"udp _grpc._tcp.stock.shop.svc.cluster.test. SRV NOERROR 1"}},
		{MX, "mail.example.", "found", []string{"udp mail.example. MX NOERROR 1"}},
		{MX, "gone.example.", "absent", []string{"udp gone.example. MX NXDOMAIN 1"}},
		{MX, "bank.example.", "absent", []string{"udp bank.example. MX NOERROR 1"}},
		{TXT, "policy.mail.example.", "found", []string{
			"tcp policy.mail.example. TXT NOERROR 1", "udp policy.mail.example. TXT NOERROR 1",
		}},
	} {
		r := start(t, fault.Fault{})
		if err := r.Lookup(t.Context(), test.kind, test.name); (err == nil) != (test.outcome == "found") {
			t.Errorf("%s %s: %v, want it %s", test.kind, test.name, err, test.outcome)
		}
		if got := lines(r); !slices.Equal(got, test.questions) {
			t.Errorf("%s %s: took\n%s\nwant\n%s", test.kind, test.name, strings.Join(got, "\n"), strings.Join(test.questions, "\n"))
		}
		want := []tally.Row[tally.Lookup]{{
			Key: tally.Lookup{Client: "me", Name: test.name, Type: test.kind, Outcome: test.outcome}, Count: 1,
		}}
		if got := r.Book.Lookups.Rows(); !slices.Equal(got, want) {
			t.Errorf("%s %s: lookups %v, want %v", test.kind, test.name, got, want)
		}
	}
}

// TestFound: what is found is what the name server holds.
func TestFound(t *testing.T) {
	r := start(t, fault.Fault{})
	host, port, err := r.Service(t.Context(), "_grpc._tcp.stock")
	if err != nil || host != "stock.shop.svc.cluster.test." || port != 9090 {
		t.Errorf("the service is at %s:%d, %v", host, port, err)
	}
	addresses, err := r.Addresses(t.Context(), host)
	if want := []netip.Addr{netip.MustParseAddr("127.0.0.1")}; err != nil || !slices.Equal(addresses, want) {
		t.Errorf("%s has %v, %v; want %v", host, addresses, err, want)
	}
}

// TestFailures: a question that is refused an answer, or gets none, is counted as that and ends the walk.
func TestFailures(t *testing.T) {
	for _, test := range []struct {
		fault fault.Fault
		code  string
	}{
		{fault.Fault{Fail: 1}, "SERVFAIL"},
		{fault.Fault{Lost: 1}, ""},
		{fault.Fault{Slow: 1, SlowBy: time.Minute}, ""},
	} {
		r := start(t, test.fault)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		err := r.Lookup(ctx, MX, "stock")
		cancel()
		if err == nil {
			t.Errorf("%+v: found", test.fault)
		}
		rows := r.Book.Questions.Rows()
		if len(rows) != 1 || rows[0].Key.Code != test.code || rows[0].Key.Name != "stock.shop.svc.cluster.test." {
			t.Errorf("%+v: questions %v, want one name with code %q", test.fault, rows, test.code)
		}
		if got := r.Book.Lookups.Rows(); len(got) != 1 || got[0].Key.Outcome != "failed" {
			t.Errorf("%+v: lookups %v, want one that failed", test.fault, got)
		}
	}
}

func TestUnknownType(t *testing.T) {
	if err := start(t, fault.Fault{}).Lookup(t.Context(), "PTR", "stock"); err == nil {
		t.Error("no error")
	}
}
