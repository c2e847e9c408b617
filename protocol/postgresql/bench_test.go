package postgresql_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/postgresql"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

// discard is a Sink that counts.
type discard struct{ exchanges, gaps int }

func (d *discard) Exchange(*protocol.Exchange)             { d.exchanges++ }
func (d *discard) Gap(event.ConnID, string, uint64)        { d.gaps++ }
func (*discard) SetVerdict(event.ConnID, protocol.Verdict) {}

// kinds are the ways of running a statement, each with the client's bytes and the server's.
var kinds = []struct{ name, say, hear string }{
	{
		"prepared", "bind - stmtcache_1 4 10 ; describe P - ; execute - ; sync",
		"bound ; columns id name price ; row 4 20 8 ; complete SELECT 1 ; ready I",
	},
	{
		"unnamed", "parse - SELECT id, name, price FROM products WHERE id = $1 ; bind - - 4 ; describe P - ; execute - ; sync",
		"parsed ; bound ; columns id name price ; row 4 20 8 ; complete SELECT 1 ; ready I",
	},
	{
		"simple", "query SELECT id, name, price FROM products WHERE id = 1042 AND name = 'socks'",
		"columns id name price ; row 4 20 8 ; complete SELECT 1 ; ready I",
	},
	{"error", "bind - stmtcache_1 4 10 ; execute - ; sync", "error 23505 ; ready I"},
	{
		"rows=50", "bind - stmtcache_1 4 10 ; describe P - ; execute - ; sync",
		"bound ; columns id name price" + string(bytes.Repeat([]byte(" ; row 4 20 8"), 50)) + " ; complete SELECT 50 ; ready I",
	},
}

const options = 256 // bytes of a text that are kept

func spec() *protocol.Spec { return postgresql.Spec(protocol.Options{TextLimit: options}) }

// link is a connection whose segment is used again.
type link struct {
	segment event.Segment
	off     [2]uint64
	now     time.Time
	bytes   [2][]byte // of an exchange
}

func bytesOf(tb testing.TB, from protocol.Side, line string) []byte {
	data, err := encode(from, line)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func newLink(tb testing.TB, conn event.ConnID, say, hear string) *link {
	return &link{
		now: time.Unix(1e9, 0), segment: event.Segment{Conn: conn, Turns: true, Task: event.Task{PID: 1, TID: 1, Start: 1}},
		bytes: [2][]byte{event.Sent: bytesOf(tb, protocol.ClientSide, say), event.Received: bytesOf(tb, protocol.ServerSide, hear)},
	}
}

// open connects and prepares a statement.
func (l *link) open(tb testing.TB, t *protocol.Tracker) {
	t.Handle(&event.Opened{Conn: l.segment.Conn, Role: event.RoleClient, Time: l.now, Flow: event.Flow{
		Local: netip.MustParseAddrPort("10.0.0.1:40000"), Remote: netip.MustParseAddrPort("10.0.0.2:5432"),
	}})
	l.send(t, event.Sent, bytesOf(tb, protocol.ClientSide, "startup user=app database=shop"))
	l.send(t, event.Received, bytesOf(tb, protocol.ServerSide, "auth ok ; status standard_conforming_strings on ; key ; ready I"))
	l.send(t, event.Sent, bytesOf(tb, protocol.ClientSide,
		"parse stmtcache_1 SELECT id, name, price FROM products WHERE id = $1 AND name = $2 ; describe S stmtcache_1 ; sync"))
	l.send(t, event.Received, bytesOf(tb, protocol.ServerSide, "parsed ; parameters ; columns id name price ; ready I"))
}

func (l *link) send(t *protocol.Tracker, d event.Dir, data []byte) {
	s := &l.segment
	if s.Seq > 0 && s.Dir != d {
		s.Turn++
	}
	s.Dir, s.Data, s.Size, s.Off, s.Time = d, data, len(data), l.off[d], l.now
	t.Handle(s)
	s.Seq++
	l.off[d] += uint64(len(data))
	l.now = l.now.Add(time.Millisecond)
}

func (l *link) exchange(t *protocol.Tracker) {
	l.send(t, event.Sent, l.bytes[event.Sent])
	l.send(t, event.Received, l.bytes[event.Received])
}

// BenchmarkTracker is the whole path of an exchange: two segments in, one exchange out.
func BenchmarkTracker(b *testing.B) {
	for _, k := range kinds {
		for _, conns := range []int{1, 1000} {
			b.Run(k.name+"/conns="+strconv.Itoa(conns), func(b *testing.B) {
				sink := &discard{}
				t := protocol.NewTracker([]*protocol.Spec{spec()}, protocol.Config{}, sink, sink)
				var all []*link
				for i := range conns {
					l := newLink(b, event.ConnID(i+1), k.say, k.hear)
					l.open(b, t)
					l.exchange(t)
					all = append(all, l)
				}
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					all[i%conns].exchange(t)
				}
				if want := b.N + 3*conns; sink.exchanges != want || sink.gaps != 0 {
					b.Fatalf("%d exchanges and %d gaps of %d", sink.exchanges, sink.gaps, want)
				}
			})
		}
	}
}

