package postgresql_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/postgresql"
)

// pieces are what the two ends send in calls, as fuzzers see it: a byte with the direction and a time, two with the length, the bytes.
func pieces(data []byte) (out []event.Segment) {
	for len(data) >= 3 {
		n := min(int(data[1])<<8|int(data[2]), len(data)-3)
		out = append(out, event.Segment{Dir: event.Dir(data[0] & 1), Data: data[3 : 3+n], Time: time.Unix(1e9, int64(data[0]>>1)*1e6)})
		data = data[3+n:]
	}
	return out
}

func seeds(tb testing.TB, add func(data []byte)) {
	for _, tr := range transcripts(tb) {
		var data []byte
		for _, s := range tr.Segments {
			d := byte(s.At.Milliseconds()) << 1
			if !s.FromClient {
				d |= 1
			}
			n := min(len(s.Data), 4<<10)
			data = append(append(data, d, byte(n>>8), byte(n)), s.Data[:n]...)
		}
		add(data)
	}
}

const fuzzText = 100 // bytes of a statement's text that are kept

// FuzzParser hands a parser any bytes, and the answers any of its own requests: it neither panics nor goes backwards nor stands still, and
// what it returns is bounded.
func FuzzParser(f *testing.F) {
	seeds(f, func(data []byte) { f.Add(data, byte(0)); f.Add(data, byte(5)) })
	f.Fuzz(func(t *testing.T, data []byte, odd byte) {
		p := postgresql.Spec(protocol.Options{TextLimit: fuzzText}).New()
		var asked *protocol.Message
		for i, s := range pieces(data) {
			c := &protocol.Chunk{Dir: s.Dir, Data: s.Data, First: s.Time, Last: s.Time, Message: &protocol.Message{}, Call: true, Turn: true}
			if odd>>1 == byte(i) {
				if n, _ := p.Resync(c); n < 0 || n > len(c.Data) {
					t.Fatal("resync", n)
				}
			}
			for idle := 0; idle < 4; {
				if odd&1 != 0 {
					c.Then = protocol.Then(i % 4)
				}
				c.Request = asked
				n, m, err := p.Next(c)
				if n < 0 || n == 0 && m == nil && err == nil || err != nil {
					break
				}
				if m != nil {
					bounded(t, m)
					if m.Kind == protocol.Request {
						asked = &protocol.Message{Form: m.Form}
					}
				}
				if c.Data = c.Data[min(n, len(c.Data)):]; n == 0 {
					idle++
				}
			}
		}
	})
}

// bounded wants that no attribute is longer than anybody may make it.
func bounded(t *testing.T, m *protocol.Message) {
	for i := range m.Attrs.Len() {
		k, v := m.Attrs.At(i)
		most := 128
		switch k {
		case protocol.DBQueryText:
			most = fuzzText
		case protocol.DBCollection:
			most = 2*64*4 + 1
		}
		if len(v) > most {
			t.Fatalf("%s has %d bytes", k, len(v))
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
		const name = postgresql.Name
		if existing || len(list) == 0 || len(list[0].Data) < 8 || list[0].Data[0] != 0 || list[0].Data[5] != 3 {
			return
		}
		if cw.ParseErrors[name]+cs.ParseErrors[name] > 0 || cw.EvictedBuffers+cs.EvictedBuffers > 0 || cw.EvictedRequests+cs.EvictedRequests > 0 {
			return
		}
		for _, c := range []protocol.Counters{cw, cs} {
			for _, n := range c.Undecoded {
				if n > 0 {
					return
				}
			}
		}
		a, b := lines(whole), lines(split)
		const shaken = "ok +CONNECT"
		if !strings.HasPrefix(a, shaken) || !strings.HasPrefix(b, shaken) || strings.Contains(a+b, protocol.ErrorUnanswered) {
			return // no client sends data before it is asked for; it is a request's for as long as that one is open
		}
		if a != b {
			t.Errorf("whole:\n%s\nin calls of %d:\n%s", a, most, b)
		}
	})
}

func lines(f *finder) string {
	var b strings.Builder
	for i := range f.list {
		x := &f.list[i]
		fmt.Fprintf(&b, "%s %s %v%s\n", x.outcome, x.what(), x.sizes, x.all)
	}
	return b.String()
}

// drive has a tracker read pieces, cut into calls of at most most bytes, and returns what it finds.
func drive(list []event.Segment, most int, existing bool) (*finder, protocol.Counters) {
	f := &finder{}
	t := protocol.NewTracker([]*protocol.Spec{postgresql.Spec(protocol.Options{TextLimit: fuzzText})}, protocol.Config{}, f, f)
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
	return f, c
}
