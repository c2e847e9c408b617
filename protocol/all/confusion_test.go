package all_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

// sniffers are those of the protocols that are spoken over streams.
func sniffers() []*protocol.Spec {
	return slices.DeleteFunc(known(new(string)), func(s *protocol.Spec) bool {
		return s.Over == protocol.OverDatagram || s.Carrier != ""
	})
}

// TestConfusionMatrix asks every protocol's Sniff about every segment of the corpus, every beginning of it and what is left of it at
// any byte. No protocol may say Yes to what is not its own. With -v it prints, for each row of the corpus, how many of its segments
// each protocol knows (Yes), and of how many it waits for more although they end (More).
func TestConfusionMatrix(t *testing.T) {
	specs := sniffers()
	type cell struct{ yes, more int }
	rows, cells, segments := []string{}, map[string][]cell{}, map[string]int{}
	for _, b := range beginnings(t) {
		if cells[b.row] == nil {
			rows = append(rows, b.row)
			cells[b.row] = make([]cell, len(specs))
		}
		for _, seg := range b.said {
			segments[b.row]++
			for i, s := range specs {
				switch s.Sniff(dir(seg), seg.Data) {
				case protocol.Yes:
					cells[b.row][i].yes++
				case protocol.More:
					cells[b.row][i].more++
				}
				if !b.may(s.Name) {
					deny(t, &b, s, seg)
				}
			}
		}
	}
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "row\tsegments")
	for _, s := range specs {
		fmt.Fprintf(w, "\t%s", s.Name)
	}
	fmt.Fprintln(w)
	for _, row := range rows {
		fmt.Fprintf(w, "%s\t%d", row, segments[row])
		for _, c := range cells[row] {
			text := "."
			if c.yes+c.more > 0 {
				text = fmt.Sprintf("%d+%d", c.yes, c.more)
			}
			fmt.Fprintf(w, "\t%s", text)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	t.Logf("Yes+More by row and protocol:\n%s", out.String())
}

func dir(s protocoltest.Segment) event.Dir {
	if s.FromClient {
		return event.Sent
	}
	return event.Received
}

// deny wants s not to know any beginning of what is left of seg at any byte, in either direction.
func deny(t *testing.T, b *beginning, s *protocol.Spec, seg protocoltest.Segment) {
	t.Helper()
	for at := range seg.Data {
		rest := seg.Data[at:]
		for n := 1; n <= len(rest); n += 1 + n/16 {
			if at > 0 && n < len(rest) && n > 64 {
				n = len(rest) // of cuts, short beginnings and the whole
			}
			if s.Sniff(dir(seg), rest[:n]) == protocol.Yes || s.Sniff(dir(seg).Reverse(), rest[:n]) == protocol.Yes {
				t.Errorf("%s knows %v: %d bytes at %d, %q", s.Name, b, n, at, rest[:min(n, 48)])
				return
			}
		}
	}
}

// What texts are made of, and the types of PostgreSQL's messages.
const (
	letters = " \r\nabcdefgHTP/1.0$*+-:23456789GESLC{}\"=,"
	types   = "QPBEXSCDFHRTKZ123IntNAGVWcdpf"
)

// noises are random bytes of several kinds: those that come by chance upon the form of a binary protocol.
var noises = []struct {
	name string
	make func(r *rand.Rand, b []byte)
}{
	{"any", func(r *rand.Rand, b []byte) { fill(r, b, 256) }},
	{"small", func(r *rand.Rand, b []byte) { fill(r, b, 4) }},
	{"text", func(r *rand.Rand, b []byte) {
		for i := range b {
			b[i] = letters[r.IntN(len(letters))]
		}
	}},
	{"big-endian length of four bytes", func(r *rand.Rand, b []byte) {
		fill(r, b, []int{20, 256}[r.IntN(2)])
		binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	}},
	{"big-endian length of four bytes after another", func(r *rand.Rand, b []byte) {
		fill(r, b, []int{20, 256}[r.IntN(2)])
		b[0] = types[r.IntN(len(types))]
		binary.BigEndian.PutUint32(b[1:], uint32(len(b)-1))
	}},
	{"little-endian length of three bytes and a number", func(r *rand.Rand, b []byte) {
		fill(r, b, []int{20, 256}[r.IntN(2)])
		binary.LittleEndian.PutUint32(b, uint32(len(b)-4))
		b[3] = byte(r.IntN(3))
	}},
	{"little-endian length of four bytes that includes itself", func(r *rand.Rand, b []byte) {
		fill(r, b, []int{20, 256}[r.IntN(2)])
		binary.LittleEndian.PutUint32(b, uint32(len(b)))
	}},
	{"big-endian length of two bytes", func(r *rand.Rand, b []byte) {
		fill(r, b, []int{20, 256}[r.IntN(2)])
		binary.BigEndian.PutUint16(b, uint16(len(b)-2))
	}},
	{"record of TLS", func(r *rand.Rand, b []byte) {
		fill(r, b, 24)
		b[0] = byte(20 + r.IntN(5))
	}},
}

// fill makes bytes below n.
func fill(r *rand.Rand, b []byte, n int) {
	for i := range b {
		b[i] = byte(r.IntN(n))
	}
}

// TestNoise shows random bytes to every Sniff. Some protocols have so little form that chance comes upon it; how often is bounded by
// what their headers hold: of bytes that have nothing of a protocol, none may be known.
func TestNoise(t *testing.T) {
	specs := sniffers()
	for _, noise := range noises {
		t.Run(noise.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			buf := make([]byte, 256)
			for range 20000 {
				b := buf[:8+r.IntN(len(buf)-8)]
				if r.IntN(2) == 0 {
					b = buf[:8+r.IntN(24)]
				}
				noise.make(r, b)
				for _, s := range specs {
					if s.Sniff(event.Sent, b) == protocol.Yes || s.Sniff(event.Received, b) == protocol.Yes {
						t.Errorf("%s knows %q", s.Name, b)
					}
				}
			}
		})
	}
}

