package mysql_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/DataDog/go-sqllexer"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/mysql"
)

// discard is a Sink that counts.
type discard struct{ exchanges, failed, unresolved int }

func (d *discard) Exchange(x *protocol.Exchange) {
	d.exchanges++
	if x.Outcome != protocol.OK {
		d.failed++
	}
	if x.Request.Unresolved {
		d.unresolved++
	}
}
func (d *discard) Gap(event.ConnID, string, uint64) {}

// exchange is what a client and a server send, over and over.
type exchange struct {
	name     string
	ask      []string
	answer   []string
	texts    []string // the statements in it
	warm     []string // lines of the client and the server ("<" before it) that come once before
	exchange int      // how many there are
}

const longText = "SELECT o.id, o.name, l.quantity, p.title, p.price FROM orders o JOIN lines l ON l.order_id = o.id " +
	"JOIN products p ON p.id = l.product_id WHERE o.customer = 'c-81723' AND o.placed BETWEEN '2026-01-01' AND '2026-02-01' " +
	"AND p.price > 12.50 ORDER BY o.placed DESC LIMIT 100"

var exchanges = []exchange{
	{
		name:   "query",
		ask:    []string{"query SELECT id, name FROM orders WHERE id = 7 AND name = 'mug'"},
		answer: []string{"columns 2", "defs 2", "rows 10", "okeof"},
		texts:  []string{"SELECT id, name FROM orders WHERE id = 7 AND name = 'mug'"}, exchange: 1,
	},
	{
		name:   "query long",
		ask:    []string{"query " + longText},
		answer: []string{"columns 5", "defs 5", "rows 100", "okeof"},
		texts:  []string{longText}, exchange: 1,
	},
	{
		name:   "query without values",
		ask:    []string{"query SELECT id, name FROM orders ORDER BY placed"},
		answer: []string{"columns 2", "defs 2", "rows 10", "okeof"},
		texts:  []string{"SELECT id, name FROM orders ORDER BY placed"}, exchange: 1,
	},
	{
		name:     "execute",
		warm:     []string{"prepare SELECT id, name FROM orders WHERE id = ?", "< prepared 1 2 1", "< defs 3"},
		ask:      []string{"execute 1"},
		answer:   []string{"columns 2 mariadb=0", "rows 10", "okeof"},
		exchange: 1,
	},
	{
		name:   "prepare execute close",
		ask:    []string{"prepare INSERT INTO orders VALUES (?, ?)"},
		answer: []string{"prepared 1 0 2", "defs 2"},
		texts:  []string{"INSERT INTO orders VALUES (?, ?)"}, exchange: 2,
	},
	{
		name:   "error",
		ask:    []string{"query SELECT * FROM nowhere"},
		answer: []string{"err 1146 42S02 Table 'shop.nowhere' doesn't exist"},
		texts:  []string{"SELECT * FROM nowhere"}, exchange: 1,
	},
}

// session is a connection on which exchanges are repeated; segments and buffers are used again.
type session struct {
	t       *protocol.Tracker
	segment event.Segment
	off     [2]uint64
	now     time.Time
}

func newSession(s protocol.Sink, o protocol.Options) *session {
	v := &session{t: protocol.NewTracker([]*protocol.Spec{mysql.Spec(o)}, protocol.Config{}, nil, s), now: time.Unix(1e9, 0)}
	v.segment = event.Segment{Conn: 1, Turns: true, Task: event.Task{PID: 1, TID: 1, Start: 1}}
	v.t.Handle(&event.Opened{Conn: 1, Role: event.RoleClient, Time: v.now, Flow: event.Flow{
		Local: netip.MustParseAddrPort("10.0.0.1:40000"), Remote: netip.MustParseAddrPort("10.0.0.2:3306"),
	}})
	v.segment.Turn = 0
	return v
}

func (v *session) send(d event.Dir, data []byte) {
	s := &v.segment
	if s.Dir != d || s.Seq == 0 {
		s.Turn++
	}
	v.now = v.now.Add(time.Microsecond)
	s.Dir, s.Data, s.Size, s.Off, s.Time = d, data, len(data), v.off[d], v.now
	v.t.Handle(s)
	v.off[d] += uint64(len(data))
	s.Seq++
}

