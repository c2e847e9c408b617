package mongodb_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/mongodb"
)

// wire is a connection whose bytes go to a Tracker of its own.
type wire struct {
	t     *testing.T
	track *protocol.Tracker
	found *outcomes
	seq   uint64
	off   [2]uint64
	now   time.Time
}

// outcomes counts exchanges by operation, collection and error.
type outcomes struct {
	exchanges  map[string]int
	waiting    int
	unresolved int
	text       string // of the last one
	gaps       uint64
	refused    bool
}

func (o *outcomes) Exchange(x *protocol.Exchange) {
	a := &x.Request.Attrs
	o.exchanges[fmt.Sprintf("%s %s %s %s", x.Outcome, a.Get(protocol.DBOperation), a.Get(protocol.DBCollection), x.Error)]++
	if x.Waiting() {
		o.waiting++
	}
	if x.Request.Unresolved || x.Response != nil && x.Response.Unresolved {
		o.unresolved++
	}
	o.text = string(a.Get(protocol.DBQueryText))
}
func (o *outcomes) Gap(_ event.ConnID, _ string, n uint64) { o.gaps += n }
func (o *outcomes) SetVerdict(_ event.ConnID, v protocol.Verdict) {
	o.refused = o.refused || v.Refused
}

// newWire begins a connection with a ping, so that it is known what it speaks.
func newWire(t *testing.T, spec *protocol.Spec) *wire {
	o := &outcomes{exchanges: map[string]int{}}
	w := &wire{t: t, found: o, now: time.Unix(1e9, 0)}
	w.track = protocol.NewTracker([]*protocol.Spec{spec}, protocol.Config{}, o, o)
	w.track.Handle(&event.Opened{Conn: 1, Role: event.RoleClient, Time: w.now})
	w.works(1)
	return w
}

func newTestWire(t *testing.T) *wire { return newWire(t, mongodb.Spec(options)) }

// send moves bytes, and size-len(data) more that nobody sees.
func (w *wire) send(d event.Dir, data []byte, size int) {
	w.now = w.now.Add(time.Microsecond)
	w.track.Handle(&event.Segment{Conn: 1, Dir: d, Seq: w.seq, Off: w.off[d], Data: data, Size: size, Time: w.now})
	w.seq++
	w.off[d] += uint64(size)
}

func (w *wire) ask(line string) {
	data := encoded(w.t, line)
	w.send(event.Sent, data, len(data))
}

func (w *wire) answer(line string) {
	data := encoded(w.t, line)
	w.send(event.Received, data, len(data))
}

// works checks that the connection is still decoded, with nothing held.
func (w *wire) works(id uint32) {
	w.t.Helper()
	before := w.found.exchanges["ok ping  "]
	w.ask(fmt.Sprintf(`%d/0 {"ping": 1, "$db": "admin"}`, id))
	w.answer(fmt.Sprintf(`9999/%d {"ok": 1}`, id))
	if w.found.exchanges["ok ping  "] != before+1 {
		w.t.Errorf("the connection is decoded no more: %v, refused %v", w.found.exchanges, w.found.refused)
	}
	w.track.Tick(w.now)
	if held := w.track.Counters().BufferedBytes; held != 0 {
		w.t.Errorf("%d bytes are held", held)
	}
}

// wants checks how often each of the exchanges came, beside pings.
func (w *wire) wants(want map[string]int) {
	w.t.Helper()
	for what := range w.found.exchanges {
		if _, ok := want[what]; !ok && what != "ok ping  " {
			want[what] = 0
		}
	}
	for what, n := range want {
		if got := w.found.exchanges[what]; got != n {
			w.t.Errorf("%q: %d, want %d", what, got, n)
		}
	}
}