// BenchmarkParser is the parser alone, on the bytes of an exchange.
func BenchmarkParser(b *testing.B) {
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) {
			p := spec().New()
			l := newLink(b, 1, k.say, k.hear)
			m, asked := &protocol.Message{}, &protocol.Message{}
			ch := &protocol.Chunk{Message: m}
			feed := func(d event.Dir, data []byte) {
				ch.Dir, ch.First, ch.Last = d, l.now, l.now
				for len(data) > 0 {
					ch.Data = data
					n, m, err := p.Next(ch)
					if err != nil || n == 0 && m == nil {
						b.Fatal(n, err)
					}
					switch {
					case m == nil:
					case m.Kind == protocol.Request:
						asked.Form, ch.Request = m.Form, asked
					case m.Kind == protocol.Response:
						ch.Request = nil
					}
					data = data[n:]
				}
			}
			feed(event.Sent, bytesOf(b, protocol.ClientSide, "startup user=app database=shop"))
			feed(event.Received, bytesOf(b, protocol.ServerSide, "auth ok ; key ; ready I"))
			feed(event.Sent, bytesOf(b, protocol.ClientSide, "parse stmtcache_1 SELECT id FROM products WHERE id = $1 ; sync"))
			feed(event.Received, bytesOf(b, protocol.ServerSide, "parsed ; ready I"))
			feed(event.Sent, l.bytes[0])
			feed(event.Received, l.bytes[1])
			b.ReportAllocs()
			b.SetBytes(int64(len(l.bytes[0]) + len(l.bytes[1])))
			b.ResetTimer()
			for range b.N {
				feed(event.Sent, l.bytes[0])
				feed(event.Received, l.bytes[1])
			}
		})
	}
}

// BenchmarkProto3 is pgproto3, pgx's codec, on the same bytes: it decodes every message and names nothing.
func BenchmarkProto3(b *testing.B) {
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) {
			l := newLink(b, 1, k.say, k.hear)
			var asks, answers bytes.Reader
			backend, frontend := pgproto3.NewBackend(&asks, io.Discard), pgproto3.NewFrontend(&answers, io.Discard)
			asks.Reset(bytesOf(b, protocol.ClientSide, "startup user=app database=shop"))
			if _, err := backend.ReceiveStartupMessage(); err != nil {
				b.Fatal(err)
			}
			var messages [2]int
			for d, data := range l.bytes {
				for ; len(data) > 0; messages[d]++ {
					data = data[1+binary.BigEndian.Uint32(data[1:]):]
				}
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(l.bytes[0]) + len(l.bytes[1])))
			b.ResetTimer()
			for range b.N {
				asks.Reset(l.bytes[0])
				for range messages[0] {
					if _, err := backend.Receive(); err != nil {
						b.Fatal(err)
					}
				}
				answers.Reset(l.bytes[1])
				for range messages[1] {
					if _, err := frontend.Receive(); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkIdleConnection measures what a connection costs that has had exchanges and is idle.
func BenchmarkIdleConnection(b *testing.B) {
	const conns = 5000
	for range b.N {
		sink := &discard{}
		t := protocol.NewTracker([]*protocol.Spec{spec()}, protocol.Config{}, sink, sink)
		before := protocoltest.Heap()
		for i := range conns {
			l := newLink(b, event.ConnID(i+1), kinds[0].say, kinds[0].hear)
			l.open(b, t)
			l.exchange(t)
		}
		b.ReportMetric(float64(protocoltest.Heap()-before)/conns, "B/conn")
		if sink.exchanges != 3*conns {
			b.Fatal(sink.exchanges)
		}
		runtime.KeepAlive(t)
	}
}
