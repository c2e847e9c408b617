package protocol_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/toposcope/toposcope/protocol"
)

func TestByID(t *testing.T) {
	spec := toySpec("toy", protocol.ByID)
	w := newWire(t, protocol.Config{MaxPipelined: 3}, spec).client()
	w.send("? 1 a\n? 2 b\n~ 9 note\n? 3 c\n")
	w.recv("! 3 c\n! 1 a\n! 7 who\n")
	w.seg(in, "! 2 b\n") // lost
	w.send("? 4 d\n")
	w.recv("! 4 d\n")
	w.tick(time.Second)
	w.want("9", "3 =3", "1 =1", "4 =4")
	w.handle(w.closed())
	w.want("9", "3 =3", "1 =1", "4 =4") // 2 may have been answered by what was lost
	w.wantGaps(1)

	w = newWire(t, protocol.Config{MaxPipelined: 3}, spec).client()
	w.send("? 1 a\n? 2 b\n? 3 c\n? 4 d\n")
	w.recv("! 4 d\n! 1 a\n")
	w.handle(w.closed())
	w.want("4 =4", "2 unanswered", "3 unanswered")
	w.wantGaps(1)
	if n := w.tracker.Counters().EvictedRequests; n != 1 {
		t.Errorf("%d requests evicted", n)
	}
}

// TestInterleaved has messages of several IDs open at once, whose ends come in any order.
func TestInterleaved(t *testing.T) {
	w := newWire(t, protocol.Config{}, toySpec("toy", protocol.ByID)).client()
	w.send("?+ 1 a\n?+ 2 b\n")
	w.recv("!+ 2 b\n")
	w.send("?- 2 more\n?+ 3 c\n")
	w.recv("!+ 1 a\n!- 2 b\n")
	w.want("2 =2")
	w.send("?- 1 more\n")
	w.recv("!- 1 a\n")
	w.want("2 =2", "1 =1")
	w.recv("!+ 3 c\n")
	w.handle(w.closed()) // in the middle of an answer
	w.want("2 =2", "1 =1", "3 =3")
	if n := w.tracker.Counters().Exchanges[protocol.Labels{Protocol: "toy", Outcome: protocol.Failed}]; n != 1 {
		t.Errorf("%d exchanges failed, want the one that the end of the connection cut short", n)
	}
	w.wantGaps(0)
}

// TestLossWithCountingIDs loses requests, answers and both: the IDs tell how many there were.
func TestLossWithCountingIDs(t *testing.T) {
	spec := toySpec("toy", protocol.ByID)
	spec.IDStep = 2
	w := newWire(t, protocol.Config{}, spec).client()
	w.seg(out, "? 1 a\n") // lost
	w.recv("! 1 a\n")
	w.seg(out, "? 3 b\n? 5 c\n? 7 d\n") // lost
	w.seg(in, "! 5 c\n! 3 b\n")         // lost
	w.recv("! 7 d\n")
	w.send("? 9 e\n? 11 f\n")
	w.recv("! 9 e\n")
	w.seg(in, "! 11 f\n") // lost
	w.send("? 13 g\n")
	w.recv("! 13 g\n")
	w.tick(time.Second)
	w.handle(w.closed())
	w.want("9 =9", "13 =13")
	w.wantGaps(5) // 1, 3, 5, 7 and 11
}

// TestManyAtOnce has more outstanding than are looked through one by one.
func TestManyAtOnce(t *testing.T) {
	w := newWire(t, protocol.Config{}, toySpec("toy", protocol.ByID)).client()
	const n = 500
	for i := range n {
		w.send(fmt.Sprintf("? %d a\n", i))
	}
	for i := range n {
		w.recv(fmt.Sprintf("! %d a\n", (i*7)%n))
	}
	if len(w.got) != n {
		t.Errorf("%d exchanges", len(w.got))
	}
	w.wantGaps(0)
}
