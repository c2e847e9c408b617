package mongodb_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/wiremessage"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/mongodb"
)

// The messages of the benchmarks: a query as a driver sends it, and its answer of ten documents.
var (
	askLine = `4711/0 {"find": "orders", "filter": {"customer": {"$oid": "0123456789abcdef01234567"}, "total": {"$gt": 100}}, "limit": 10, ` +
		`"lsid": {"id": {"$binary": {"base64": "AAAAAAAAAAAAAAAAAAAAAA==", "subType": "04"}}}, "$db": "shop"}`
	answerLine = `99/4711 {"cursor": {"firstBatch": [` + strings.TrimSuffix(strings.Repeat(`{"_id": 1, "customer": "x", "total": 120.5, "lines": ["a", "b"]},`, 10), ",") +
		`], "id": {"$numberLong": "0"}, "ns": "shop.orders"}, "ok": 1.0, "operationTime": {"$timestamp": {"t": 1, "i": 1}}}`
)

type discard struct{ exchanges, gaps int }

func (d *discard) Exchange(*protocol.Exchange)      { d.exchanges++ }
func (d *discard) Gap(event.ConnID, string, uint64) { d.gaps++ }

// queries makes the segments of one connection, exchange after exchange, in memory that is used again.
type queries struct {
	ask, answer event.Segment
	now         time.Time
}

func newQueries(ask, answer []byte) *queries {
	task := event.Task{PID: 1, TID: 1, Start: 1}
	q := &queries{
		ask:    event.Segment{Conn: 1, Dir: event.Sent, Turns: true, Data: ask, Size: len(ask), Task: task},
		answer: event.Segment{Conn: 1, Dir: event.Received, Turns: true, Data: answer, Size: len(answer), Task: task},
		now:    time.Unix(1e9, 0),
	}
	q.answer.Seq, q.answer.Turn = 1, 1
	return q
}

func (q *queries) exchange(t *protocol.Tracker) {
	q.ask.Time, q.answer.Time = q.now, q.now.Add(time.Millisecond)
	t.Handle(&q.ask)
	t.Handle(&q.answer)
	q.ask.Seq, q.answer.Seq = q.ask.Seq+2, q.answer.Seq+2
	q.ask.Turn, q.answer.Turn = q.ask.Turn+2, q.answer.Turn+2
	q.ask.Off += uint64(q.ask.Size)
	q.answer.Off += uint64(q.answer.Size)
	q.now = q.now.Add(2 * time.Millisecond)
}

// kinds are the exchanges that are measured.
func kinds(t testing.TB) map[string]*queries {
	lines := map[string][2]string{
		"plain": {askLine, answerLine},
		"long":  {askLine, `99/4711 {"cursor": {"firstBatch": [{"a": "$(60000*x)"}], "id": {"$numberLong": "0"}}, "ok": 1}`},
		"insert": {
			`4711/0 {"insert": "orders", "documents": [{"a": "$(60000*x)"}], "$db": "shop"}`,
			`99/4711 {"n": 1, "ok": 1}`,
		},
		"failed": {askLine, `99/4711 {"ok": 0, "errmsg": "E11000", "code": 11000, "codeName": "DuplicateKey"}`},
	}
	for _, by := range []string{"snappy", "zlib", "zstd"} {
		lines[by] = [2]string{
			strings.Replace(askLine, "/0", "/0 "+by, 1),
			strings.Replace(answerLine, "/4711", "/4711 "+by, 1),
		}
	}
	list := map[string]*queries{}
	for name, l := range lines {
		list[name] = newQueries(encoded(t, l[0]), encoded(t, l[1]))
	}
	return list
}

func newTracker(o protocol.Options, q *queries) (*protocol.Tracker, *discard) {
	sink := &discard{}
	t := protocol.NewTracker([]*protocol.Spec{mongodb.Spec(o)}, protocol.Config{}, nil, sink)
	t.Handle(&event.Opened{Conn: 1, Role: event.RoleClient, Time: q.now})
	return t, sink
}

// TestAllocations: nothing is allocated for an exchange, with its text or without.
func TestAllocations(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector has pools forget what they hold")
	}
	for name, q := range kinds(t) {
		for _, o := range []protocol.Options{{}, {TextLimit: 256}, {TextLimit: 256, Values: true}} {
			again := *q
			tr, sink := newTracker(o, &again)
			again.exchange(tr)
			if n := testing.AllocsPerRun(200, func() { again.exchange(tr) }); n != 0 {
				t.Errorf("%s, %+v: %v allocations for an exchange", name, o, n)
			}
			if sink.exchanges != 202 || sink.gaps != 0 {
				t.Errorf("%s: %d exchanges, %d missing", name, sink.exchanges, sink.gaps)
			}
		}
	}
}

// BenchmarkMessage reads one message: a command's names, or an answer's outcome; beside it the driver's own code, which finds the
// body and looks up the same keys, and the same with the body decoded.
func BenchmarkMessage(b *testing.B) {
	for _, m := range []struct {
		name, line string
		keys       []string
	}{{"command", askLine, []string{"find", "$db"}}, {"answer", answerLine, []string{"ok", "code", "writeErrors"}}} {
		data := encoded(b, m.line)
		b.Run(m.name+"/toposcope", func(b *testing.B) {
			p := mongodb.Spec(protocol.Options{}).New()
			c := &protocol.Chunk{Data: data, Message: &protocol.Message{}}
			b.ReportAllocs()
			for b.Loop() {
				if n, got, err := p.Next(c); n != len(data) || got == nil || err != nil {
					b.Fatal(n, got, err)
				}
			}
		})
		b.Run(m.name+"/bson-lookup", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				doc := bodyOf(data)
				for _, k := range m.keys {
					_, _ = doc.LookupErr(k)
				}
			}
		})
		b.Run(m.name+"/bson-unmarshal", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var d bson.D
				if err := bson.Unmarshal(bodyOf(data), &d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// bodyOf is the body of an OP_MSG by the driver's own code.
func bodyOf(data []byte) bson.Raw {
	_, _, _, _, rest, _ := wiremessage.ReadHeader(data)
	_, rest, _ = wiremessage.ReadMsgFlags(rest)
	_, rest, _ = wiremessage.ReadMsgSectionType(rest)
	doc, _, _ := wiremessage.ReadMsgSectionSingleDocument(rest)
	return bson.Raw(doc)
}

// BenchmarkExchange is the whole path of a query: two segments in, one exchange out.
func BenchmarkExchange(b *testing.B) {
	all := kinds(b)
	for _, name := range []string{"plain", "long", "insert", "failed", "snappy", "zlib", "zstd"} {
		for _, limit := range []int{0, 256} {
			b.Run(fmt.Sprintf("%s/text=%d", name, limit), func(b *testing.B) {
				q := *all[name]
				t, sink := newTracker(protocol.Options{TextLimit: limit}, &q)
				q.exchange(t)
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					q.exchange(t)
				}
				if sink.exchanges != b.N+1 || sink.gaps != 0 {
					b.Fatalf("%d exchanges and %d missing of %d", sink.exchanges, sink.gaps, b.N+1)
				}
			})
		}
	}
}
