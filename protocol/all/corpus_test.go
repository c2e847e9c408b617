package all_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/all"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

// beginning is an entry of testdata/beginnings: what the two ends of a connection say first, or when capture meets it midway.
//
// An entry is a line "= speaks | title" and the lines of a transcript (see protocoltest). It speaks the first protocol named, "-"
// for none that is known, "tls"; the others are held in it, or come later. A "?" after a name says that it need not be recognised.
type beginning struct {
	row, title string
	speaks     []string
	optional   bool
	said       []protocoltest.Segment
}

func (b *beginning) String() string { return fmt.Sprintf("%s: %s", b.row, b.title) }

// may says whether b may be taken for that protocol; name is "" for none.
func (b *beginning) may(name string) bool { return name == "" || slices.Contains(b.speaks, name) }

// beginnings reads the corpus.
func beginnings(t testing.TB) []beginning {
	t.Helper()
	files, err := filepath.Glob("testdata/beginnings/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	var list []beginning
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		row := strings.TrimSuffix(filepath.Base(file), ".txt")
		for i, entry := range strings.Split("\n"+string(text), "\n= ")[1:] {
			head, lines, _ := strings.Cut(entry, "\n")
			speaks, title, ok := strings.Cut(head, " | ")
			if !ok {
				t.Fatalf("%s: %q has no title", file, head)
			}
			tr, err := protocoltest.Parse(fmt.Sprintf("%s, entry %d", file, i+1), []byte(lines+"\nexpect\n"), nil)
			if err != nil {
				t.Fatal(err)
			}
			b := beginning{row: row, title: title, said: tr.Segments, optional: strings.Contains(speaks, "?")}
			if b.speaks = strings.Fields(strings.ReplaceAll(speaks, "?", "")); b.speaks[0] == "-" {
				b.speaks, b.optional = b.speaks[1:], true
			}
			list = append(list, b)
		}
	}
	return list
}

// known are the protocols that are spoken over streams, each of which notes in taken that a connection was taken for it.
func known(taken *string) []*protocol.Spec {
	var list []*protocol.Spec
	for _, s := range all.Specs(protocol.Options{}) {
		spy := *s
		if s.New != nil {
			spy.New = func() protocol.Parser {
				*taken = strings.TrimSpace(*taken + " " + s.Name)
				return s.New()
			}
		}
		list = append(list, &spy)
	}
	return list
}

// judge is a tracker that sees one connection after another.
type judge struct {
	tracker *protocol.Tracker
	taken   string
	conn    event.ConnID
}

func newJudge() *judge {
	j := &judge{}
	j.tracker = protocol.NewTracker(known(&j.taken), protocol.Config{}, nil, j)
	return j
}

// Exchange and Gap implement protocol.Sink, Handshake protocol.HandshakeSink.
func (j *judge) Exchange(*protocol.Exchange) {}

func (j *judge) Gap(event.ConnID, string, uint64) {}

func (j *judge) Handshake(*protocol.Handshake) { j.taken = strings.TrimSpace(j.taken + " tls") }

// way is how a beginning is handed over.
type way struct {
	server   bool // seen from the server's end
	existing bool // the connection is older than capture
	step     int  // bytes of a call, 0 for whole segments
}

// play hands segments over and returns what they were taken for, one after the other, with blanks between.
func (j *judge) play(said []protocoltest.Segment, w way) string {
	j.conn++
	j.taken = ""
	role := event.RoleClient
	if w.server {
		role = event.RoleServer
	}
	j.tracker.Handle(&event.Opened{Conn: j.conn, Role: role, Existing: w.existing})
	seg := event.Segment{Conn: j.conn}
	var off [2]uint64
	for _, s := range said {
		seg.Dir = event.Received
		if s.FromClient != w.server {
			seg.Dir = event.Sent
		}
		for data := s.Data; len(data) > 0; {
			n := len(data)
			if w.step > 0 {
				n = min(n, w.step)
			}
			seg.Data, seg.Size, seg.Off = data[:n], n, off[seg.Dir]
			j.tracker.Handle(&seg)
			off[seg.Dir] += uint64(n)
			seg.Seq++
			data = data[n:]
		}
	}
	j.tracker.Handle(&event.Closed{Conn: j.conn, Seq: seg.Seq, Sent: off[event.Sent], Received: off[event.Received]})
	return j.taken
}

// ways are all of them.
func ways() (list []way) {
	for _, server := range []bool{false, true} {
		for _, existing := range []bool{false, true} {
			for _, step := range []int{0, 1, 7} {
				list = append(list, way{server, existing, step})
			}
		}
	}
	return list
}

// TestBeginnings wants every entry to be taken for what it is, whole and in small calls, from either end, and for nothing that it
// is not.
func TestBeginnings(t *testing.T) {
	specs := known(new(string))
	j := newJudge()
	for _, b := range beginnings(t) {
		for _, w := range ways() {
			got := j.play(b.said, w)
			for _, name := range strings.Fields(got) {
				if !b.may(name) {
					t.Errorf("%v, %+v: taken for %s", &b, w, name)
				}
			}
			if want := first(b.speaks); !b.optional && first(strings.Fields(got)) != want && (want == "tls" || find(specs, want) != nil) {
				t.Errorf("%v, %+v: taken for %q, want %s", &b, w, got, want)
			}
		}
	}
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func find(specs []*protocol.Spec, name string) *protocol.Spec {
	i := slices.IndexFunc(specs, func(s *protocol.Spec) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return specs[i]
}

// TestParts wants the same of parts: what one end says alone, and what is left when capture begins at any byte of any segment.
func TestParts(t *testing.T) {
	j := newJudge()
	for _, b := range beginnings(t) {
		for i := range b.said {
			for at := range b.said[i].Data {
				rest := slices.Clone(b.said[i:])
				rest[0].Data = rest[0].Data[at:]
				for _, w := range []way{{existing: true}, {server: true, existing: true}, {existing: true, step: 5}} {
					j.denies(t, &b, rest, w, fmt.Sprintf("from byte %d of segment %d", at, i))
				}
			}
		}
		for _, client := range []bool{false, true} {
			alone := slices.DeleteFunc(slices.Clone(b.said), func(s protocoltest.Segment) bool { return s.FromClient != client })
			for _, w := range ways() {
				j.denies(t, &b, alone, w, fmt.Sprintf("one part alone, the client's %v", client))
			}
		}
	}
}

// denies wants part of b to be taken for nothing that b is not.
func (j *judge) denies(t *testing.T, b *beginning, part []protocoltest.Segment, w way, label string) {
	t.Helper()
	for _, name := range strings.Fields(j.play(part, w)) {
		if !b.may(name) {
			t.Errorf("%v, %s, %+v: taken for %s", b, label, w, name)
		}
	}
}
