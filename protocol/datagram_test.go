package protocol_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/http1"
)

// udpSpec is the toy protocol as it is spoken over datagrams.
func udpSpec() *protocol.Spec {
	spec := toySpec("toy", protocol.ByID)
	spec.Over = protocol.OverDatagram
	return spec
}

// datagram is a toy message to or from peer n.
func (w *wire) datagram(d event.Dir, n int, data string) *event.Segment {
	s := w.seg(d, data)
	s.Datagram = true
	s.Peer = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 53)
	return s
}

func TestDatagrams(t *testing.T) {
	newUDP := func(t *testing.T) *wire {
		return newWire(t, protocol.Config{MaxPeers: 4}, http1.Spec(), udpSpec()).client()
	}
	t.Run("peers are told apart", func(t *testing.T) {
		w := newUDP(t)
		w.handle(w.datagram(out, 1, "? 7 a\n"), w.datagram(out, 2, "? 7 b\n"), w.datagram(in, 2, "! 7 b\n"), w.datagram(in, 1, "! 7 a\n"))
		w.want("7 =7", "7 =7")
		if w.took != 3*time.Millisecond {
			t.Errorf("the second took %v", w.took)
		}
	})
	t.Run("never joined", func(t *testing.T) {
		w := newUDP(t)
		w.handle(w.datagram(out, 1, "? 7 a"), w.datagram(out, 1, "\n? 8 b\n"), w.datagram(out, 1, "? 9 c\n"), w.datagram(in, 1, "! 9 c\n"))
		w.want("9 =9")
	})
	t.Run("sent again", func(t *testing.T) {
		w := newUDP(t)
		w.handle(w.datagram(out, 1, "? 7 a\n"))
		w.tick(2 * time.Second)
		w.handle(w.datagram(out, 1, "? 7 a\n"), w.datagram(in, 1, "! 7 a\n"))
		w.want("7 =7")
		if w.took < 2*time.Second {
			t.Errorf("took %v", w.took)
		}
	})
	t.Run("unanswered in time", func(t *testing.T) {
		w := newUDP(t)
		w.handle(w.datagram(out, 1, "? 7 a\n"))
		w.tick(5400 * time.Millisecond)
		w.want()
		w.tick(200 * time.Millisecond)
		w.want("7 unanswered")
	})
	t.Run("answer lost by capture", func(t *testing.T) {
		w := newUDP(t)
		w.handle(w.datagram(out, 1, "? 7 a\n"))
		w.datagram(in, 1, "! 7 a\n")
		w.handle(w.datagram(out, 1, "? 8 a\n"), w.datagram(in, 1, "! 8 a\n"), w.closed())
		w.want("8 =8")
		w.wantGaps(1)
	})
	t.Run("bounded", func(t *testing.T) {
		w := newUDP(t)
		for n := range 50 {
			w.handle(w.datagram(out, n, fmt.Sprintf("? %d a\n", n)))
		}
		if n := w.tracker.Counters().EvictedConnections; n != 46 {
			t.Errorf("%d peers evicted", n)
		}
	})
}

// TestAnyAnswer puts one question to two peers.
func TestAnyAnswer(t *testing.T) {
	spec := udpSpec()
	spec.AnyAnswer = true
	w := newWire(t, protocol.Config{}, spec).client()
	w.handle(w.datagram(out, 1, "? 7 a\n"), w.datagram(out, 2, "? 7 a\n"), w.datagram(out, 2, "? 8 b\n"), w.datagram(in, 2, "! 7 a\n"))
	w.tick(time.Minute)
	w.want("7 =7", "8 unanswered")
	if n := w.tracker.Counters().Withdrawn; n != 1 {
		t.Errorf("%d requests withdrawn", n)
	}
}

// TestDatagramSocketClosesEarly: the end of a socket overtakes its last datagram, or that is lost.
func TestDatagramSocketClosesEarly(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("lost %v", lost), func(t *testing.T) {
			w := newWire(t, protocol.Config{}, udpSpec()).client()
			w.handle(w.datagram(out, 1, "? 7 a\n"), w.datagram(in, 1, "! 7 a\n"), w.datagram(out, 1, "? 8 a\n"))
			answer := w.datagram(in, 1, "! 8 a\n")
			w.handle(w.closed())
			want := []string{"7 =7"}
			if !lost {
				w.handle(answer)
				want = append(want, "8 =8")
			}
			w.tick(50 * time.Millisecond)
			w.want(want...)
			if w.wantGaps(uint64(2 - len(want))); w.tracker.Counters().Connections != 0 {
				t.Error("the socket is still there")
			}
		})
	}
}

// TestDatagramsOutOfOrder: what comes late is not lost.
func TestDatagramsOutOfOrder(t *testing.T) {
	w := newWire(t, protocol.Config{}, udpSpec()).client()
	for i := range 50 {
		a, b := w.datagram(out, 1, fmt.Sprintf("? %d a\n", 2*i)), w.datagram(out, 1, fmt.Sprintf("? %d a\n", 2*i+1))
		w.handle(b, a, w.datagram(in, 1, fmt.Sprintf("! %d a\n", 2*i)), w.datagram(in, 1, fmt.Sprintf("! %d a\n", 2*i+1)))
	}
	w.handle(w.closed())
	if len(w.got) != 100 {
		t.Errorf("%d exchanges", len(w.got))
	}
	w.wantGaps(0)
}

// TestOneLossIsOne: a datagram that was lost explains one answer without a question, and not all those that come twice.
func TestOneLossIsOne(t *testing.T) {
	w := newWire(t, protocol.Config{}, udpSpec()).client()
	w.datagram(out, 1, "? 7 a\n")
	w.handle(w.datagram(in, 1, "! 7 a\n"))
	for i := range 100 {
		w.handle(w.datagram(out, 1, fmt.Sprintf("? 1%d a\n", i)))
		for range 2 {
			w.handle(w.datagram(in, 1, fmt.Sprintf("! 1%d a\n", i)))
		}
	}
	w.handle(w.closed())
	w.wantGaps(1)
}

// TestMutedLosses: what is missed of a protocol that nobody wants is no loss.
func TestMutedLosses(t *testing.T) {
	spec := udpSpec()
	spec.Muted = true
	w := newWire(t, protocol.Config{}, spec).client()
	w.handle(w.datagram(out, 1, "? 7 a\n"), w.datagram(out, 1, "? 8 a\n"))
	w.datagram(in, 1, "! 7 a\n")
	w.handle(w.datagram(in, 1, "! 8 a\n"), w.closed())
	w.want()
	w.wantGaps(0)
}
