package http2_test

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/grpc"
	"github.com/toposcope/toposcope/protocol/http2"
	"github.com/toposcope/toposcope/protocol/http2/http2test"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

// discard is a Sink that counts.
type discard struct{ exchanges, gaps int }

func (d *discard) Exchange(*protocol.Exchange)             { d.exchanges++ }
func (d *discard) Gap(event.ConnID, string, uint64)        { d.gaps++ }
func (*discard) SetVerdict(event.ConnID, protocol.Verdict) {}

func newTracker(s *discard) *protocol.Tracker {
	return protocol.NewTracker([]*protocol.Spec{http2.Spec(grpc.Layer{}), grpc.Spec()}, protocol.Config{}, s, s)
}

// call is a connection with one unary call after the other, as grpc-go makes them; segments and buffers are used again.
type call struct {
	encode  func(from protocol.Side, line string) []byte
	frames  [2][]byte // of a call that says nothing anew
	streams [2][]int  // where stream IDs are in frames
	segment event.Segment
	off     [2]uint64
	id      uint32
	now     time.Time
}

func newCall(tb testing.TB, conn event.ConnID, at time.Time) *call {
	enc := http2test.Encoder()
	c := &call{now: at, segment: event.Segment{Conn: conn, Turns: true, Task: event.Task{PID: 1, TID: 1, Start: 1}}}
	c.encode = func(from protocol.Side, line string) []byte {
		data, err := enc(from, line)
		if err != nil {
			tb.Fatal(err)
		}
		return data
	}
	return c
}

const (
	askLine = "headers %d :method=POST :scheme=http :path=/shop.Cart/Add :authority=cart:50051 content-type=application/grpc " +
		"user-agent=grpc-go/1.77.0 te=trailers ; data %[1]d end msg=" + body
	answerLine = "headers %d :status=200 content-type=application/grpc ; data %[1]d msg=" + body +
		" ; headers %[1]d end grpc-status=0 grpc-message="
	body = "0123456789012345678901234567890123456789012345678901234567890123456789"
)

// open sends the connection's beginning and the first call, after which calls repeat.
func (c *call) open(t *protocol.Tracker) {
	t.Handle(&event.Opened{Conn: c.segment.Conn, Role: event.RoleClient, Time: c.now, Flow: event.Flow{
		Local: netip.MustParseAddrPort("10.0.0.1:40000"), Remote: netip.MustParseAddrPort("10.0.0.2:50051"),
	}})
	c.send(t, event.Sent, c.encode(protocol.ClientSide, "preface ; settings ; "+fmt.Sprintf(askLine, 1)+" ; settings ack"))
	c.send(t, event.Received, c.encode(protocol.ServerSide, "settings ; settings ack ; "+fmt.Sprintf(answerLine, 1)))
	c.frames[event.Sent] = c.encode(protocol.ClientSide, fmt.Sprintf(askLine, 3))
	c.frames[event.Received] = c.encode(protocol.ServerSide, fmt.Sprintf(answerLine, 3))
	for d := range c.frames {
		for at := 0; at < len(c.frames[d]); {
			c.streams[d] = append(c.streams[d], at+5)
			at += 9 + int(c.frames[d][at])<<16 + int(c.frames[d][at+1])<<8 + int(c.frames[d][at+2])
		}
	}
	c.id = 3
}

func (c *call) send(t *protocol.Tracker, d event.Dir, data []byte) {
	s := &c.segment
	if s.Seq > 0 && s.Dir != d {
		s.Turn++
	}
	s.Dir, s.Data, s.Size, s.Off, s.Time = d, data, len(data), c.off[d], c.now
	t.Handle(s)
	s.Seq++
	c.off[d] += uint64(len(data))
	c.now = c.now.Add(time.Millisecond)
}

// stamp writes the stream's ID into frames.
func (c *call) stamp(d event.Dir) []byte {
	for _, at := range c.streams[d] {
		f := c.frames[d]
		f[at], f[at+1], f[at+2], f[at+3] = byte(c.id>>24), byte(c.id>>16), byte(c.id>>8), byte(c.id)
	}
	return c.frames[d]
}

func (c *call) exchange(t *protocol.Tracker) {
	c.send(t, event.Sent, c.stamp(event.Sent))
	c.send(t, event.Received, c.stamp(event.Received))
	if c.id += 2; c.id > 1<<30 {
		c.id = 5
	}
}

