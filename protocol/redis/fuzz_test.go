package redis_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/protocoltest"
	"github.com/toposcope/toposcope/protocol/redis"
)

// texts is a Sink that writes exchanges down in full.
type texts struct {
	lines   []string
	refused bool
}

func (s *texts) Exchange(x *protocol.Exchange) {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %q %d %v %v", x.Outcome, x.Error, x.Request.Size, x.Waiting(), x.Request.Upkeep)
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

// answered are the exchanges with an answer. Whether one that has none is known to have none, or the answer may have been in what
// was passed over, depends on where calls cut what came beside.
func (s *texts) answered() (list []string) {
	for _, l := range s.lines {
		if !strings.HasPrefix(l, `failed "unanswered"`) {
			list = append(list, l)
		}
	}
	return list
}

// pieces are calls as fuzzers see them: a byte with the direction, two with the length, the bytes.
func pieces(data []byte) (out []event.Segment) {
	for len(data) >= 3 {
		n := min(int(data[1])<<8|int(data[2]), len(data)-3)
		out = append(out, event.Segment{Dir: event.Dir(data[0] & 1), Data: data[3 : 3+n], Time: time.Unix(1e9+int64(len(out)), 0)})
		data = data[3+n:]
	}
	return out
}

// drive has a tracker read calls, each in parts of at most most bytes.
func drive(spec *protocol.Spec, list []event.Segment, most int, existing bool) (*texts, protocol.Counters) {
	s := &texts{}
	t := protocol.NewTracker([]*protocol.Spec{spec}, protocol.Config{}, s, s)
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

// seeds are the transcripts.
func seeds(tb testing.TB, add func(data []byte)) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		tb.Fatal("no transcripts", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		tr, err := protocoltest.Parse(file, text, encode)
		if err != nil {
			tb.Fatal(err)
		}
		var data []byte
		for _, s := range tr.Segments {
			d := byte(event.Sent)
			if !s.FromClient {
				d = byte(event.Received)
			}
			n := min(len(s.Data), 1<<12)
			data = append(data, d, byte(n>>8), byte(n))
			data = append(data, s.Data[:n]...)
		}
		add(data)
	}
}

// FuzzTracker: any bytes are taken without a panic and without a rest, and are read the same wherever calls cut them.
func FuzzTracker(f *testing.F) {
	seeds(f, func(data []byte) {
		f.Add(data, uint16(1), false)
		f.Add(data, uint16(7), true)
	})
	specs := []*protocol.Spec{redis.Spec(protocol.Options{}), redis.Spec(protocol.Options{TextLimit: limit, Values: true})}
	f.Fuzz(func(t *testing.T, data []byte, most uint16, existing bool) {
		for i, spec := range specs {
			list := pieces(data)
			whole, cw := drive(spec, list, 1<<20, existing)
			split, cs := drive(spec, list, max(int(most), 1), existing)
			if cw.BufferedBytes != 0 || cs.BufferedBytes != 0 {
				t.Errorf("%d and %d bytes are held", cw.BufferedBytes, cs.BufferedBytes)
			}
			// After an error, and in search of a beginning, it matters where a call begins; and values are waited for, while
			// an answer may come before them.
			if i > 0 || existing || whole.refused || split.refused || cw.ParseErrors[redis.Name]+cs.ParseErrors[redis.Name] > 0 ||
				cw.StreamGaps[redis.Name]+cs.StreamGaps[redis.Name] > 0 || len(list) == 0 || list[0].Dir != event.Sent ||
				spec.Sniff(event.Sent, list[0].Data) != protocol.Yes {
				continue
			}
			if a, b := strings.Join(whole.answered(), "\n"), strings.Join(split.answered(), "\n"); a != b {
				t.Errorf("whole:\n%s\nin calls of %d:\n%s", a, most, b)
			}
		}
	})
}

// FuzzParser: whatever comes, a parser keeps to the rules of its interface, and holds next to nothing.
func FuzzParser(f *testing.F) {
	seeds(f, func(data []byte) { f.Add(data, uint8(0)) })
	for _, s := range sniffs {
		f.Add([]byte("\x00\x00"+s.bytes), uint8(1))
	}
	specs := []*protocol.Spec{
		redis.Spec(protocol.Options{TextLimit: limit}), redis.Spec(protocol.Options{TextLimit: limit, Values: true}),
	}
	f.Fuzz(func(t *testing.T, data []byte, then uint8) {
		p := specs[then&1].New()
		m := &protocol.Message{}
		asked := &protocol.Message{}
		for i, call := range pieces(data) {
			c := &protocol.Chunk{Dir: call.Dir, Data: call.Data, Message: m, Call: true, Turn: i%2 == 0, Request: asked}
			if i%3 == 0 {
				c.Request = nil
			}
			if i%5 == int(then)%5 {
				if n, ok := p.Resync(c); n < 0 || n > len(c.Data) || ok && n != 0 {
					t.Errorf("resync %d %v of %d", n, ok, len(c.Data))
				}
			}
			for steps := 0; ; steps++ {
				n, got, err := p.Next(c)
				if n < 0 || steps > len(call.Data)+2 {
					t.Fatalf("%d bytes, step %d", n, steps)
				}
				if got != nil {
					bounded(t, got)
					if got.Kind == protocol.Request {
						asked.Form = got.Form
					}
				}
				if err != nil || n == 0 && got == nil || n >= len(c.Data) {
					break
				}
				c.Data = c.Data[n:]
			}
			c.Then, c.Missing = protocol.Hole, uint64(then)
			p.Next(c) //nolint:errcheck // it must not panic
		}
	})
}

// bounded wants that nothing of a message is longer, or other, than it may be.
func bounded(t *testing.T, m *protocol.Message) {
	for i := range m.Attrs.Len() {
		k, v := m.Attrs.At(i)
		if len(v) > limit {
			t.Errorf("%s has %d bytes", k, len(v))
		}
		for _, b := range v {
			if b < ' ' || b > '~' {
				t.Errorf("%s is %q", k, v)
				break
			}
		}
	}
}
