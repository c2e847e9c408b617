package http1_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/http1"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

var (
	getRequest = []byte("GET /users/123 HTTP/1.1\r\nHost: shop.example:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n")
	okResponse = []byte("HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 10 Mar 2026 10:00:00 GMT\r\nContent-Type: text/plain\r\n" +
		"Content-Length: 13\r\nConnection: keep-alive\r\n\r\nHello, world\n")
)

// discard is a Sink that counts.
type discard struct{ exchanges, gaps int }

func (d *discard) Exchange(*protocol.Exchange)             { d.exchanges++ }
func (d *discard) Gap(event.ConnID, string, uint64)        { d.gaps++ }
func (*discard) SetVerdict(event.ConnID, protocol.Verdict) {}

func opened(id event.ConnID, at time.Time) *event.Opened {
	return &event.Opened{Conn: id, Role: event.RoleClient, Time: at, Flow: event.Flow{
		Local: netip.MustParseAddrPort("10.0.0.1:40000"), Remote: netip.MustParseAddrPort("10.0.0.2:80"),
	}}
}

// keepAlive makes the segments of one connection, exchange after exchange, in memory that is used again.
type keepAlive struct {
	request, response event.Segment
	now               time.Time
}

func newKeepAlive(id event.ConnID, at time.Time) *keepAlive {
	task := event.Task{PID: 1, TID: 1, Start: 1}
	return &keepAlive{
		request:  event.Segment{Conn: id, Dir: event.Sent, Turns: true, Data: getRequest, Size: len(getRequest), Task: task},
		response: event.Segment{Conn: id, Dir: event.Received, Seq: 1, Turn: 1, Turns: true, Data: okResponse, Size: len(okResponse), Task: task},
		now:      at,
	}
}

func (k *keepAlive) exchange(t *protocol.Tracker) {
	k.request.Time, k.response.Time = k.now, k.now.Add(time.Millisecond)
	t.Handle(&k.request)
	t.Handle(&k.response)
	k.request.Seq, k.response.Seq = k.request.Seq+2, k.response.Seq+2
	k.request.Turn, k.response.Turn = k.request.Turn+2, k.response.Turn+2
	k.request.Off += uint64(k.request.Size)
	k.response.Off += uint64(k.response.Size)
	k.now = k.now.Add(2 * time.Millisecond)
}

// BenchmarkTrackerKeepAlive is the whole path of an exchange: two segments in, one exchange out.
func BenchmarkTrackerKeepAlive(b *testing.B) {
	for _, conns := range []int{1, 1000} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) {
			sink := &discard{}
			t := protocol.NewTracker([]*protocol.Spec{http1.Spec()}, protocol.Config{}, sink, sink)
			start := time.Unix(1e9, 0)
			var all []*keepAlive
			for i := range conns {
				id := event.ConnID(i + 1)
				t.Handle(opened(id, start))
				all = append(all, newKeepAlive(id, start))
				all[i].exchange(t)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				all[i%conns].exchange(t)
			}
			if sink.exchanges != b.N+conns || sink.gaps != 0 {
				b.Fatalf("%d exchanges and %d gaps of %d", sink.exchanges, sink.gaps, b.N+conns)
			}
		})
	}
}

// BenchmarkParser is the parser alone, a request or a response per message.
func BenchmarkParser(b *testing.B) {
	request := &protocol.Message{}
	p := http1.Spec().New()
	if _, m, err := p.Next(&protocol.Chunk{Data: getRequest, Message: request}); m == nil || err != nil {
		b.Fatal(err)
	}
	scratch := &protocol.Message{}
	for _, c := range []struct {
		name  string
		chunk protocol.Chunk
	}{
		{"request", protocol.Chunk{Dir: event.Sent, Data: getRequest, Message: scratch}},
		{"response", protocol.Chunk{Dir: event.Received, Data: okResponse, Message: scratch, Request: request}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(c.chunk.Data)))
			for range b.N {
				if n, m, err := p.Next(&c.chunk); n != len(c.chunk.Data) || m == nil || err != nil {
					b.Fatal(n, m, err)
				}
			}
		})
	}
}

// BenchmarkIdleConnection measures what a connection costs that has exchanged and is idle.
func BenchmarkIdleConnection(b *testing.B) {
	const conns = 20000
	for range b.N {
		sink := &discard{}
		t := protocol.NewTracker([]*protocol.Spec{http1.Spec()}, protocol.Config{}, sink, sink)
		start := time.Unix(1e9, 0)
		before := protocoltest.Heap()
		for i := range conns {
			id := event.ConnID(i + 1)
			t.Handle(opened(id, start))
			k := newKeepAlive(id, start)
			k.exchange(t)
			k.exchange(t)
		}
		b.ReportMetric(float64(protocoltest.Heap()-before)/conns, "B/conn")
		if sink.exchanges != 2*conns {
			b.Fatal(sink.exchanges)
		}
		runtime.KeepAlive(t)
	}
}
