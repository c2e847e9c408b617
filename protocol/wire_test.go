package protocol_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/http1"
)

const (
	out = event.Sent
	in  = event.Received
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// wire makes the events of one connection and notes what a Tracker says of them.
type wire struct {
	*testing.T
	tracker  *protocol.Tracker
	id       event.ConnID
	now      time.Time
	task     event.Task
	seq      uint64
	off      [2]uint64
	turn     uint32
	dir      event.Dir // of the last segment
	numbered bool      // segments bring turns
	mirrored bool      // scripts are seen from the server

	got      []string // exchanges: "/path status", "/path unanswered"
	last     protocol.Exchange
	took     time.Duration
	gaps     uint64
	nameless uint64 // gaps of a protocol that was not known
	verdicts []protocol.Verdict
	shakes   []string // TLS handshakes: "side version name alpn"
	direct   bool     // the last one's
}

func newWire(t *testing.T, cfg protocol.Config, specs ...*protocol.Spec) *wire {
	if len(specs) == 0 {
		specs = []*protocol.Spec{http1.Spec()}
	}
	w := &wire{T: t, id: 1, now: start, task: event.Task{PID: 1, TID: 1, Start: 1}}
	w.tracker = protocol.NewTracker(specs, cfg, w, w)
	return w
}

// client and existing announce the connection.
func (w *wire) client() *wire { return w.open(event.RoleClient, false) }

func (w *wire) server() *wire { return w.open(event.RoleServer, false) }

func (w *wire) existing() *wire { return w.open(event.RoleClient, true) }

func (w *wire) open(role event.Role, existing bool) *wire {
	w.tracker.Handle(&event.Opened{Conn: w.id, Role: role, Existing: existing, Time: w.now, Flow: event.Flow{
		Local: netip.MustParseAddrPort("10.0.0.1:40000"), Remote: netip.MustParseAddrPort("10.0.0.2:7000"),
	}})
	return w
}

// seg makes the next segment, 1 ms after the one before.
func (w *wire) seg(d event.Dir, data string) *event.Segment {
	w.now = w.now.Add(time.Millisecond)
	s := &event.Segment{
		Conn: w.id, Dir: d, Seq: w.seq, Off: w.off[d], Data: []byte(data), Size: len(data), Time: w.now, Task: w.task,
	}
	switch {
	case w.seq == 0:
		w.turn = uint32(d)
	case w.dir != d:
		w.turn++
	}
	w.dir, s.Turn, s.Turns = d, w.turn, w.numbered
	w.seq++
	w.off[d] += uint64(len(data))
	return s
}

// closed makes the end.
func (w *wire) closed() *event.Closed {
	w.now = w.now.Add(time.Millisecond)
	return &event.Closed{Conn: w.id, Seq: w.seq, Turn: w.turn, Turns: w.numbered, Sent: w.off[out], Received: w.off[in], Time: w.now}
}

func (w *wire) handle(evs ...event.Event) {
	for _, e := range evs {
		w.tracker.Handle(e)
	}
}

func (w *wire) send(data string) { w.handle(w.seg(out, data)) }

func (w *wire) recv(data string) { w.handle(w.seg(in, data)) }

// get exchanges a request and its answer.
func (w *wire) get(path string) {
	w.send(get(path))
	w.recv(ok(path))
}

func (w *wire) tick(d time.Duration) {
	w.now = w.now.Add(d)
	w.tracker.Tick(w.now)
}

func (w *wire) want(exchanges ...string) {
	w.Helper()
	if got, want := strings.Join(w.got, ", "), strings.Join(exchanges, ", "); got != want {
		w.Errorf("exchanges are [%s], want [%s]", got, want)
	}
}

func (w *wire) wantGaps(n uint64) {
	w.Helper()
	if w.gaps != n {
		w.Errorf("%d exchanges reported missing, want %d", w.gaps, n)
	}
}

// Exchange implements protocol.Sink.
func (w *wire) Exchange(x *protocol.Exchange) {
	name := string(x.Request.Attrs.Get(protocol.URLPath)) + string(x.Request.Attrs.Get("toy.id"))
	switch {
	case x.Response != nil:
		status := string(x.Response.Attrs.Get(protocol.HTTPResponseStatusCode))
		if status == "" {
			status = "=" + string(x.Response.Attrs.Get("toy.id"))
		}
		w.got = append(w.got, name+" "+status)
	case x.Error != "":
		w.got = append(w.got, name+" "+x.Error)
	default:
		w.got = append(w.got, name)
	}
	w.last, w.took = *x, x.End().Sub(x.Start())
}

// Gap implements protocol.Sink.
func (w *wire) Gap(_ event.ConnID, protocol string, n uint64) {
	w.gaps += n
	if protocol == "" {
		w.nameless += n
	}
}

// Handshake implements protocol.HandshakeSink.
func (w *wire) Handshake(h *protocol.Handshake) {
	w.shakes = append(w.shakes, fmt.Sprintf("%s %s %s %s", h.Side, h.Version, h.ServerName, h.ALPN))
	w.direct = h.Direct
}

// SetVerdict implements protocol.Verdicts.
func (w *wire) SetVerdict(_ event.ConnID, v protocol.Verdict) {
	w.verdicts = append(w.verdicts, v)
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }

// ok answers with a body as long as the path, and the status that the path ends with, if it does.
func ok(path string) string {
	status := "200"
	if len(path) > 3 && strings.Trim(path[len(path)-3:], "0123456789") == "" {
		status = path[len(path)-3:]
	}
	return fmt.Sprintf("HTTP/1.1 %s X\r\nContent-Length: %d\r\n\r\n%s", status, len(path), path)
}
