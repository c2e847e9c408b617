package shop

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/toposcope/toposcope/demo/dice"
	"github.com/toposcope/toposcope/demo/fault"
	"github.com/toposcope/toposcope/demo/mongodb"
	"github.com/toposcope/toposcope/demo/mysql"
	"github.com/toposcope/toposcope/demo/redis"
	"github.com/toposcope/toposcope/demo/tally"
)

// shelf is the shop's databases, running until the test ends.
type shelf struct {
	addresses map[string]string
	faults    map[string]*fault.Switch
}

// startDatabases starts all three.
func startDatabases(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{map[string]string{}, map[string]*fault.Switch{}}
	fates := func(name string) *fault.Fates {
		s.faults[name] = &fault.Switch{}
		return &fault.Fates{Switch: s.faults[name], Name: name, Seed: 1}
	}
	listen := func(name string) net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.addresses[name] = l.Addr().String()
		return l
	}
	run := func(name string, server interface{ Serve(context.Context) error }, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("%s ended with %v", name, err)
			}
		})
	}
	m, err := mysql.New(listen("mysql"), fates("mysql"))
	run("mysql", m, err)
	d, err := mongodb.New(t.Context(), listen("mongodb"), fates("mongodb"))
	run("mongodb", d, err)
	r, err := redis.New("127.0.0.1:0", fates("redis"))
	run("redis", r, err)
	s.addresses["redis"] = r.Addr()
	return s
}

// asker asks the databases by the shop's queries.
type asker struct {
	*Client
	book   *tally.Book
	visits *dice.Dice
}

func (s *shelf) asker(t *testing.T) *asker {
	a := &asker{book: &tally.Book{}, visits: dice.New(1, "test")}
	a.Client = NewClient("me", netip.Addr{}, s.addresses, a.book)
	t.Cleanup(a.Close)
	return a
}

// ask asks once, in a visit of its own.
func (a *asker) ask(t *testing.T, query string) codes.Code {
	return a.Do(t.Context(), Call{Query: query}, NewVisit(a.visits.Trace(), "me", nil))
}

