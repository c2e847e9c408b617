package protocol_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/http1"
)

func TestReorder(t *testing.T) {
	// Three exchanges in every order of their six segments that moves none by more than five places.
	for n, order := range permutations(6) {
		w := newWire(t, protocol.Config{}).client()
		var segs []*event.Segment
		for _, p := range []string{"/a", "/b", "/c"} {
			segs = append(segs, w.seg(out, get(p)), w.seg(in, ok(p)))
		}
		for _, i := range order {
			w.handle(segs[i])
		}
		w.want("/a 200", "/b 200", "/c 200")
		w.wantGaps(0)
		if t.Failed() {
			t.Fatalf("order %d: %v", n, order)
		}
	}
}

func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{{}}
	}
	var all [][]int
	for _, p := range permutations(n - 1) {
		for i := range n {
			all = append(all, slices.Insert(slices.Clone(p), i, n-1))
		}
	}
	return all
}

func TestGapAfterEvents(t *testing.T) {
	for _, c := range []struct {
		later int // segments that come instead of the missing one
		fills bool
	}{{62, true}, {63, true}, {64, false}, {80, false}} {
		t.Run(fmt.Sprint(c.later), func(t *testing.T) {
			w := newWire(t, protocol.Config{}).client()
			w.get("/first")
			missing := w.seg(out, get("/missing"))
			w.recv(ok("/missing"))
			for i := 1; i < c.later; i += 2 {
				w.send(get("/x"))
				if i+1 < c.later {
					w.recv(ok("/x"))
				}
			}
			held := len(w.got)
			w.handle(missing)
			if c.fills {
				if held != 1 || w.gaps != 0 || w.got[1] != "/missing 200" {
					t.Errorf("before: %d exchanges; after: %v, %d gaps", held, w.got, w.gaps)
				}
				return
			}
			if held == 1 || w.gaps != 1 || slices.Contains(w.got, "/missing 200") {
				t.Errorf("before: %d exchanges; after: %v, %d gaps", held, w.got, w.gaps)
			}
			if n := w.tracker.Counters().Late; n != 1 {
				t.Errorf("%d late segments, want 1", n)
			}
		})
	}
}

func TestGapAfterTime(t *testing.T) {
	for _, c := range []struct {
		wait  time.Duration
		fills bool
	}{{49 * time.Millisecond, true}, {50 * time.Millisecond, false}} {
		t.Run(c.wait.String(), func(t *testing.T) {
			w := newWire(t, protocol.Config{}).client()
			w.get("/a")
			missing := w.seg(out, get("/b"))
			w.recv(ok("/b"))
			w.tick(c.wait)
			w.handle(missing)
			if c.fills {
				w.want("/a 200", "/b 200")
				w.wantGaps(0)
			} else {
				w.want("/a 200")
				w.wantGaps(1)
			}
			w.get("/c")
			w.tick(time.Hour)
			if last := w.got[len(w.got)-1]; last != "/c 200" {
				t.Errorf("after it came %v", w.got)
			}
		})
	}
}

