package mysql_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/mysql"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

// seeds are the transcripts, as fuzzers see them: of each call a byte with the direction and what comes after, two with the length,
// the bytes.
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
		tr, err := protocoltest.Parse(file, text, newEncoder().encode)
		if err != nil {
			tb.Fatal(err)
		}
		var data []byte
		for _, s := range tr.Segments {
			if s.Hidden > 0 || len(s.Data) > 0xffff {
				continue
			}
			d := byte(event.Received)
			if s.FromClient {
				d = byte(event.Sent)
			}
			data = append(append(data, d|8, byte(len(s.Data)>>8), byte(len(s.Data))), s.Data...)
		}
		add(data)
	}
}

// FuzzParser hands a parser whatever there is, in any state, and holds it to the rules of protocol.Parser.
func FuzzParser(f *testing.F) {
	seeds(f, func(data []byte) { f.Add(data) })
	f.Fuzz(func(t *testing.T, data []byte) {
		p := mysql.Spec(options).New()
		var asked *protocol.Message
		for len(data) >= 3 {
			n := min(int(data[1])<<8|int(data[2]), len(data)-3)
			c := &protocol.Chunk{
				Dir: event.Dir(data[0] & 1), Then: protocol.Then(data[0] >> 1 & 3), Data: data[3 : 3+n], Call: true, Turn: data[0]&8 != 0,
				Message: &protocol.Message{}, Request: asked,
			}
			if c.Then == protocol.Hole {
				c.Missing = uint64(data[0]) << 4
			}
			if data[0]&16 != 0 {
				if at, _ := p.Resync(c); at < 0 || at > len(c.Data) {
					t.Fatalf("resync at %d of %d", at, len(c.Data))
				}
			}
			asked = walk(t, p, c, asked)
			data = data[3+n:]
		}
	})
}

// walk calls p on c until it wants more, and returns the request that is asked last.
func walk(t *testing.T, p protocol.Parser, c *protocol.Chunk, asked *protocol.Message) *protocol.Message {
	for idle := 0; idle < 8; {
		c.Message = &protocol.Message{}
		n, m, err := p.Next(c)
		var upgrade *protocol.Upgrade
		if n < 0 || n > len(c.Data)+int(c.Missing)+1<<25 || err != nil && !errors.Is(err, protocol.ErrSyntax) && !errors.As(err, &upgrade) {
			t.Fatalf("%d of %d bytes, %v", n, len(c.Data), err)
		}
		if err != nil || n == 0 && m == nil || n >= len(c.Data) {
			break
		}
		if m != nil && m.Kind == protocol.Request && m.Part != protocol.PartEnd {
			asked = m
			c.Request = m
		}
		if n == 0 {
			idle++
		}
		c.Data = c.Data[n:]
		c.Turn, c.Call = false, false
	}
	return asked
}

// FuzzTracker has a tracker read calls and holds it to its bounds.
func FuzzTracker(f *testing.F) {
	seeds(f, func(data []byte) { f.Add(data, false) })
	f.Fuzz(func(t *testing.T, data []byte, existing bool) {
		s := newSeen()
		tr := protocol.NewTracker([]*protocol.Spec{mysql.Spec(options)}, protocol.Config{}, nil, s)
		tr.Handle(&event.Opened{Conn: 1, Role: event.RoleClient, Existing: existing})
		var off [2]uint64
		seq, now := uint64(0), time.Unix(1e9, 0)
		for len(data) >= 3 {
			n := min(int(data[1])<<8|int(data[2]), len(data)-3)
			d := event.Dir(data[0] & 1)
			now = now.Add(time.Duration(data[0]>>4) * time.Millisecond)
			size := n
			if data[0]&6 == 6 {
				size += 1000
			}
			tr.Handle(&event.Segment{Conn: 1, Dir: d, Seq: seq, Off: off[d], Data: data[3 : 3+n], Size: size, Time: now})
			seq, off[d], data = seq+1, off[d]+uint64(size), data[3+n:]
		}
		tr.Handle(&event.Closed{Conn: 1, Seq: seq, Sent: off[event.Sent], Received: off[event.Received], Time: now})
		tr.Tick(now.Add(time.Hour))
		if c := tr.Counters(); c.BufferedBytes != 0 {
			t.Fatalf("%d bytes are still held", c.BufferedBytes)
		}
	})
}