// TestNoiseTracked has connections of random bytes, of either end in turn.
func TestNoiseTracked(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	j := newJudge()
	for i := range 20000 {
		var said []protocoltest.Segment
		for k := range 1 + r.IntN(4) {
			b := make([]byte, 8+r.IntN(64))
			noises[r.IntN(len(noises)-1)].make(r, b)
			said = append(said, protocoltest.Segment{FromClient: (k+i)%2 == 0, Data: b})
		}
		if got := j.play(said, way{existing: i%3 == 0}); got != "" {
			t.Errorf("%+q is taken for %s", fmt.Sprint(said), got)
		}
	}
}

// TestZeros has nothing but one byte, of any value and number.
func TestZeros(t *testing.T) {
	specs := sniffers()
	for b := range 256 {
		data := make([]byte, 300)
		for i := range data {
			data[i] = byte(b)
		}
		for n := 1; n < len(data); n++ {
			for _, s := range specs {
				if s.Sniff(event.Sent, data[:n]) == protocol.Yes {
					t.Errorf("%s knows %d bytes of %#x", s.Name, n, b)
				}
			}
		}
	}
}

// longest is how many bytes a protocol may need to know its own beginning: a request line of HTTP.
const longest = 4 << 10

// TestMoreEnds wants nobody to wait for more and more of what is not its own: what is waited for is held.
func TestMoreEnds(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	noise := make([]byte, 2*longest)
	fill(r, noise, 256)
	for _, b := range beginnings(t) {
		for _, seg := range b.said {
			for name, tail := range map[string]string{
				"zeros": strings.Repeat("\x00", 2*longest), "text": strings.Repeat("all work and no play ", longest/10), "noise": string(noise),
				"itself": strings.Repeat(string(seg.Data), 1+2*longest/len(seg.Data)),
			} {
				data := append(slices.Clone(seg.Data), tail...)[:len(seg.Data)+longest]
				for _, s := range sniffers() {
					if !b.may(s.Name) && s.Sniff(dir(seg), data) == protocol.More {
						t.Errorf("%s waits for more than %d bytes of %v, %q and %s", s.Name, len(data), &b, seg.Data[:min(len(seg.Data), 24)], name)
					}
				}
			}
		}
	}
}
