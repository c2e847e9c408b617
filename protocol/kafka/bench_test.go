package kafka_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// benchCase is an exchange as it is in a busy cluster.
type benchCase struct {
	name, ask, answer string
}

var benchCases = []benchCase{
	{
		"produce",
		`7 Produce v9 {"Acks":-1,"TimeoutMillis":1000,"Topics":[{"Topic":"orders","Partitions":[{"Partition":2,"Records":#1000}]}]}`,
		`7 Produce v9 {"Topics":[{"Topic":"orders","Partitions":[{"Partition":2,"BaseOffset":900}]}]}`,
	},
	{
		"produce by id",
		`7 Produce v13 {"Acks":-1,"TimeoutMillis":1000,"Topics":[{"TopicID":@77,"Partitions":[{"Partition":2,"Records":#1000}]}]}`,
		`7 Produce v13 {"Topics":[{"TopicID":@77,"Partitions":[{"Partition":2,"BaseOffset":900}]}]}`,
	},
	{
		"fetch",
		`7 Fetch v12 {"MaxWaitMillis":500,"SessionEpoch":-1,"Topics":[{"Topic":"orders","Partitions":[{},{"Partition":1},{"Partition":2}]}]}`,
		`7 Fetch v12 {"Topics":[{"Topic":"orders","Partitions":[{"RecordBatches":#4000},{"Partition":1,"RecordBatches":#4000},` +
			`{"Partition":2,"RecordBatches":#4000}]}]}`,
	},
	{
		"heartbeat",
		`7 Heartbeat v4 {"Group":"g","MemberID":"m1-00000000-0000-0000-0000-000000000000","Generation":1}`,
		`7 Heartbeat v4`,
	},
}

func (c *benchCase) bytes(t testing.TB) (ask, answer []byte) {
	return []byte(line(t, protocol.ClientSide, c.ask)), []byte(line(t, protocol.ServerSide, c.answer))
}

type discard struct{ exchanges, unresolved, gaps int }

func (d *discard) Exchange(x *protocol.Exchange) {
	d.exchanges++
	if x.Request.Unresolved || x.Response.Unresolved {
		d.unresolved++
	}
}
func (d *discard) Gap(event.ConnID, string, uint64) { d.gaps++ }

// busy is one connection on which exchange follows exchange, in memory that is used again.
type busy struct {
	tracker     *protocol.Tracker
	sink        *discard
	ask, answer event.Segment
	id          uint32
	now         time.Time
}

func newBusy(t testing.TB, c *benchCase) *busy {
	b := &busy{sink: &discard{}, now: dawn}
	b.tracker = protocol.NewTracker([]*protocol.Spec{spec()}, protocol.Config{}, nil, b.sink)
	b.tracker.Handle(&event.Opened{Conn: 1, Role: event.RoleClient, Time: dawn, Flow: event.Flow{
		Local: netip.MustParseAddrPort("10.0.0.1:40000"), Remote: netip.MustParseAddrPort("10.0.0.2:9092"),
	}})
	task := event.Task{PID: 1, TID: 1, Start: 1}
	b.ask = event.Segment{Conn: 1, Dir: event.Sent, Turns: true, Task: task}
	b.answer = event.Segment{Conn: 1, Dir: event.Received, Turns: true, Task: task, Seq: 1, Turn: 1}
	first := benchCase{
		ask:    `7 Metadata v12 {"Topics":null}`,
		answer: `7 Metadata v12 {"Topics":[{"Topic":"orders","TopicID":@77}]}`,
	}
	b.ask.Data, b.answer.Data = first.bytes(t)
	b.exchange()
	b.ask.Data, b.answer.Data = c.bytes(t)
	return b
}

func (b *busy) exchange() {
	b.id++
	binary.BigEndian.PutUint32(b.ask.Data[8:], b.id)
	binary.BigEndian.PutUint32(b.answer.Data[4:], b.id)
	b.ask.Size, b.answer.Size = len(b.ask.Data), len(b.answer.Data)
	b.ask.Time, b.answer.Time = b.now, b.now.Add(time.Millisecond)
	b.tracker.Handle(&b.ask)
	b.tracker.Handle(&b.answer)
	b.ask.Seq, b.answer.Seq = b.ask.Seq+2, b.answer.Seq+2
	b.ask.Turn, b.answer.Turn = b.ask.Turn+2, b.answer.Turn+2
	b.ask.Off += uint64(b.ask.Size)
	b.answer.Off += uint64(b.answer.Size)
	b.now = b.now.Add(2 * time.Millisecond)
}

// TestAllocations: nothing is allocated for an exchange on a connection that is in use.
func TestAllocations(t *testing.T) {
	for _, c := range benchCases {
		b := newBusy(t, &c)
		if n := testing.AllocsPerRun(100, b.exchange); n != 0 {
			t.Errorf("%s: %v allocations for an exchange", c.name, n)
		}
		if b.sink.exchanges != 102 || b.sink.unresolved != 0 || b.sink.gaps != 0 {
			t.Errorf("%s: %d exchanges, %d unresolved, %d missing", c.name, b.sink.exchanges, b.sink.unresolved, b.sink.gaps)
		}
	}
}

// BenchmarkExchange is the whole path of an exchange, two segments in and one exchange out, beside what the library takes to read
// the same two bodies.
func BenchmarkExchange(b *testing.B) {
	for _, c := range benchCases {
		b.Run(c.name+"/toposcope", func(b *testing.B) {
			l := newBusy(b, &c)
			b.SetBytes(int64(len(l.ask.Data) + len(l.answer.Data)))
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				l.exchange()
			}
			if l.sink.exchanges != b.N+1 || l.sink.gaps != 0 {
				b.Fatalf("%d exchanges and %d missing of %d", l.sink.exchanges, l.sink.gaps, b.N+1)
			}
		})
		b.Run(c.name+"/kmsg", func(b *testing.B) {
			ask, answer := c.bytes(b)
			key, version := int16(binary.BigEndian.Uint16(ask[4:])), int16(binary.BigEndian.Uint16(ask[6:]))
			b.SetBytes(int64(len(ask) + len(answer)))
			b.ReportAllocs()
			for b.Loop() {
				req := kmsg.RequestForKey(key)
				req.SetVersion(version)
				resp := req.ResponseKind()
				resp.SetVersion(version)
				if err := req.ReadFrom(ask[19:]); err != nil { // behind "shop" and no tagged fields
					b.Fatal(err)
				}
				if err := resp.ReadFrom(answer[9:]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