// counted is what was counted since it was called last: "INSERT orders 1062: 3", sorted.
func (a *asker) counted() string {
	var lines []string
	for _, r := range a.book.Operations.Rows() {
		name := strings.Join(strings.Fields(r.Key.Operation+" "+r.Key.Collection+" "+r.Key.Status), " ")
		lines = append(lines, fmt.Sprintf("%s: %d", name, r.Count))
	}
	a.book.Operations = tally.Counter[tally.Operation]{}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

// TestQueries: what each query of the shop does is counted, operation by operation, and how it ends.
func TestQueries(t *testing.T) {
	a := startDatabases(t).asker(t)
	for _, test := range []struct {
		query string
		code  codes.Code
		want  string
	}{
		{"items", codes.OK, "SELECT items: 1"},
		{"item", codes.OK, "SELECT items: 1"},
		{"count items", codes.OK, "SELECT items: 1"},
		{"place order", codes.OK, "COMMIT: 1, INSERT order_lines: 1, INSERT orders: 1, START TRANSACTION: 1"},
		{"find order", codes.OK, "SELECT orders: 1"},
		{"ship order", codes.OK, "UPDATE orders: 1"},
		{"forget order", codes.OK, "DELETE order_lines: 1, DELETE orders: 1"},
		{"best sellers", codes.OK, "SELECT order_lines: 1"},
		{"scores", codes.Unavailable, "SELECT items 1054: 1"},
		{"profile", codes.OK, "find profiles: 1"},
		{"count visit", codes.OK, "update profiles: 1"},
		{"stars", codes.OK, "aggregate reviews: 1"},
		{"reviews", codes.OK, "find reviews: 1, getMore reviews: 2"},
		{"add shipment", codes.OK, "insert shipments: 1"},
		{"session", codes.OK, "GET: 1"},
		{"cart", codes.OK, "EXPIRE: 1, HGETALL: 1"},
		{"add to cart", codes.OK, "EXPIRE: 1, HINCRBY: 1, HLEN: 1"},
		{"empty cart", codes.OK, "DEL: 1"},
		{"enqueue order", codes.OK, "RPUSH: 1"},
	} {
		if code, counted := a.ask(t, test.query), a.counted(); code != test.code || counted != test.want {
			t.Errorf("%s ends with %s, counted as %q, want %s and %q", test.query, code, counted, test.code, test.want)
		}
	}
}

// TestTwice: some orders and shipments are there already, which is an error that the databases say and the shop expects.
func TestTwice(t *testing.T) {
	a := startDatabases(t).asker(t)
	const times = 150
	for query, counted := range map[string]func(well, conflict int) string{
		"place order": func(well, conflict int) string {
			return fmt.Sprintf("COMMIT: %d, INSERT order_lines: %d, INSERT orders 1062: %d, INSERT orders: %d, ROLLBACK: %d, START TRANSACTION: %d",
				well, well, conflict, well, conflict, well+conflict)
		},
		"add shipment": func(well, conflict int) string {
			return fmt.Sprintf("insert shipments 11000: %d, insert shipments: %d", conflict, well)
		},
	} {
		ended := map[codes.Code]int{}
		for range times {
			ended[a.ask(t, query)]++
		}
		well, conflict := ended[codes.OK], ended[codes.FailedPrecondition]
		if well+conflict != times || conflict == 0 {
			t.Errorf("%s ends with %v", query, ended)
		}
		if got, want := a.counted(), counted(well, conflict); got != want {
			t.Errorf("%s is counted as %q, want %q", query, got, want)
		}
	}
}

// asked are queries with one operation each, one for each database, and the code of the error that its fault gives.
func asked() map[string]struct{ query, operation, code string } {
	return map[string]struct{ query, operation, code string }{
		"mysql":   {"item", "SELECT items", "1205"},
		"mongodb": {"profile", "find profiles", "50"},
		"redis":   {"empty cart", "DEL", "BUSY"},
	}
}

// TestDatabaseFaults: a slow database answers later, a failing one with its error, and afterwards all is as before.
func TestDatabaseFaults(t *testing.T) {
	s := startDatabases(t)
	a := s.asker(t)
	for name, test := range asked() {
		expect := func(code codes.Code, status string) {
			t.Helper()
			want := strings.TrimSpace(test.operation+" "+status) + ": 1"
			if got, counted := a.ask(t, test.query), a.counted(); got != code || counted != want {
				t.Errorf("%s ends with %s, counted as %q, want %s and %q", test.query, got, counted, code, want)
			}
		}
		expect(codes.OK, "")
		s.faults[name].Set(fault.Fault{Fail: 1})
		expect(codes.Unavailable, test.code)
		const late = 50 * time.Millisecond
		s.faults[name].Set(fault.Fault{Slow: 1, SlowBy: late})
		begin := time.Now()
		expect(codes.OK, "")
		if took := time.Since(begin); took < late {
			t.Errorf("%s takes %s, want %s at least", test.query, took, late)
		}
		s.faults[name].Set(fault.Fault{Slow: 1, SlowBy: queryTimeout + time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), late)
		a.Do(ctx, Call{Query: test.query}, visit())
		cancel()
		if counted, want := a.counted(), test.operation+" unanswered: 1"; counted != want {
			t.Errorf("what is not waited for is counted as %q, want %q", counted, want)
		}
		s.faults[name].Set(fault.Fault{})
		expect(codes.OK, "")
	}
}

// TestNoDatabase: what finds no database is not counted.
func TestNoDatabase(t *testing.T) {
	s := &shelf{addresses: map[string]string{"mysql": "127.0.0.1:1", "mongodb": "127.0.0.1:1", "redis": "127.0.0.1:1"}}
	a := s.asker(t)
	ask := asked()
	ask["redis, by a pipeline"] = ask["redis"]
	for name, test := range ask {
		if name == "redis, by a pipeline" {
			test.query = "cart"
		}
		if code, counted := a.ask(t, test.query), a.counted(); code != codes.Unavailable || counted != "" {
			t.Errorf("without %s, %s ends with %s, counted as %q", name, test.query, code, counted)
		}
	}
}

// TestConsume: what is put in a queue is taken from it, also when the shop closes, and each thing once.
func TestConsume(t *testing.T) {
	a := startDatabases(t).asker(t)
	const orders = 3
	for range orders {
		a.ask(t, "enqueue order")
	}
	s := Service{Name: "me", Endpoints: []Endpoint{{Queue: ordersQueue, Calls: []Call{{Server: "mysql", Query: "ship order"}}}}}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	Consume(over, s, a.Client, &fault.Switch{})
	// Once more, and there was nothing.
	want := fmt.Sprintf("LPOP: %d, RPUSH: %d, UPDATE orders: %d", orders+1, orders, orders)
	if counted := a.counted(); counted != want {
		t.Errorf("counted %q, want %q", counted, want)
	}
}