// lines encodes lines of one side.
func lines(tb testing.TB, from protocol.Side, seq uint8, list ...string) []byte {
	e := &encoder{seq: seq}
	var out []byte
	for _, l := range list {
		b, err := e.encode(from, l)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, b...)
	}
	return out
}

func (v *session) open(tb testing.TB, warm []string) {
	v.send(event.Received, lines(tb, protocol.ServerSide, 0xff, "greeting 8.4.6 +eofless"))
	v.send(event.Sent, lines(tb, protocol.ClientSide, 0, "response app +eofless db=shop"))
	v.send(event.Received, lines(tb, protocol.ServerSide, 1, "ok"))
	var answer []string
	for _, l := range warm {
		if line, ok := strings.CutPrefix(l, "< "); ok {
			answer = append(answer, line)
			continue
		}
		v.send(event.Sent, lines(tb, protocol.ClientSide, 0xff, l))
	}
	if answer != nil {
		v.send(event.Received, lines(tb, protocol.ServerSide, 0, answer...))
	}
}

// steps are the segments of an exchange.
func (x *exchange) steps(tb testing.TB) [][]byte {
	out := [][]byte{lines(tb, protocol.ClientSide, 0xff, x.ask...), lines(tb, protocol.ServerSide, 0, x.answer...)}
	if x.exchange == 2 {
		out = append(out, lines(tb, protocol.ClientSide, 0xff, "execute 1"), lines(tb, protocol.ServerSide, 0, "ok"))
		out[0] = append(lines(tb, protocol.ClientSide, 0xff, "close 1"), out[0]...)
	}
	return out
}

// BenchmarkExchange is an exchange, from segments to the sink. Nothing is allocated.
func BenchmarkExchange(b *testing.B) {
	for _, x := range exchanges {
		for _, o := range []struct {
			name string
			protocol.Options
		}{{"", protocol.Options{}}, {" with texts", protocol.Options{TextLimit: 2048}}} {
			b.Run(x.name+o.name, func(b *testing.B) {
				s := &discard{}
				v := newSession(s, o.Options)
				v.open(b, x.warm)
				steps := x.steps(b)
				bytes := 0
				for i, data := range steps {
					v.send(event.Dir(i%2), data)
					bytes += len(data)
				}
				s.exchanges = 0
				b.SetBytes(int64(bytes))
				b.ReportAllocs()
				for b.Loop() {
					for i, data := range steps {
						v.send(event.Dir(i%2), data)
					}
				}
				if s.exchanges != b.N*x.exchange {
					b.Fatalf("%d exchanges, want %d", s.exchanges, b.N*x.exchange)
				}
			})
		}
	}
}

// BenchmarkSQLLexer is go-sqllexer alone on the texts of the same exchanges: obfuscated and normalized, with the metadata that
// has the operation and the tables.
func BenchmarkSQLLexer(b *testing.B) {
	obfuscator := sqllexer.NewObfuscator(sqllexer.WithReplaceDigits(false))
	normalizer := sqllexer.NewNormalizer(sqllexer.WithCollectTables(true), sqllexer.WithCollectCommands(true))
	for _, x := range exchanges {
		if len(x.texts) == 0 {
			continue
		}
		b.Run(x.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _, err := sqllexer.ObfuscateAndNormalize(x.texts[0], obfuscator, normalizer, sqllexer.WithDBMS(sqllexer.DBMSMySQL))
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestSteadyPath holds the benchmark's exchanges to no allocations.
func TestSteadyPath(t *testing.T) {
	for _, x := range exchanges {
		s := &discard{}
		v := newSession(s, protocol.Options{TextLimit: 2048})
		v.open(t, x.warm)
		steps := x.steps(t)
		round := func() {
			for i, data := range steps {
				v.send(event.Dir(i%2), data)
			}
		}
		for range 50 {
			round()
		}
		before := s.exchanges
		if n := testing.AllocsPerRun(200, round); n != 0 {
			t.Errorf("%s: %v allocations", x.name, n)
		}
		if s.exchanges-before != 201*x.exchange || s.unresolved != 0 {
			t.Errorf("%s: %d exchanges, %d unresolved", x.name, s.exchanges-before, s.unresolved)
		}
	}
}
