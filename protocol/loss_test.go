package protocol_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
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
		for _, numbered := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, numbered %v", c.name, numbered), func(t *testing.T) {
				w := newWire(t, protocol.Config{})
				w.numbered = numbered
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
}

// play plays a script as TestLoss has them. Besides: >* is the head of a request that waits to send its body, >*body is that,
// <*100 the interim response in between; "end" is an end that was found out afterwards, "other" a connection that takes this
// one's place.
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
		case "end":
			w.handle(&event.Closed{Conn: w.id, Time: w.now})
			continue
		case "other":
			w.tracker.Handle(&event.Opened{Conn: w.id + 1, Time: w.now})
			continue
		}
		lost := strings.HasPrefix(f, "?")
		f = strings.TrimPrefix(f, "?")
		d, data := out, get(f[1:])
		switch {
		case f == "<*100":
			d, data = in, "HTTP/1.1 100 Continue\r\n\r\n"
		case f == ">*body":
			data = "body"
		case strings.HasPrefix(f, ">*"):
			data = fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", f[2:])
		case f[0] == '<':
			d, data = in, ok(f[1:])
		}
		if w.mirrored {
			d = d.Reverse()
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
