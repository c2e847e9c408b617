package protocol_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/http1"
)

// TestStates takes connections through whatever a connection may go through, in any order: they are counted as decoded or not, exactly
// once, the kernel has been told accordingly, and at the end nothing is left of them.
func TestStates(t *testing.T) {
	s := shake(t, shopClient, shopServer)
	words := []string{
		"? 1 x\n", "! 1 x\n", "~ 2 x\n", "? 2", "^ tls\n", "^ toy\n", "^ ids\n", "^ nothing\n", "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "CONNECT a.b:443 HTTP/1.1\r\nHost: a.b\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
		"PROXY UNKNOWN\r\n", "PROXY ", proxyBlock(3), proxyBlock(40)[:20], s.client, s.client[:50], s.client[50:], s.server, s.server[:7],
		s.later, records(s.client, 9), "\x14\x03\x03\x00\x01\x01", "\x17\x03\x03\x00\x20" + strings.Repeat("d", 32), "\x15\x03\x03\x00\x02\x02\x28",
		"\x00\x01\x02\x03\n", "^^^\n", "?? 3\n", strings.Repeat("x", 3000),
	}
	for seed := range uint64(3000) {
		g := rand.New(rand.NewPCG(seed, 7))
		cfg := protocol.Config{MaxErrors: 1 + g.IntN(3), MaxReinferences: g.IntN(4) - 1, SniffBytes: 5000, MaxBuffer: 4096}
		w := newWire(t, cfg, http1.Spec(), toySpec("toy", protocol.InOrder), toySpec("ids", protocol.ByID))
		w.numbered = g.IntN(2) == 0
		w.open([]event.Role{event.RoleClient, event.RoleServer, event.RoleUnknown}[g.IntN(3)], g.IntN(3) == 0)
		for range 5 + g.IntN(40) {
			seg := w.seg(event.Dir(g.IntN(2)), words[g.IntN(len(words))])
			switch g.IntN(12) {
			case 0: // lost
				continue
			case 1:
				seg.Data = seg.Data[:g.IntN(len(seg.Data))]
			case 2:
				w.tick(time.Duration(g.IntN(7)) * time.Second)
			}
			w.handle(seg)
			w.checkState(seed)
		}
		w.tick(time.Second)
		w.handle(w.closed())
		w.tick(time.Hour)
		c := w.tracker.Counters()
		if n := c.Undecoded; c.Connections != 0 || n[protocol.ReasonTLS] != 0 || n[protocol.ReasonUnknown] != 0 || c.BufferedBytes != 0 {
			t.Fatalf("seed %d: at the end %d connections, %v, %d bytes", seed, c.Connections, n, c.BufferedBytes)
		}
		if len(w.shakes) > 1 {
			t.Fatalf("seed %d: %q", seed, w.shakes)
		}
	}
}

// checkState holds what is counted against what the kernel was told last.
func (w *wire) checkState(seed uint64) {
	var last protocol.Verdict
	if n := len(w.verdicts); n > 0 {
		last = w.verdicts[n-1]
	}
	n := w.tracker.Counters().Undecoded
	tls, unknown := n[protocol.ReasonTLS], n[protocol.ReasonUnknown]
	right := tls+unknown == 0
	switch {
	case last.Refused && last.Why == protocol.ReasonTLS:
		right = tls == 1 && unknown == 0
	case last.Refused:
		right = tls == 0 && unknown == 1
	case last == protocol.Verdict{} || last.Undecided:
		right = tls == 0 && unknown == 0 || tls == 1 && unknown == 0 // hellos are being read
	}
	if !right {
		w.Fatalf("seed %d: %d TLS, %d unknown, the kernel was told %+v", seed, tls, unknown, last)
	}
}