func TestClosedWaitsForSegments(t *testing.T) {
	w := newWire(t, protocol.Config{}).client()
	w.send(get("/a"))
	answer := w.seg(in, ok("/a"))
	w.handle(w.closed())
	w.want()
	w.handle(answer)
	w.want("/a 200")

	w = newWire(t, protocol.Config{}).client()
	w.send(get("/a"))
	w.seg(in, ok("/a")) // lost
	w.handle(w.closed())
	w.tick(50 * time.Millisecond)
	w.want() // not unanswered: the answer is among what was lost
	w.wantGaps(1)
	if n := w.tracker.Counters().Connections; n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestDuplicatesAndOverlap(t *testing.T) {
	w := newWire(t, protocol.Config{}).client()
	first := w.seg(out, get("/a"))
	w.handle(first)
	again := *first
	again.Seq = w.seq
	w.seq++
	w.handle(&again) // the same bytes once more
	w.recv(ok("/a"))
	r := get("/bcd")
	w.send(r[:10])
	over := w.seg(out, r[10:])
	over.Off -= 5
	over.Data = []byte(r[5:])
	over.Size = len(over.Data)
	w.handle(over)
	w.recv(ok("/bcd"))
	w.want("/a 200", "/bcd 200")
	w.wantGaps(0)
	if n := w.tracker.Counters().Duplicates; n != 1 {
		t.Errorf("%d duplicates, want 1", n)
	}
}

func TestVerdicts(t *testing.T) {
	spec := http1.Spec()
	decided := protocol.Verdict{Head: spec.Capture.Head, Tail: spec.Capture.Tail}
	refused := protocol.Verdict{Refused: true, Why: protocol.ReasonUnknown}
	tls := protocol.Verdict{Refused: true, Why: protocol.ReasonTLS}
	undecided := protocol.Verdict{Undecided: true}
	hello := shake(t, shopClient, shopServer)
	for _, c := range []struct {
		name string
		play func(*wire)
		want []protocol.Verdict
	}{
		{"undecided", func(w *wire) { w.send("GE") }, nil},
		{"decided once", func(w *wire) { w.get("/a"); w.get("/b") }, []protocol.Verdict{decided}},
		{"unknown", func(w *wire) {
			for range 10 {
				w.send("hello, who is there?\r\n")
				w.recv("nobody\r\n")
			}
		}, []protocol.Verdict{refused}},
		{"a flood without a turn", func(w *wire) {
			for range 10 {
				w.send(strings.Repeat("x", 10000))
			}
		}, []protocol.Verdict{refused}},
		{"tls, a hello", func(w *wire) { w.send(hello.client) }, nil},
		{"tls, both hellos", func(w *wire) { w.send(hello.client); w.recv(hello.server) }, []protocol.Verdict{tls}},
		{"tls, late", func(w *wire) { w.send("\x17\x03\x03\x00\x20" + strings.Repeat("x", 32)) }, []protocol.Verdict{tls}},
		{"pipelining", func(w *wire) { w.send(get("/a") + get("/b")); w.send(get("/c")) }, []protocol.Verdict{decided, {Head: 64 << 10, Tail: spec.Capture.Tail}}},
		{"garbage", func(w *wire) {
			w.get("/a")
			for range 5 {
				w.send("\x00\x01\x02\x03\r\n")
				w.recv(ok("/x"))
			}
		}, []protocol.Verdict{decided, undecided, decided}},
		{"garbage for good", func(w *wire) {
			w.get("/a")
			for range 15 {
				w.send("\x00\x01\x02\x03\r\n")
				w.recv("\x00\x01\x02\x03\r\n")
			}
		}, []protocol.Verdict{decided, undecided, refused}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t, protocol.Config{}).client()
			c.play(w)
			if !slices.Equal(w.verdicts, c.want) {
				t.Errorf("verdicts are %+v, want %+v", w.verdicts, c.want)
			}
		})
	}
}

func TestGarbageIsCountedAndGivenUp(t *testing.T) {
	w := newWire(t, protocol.Config{MaxErrors: 2}).client()
	w.get("/a")
	for range 5 {
		w.send("\x00\x01\x02\x03\r\n")
		w.recv("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n")
	}
	c := w.tracker.Counters()
	if c.ParseErrors["http"] != 1 {
		t.Errorf("%d parse errors", c.ParseErrors["http"])
	}
	w.want("/a 200")
}

func TestSideAndTask(t *testing.T) {
	reader, writer := event.Task{PID: 5, TID: 50, Start: 1}, event.Task{PID: 6, TID: 60, Start: 2}
	w := newWire(t, protocol.Config{}).server()
	w.task = reader
	w.recv(get("/a"))
	w.task = writer
	w.send(ok("/a"))
	w.want("/a 200")
	if w.last.Side != protocol.ServerSide || w.last.Task != writer {
		t.Errorf("server: side %v, task %v", w.last.Side, w.last.Task)
	}
	w = newWire(t, protocol.Config{}).client()
	w.task = writer
	w.send(get("/a"))
	w.task = reader
	w.recv(ok("/a"))
	if w.last.Side != protocol.ClientSide || w.last.Task != writer {
		t.Errorf("client: side %v, task %v", w.last.Side, w.last.Task)
	}
	w = newWire(t, protocol.Config{}).open(event.RoleUnknown, true)
	w.recv(get("/a"))
	w.send(ok("/a"))
	w.tick(time.Hour)
	if w.last.Side != protocol.ServerSide {
		t.Errorf("unknown role: side %v", w.last.Side)
	}
}

func TestClocksThatDisagree(t *testing.T) {
	w := newWire(t, protocol.Config{}).client()
	w.send(get("/a"))
	s := w.seg(in, ok("/a"))
	s.Time = start.Add(-time.Second)
	w.handle(s)
	w.want("/a 200")
	if n := w.tracker.Counters().Clamped; w.took != 0 || n != 1 {
		t.Errorf("took %v, %d clamped", w.took, n)
	}
}

