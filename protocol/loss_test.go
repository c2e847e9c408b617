package protocol_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/http1"
)

// TestLoss plays short scripts: > and < are a request and an answer for the path that follows, a question mark in front of
// them says that the segment is lost, "idle" that nothing happens for two seconds, "close" the end.
func TestLoss(t *testing.T) {
	for _, c := range []struct {
		name   string
		script string
		clean  int // exchanges before the script, one after the other
		attach bool
		want   string
		gaps   uint64
	}{
		{name: "answer lost", script: ">/a ?</a >/b </b close", want: "/b 200", gaps: 1},
		{name: "request lost", script: "?>/a </a >/b </b close", want: "/b 200", gaps: 1},
		{name: "both lost", script: "?>/a ?</a >/b </b close", want: "/b 200", gaps: 1},
		{name: "answer and next request lost", script: ">/a ?</a ?>/b </b >/c </c close", want: "/c 200", gaps: 2},
		{name: "with a history of one by one, taken up at once", clean: 20, script: ">/a ?</a >/b </b", want: "/b 200", gaps: 1},
		{name: "without, held back", script: ">/a ?</a >/b </b", want: "", gaps: 1},
		{name: "and let go when idle", script: ">/a ?</a >/b </b idle", want: "/b 200", gaps: 1},
		{name: "and let go when proven", script: ">/a ?</a >/b </b >/c </c >/d </d >/e </e >/f", want: "/b 200, /c 200, /d 200, /e 200", gaps: 1},
		{name: "pipelined, resumes only when idle", script: ">/a >/b ?</a </b >/c </c >/d </d idle >/e </e", want: "/e 200", gaps: 4},
		{name: "attached in time", attach: true, script: ">/a </a >/b </b close", want: "/a 200, /b 200"},
		{name: "attached while waiting", attach: true, script: "</z >/a </a close", want: "/a 200"},
		{name: "attached within a pipeline", attach: true, script: ">/b </a </b >/c </c idle >/d </d", want: "/d 200", gaps: 2},
		{name: "attached within a burst", attach: true, script: ">/b >/c </a </b </c idle >/d </d", want: "/d 200", gaps: 2},
		{name: "attached, open, idle", attach: true, script: ">/a </a idle", want: "/a 200"},
		{name: "lost at the end", script: ">/a </a >/b ?</b close", want: "/a 200", gaps: 1},
		{name: "request lost at the end", script: ">/a </a ?>/b close", want: "/a 200", gaps: 1},
		{name: "unanswered is certain", script: ">/a </a >/b close", want: "/a 200, /b unanswered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t, protocol.Config{})
			w.open(event.RoleClient, c.attach)
			for range c.clean {
				w.get("/clean")
			}
			w.got = nil
			w.play(c.script)
			w.want(c.want)
			w.wantGaps(c.gaps)
		})
	}
}

// play plays a script as TestLoss has them.
func (w *wire) play(script string) {
	for _, f := range strings.Fields(script) {
		switch f {
		case "idle":
			w.tick(2 * time.Second)
			continue
		case "close":
			w.handle(w.closed())
			w.tick(time.Second)
			continue
		}
		lost := strings.HasPrefix(f, "?")
		f = strings.TrimPrefix(f, "?")
		d, data := out, get(f[1:])
		if f[0] == '<' {
			d, data = in, ok(f[1:])
		}
		if s := w.seg(d, data); !lost {
			w.handle(s)
		}
		w.tick(60 * time.Millisecond) // what is missing is given up
	}
}

