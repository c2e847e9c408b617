package kafka_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/kafka"
)

// spec keeps what clients call themselves; TestClientID sees to it that nobody does unasked.
func spec() *protocol.Spec { return kafka.Spec(protocol.Options{Values: true}) }

// request is a request on the wire, by the library.
func request(r kmsg.Request, id int32, client string) []byte {
	b := kmsg.NewRequestFormatter(kmsg.FormatterClientID(client)).AppendRequest(nil, r, id)
	if r.Key() == int16(kmsg.ControlledShutdown) && r.GetVersion() == 0 { // of which the library writes the header alone
		b = r.AppendTo(b[:12])
		binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	}
	return b
}

// response is a response on the wire: the library writes what follows the header.
func response(r kmsg.Response, id int32) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(id))
	if r.IsFlexible() && r.Key() != int16(kmsg.ApiVersions) {
		b = append(b, 0)
	}
	b = r.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// got is an exchange as tests compare it.
type got struct {
	op, topic, err, outcome   string
	version, client           string
	answered, waiting, upkeep bool
	unresolved, truncated     bool
	request, response         int64
}

// wire is one connection of a Tracker.
type wire struct {
	t       testing.TB
	tracker *protocol.Tracker
	seq     uint64
	off     [2]uint64
	turn    uint32
	last    event.Dir
	now     time.Time
	conn    event.ConnID

	got  []got
	gaps uint64
}

var dawn = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// newWire opens a connection, the watched end being the client.
func newWire(t testing.TB, s *protocol.Spec, existing bool) *wire {
	w := &wire{t: t, now: dawn, last: event.Received}
	w.tracker = protocol.NewTracker([]*protocol.Spec{s}, protocol.Config{}, nil, w)
	w.open(existing)
	return w
}

// open begins another connection in place of the last one.
func (w *wire) open(existing bool) {
	w.conn++
	w.seq, w.off, w.turn, w.last = 0, [2]uint64{}, 0, event.Received
	w.tracker.Handle(&event.Opened{Conn: w.conn, Role: event.RoleClient, Existing: existing, Time: w.now, Flow: event.Flow{
		Local: netip.MustParseAddrPort("10.0.0.1:40000"), Remote: netip.MustParseAddrPort("10.0.0.2:9092"),
	}})
}

// moved is a call that moves data, of which hidden bytes more are not captured.
func (w *wire) moved(d event.Dir, data []byte, hidden int) {
	if w.seq > 0 && d != w.last {
		w.turn++
	} else if w.seq == 0 {
		w.turn = uint32(d)
	}
	w.last = d
	w.now = w.now.Add(time.Millisecond)
	w.tracker.Handle(&event.Segment{
		Conn: w.conn, Dir: d, Seq: w.seq, Off: w.off[d], Data: data, Size: len(data) + hidden, Time: w.now, Turn: w.turn, Turns: true,
		Task: event.Task{PID: 1, TID: 1, Start: 1},
	})
	w.seq++
	w.off[d] += uint64(len(data) + hidden)
}

func (w *wire) ask(data []byte)    { w.moved(event.Sent, data, 0) }
func (w *wire) answer(data []byte) { w.moved(event.Received, data, 0) }

// close ends the connection and returns what came of it.
func (w *wire) close() []got {
	w.tracker.Handle(&event.Closed{
		Conn: w.conn, Seq: w.seq, Sent: w.off[event.Sent], Received: w.off[event.Received], Turn: w.turn, Turns: w.seq > 0, Time: w.now,
	})
	list := w.got
	w.got = nil
	return list
}

// hello is how every client begins.
func (w *wire) hello() {
	w.t.Helper()
	r := kmsg.NewPtrApiVersionsRequest()
	r.Version = 3
	w.ask(request(r, 0, "test"))
	w.answer(response(r.ResponseKind(), 0))
	if len(w.got) == 0 || w.got[len(w.got)-1].op != "ApiVersions" {
		w.t.Fatalf("hello gave %+v", w.got)
	}
	w.got = w.got[:len(w.got)-1]
}

// Exchange implements protocol.Sink.
func (w *wire) Exchange(x *protocol.Exchange) { w.got = append(w.got, describe(x)) }

// Gap implements protocol.Sink.
func (w *wire) Gap(_ event.ConnID, _ string, n uint64) { w.gaps += n }

func describe(x *protocol.Exchange) got {
	attr := func(k protocol.Key) string { return string(x.Request.Attrs.Get(k)) }
	g := got{
		op: attr(protocol.MessagingOperation), topic: attr(protocol.MessagingDestination), err: x.Error, outcome: x.Outcome.String(),
		version: attr(kafka.APIVersion), client: attr(kafka.ClientID), answered: x.Response != nil, waiting: x.Waiting(),
		upkeep: x.Request.Upkeep, unresolved: x.Request.Unresolved, truncated: x.Request.Truncated, request: x.Request.Size,
	}
	if x.Response != nil {
		g.unresolved, g.truncated = g.unresolved || x.Response.Unresolved, g.truncated || x.Response.Truncated
		g.response = x.Response.Size
	}
	return g
}

func (g got) String() string {
	return fmt.Sprintf("%s v%s %q %s(%s) answered=%v unresolved=%v truncated=%v %d/%d",
		g.op, g.version, g.topic, g.outcome, g.err, g.answered, g.unresolved, g.truncated, g.request, g.response)
}
