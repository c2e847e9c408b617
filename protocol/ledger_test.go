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

// client is a kind of client, and how its connections are captured.
type client struct {
	depth    int  // requests of a burst
	pieces   int  // segments per message
	together bool // the messages of a burst are one
	numbered bool // segments bring turns
	side     protocol.Side
	existing bool // met within an answer; nothing is lost before the first exchange is over
}

func (c client) String() string {
	return fmt.Sprintf("%v depth %d pieces %d together %v numbered %v existing %v", c.side, c.depth, c.pieces, c.together, c.numbered, c.existing)
}

// loss is how events are lost: one in every so many, and up to burst-1 after it.
type loss struct{ every, burst int }

// clients are all kinds of clients that matter.
func clients() []client {
	var all []client
	for _, side := range []protocol.Side{protocol.ClientSide, protocol.ServerSide} {
		for _, existing := range []bool{false, true} {
			for _, numbered := range []bool{false, true} {
				if !numbered && side == protocol.ServerSide {
					continue
				}
				for pieces := 1; pieces <= 3; pieces++ {
					all = append(all, client{depth: 1, pieces: pieces, numbered: numbered, side: side, existing: existing})
				}
				for pieces := 1; pieces <= 2; pieces++ {
					all = append(all, client{depth: 8, pieces: pieces, numbered: numbered, side: side, existing: existing})
				}
				all = append(all, client{depth: 4, together: true, pieces: 1, numbered: numbered, side: side, existing: existing})
			}
		}
	}
	return all
}

// TestModel loses events at random. No answer may be given to another's request: the answer's length tells whose it is. What
// was emitted and what was reported missing must add up: exactly where nobody pipelines and turns are numbered.
func TestModel(t *testing.T) {
	for _, l := range []loss{{50, 8}, {2, 1}, {4, 40}} {
		for _, c := range clients() {
			t.Run(fmt.Sprintf("1 in %d by %d %v", l.every, l.burst, c), func(t *testing.T) {
				conns := 50
				if c.together {
					conns = 2 // long ones: it must be learnt how many requests make a burst
				}
				m := play(c, l, conns)
				if m.wrong > 0 {
					t.Errorf("%d of %d exchanges are wrong", m.wrong, m.exchanges)
				}
				t.Logf("%d sent, %d exchanges, %d reported missing", m.sent, m.exchanges, m.gaps)
				sum := float64(m.exchanges+m.gaps) / float64(m.sent)
				switch {
				case c.depth == 1 && c.numbered:
					if m.exchanges == 0 || m.exchanges+m.gaps != m.sent {
						t.Errorf("%d exchanges and %d missing of %d", m.exchanges, m.gaps, m.sent)
					}
				case c.together && c.numbered && (sum < 0.95 || sum > 1.05):
					t.Errorf("%d exchanges and %d missing of %d", m.exchanges, m.gaps, m.sent)
				case m.exchanges > m.sent, m.exchanges < m.sent && m.gaps == 0:
					t.Errorf("%d exchanges and %d missing of %d", m.exchanges, m.gaps, m.sent)
				}
			})
		}
	}
}

func play(c client, l loss, conns int) *model {
	m := &model{client: c, loss: l, requests: 3200 / conns, rand: rand.New(rand.NewPCG(uint64(l.every), uint64(c.depth*10+c.pieces)))}
	m.tracker = protocol.NewTracker([]*protocol.Spec{http1.Spec()}, protocol.Config{}, nil, m)
	for conn := range conns {
		m.connection(event.ConnID(conn + 1))
	}
	m.tracker.Tick(m.now.Add(time.Hour))
	return m
}

