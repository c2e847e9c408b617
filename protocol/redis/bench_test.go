package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/redis"
)

// discard is a Sink that counts.
type discard struct{ exchanges, gaps int }

func (d *discard) Exchange(*protocol.Exchange)      { d.exchanges++ }
func (d *discard) Gap(event.ConnID, string, uint64) { d.gaps++ }

// session makes the segments of one connection, burst after burst, in memory that is used again.
type session struct {
	ask, answer event.Segment
	now         time.Time
}

func newSession(ask, answer []byte) *session {
	task := event.Task{PID: 1, TID: 1, Start: 1}
	return &session{
		ask:    event.Segment{Conn: 1, Dir: event.Sent, Turns: true, Data: ask, Size: len(ask), Task: task},
		answer: event.Segment{Conn: 1, Dir: event.Received, Seq: 1, Turn: 1, Turns: true, Data: answer, Size: len(answer), Task: task},
		now:    time.Unix(1e9, 0),
	}
}

func (s *session) burst(t *protocol.Tracker) {
	s.ask.Time, s.answer.Time = s.now, s.now.Add(time.Millisecond)
	t.Handle(&s.ask)
	t.Handle(&s.answer)
	s.ask.Seq, s.answer.Seq = s.ask.Seq+2, s.answer.Seq+2
	s.ask.Turn, s.answer.Turn = s.ask.Turn+2, s.answer.Turn+2
	s.ask.Off += uint64(s.ask.Size)
	s.answer.Off += uint64(s.answer.Size)
	s.now = s.now.Add(2 * time.Millisecond)
}

// workloads are commands and their answers: bursts of so many.
var workloads = []struct {
	name        string
	ask, answer string // as encode has them
	burst       int
}{
	{"get", "GET user:1234", "$" + strings.Repeat("v", 100), 1},
	{"pipeline", "GET user:1234", "$" + strings.Repeat("v", 100), 100},
	{"set", "SET user:1234 " + strings.Repeat("v", 100) + " EX 60", "+OK", 1},
	{"lrange", "LRANGE list 0 -1", "*100 100x$element", 1},
	{"error", "LPUSH user:1234 x", "-WRONGTYPE", 1},
}

func prepared(tb testing.TB, ask, answer string, burst int) *session {
	told, err := encode(protocol.ServerSide, answer)
	if err != nil {
		tb.Fatal(err)
	}
	return newSession(bytes.Repeat(command(ask), burst), bytes.Repeat(told, burst))
}

func newTracker(s *session, o protocol.Options) (*protocol.Tracker, *discard) {
	sink := &discard{}
	t := protocol.NewTracker([]*protocol.Spec{redis.Spec(o)}, protocol.Config{}, nil, sink)
	t.Handle(&event.Opened{Conn: 1, Role: event.RoleClient, Time: s.now})
	return t, sink
}

// TestAllocations: nothing is allocated for an exchange, with its text and without.
func TestAllocations(t *testing.T) {
	for _, w := range workloads {
		for _, o := range []protocol.Options{{}, {TextLimit: 256}, {TextLimit: 256, Values: true}} {
			s := prepared(t, w.ask, w.answer, w.burst)
			tracker, sink := newTracker(s, o)
			for range 100 {
				s.burst(tracker)
			}
			if n := testing.AllocsPerRun(100, func() { s.burst(tracker) }); n != 0 {
				t.Errorf("%s %+v: %v allocations", w.name, o, n)
			}
			if want := 201 * w.burst; sink.exchanges != want || sink.gaps != 0 {
				t.Errorf("%s: %d exchanges, want %d", w.name, sink.exchanges, want)
			}
		}
	}
}

func BenchmarkTracker(b *testing.B) {
	for _, w := range workloads {
		b.Run(w.name, func(b *testing.B) {
			s := prepared(b, w.ask, w.answer, w.burst)
			tracker, sink := newTracker(s, protocol.Options{TextLimit: 256})
			b.ReportAllocs()
			for b.Loop() {
				s.burst(tracker)
			}
			if sink.exchanges < b.N*w.burst {
				b.Errorf("%d exchanges of %d", sink.exchanges, b.N*w.burst)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(sink.exchanges), "ns/exchange")
		})
	}
}

// BenchmarkParser is the parser alone.
func BenchmarkParser(b *testing.B) {
	for _, w := range workloads {
		b.Run(w.name, func(b *testing.B) {
			s := prepared(b, w.ask, w.answer, 1)
			p, m := redis.Spec(protocol.Options{TextLimit: 256}).New(), &protocol.Message{}
			request := &protocol.Message{}
			ask := &protocol.Chunk{Dir: event.Sent, Data: s.ask.Data, Message: m, Turn: true, Call: true}
			answer := &protocol.Chunk{Dir: event.Received, Data: s.answer.Data, Message: m, Request: request, Turn: true, Call: true}
			b.ReportAllocs()
			for b.Loop() {
				if _, m, err := p.Next(ask); m == nil || err != nil {
					b.Fatal(err)
				}
				request.Form = m.Form
				if _, m, err := p.Next(answer); m == nil || err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/exchange")
		})
	}
}

// canned is a connection that answers by heart: the greeting, then each burst.
type canned struct {
	net.Conn
	first, burst, unread []byte
}

func (c *canned) Read(b []byte) (int, error) {
	n := copy(b, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

func (c *canned) Write(b []byte) (int, error) {
	switch {
	case c.first != nil:
		c.unread, c.first = c.first, nil
	case len(c.unread) == 0: // a burst may take several calls
		c.unread = c.burst
	}
	return len(b), nil
}
func (*canned) Close() error                     { return nil }
func (*canned) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*canned) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*canned) SetDeadline(time.Time) error      { return nil }
func (*canned) SetReadDeadline(time.Time) error  { return nil }
func (*canned) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkGoRedis is go-redis, which writes the same commands and reads the same answers, with no network.
func BenchmarkGoRedis(b *testing.B) {
	ctx := context.Background()
	for _, w := range workloads {
		if w.name == "error" {
			continue
		}
		b.Run(w.name, func(b *testing.B) {
			answers, err := encode(protocol.ServerSide, w.answer)
			if err != nil {
				b.Fatal(err)
			}
			rdb := goredis.NewClient(&goredis.Options{
				Protocol: 2, DisableIdentity: true, PoolSize: 1, MaxRetries: -1,
				Dialer: func(context.Context, string, string) (net.Conn, error) {
					return &canned{first: []byte("*0\r\n"), burst: bytes.Repeat(answers, w.burst)}, nil
				},
			})
			defer rdb.Close() //nolint:errcheck // there is no connection
			var words []any
			for word := range strings.FieldsSeq(w.ask) {
				words = append(words, word)
			}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				_, err := rdb.Pipelined(ctx, func(p goredis.Pipeliner) error {
					for range w.burst {
						p.Do(ctx, words...)
					}
					return nil
				})
				if err != nil {
					b.Fatal(fmt.Errorf("go-redis: %w", err))
				}
				n += w.burst
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/exchange")
		})
	}
}