// TestMiddleOfBodyLost loses segments of a body whose length is known: the exchange is right all the same.
func TestMiddleOfBodyLost(t *testing.T) {
	w := newWire(t, protocol.Config{}).client()
	w.send("POST /up HTTP/1.1\r\nContent-Length: 300\r\n\r\n")
	w.send(strings.Repeat("u", 100))
	w.seg(out, strings.Repeat("u", 100)) // lost
	w.send(strings.Repeat("u", 100))
	w.recv("HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n")
	w.seg(in, strings.Repeat("d", 100)) // lost
	w.recv(strings.Repeat("d", 200))
	w.get("/next")
	w.tick(time.Second)
	w.want("/up 200", "/next 200")
	w.wantGaps(0)
	if n := w.tracker.Counters().StreamGaps["http"]; n != 2 {
		t.Errorf("%d stream gaps, want 2", n)
	}
}

// client makes traffic the way one kind of client does: bursts of requests, then their answers.
type client struct {
	depth  int // requests of a burst
	pieces int // segments per message
}

// TestModel loses 1 event in 50 in bursts of up to 8 and checks that no answer is given to another's request: the answer's
// length tells whose it is.
func TestModel(t *testing.T) {
	for _, c := range []client{{depth: 1, pieces: 1}, {depth: 1, pieces: 3}, {depth: 8, pieces: 1}, {depth: 8, pieces: 2}} {
		t.Run(fmt.Sprintf("depth %d pieces %d", c.depth, c.pieces), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(c.depth*10+c.pieces)))
			m := &model{}
			m.tracker = protocol.NewTracker([]*protocol.Spec{http1.Spec()}, protocol.Config{}, nil, m)
			for conn := range 100 {
				m.connection(event.ConnID(conn+1), c, r)
			}
			m.tracker.Tick(m.now.Add(time.Hour))
			if m.wrong > 0 {
				t.Errorf("%d of %d exchanges are wrong", m.wrong, m.exchanges)
			}
			t.Logf("%d sent, %d exchanges, %d reported missing", m.sent, m.exchanges, m.gaps)
			if m.exchanges == 0 || m.exchanges > m.sent {
				t.Errorf("%d exchanges of %d", m.exchanges, m.sent)
			}
			if m.exchanges < m.sent && m.gaps == 0 {
				t.Error("nothing reported missing")
			}
		})
	}
}

type model struct {
	tracker                      *protocol.Tracker
	now                          time.Time
	sent, exchanges, wrong, gaps int
}

func (m *model) Exchange(x *protocol.Exchange) {
	m.exchanges++
	path := string(x.Request.Attrs.Get(protocol.URLPath))
	if x.Response == nil || x.Response.Size != int64(len(ok(path))) {
		m.wrong++
	}
}

func (m *model) Gap(_ event.ConnID, _ string, n uint64) { m.gaps += int(n) }

func (m *model) connection(id event.ConnID, c client, r *rand.Rand) {
	var segs []*event.Segment
	var off [2]uint64
	say := func(d event.Dir, data string) {
		for i := range c.pieces {
			p := data[len(data)*i/c.pieces : len(data)*(i+1)/c.pieces]
			segs = append(segs, &event.Segment{
				Conn: id, Dir: d, Seq: uint64(len(segs)), Off: off[d], Data: []byte(p), Size: len(p),
				Time: start.Add(time.Duration(len(segs)) * time.Millisecond),
			})
			off[d] += uint64(len(p))
		}
	}
	for n := 0; n < 64; n += c.depth {
		for i := range c.depth {
			m.sent++
			say(event.Sent, get("/"+strings.Repeat("x", 1+n+i)))
		}
		for i := range c.depth {
			say(event.Received, ok("/"+strings.Repeat("x", 1+n+i)))
		}
	}
	m.tracker.Handle(&event.Opened{Conn: id, Role: event.RoleClient, Time: start})
	lose := 0
	for _, s := range segs {
		m.now = s.Time
		m.tracker.Tick(m.now)
		if lose > 0 {
			lose--
			continue
		}
		if r.IntN(50) == 0 {
			lose = r.IntN(8)
			continue
		}
		m.tracker.Handle(s)
	}
	m.tracker.Handle(&event.Closed{Conn: id, Seq: uint64(len(segs)), Sent: off[0], Received: off[1], Time: m.now})
}
