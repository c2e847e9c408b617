package topology

import (
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// steady is a shard with both ends of a connection, and an exchange of each.
func steady(t testing.TB) (*Shard, [2]*protocol.Exchange) {
	l := link{client: 1, server: 2, flow: flow("127.0.0.1:40000", "127.0.0.1:80"), clientTask: task(10), serverTask: task(20)}
	_, s, _ := shop(t, Config{})
	c := get(time.Second, 3*time.Millisecond, "/users/12345/orders")
	x := [2]*protocol.Exchange{c.exchange(l, protocol.ClientSide), c.exchange(l, protocol.ServerSide)}
	play(s, []any{l.openClient(0), l.openServer(0), l.accept(0, 0), x[0], x[1]})
	return s, x
}

func TestSteadyPathDoesNotAllocate(t *testing.T) {
	s, x := steady(t)
	segment := &event.Segment{Conn: 1, Task: task(10), Time: after(time.Second)}
	stats := &event.Stats{Conn: 1, Time: after(time.Second), RTT: time.Millisecond}
	n := testing.AllocsPerRun(1000, func() {
		s.Handle(segment)
		s.Exchange(x[0])
		s.Exchange(x[1])
		s.Handle(stats)
		s.Gap(1, "http", 1)
	})
	if n != 0 {
		t.Errorf("%g allocations, want none", n)
	}
}

func BenchmarkExchange(b *testing.B) {
	s, x := steady(b)
	b.ReportAllocs()
	for i := range b.N {
		s.Exchange(x[i&1])
	}
}

func BenchmarkSegment(b *testing.B) {
	s, _ := steady(b)
	segment := &event.Segment{Conn: 1, Task: task(10), Time: after(time.Second)}
	b.ReportAllocs()
	for range b.N {
		s.Handle(segment)
	}
}

// BenchmarkConnection is the life of a connection with one call, both ends.
func BenchmarkConnection(b *testing.B) {
	_, s, _ := shop(b, Config{})
	l := link{flow: flow("127.0.0.1:40000", "127.0.0.1:80"), clientTask: task(10), serverTask: task(20)}
	c := get(time.Second, 3*time.Millisecond, "/")
	b.ReportAllocs()
	for i := range b.N {
		at := time.Duration(i) * 100 * time.Microsecond
		l.client, l.server = event.ConnID(2*i+1), event.ConnID(2*i+2)
		x, y := c.exchange(l, protocol.ClientSide), c.exchange(l, protocol.ServerSide)
		play(s, []any{
			l.openClient(at), l.openServer(at), l.accept(at, 0), y, x,
			&event.Closed{Conn: l.client, Time: after(at)}, &event.Closed{Conn: l.server, Time: after(at)},
		})
	}
}