func TestAnswerNumberedBeforeItsRequest(t *testing.T) {
	w := newWire(t, protocol.Config{}).client()
	w.get("/a")
	request := w.seg(out, get("/b202"))
	answer := w.seg(in, ok("/b202"))
	request.Seq, answer.Seq = answer.Seq, request.Seq
	w.handle(answer, request)
	w.want("/a 200", "/b202 202")
	w.get("/c")
	w.want("/a 200", "/b202 202", "/c 200")
}

func TestTLSPlaintextRetiresTheWire(t *testing.T) {
	w := newWire(t, protocol.Config{}).client()
	w.send("\x16\x03\x01")
	plain := &event.Segment{Conn: w.id, Source: event.SourceTLS, Dir: out, Data: []byte(get("/a")), Size: len(get("/a")), Time: w.now}
	w.handle(plain)
	w.send("\x00\xc8\x01\x00\x00\xc4\x03\x03")
	answer := ok("/a")
	w.handle(&event.Segment{Conn: w.id, Source: event.SourceTLS, Seq: 1, Dir: in, Data: []byte(answer), Size: len(answer), Time: w.now})
	w.want("/a 200")
	w.handle(w.closed())
	if n := w.tracker.Counters().Connections; n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestParserThatTakesNothing(t *testing.T) {
	spec := toySpec("sloth", protocol.InOrder)
	spec.New = func() protocol.Parser { return &toy{sloth: true} }
	w := newWire(t, protocol.Config{}, spec).client()
	w.send("? 1 x\n")
	if n := w.tracker.Counters().ParseErrors["sloth"]; n != 1 {
		t.Errorf("%d parse errors", n)
	}
}

func TestCountersFromElsewhere(t *testing.T) {
	w := newWire(t, protocol.Config{}).client()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100 {
			w.tracker.Counters()
		}
	}()
	for range 100 {
		w.get("/a")
		w.tick(time.Millisecond)
	}
	<-done
	c := w.tracker.Counters()
	if n := c.Exchanges[protocol.Labels{Protocol: "http", Outcome: protocol.OK}]; n != 100 {
		t.Errorf("%d exchanges counted", n)
	}
}

func TestKeepAliveOverThousands(t *testing.T) {
	for _, existing := range []bool{false, true} {
		w := newWire(t, protocol.Config{}).open(event.RoleServer, existing)
		for i := range 5000 {
			w.recv(get(fmt.Sprintf("/%d/", i)))
			w.send(ok(fmt.Sprintf("/%d/", i)))
			w.tick(0)
		}
		w.tick(time.Hour)
		if len(w.got) != 5000 || w.gaps != 0 {
			t.Errorf("existing %v: %d exchanges, %d gaps", existing, len(w.got), w.gaps)
		}
	}
}

// TestHoleInsideFrames loses the middle of a call to the capture limit: the parser, which cannot do without, is offered the
// next place where a message may start.
func TestHoleInsideFrames(t *testing.T) {
	w := newWire(t, protocol.Config{}, toySpec("toy", protocol.ByID)).client()
	s := w.seg(out, "? 1 a\n? 2 b")
	s.Size += 100
	s.Tail = []byte("of it\n")
	w.off[out] += 100
	w.handle(s)
	w.send("? 3 c\n")
	w.recv("! 1 a\n! 3 c\n")
	w.handle(w.closed())
	w.want("1 =1", "3 =3")
	w.wantGaps(1)
}

// TestCarried counts what is spoken in a protocol apart, and not at all when it is not wanted.
func TestCarried(t *testing.T) {
	carrier, carried := toySpec("toy", protocol.ByID), &protocol.Spec{Name: "carried", Carrier: "toy"}
	for _, c := range []struct {
		wanted []string
		want   map[string]uint64
	}{
		{[]string{"toy", "carried"}, map[string]uint64{"toy": 1, "carried": 1}},
		{[]string{"carried"}, map[string]uint64{"toy": 0, "carried": 1}},
		{[]string{"toy"}, map[string]uint64{"toy": 1}},
	} {
		w := newWire(t, protocol.Config{}, protocol.Select([]*protocol.Spec{carrier, carried}, c.wanted)...).client()
		w.send("? 1 a\n? 2 =carried\n")
		w.recv("! 1 a\n! 2 b\n")
		for name, want := range c.want {
			if n := w.tracker.Counters().Exchanges[protocol.Labels{Protocol: name, Outcome: protocol.OK}]; n != want {
				t.Errorf("of %v, %s has %d exchanges, want %d", c.wanted, name, n, want)
			}
		}
	}
}
