package http2_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/grpc"
	"github.com/toposcope/toposcope/protocol/http2"
	"github.com/toposcope/toposcope/protocol/http2/http2test"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

// wire is a connection to a tracker of its own.
type wire struct {
	t      *testing.T
	track  *protocol.Tracker
	sink   *outcomes
	encode func(protocol.Side, string) ([]byte, error)
	seq    uint64
	off    [2]uint64
	now    time.Time
}

// outcomes counts exchanges by protocol, outcome and error.
type outcomes struct {
	exchanges map[string]int
	gaps      uint64
	refused   bool
}

func (o *outcomes) Exchange(x *protocol.Exchange) {
	o.exchanges[fmt.Sprintf("%s %s %s", x.Protocol.Name, x.Outcome, x.Error)]++
}
func (o *outcomes) Gap(_ event.ConnID, _ string, n uint64) { o.gaps += n }
func (o *outcomes) SetVerdict(_ event.ConnID, v protocol.Verdict) {
	o.refused = o.refused || v.Refused
}

func newWire(t *testing.T) *wire {
	o := &outcomes{exchanges: map[string]int{}}
	w := &wire{t: t, sink: o, encode: http2test.Encoder(), now: time.Unix(1e9, 0)}
	w.track = protocol.NewTracker([]*protocol.Spec{http2.Spec(grpc.Layer{}), grpc.Spec()}, protocol.Config{}, o, o)
	w.track.Handle(&event.Opened{Conn: 1, Role: event.RoleClient, Time: w.now})
	w.say(event.Sent, "preface ; settings")
	w.say(event.Received, "settings")
	return w
}

func (w *wire) send(d event.Dir, data []byte) {
	w.now = w.now.Add(time.Microsecond)
	w.track.Handle(&event.Segment{Conn: 1, Dir: d, Seq: w.seq, Off: w.off[d], Data: data, Size: len(data), Time: w.now})
	w.seq++
	w.off[d] += uint64(len(data))
}

func (w *wire) say(d event.Dir, line string) {
	side := protocol.ClientSide
	if d == event.Received {
		side = protocol.ServerSide
	}
	data, err := w.encode(side, line)
	if err != nil {
		w.t.Fatal(err)
	}
	w.send(d, data)
}

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	n := len(payload)
	f := []byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}
	return append(binary.BigEndian.AppendUint32(f, stream), payload...)
}

// works checks that the connection is still decoded, with nothing held.
func (w *wire) works(stream int) {
	w.t.Helper()
	before := w.sink.exchanges["http2 ok "]
	w.say(event.Sent, fmt.Sprintf("headers %d end :method=GET :scheme=http :path=/ok :authority=x", stream))
	w.say(event.Received, fmt.Sprintf("headers %d end :status=200", stream))
	if w.sink.exchanges["http2 ok "] != before+1 {
		w.t.Errorf("the connection is decoded no more: %v, refused %v", w.sink.exchanges, w.sink.refused)
	}
	w.track.Tick(w.now)
	if held := w.track.Counters().BufferedBytes; held != 0 {
		w.t.Errorf("%d bytes are held", held)
	}
}

// TestRapidReset (CVE-2023-44487): many requests, each broken off at once.
func TestRapidReset(t *testing.T) {
	w := newWire(t)
	const requests = 20000
	heapBefore := protocoltest.Heap()
	for i := range requests {
		w.say(event.Sent, fmt.Sprintf("headers %d end :method=GET :scheme=http :path=/x :authority=x ; rst %[1]d 8", 2*i+1))
	}
	if n := w.sink.exchanges["http2 failed unanswered"]; n != requests {
		t.Errorf("%d of %d: %v", n, requests, w.sink.exchanges)
	}
	if grown := int64(protocoltest.Heap()) - int64(heapBefore); grown > 1<<20 {
		t.Errorf("grew by %d bytes", grown)
	}
	w.works(2*requests + 1)
}

// TestOpenStreams: many requests that are never answered.
func TestOpenStreams(t *testing.T) {
	w := newWire(t)
	const requests = 20000
	for i := range requests {
		w.say(event.Sent, fmt.Sprintf("headers %d :method=POST :scheme=http :path=/s.S/M :authority=x content-type=application/grpc", 2*i+1))
	}
	w.works(2*requests + 1)
	const late = 2*requests - 1 // among the newest
	w.say(event.Received, fmt.Sprintf("headers %d end :status=200 grpc-status=5", late))
	if n := w.sink.exchanges["grpc rejected NOT_FOUND"]; n != 1 {
		t.Errorf("%v", w.sink.exchanges)
	}
}

// TestHeaderBomb: a small block that stands for a large header, over and over.
func TestHeaderBomb(t *testing.T) {
	w := newWire(t)
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	_ = enc.WriteField(hpack.HeaderField{Name: "user-agent", Value: strings.Repeat("a", 3900)})
	bomb := append(block.Bytes(), bytes.Repeat([]byte{0x80 | 62}, 16000-block.Len())...)
	for i := range 200 {
		w.send(event.Sent, frame(1, 5, uint32(2*i+1), append([]byte{0x82, 0x86, 0x84}, bomb...)))
		w.say(event.Received, fmt.Sprintf("headers %d end :status=200", 2*i+1))
	}
	if n := w.sink.exchanges["http2 ok "]; n != 200 {
		t.Errorf("%v", w.sink.exchanges)
	}
}

