package http2_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/grpc"
	"github.com/toposcope/toposcope/protocol/http2"
	"github.com/toposcope/toposcope/protocol/http2/http2test"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

// texts is a Sink that writes exchanges down.
type texts struct {
	lines   []string
	refused bool
}

func (s *texts) Exchange(x *protocol.Exchange) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %v %q %d", x.Protocol.Name, x.Outcome, x.Error, x.Request.Size)
	list := []*protocol.Message{x.Request}
	if x.Response != nil {
		fmt.Fprintf(&b, "/%d", x.Response.Size)
		list = append(list, x.Response)
	}
	for _, m := range list {
		for i := range m.Attrs.Len() {
			k, v := m.Attrs.At(i)
			fmt.Fprintf(&b, " %s=%q", k, v)
		}
	}
	s.lines = append(s.lines, b.String())
}
func (*texts) Gap(event.ConnID, string, uint64)                {}
func (s *texts) SetVerdict(_ event.ConnID, v protocol.Verdict) { s.refused = s.refused || v.Refused }

// piece is what one end sends in a call, as fuzzers see it: a byte with the direction and a time, two with the length, the bytes.
func pieces(data []byte) (out []event.Segment) {
	for len(data) >= 3 {
		n := min(int(data[1])<<8|int(data[2]), len(data)-3)
		out = append(out, event.Segment{Dir: event.Dir(data[0] & 1), Data: data[3 : 3+n], Time: time.Unix(1e9, int64(data[0]>>1)*1e6)})
		data = data[3+n:]
	}
	return out
}

// drive has a tracker read pieces, cut into calls of at most most bytes, and returns what it finds.
func drive(list []event.Segment, most int, existing bool) (*texts, protocol.Counters) {
	s := &texts{}
	t := protocol.NewTracker([]*protocol.Spec{http2.Spec(grpc.Layer{}), grpc.Spec()}, protocol.Config{}, s, s)
	t.Handle(&event.Opened{Conn: 1, Role: event.RoleClient, Existing: existing})
	var off [2]uint64
	seq := uint64(0)
	for _, p := range list {
		for len(p.Data) > 0 {
			n := min(len(p.Data), most)
			t.Handle(&event.Segment{Conn: 1, Dir: p.Dir, Seq: seq, Off: off[p.Dir], Data: p.Data[:n], Size: n, Time: p.Time})
			seq, off[p.Dir], p.Data = seq+1, off[p.Dir]+uint64(n), p.Data[n:]
		}
	}
	c := t.Counters()
	t.Handle(&event.Closed{Conn: 1, Seq: seq, Sent: off[event.Sent], Received: off[event.Received]})
	t.Tick(time.Unix(2e9, 0))
	c.BufferedBytes = t.Counters().BufferedBytes
	return s, c
}

// seeds are the transcripts of this package and of gRPC's.
func seeds(tb testing.TB, add func(data []byte)) {
	for _, pattern := range []string{"testdata/*.txt", "../grpc/testdata/*.txt"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			tb.Fatal("no transcripts", err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				tb.Fatal(err)
			}
			tr, err := protocoltest.Parse(file, text, http2test.Encoder())
			if err != nil {
				tb.Fatal(err)
			}
			var data []byte
			for _, s := range tr.Segments {
				d := byte(s.At.Milliseconds()) << 1
				if !s.FromClient {
					d |= 1
				}
				n := min(len(s.Data), 1<<16-1)
				data = append(data, d, byte(n>>8), byte(n))
				data = append(data, s.Data[:n]...)
			}
			add(data)
		}
	}
}

// FuzzTracker: any bytes are taken without a panic and without a rest, and are read the same wherever calls cut them.
func FuzzTracker(f *testing.F) {
	seeds(f, func(data []byte) {
		f.Add(data, uint16(1), false)
		f.Add(data, uint16(100), true)
	})
	f.Fuzz(func(t *testing.T, data []byte, most uint16, existing bool) {
		list := pieces(data)
		whole, cw := drive(list, 1<<20, existing)
		split, cs := drive(list, max(int(most), 1), existing)
		if cw.BufferedBytes != 0 || cs.BufferedBytes != 0 {
			t.Errorf("%d and %d bytes are held", cw.BufferedBytes, cs.BufferedBytes)
		}
		// After an error, and in search of a beginning, it matters where a call begins.
		if existing || len(list) == 0 || !bytes.HasPrefix(list[0].Data, []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) {
			return
		}
		if whole.refused || split.refused || cw.ParseErrors[http2.Name]+cs.ParseErrors[http2.Name] > 0 || cw.EvictedBuffers+cs.EvictedBuffers > 0 {
			return
		}
		if a, b := strings.Join(whole.lines, "\n"), strings.Join(split.lines, "\n"); a != b {
			t.Errorf("whole:\n%s\nin calls of %d:\n%s", a, most, b)
		}
	})
}
