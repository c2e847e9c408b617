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

func TestMaxBuffer(t *testing.T) {
	w := newWire(t, protocol.Config{MaxBuffer: 4096}).client()
	w.send("GET /long HTTP/1.1\r\n")
	for range 100 {
		w.send("X-Pad: " + strings.Repeat("p", 100) + "\r\n")
		w.tick(0)
		if n := w.tracker.Counters().BufferedBytes; n > 2*4096 {
			t.Fatalf("%d bytes are held", n)
		}
	}
	w.send("\r\n")
	w.recv(ok("/long"))
	w.get("/next")
	w.tick(time.Hour)
	w.want("/long 200", "/next 200")
	c := w.tracker.Counters()
	if c.EvictedBuffers != 1 || c.BufferedBytes != 0 {
		t.Errorf("%d buffers evicted, %d bytes held", c.EvictedBuffers, c.BufferedBytes)
	}
}

func TestMaxHeld(t *testing.T) {
	w := newWire(t, protocol.Config{MaxHeld: 64 << 10})
	for id := event.ConnID(1); id <= 1000; id++ {
		w.id, w.seq, w.off = id, 0, [2]uint64{}
		w.client()
		w.send("GET /open HTTP/1.1\r\nCookie: " + strings.Repeat("c", 1000))
	}
	w.tick(0)
	c := w.tracker.Counters()
	if c.BufferedBytes > 65<<10 || c.EvictedBuffers == 0 {
		t.Errorf("%d bytes held, %d buffers evicted", c.BufferedBytes, c.EvictedBuffers)
	}
}

func TestMaxHeldWhileReordering(t *testing.T) {
	w := newWire(t, protocol.Config{ReorderBytes: 10 << 10}).client()
	w.get("/a")
	w.seg(out, get("/lost"))
	for range 60 {
		w.recv(strings.Repeat("x", 1000))
		w.tick(0)
		if n := w.tracker.Counters().BufferedBytes; n > 12<<10 {
			t.Fatalf("%d bytes are held", n)
		}
	}
}

func TestMaxPipelined(t *testing.T) {
	w := newWire(t, protocol.Config{MaxPipelined: 10}).client()
	for range 25 {
		w.send(get("/a"))
	}
	for range 25 {
		w.recv(ok("/a"))
	}
	if n := w.tracker.Counters().EvictedRequests; n == 0 {
		t.Error("no request evicted")
	}
	w.want()
	w.tick(2 * time.Second)
	w.get("/b")
	w.want("/b 200")
	w.wantGaps(25)
}

func TestMaxConns(t *testing.T) {
	w := newWire(t, protocol.Config{MaxConns: 100})
	for id := event.ConnID(1); id <= 1000; id++ {
		w.id, w.seq, w.off = id, 0, [2]uint64{}
		w.client()
		w.get("/a")
	}
	c := w.tracker.Counters()
	if c.Connections != 100 || c.EvictedConnections != 900 || len(w.got) != 1000 {
		t.Errorf("%d connections, %d evicted, %d exchanges", c.Connections, c.EvictedConnections, len(w.got))
	}
}

func TestStragglersDoNotReviveConnections(t *testing.T) {
	w := newWire(t, protocol.Config{}).client()
	w.send(get("/a"))
	lost := w.seg(in, ok("/a"))
	w.handle(w.closed())
	w.tick(time.Second)
	w.handle(lost)
	c := w.tracker.Counters()
	if c.Connections != 0 || c.Late != 1 {
		t.Errorf("%d connections, %d late", c.Connections, c.Late)
	}
}

// TestIdleMemory bounds what 10,000 idle connections hold.
func TestIdleMemory(t *testing.T) {
	w := newWire(t, protocol.Config{})
	for id := event.ConnID(1); id <= 10000; id++ {
		w.id, w.seq, w.off = id, 0, [2]uint64{}
		w.client()
		w.get("/a")
	}
	w.tick(0)
	if n := w.tracker.Counters().BufferedBytes; n != 0 {
		t.Errorf("%d bytes are buffered", n)
	}
}

// FuzzTracker feeds scripts of segments with any offsets, numbers and lengths.
func FuzzTracker(f *testing.F) {
	f.Add(uint64(1), []byte("GET / HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add(uint64(2), []byte("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"), []byte("HTTP/1.1 100 X\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"))
	f.Add(uint64(3), []byte("CONNECT a:1 HTTP/1.1\r\n\r\n\x16\x03\x01"), []byte("HTTP/1.1 200 OK\r\n\r\n? 1 a\n! 2 b\n^ http\n"))
	f.Add(uint64(4), []byte("? 1 a\n? 2 b\n~ 3 c\n"), []byte("! 2 b\n! 1 a\n^ toy\n"))
	f.Fuzz(func(t *testing.T, seed uint64, sent, received []byte) {
		const maxBuffer, maxHeld = 512, 4096
		r := rand.New(rand.NewPCG(seed, 0))
		w := newWire(t, protocol.Config{MaxBuffer: maxBuffer, MaxHeld: maxHeld, MaxPipelined: 4, MaxConns: 3, MaxPeers: 2, ReorderEvents: 8, ReorderBytes: maxBuffer},
			http1.Spec(), toySpec("toy", protocol.ByID))
		streams := [2][]byte{sent, received}
		var pos [2]int
		for step := range 200 {
			w.id = event.ConnID(1 + r.IntN(5)/4)
			d := event.Dir(r.IntN(2))
			if r.IntN(8) == 0 && step == 0 {
				w.open(event.Role(r.IntN(3)), r.IntN(2) == 0)
			}
			n := min(r.IntN(40), len(streams[d])-pos[d])
			s := w.seg(d, string(streams[d][pos[d]:pos[d]+n]))
			if pos[d] += n; pos[d] == len(streams[d]) {
				pos[d] = 0
			}
			mangle(r, s)
			switch r.IntN(40) {
			case 0: // lost
			case 1:
				w.handle(&event.Closed{Conn: w.id, Seq: w.seq + uint64(r.IntN(3)), Sent: w.off[0], Received: r.Uint64(), Time: w.now})
			default:
				w.handle(s)
			}
			w.tick(time.Duration(r.IntN(40)) * time.Millisecond)
			if held := w.tracker.Counters().BufferedBytes; held > 3*maxHeld {
				t.Fatalf("%d bytes are held", held)
			}
		}
		w.tick(time.Hour)
		c := w.tracker.Counters()
		if c.Connections < 0 || c.Connections > 3 || c.BufferedBytes < 0 || w.took < 0 {
			t.Fatalf("%+v, last took %v", c, w.took)
		}
	})
}

// mangle makes some segments what a kernel might, and some what it should not.
func mangle(r *rand.Rand, s *event.Segment) {
	switch r.IntN(30) {
	case 0:
		s.Off += uint64(r.IntN(50))
	case 1:
		s.Off -= uint64(r.IntN(50))
	case 2:
		s.Seq += uint64(r.IntN(4))
	case 3:
		s.Seq -= uint64(r.IntN(4))
	case 4:
		s.Size += r.IntN(1000)
	case 5:
		if n := len(s.Data); n > 2 {
			s.Tail = s.Data[n/2:]
			s.Data = s.Data[:n/3]
		}
	case 6:
		s.Size = -s.Size
	case 7:
		s.Datagram = true
	case 8:
		s.Time = s.Time.Add(-time.Duration(r.IntN(1000)) * time.Millisecond)
	case 9:
		s.Source = event.Source(r.IntN(3))
	case 10:
		s.Off = r.Uint64()
	case 11:
		s.Task = event.Task{}
	}
}
