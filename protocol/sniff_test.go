package protocol_test

import (
	"strings"
	"testing"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/http1"
)

func TestUndecodedGauges(t *testing.T) {
	w := newWire(t, protocol.Config{}).client()
	w.send("\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + strings.Repeat("r", 194))
	if n := w.tracker.Counters().Undecoded[protocol.ReasonTLS]; n != 1 {
		t.Errorf("%d TLS connections", n)
	}
	w.handle(w.closed())
	c := w.tracker.Counters()
	if c.Undecoded[protocol.ReasonTLS] != 0 || c.Connections != 0 {
		t.Errorf("after the close: %+v", c)
	}
}

func TestMidStreamTLS(t *testing.T) {
	w := newWire(t, protocol.Config{}).existing()
	w.recv("\x91\x02 the rest of a record")
	w.send("\x17\x03\x03\x00\x20" + strings.Repeat("x", 32))
	if n := w.tracker.Counters().Undecoded[protocol.ReasonTLS]; n != 1 {
		t.Errorf("%d TLS connections", n)
	}
}

func TestUpgrade(t *testing.T) {
	toy := toySpec("toy", protocol.ByID)
	first := "GET / HTTP/1.1\r\nUpgrade: alias-of-toy\r\n\r\n"
	switching := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: alias-of-toy\r\n\r\n"
	t.Run("in the same segment", func(t *testing.T) {
		w := newWire(t, protocol.Config{}, http1.Spec(), toy).client()
		w.send(first)
		w.recv(switching + "? 1 x\n")
		w.send("! 1 y\n? 2 y\n")
		w.recv("! 2 y\n")
		w.want("/ 101", "1 =1", "2 =2")
		if len(w.verdicts) != 2 || w.verdicts[1] != (protocol.Verdict{Head: 1000, Tail: 10}) {
			t.Errorf("verdicts are %+v", w.verdicts)
		}
	})
	t.Run("with bytes held in the other direction", func(t *testing.T) {
		w := newWire(t, protocol.Config{}, toy, http1.Spec()).client()
		w.send("? 1 x\n")
		w.recv("! 1 x\n")
		w.send(get("/a")[:9])
		w.recv("^ http\n")
		w.send(get("/a")[9:])
		w.recv(ok("/a"))
		w.want("1 =1", "/a 200")
	})
	t.Run("wrapped, to a protocol not known", func(t *testing.T) {
		w := newWire(t, protocol.Config{}, toy).client()
		w.send("? 1 x\n")
		w.recv("! 1 x\n^ nothing\n")
		w.send("? 2 x\n")
		w.want("1 =1")
		if n := w.tracker.Counters().Undecoded[protocol.ReasonUnknown]; n != 1 {
			t.Errorf("%d unknown connections", n)
		}
	})
	t.Run("to tls", func(t *testing.T) {
		w := newWire(t, protocol.Config{}, toy).client()
		w.send("^ tls\n")
		if n := w.tracker.Counters().Undecoded[protocol.ReasonTLS]; n != 1 {
			t.Errorf("%d TLS connections", n)
		}
	})
}

func TestPortBreaksTies(t *testing.T) {
	a, b := toySpec("a", protocol.ByID), toySpec("b", protocol.ByID)
	a.Ports = []uint16{1}
	w := newWire(t, protocol.Config{}, a, b).client()
	w.send("? 1 x\n")
	w.recv("! 1 x\n")
	if w.last.Protocol == nil || w.last.Protocol.Name != "b" {
		t.Errorf("taken for %v", w.last.Protocol)
	}
}

// waiting is a protocol that always waits for more.
func waiting(name string) *protocol.Spec {
	s := toySpec(name, protocol.InOrder)
	s.Sniff = func(event.Dir, []byte) protocol.Sniffed { return protocol.More }
	return s
}

// TestWrongMore has a protocol in front that cannot make up its mind: it holds up nobody, neither at once nor at a later turn.
func TestWrongMore(t *testing.T) {
	for _, specs := range [][]*protocol.Spec{{waiting("slow"), http1.Spec()}, {http1.Spec(), waiting("slow")}} {
		w := newWire(t, protocol.Config{}, specs...).client()
		w.get("/a")
		w.want("/a 200")

		w = newWire(t, protocol.Config{}, specs...).client()
		w.send("hello\r\n")
		w.recv("hello yourself\r\n")
		w.get("/a")
		w.get("/b")
		w.handle(w.closed())
		w.want("/a 200", "/b 200")
		if n := w.tracker.Counters().BufferedBytes; n != 0 {
			t.Errorf("%d bytes are held", n)
		}
	}
	w := newWire(t, protocol.Config{}, waiting("slow")).client()
	for range 10 {
		w.send("hello\r\n")
		w.recv("hello yourself\r\n")
	}
	if n := w.tracker.Counters().Undecoded[protocol.ReasonUnknown]; n != 1 {
		t.Errorf("%d unknown connections after 20 turns", n)
	}
}