// BenchmarkTracker is the whole path of a unary call: two segments in, one exchange out.
func BenchmarkTracker(b *testing.B) {
	for _, conns := range []int{1, 1000} {
		b.Run("conns="+strconv.Itoa(conns), func(b *testing.B) {
			sink := &discard{}
			t := newTracker(sink)
			var all []*call
			for i := range conns {
				c := newCall(b, event.ConnID(i+1), time.Unix(1e9, 0))
				c.open(t)
				c.exchange(t)
				all = append(all, c)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				all[i%conns].exchange(t)
			}
			if want := b.N + 2*conns; sink.exchanges != want || sink.gaps != 0 {
				b.Fatalf("%d exchanges and %d gaps of %d", sink.exchanges, sink.gaps, want)
			}
		})
	}
}

// BenchmarkParser is the parser alone, on the frames of a unary call.
func BenchmarkParser(b *testing.B) {
	t := newTracker(&discard{})
	c := newCall(b, 1, time.Unix(1e9, 0))
	p := http2.Spec(grpc.Layer{}).New()
	ch := &protocol.Chunk{Message: &protocol.Message{}}
	feed := func(d event.Dir, data []byte) {
		ch.Dir, ch.First, ch.Last = d, c.now, c.now
		for len(data) > 0 {
			ch.Data = data
			n, m, err := p.Next(ch)
			if err != nil || n == 0 && m == nil {
				b.Fatal(n, err)
			}
			data = data[n:]
		}
	}
	feed(event.Sent, c.encode(protocol.ClientSide, "preface ; settings ; "+fmt.Sprintf(askLine, 1)))
	feed(event.Received, c.encode(protocol.ServerSide, "settings ; "+fmt.Sprintf(answerLine, 1)))
	c.open(t) // which makes the frames
	feed(event.Sent, c.stamp(event.Sent))
	feed(event.Received, c.stamp(event.Received))
	b.ReportAllocs()
	b.SetBytes(int64(len(c.frames[0]) + len(c.frames[1])))
	b.ResetTimer()
	for range b.N {
		c.id += 2
		feed(event.Sent, c.stamp(event.Sent))
		feed(event.Received, c.stamp(event.Received))
	}
}

// BenchmarkFramer is golang.org/x/net/http2 on the same frames: its Framer with header decoding.
func BenchmarkFramer(b *testing.B) {
	c := newCall(b, 1, time.Unix(1e9, 0))
	c.open(newTracker(&discard{}))
	warm := newCall(b, 1, c.now)
	var in [2]bytes.Reader
	var framers [2]*xhttp2.Framer
	for d, line := range []string{fmt.Sprintf(askLine, 1), fmt.Sprintf(answerLine, 1)} {
		framers[d] = xhttp2.NewFramer(io.Discard, &in[d])
		framers[d].SetReuseFrames()
		framers[d].ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		in[d].Reset(warm.encode(protocol.Side(d), line))
		read(b, framers[d])
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(c.frames[0]) + len(c.frames[1])))
	b.ResetTimer()
	for range b.N {
		for d := range framers {
			in[d].Reset(c.frames[d])
			read(b, framers[d])
		}
	}
}

func read(b *testing.B, f *xhttp2.Framer) {
	for {
		if _, err := f.ReadFrame(); err == io.EOF {
			return
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIdleConnection measures what a connection costs that has had calls and is idle.
func BenchmarkIdleConnection(b *testing.B) {
	const conns = 5000
	c := newCall(b, 1, time.Unix(1e9, 0))
	c.open(newTracker(&discard{}))
	fresh := newCall(b, 1, c.now)
	first := [2][]byte{
		fresh.encode(protocol.ClientSide, "preface ; settings ; "+fmt.Sprintf(askLine, 1)),
		fresh.encode(protocol.ServerSide, "settings ; settings ack ; "+fmt.Sprintf(answerLine, 1)),
	}
	for range b.N {
		sink := &discard{}
		t := newTracker(sink)
		before := protocoltest.Heap()
		for i := range conns {
			c.segment.Conn, c.segment.Seq, c.segment.Turn, c.off, c.id = event.ConnID(i+1), 0, 0, [2]uint64{}, 3
			t.Handle(&event.Opened{Conn: c.segment.Conn, Role: event.RoleClient, Time: c.now})
			c.send(t, event.Sent, first[event.Sent])
			c.send(t, event.Received, first[event.Received])
			c.exchange(t)
		}
		b.ReportMetric(float64(protocoltest.Heap()-before)/conns, "B/conn")
		if sink.exchanges != 2*conns {
			b.Fatal(sink.exchanges)
		}
		runtime.KeepAlive(t)
	}
}