// model makes the traffic of clients, and is the sink for what comes of it.
type model struct {
	client
	loss
	rand    *rand.Rand
	tracker *protocol.Tracker
	now     time.Time

	requests int              // of a connection
	segs     []*event.Segment // of one
	off      [2]uint64
	turn     uint32
	events   int // that nothing is lost before

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

// say makes the segments of a message from the client or from the server.
func (m *model) say(fromClient bool, data string) {
	d := event.Received
	if fromClient == (m.side == protocol.ClientSide) {
		d = event.Sent
	}
	if n := len(m.segs); n == 0 {
		m.turn = uint32(d)
	} else if m.segs[n-1].Dir != d {
		m.turn++
	}
	for i := range m.pieces {
		p := data[len(data)*i/m.pieces : len(data)*(i+1)/m.pieces]
		m.segs = append(m.segs, &event.Segment{
			Conn: 0, Dir: d, Seq: uint64(len(m.segs)), Turn: m.turn, Turns: m.numbered, Off: m.off[d], Data: []byte(p), Size: len(p),
			Time: start.Add(time.Duration(len(m.segs)) * time.Millisecond),
		})
		m.off[d] += uint64(len(p))
	}
}

// ask is a request for a path; every third brings a body.
func ask(path string) string {
	if len(path)%3 == 0 {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n%s", path, strings.Repeat("b", 500))
	}
	return get(path)
}

// converse makes all the segments of a connection.
func (m *model) converse() {
	m.segs, m.off, m.events = nil, [2]uint64{}, 0
	if m.existing {
		m.say(false, ok("/before"))
	}
	for n := 0; n < m.requests; n += m.depth {
		m.sent += m.depth
		var asks, answers []string
		for i := range m.depth {
			path := "/" + strings.Repeat("x", 1+n+i)
			asks, answers = append(asks, ask(path)), append(answers, ok(path))
		}
		if m.together {
			asks, answers = []string{strings.Join(asks, "")}, []string{strings.Join(answers, "")}
		}
		for _, a := range asks {
			m.say(true, a)
		}
		for _, a := range answers {
			m.say(false, a)
		}
		if n == 0 && m.existing {
			m.events = len(m.segs)
		}
	}
}

func (m *model) connection(id event.ConnID) {
	m.converse()
	role := event.RoleClient
	if m.side == protocol.ServerSide {
		role = event.RoleServer
	}
	m.tracker.Handle(&event.Opened{Conn: id, Role: role, Existing: m.existing, Time: start})
	lose := 0
	for i, s := range m.segs {
		s.Conn, m.now = id, s.Time
		m.tracker.Tick(m.now)
		switch {
		case i < m.events:
			m.tracker.Handle(s)
		case lose > 0:
			lose--
		case m.rand.IntN(m.every) == 0:
			lose = m.rand.IntN(m.burst)
		default:
			m.tracker.Handle(s)
		}
	}
	m.tracker.Handle(&event.Closed{
		Conn: id, Seq: uint64(len(m.segs)), Turn: m.turn, Turns: m.numbered, Sent: m.off[0], Received: m.off[1], Time: m.now,
	})
}

// TestLedger plays scripts, as TestLoss does, on a connection whose turns are numbered.
func TestLedger(t *testing.T) {
	for _, c := range []struct {
		name   string
		server bool
		script string
		want   string
		gaps   uint64
	}{
		{name: "lost before it is known what is spoken", script: "?>/a ?</a ?>/b ?</b >/c </c close", want: "/c 200", gaps: 2},
		{name: "the same at the server", server: true, script: "?>/a ?</a ?>/b ?</b >/c </c close", want: "/c 200", gaps: 2},
		{name: "many in between", script: ">/a </a ?>/b ?</b ?>/c ?</c ?>/d ?</d >/e </e close", want: "/a 200, /e 200", gaps: 3},
		{name: "reported at the next request", script: ">/a </a ?>/b ?</b ?>/c ?</c >/d", want: "/a 200", gaps: 2},
		{name: "lost up to the end", script: ">/a </a ?>/b ?</b ?>/c close", want: "/a 200", gaps: 2},
		{name: "the end is lost too", script: ">/a </a ?>/b </b ?>/c </c end", want: "/a 200", gaps: 2},
		{name: "interim response", script: ">*/a <*100 >*body </a ?>/b ?</b >/c </c close", want: "/a 200, /c 200", gaps: 1},
		{name: "early answer", script: ">*/a </a >*body >/b </b >/c ?</c close", want: "/a 200, /b 200", gaps: 1},
		{name: "pipelined after a loss", script: ">/a </a ?>/b ?</b >/c >/d </c </d close", want: "/a 200", gaps: 3},
		{name: "evicted", script: ">/a </a ?>/b </b ?>/c </c other", want: "/a 200", gaps: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t, protocol.Config{MaxConns: 1})
			w.numbered = true
			role := event.RoleClient
			if w.mirrored = c.server; c.server {
				role = event.RoleServer
			}
			w.open(role, false)
			w.play(c.script)
			w.want(c.want)
			w.wantGaps(c.gaps)
			if w.nameless > 0 {
				t.Errorf("%d exchanges of an unknown protocol reported missing", w.nameless)
			}
		})
	}
}