// TestLongBlocks: header blocks that do not end, and such as are too long to be read.
func TestLongBlocks(t *testing.T) {
	w := newWire(t)
	w.send(event.Sent, frame(1, 0, 1, []byte{0x82}))
	before := protocoltest.Heap()
	for range 3000 {
		w.send(event.Sent, frame(9, 0, 1, bytes.Repeat([]byte{0x82}, 1000)))
	}
	if grown := int64(protocoltest.Heap()) - int64(before); grown > 1<<20 {
		t.Errorf("grew by %d bytes", grown)
	}
	w.send(event.Sent, frame(9, 4, 1, []byte{0x86}))
	w.say(event.Received, "headers 1 end :status=500")
	if n := w.sink.exchanges["http2 failed 500"]; n != 1 {
		t.Errorf("%v", w.sink.exchanges)
	}
	w.works(3)
}

// TestLargeFrames: frames of 16 MiB, where the other end allows them and where not, are taken by their length.
func TestLargeFrames(t *testing.T) {
	w := newWire(t)
	w.say(event.Received, "settings frame=16777215")
	w.say(event.Sent, "headers 1 :method=PUT :scheme=http :path=/ :authority=x")
	for range 3 {
		f := frame(0, 0, 1, nil)
		f[0], f[1], f[2] = 0xff, 0xff, 0xff
		w.send(event.Sent, f)
		for left := 1<<24 - 1; left > 0; left -= 1 << 20 {
			w.send(event.Sent, make([]byte, min(left, 1<<20)))
		}
	}
	f := frame(1, 5, 3, nil)
	f[0] = 0x10 // a header of 1 MiB
	w.send(event.Sent, f)
	for range 1 << 4 {
		w.send(event.Sent, make([]byte, 1<<16))
	}
	w.say(event.Sent, "data 1 end")
	w.say(event.Received, "headers 1 end :status=200 ; headers 3 end :status=431")
	if w.sink.exchanges["http2 ok "] != 1 || w.sink.exchanges["http2 rejected 431"] != 1 {
		t.Errorf("%v", w.sink.exchanges)
	}
	w.works(5)
}

// TestWindowGames: settings, windows, pings and priorities by the thousand cost nothing.
func TestWindowGames(t *testing.T) {
	w := newWire(t)
	before := protocoltest.Heap()
	for range 5000 {
		w.say(event.Sent, "window 0 1 ; window 1 2147483647 ; settings window=1 ; priority 7 ; ping ; settings ack ; unknown 0")
		w.say(event.Received, "ping ack ; settings ack ; window 9 1 ; goaway 2147483647 0")
	}
	if grown := int64(protocoltest.Heap()) - int64(before); grown > 1<<18 {
		t.Errorf("grew by %d bytes", grown)
	}
	w.works(1)
}

// TestGoAwayForever: a server that takes nothing, and a client that goes on.
func TestGoAwayForever(t *testing.T) {
	w := newWire(t)
	w.say(event.Received, "goaway 0 0")
	const requests = 5000
	for i := range requests {
		w.say(event.Sent, fmt.Sprintf("headers %d end :method=GET :scheme=http :path=/ :authority=x", 2*i+1))
	}
	w.say(event.Received, "ping")
	if n := w.sink.exchanges["http2 failed refused_stream"]; n != requests {
		t.Errorf("%d of %d: %v", n, requests, w.sink.exchanges)
	}
}

// TestLargeRequests: requests of a few bytes each, which stand for large fields, and which are never answered. What they speak is
// known, or is not, since one field is of an entry that nobody has seen.
func TestLargeRequests(t *testing.T) {
	for _, unseen := range []bool{false, true} {
		t.Run(fmt.Sprintf("unseen %v", unseen), func(t *testing.T) {
			w := newWire(t)
			var block bytes.Buffer
			enc := hpack.NewEncoder(&block)
			enc.SetMaxDynamicTableSizeLimit(1 << 16)
			enc.SetMaxDynamicTableSize(1 << 16)
			again := []byte{0x83, 0x86} // POST, http
			for i, name := range []string{"user-agent", "host", "traceparent", ":path", ":authority", "grpc-timeout", "grpc-status"} {
				_ = enc.WriteField(hpack.HeaderField{Name: name, Value: strings.Repeat("a", 3900)})
				again = append(again, byte(0x80|62+i))
			}
			if unseen {
				again = append(again, 0xff, 0x80, 0x10)
			}
			w.send(event.Sent, frame(1, 0, 1, block.Bytes()[:1<<14]))
			w.send(event.Sent, frame(9, 4, 1, block.Bytes()[1<<14:]))
			before := protocoltest.Heap()
			const requests = 2000
			for i := range requests {
				w.send(event.Sent, frame(1, 4, uint32(2*i+3), again))
			}
			if grown := int64(protocoltest.Heap()) - int64(before); grown > 4<<20 {
				t.Errorf("grew by %d bytes", grown)
			}
			w.works(2*requests + 3)
		})
	}
}
