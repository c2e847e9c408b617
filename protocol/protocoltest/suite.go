package protocoltest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// maxSplits bounds how many points of a transcript are tried, maxVolume how many bytes that may replay; longer ones are
// sampled evenly.
const (
	maxSplits = 600
	maxVolume = 4 << 20
)

// Option changes how Run reads or replays transcripts.
type Option func(*options)

type options struct {
	encoder func() Encoder
	carried []*protocol.Spec
}

// Encode makes an encoder for each transcript, for its encoded lines.
func Encode(encoder func() Encoder) Option { return func(o *options) { o.encoder = encoder } }

// Carry makes protocols known that are spoken in the one under test.
func Carry(specs ...*protocol.Spec) Option { return func(o *options) { o.carried = specs } }

// Run replays every transcript in the folder testdata of the package under test, with spec as the only protocol known.
func Run(t *testing.T, spec *protocol.Spec, opts ...Option) {
	t.Helper()
	var o options
	for _, set := range opts {
		set(&o)
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts in testdata: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var encode Encoder
			if o.encoder != nil {
				encode = o.encoder()
			}
			tr, err := Parse(file, text, encode)
			if err != nil {
				t.Fatal(err)
			}
			for _, side := range []protocol.Side{protocol.ClientSide, protocol.ServerSide} {
				t.Run(side.String(), func(t *testing.T) {
					s := suite{tr: tr, side: side, specs: append([]*protocol.Spec{spec}, o.carried...), base: record(tr, side)}
					s.run(t)
				})
			}
		})
	}
}

// suite is one transcript from one of its ends.
type suite struct {
	tr    *Transcript
	side  protocol.Side
	specs []*protocol.Spec
	base  script
	full  []got // the exchanges of the transcript as it is
	again bool  // it was decided more than once what to capture: the client pipelines
}

func (s *suite) play(sc script) *result { return replay(s.specs, sc.opened, sc.events()) }

func (s *suite) run(t *testing.T) {
	whole := s.play(s.base)
	s.full, s.again = whole.exchanges, whole.verdicts > 1
	s.exact(t, "whole", whole)
	if t.Failed() {
		return
	}
	if s.tr.Datagram {
		t.Run("lost", s.lost)
		t.Run("cut", s.cut)
		t.Run("attached", s.attached)
		return
	}
	t.Run("byte by byte", func(t *testing.T) { s.exact(t, "", s.play(s.base.splitEvery(s.step()))) })
	if testing.Short() { // the race detector has seen by now what transcripts share
		return
	}
	t.Run("split", s.split)
	t.Run("swapped", s.swapped)
	t.Run("cut", s.cut)
	t.Run("lost", s.lost)
	t.Run("attached", s.attached)
}

// wholeCall is what the kernel copies of a call, at the least, when everything is asked for.
const wholeCall = 64 << 10

// step is 1 but for very long transcripts.
func (s *suite) step() int { return 1 + s.size()>>15 }

func (s *suite) size() int {
	n := 0
	for _, seg := range s.base.segments {
		n += len(seg.Data)
	}
	return n
}

func (s *suite) split(t *testing.T) {
	step := 1 + s.size()/max(20, min(maxSplits, maxVolume/s.size()))
	for i, seg := range s.base.segments {
		for at := 1; at < len(seg.Data); at += step {
			s.exact(t, fmt.Sprintf("segment %d at %d", i, at), s.play(s.base.splitAt(i, at)))
		}
	}
}

func (s *suite) swapped(t *testing.T) {
	events := s.base.events()
	for i := 1; i < len(events); i++ {
		swapped := slices.Clone(events)
		swapped[i-1], swapped[i] = swapped[i], swapped[i-1]
		s.exact(t, fmt.Sprintf("events %d and %d", i-1, i), replay(s.specs, s.base.opened, swapped))
	}
}

// cut replays at capture limits. At the protocol's own nothing may be missing; at any nothing may be wrong.
func (s *suite) cut(t *testing.T) {
	own := s.specs[0].Capture
	if own.Whole {
		own.Head = wholeCall
	}
	for _, l := range []limit{
		{own.Head, 256, own.Tail},
		{own.Head, 0, own.Tail},
		{4096, 0, 64},
		{1024, 64, 256},
		{256, 0, 64},
		{100, 20, 32},
		{64, 0, 16},
		{32, 32, 0},
		{32, 0, 0},
		{16, 0, 4},
		{0, 0, 16},
	} {
		t.Run(fmt.Sprintf("%d+%d+%d", l.head, l.every, l.tail), func(t *testing.T) {
			r := s.play(s.base.cut(l))
			s.among(t, "", r, agrees) // of a datagram too: what was seen of it must be right
			if l.head == own.Head && len(r.exchanges) != len(s.full) && s.tr.Undecoded == "" {
				t.Errorf("%d exchanges at the protocol's own limit, want %d:\n%s", len(r.exchanges), len(s.full), list(r.exchanges))
			}
		})
	}
}

func (s *suite) lost(t *testing.T) {
	scripts := []script{s.base}
	if !s.tr.Datagram {
		scripts = append(scripts, s.base.splitEvery(1+s.size()/200))
	}
	for _, sc := range scripts {
		for i := range sc.segments {
			label := fmt.Sprintf("segment %d of %d", i, len(sc.segments))
			r := s.play(sc.without(i))
			s.among(t, label, r, s.equal())
			if sc.closed != nil && len(r.exchanges) < len(s.full) && r.gaps == 0 && !r.refused {
				t.Errorf("%s: %d of %d exchanges and no gap reported", label, len(r.exchanges), len(s.full))
			}
			if n := len(r.exchanges) + int(r.gaps); s.accountable() && n != len(s.full) {
				t.Errorf("%s: %d exchanges and %d missing of %d", label, len(r.exchanges), r.gaps, len(s.full))
			}
		}
	}
}

// accountable says whether what is emitted and what is missing must add up exactly after any loss: where each exchange takes a
// turn of the client and one of the server.
func (s *suite) accountable() bool {
	return s.base.closed != nil && !s.again && !s.tr.Existing && s.tr.Undecoded == "" && s.tr.ParseErrors == 0 &&
		s.specs[0].Pairing == protocol.InOrder && s.base.turns(s.side) == len(s.full)
}

func (s *suite) attached(t *testing.T) {
	for i := range s.base.segments {
		s.among(t, fmt.Sprintf("unannounced from segment %d", i), s.play(s.base.from(i)), s.equal())
		s.among(t, fmt.Sprintf("from segment %d", i), s.play(s.base.attachedAt(i)), s.equal())
	}
}

// equal is how an exchange after a loss must compare with the one without.
func (s *suite) equal() func(part, full *got) bool {
	if s.specs[0].Pairing == protocol.ByID {
		return likely
	}
	return inOrder
}

// exact wants what the transcript expects.
func (s *suite) exact(t *testing.T, label string, r *result) {
	t.Helper()
	s.sound(t, label, r)
	if len(r.exchanges) != len(s.tr.Want) {
		t.Errorf("%s: %d exchanges, want %d:\n%s", label, len(r.exchanges), len(s.tr.Want), list(r.exchanges))
		return
	}
	for i, w := range s.tr.Want {
		if err := w.check(&r.exchanges[i]); err != nil {
			t.Errorf("%s: exchange %d: %v\ngot  %s", label, i, err, &r.exchanges[i])
		}
	}
	for why, n := range r.open.Undecoded {
		if want := int64(0); string(why) == s.tr.Undecoded {
			want = 1
			if n != want {
				t.Errorf("%s: undecoded %s is %d, want %d", label, why, n, want)
			}
		} else if n != want {
			t.Errorf("%s: undecoded %s is %d", label, why, n)
		}
	}
	if n := r.end.ParseErrors[s.specs[0].Name]; n != s.tr.ParseErrors {
		t.Errorf("%s: %d parse errors, want %d", label, n, s.tr.ParseErrors)
	}
	var unresolved uint64
	for _, n := range r.end.Unresolved {
		unresolved += n
	}
	if unresolved != s.tr.Unresolved {
		t.Errorf("%s: %d exchanges unresolved, want %d", label, unresolved, s.tr.Unresolved)
	}
	if r.gaps != 0 && s.tr.ParseErrors == 0 {
		t.Errorf("%s: %d gaps reported", label, r.gaps)
	}
}

// among wants nothing but exchanges of the transcript, each at most once.
func (s *suite) among(t *testing.T, label string, r *result, equal func(part, full *got) bool) {
	t.Helper()
	s.sound(t, label, r)
	left := slices.Clone(s.full)
	for i := range r.exchanges {
		g := &r.exchanges[i]
		at := slices.IndexFunc(left, func(f got) bool { return equal(g, &f) })
		if at < 0 {
			t.Errorf("%s: an exchange that never was:\n%s\nof\n%s", label, g, list(s.full))
			continue
		}
		left = slices.Delete(left, at, at+1)
	}
}

// sound wants what holds of every replay.
func (s *suite) sound(t *testing.T, label string, r *result) {
	t.Helper()
	task := clientTask
	if s.side == protocol.ServerSide {
		task = serverTask
	}
	for i := range r.exchanges {
		g := &r.exchanges[i]
		if g.task != task && g.task != (event.Task{}) {
			t.Errorf("%s: exchange %d was done by %v, want %v", label, i, g.task, task)
		}
		if g.side != s.side {
			t.Errorf("%s: exchange %d is seen from the %s's side", label, i, g.side)
		}
		if g.duration < 0 {
			t.Errorf("%s: exchange %d took %v", label, i, g.duration)
		}
	}
	if s.base.closed != nil && (r.end.Connections != 0 || r.end.BufferedBytes != 0) {
		t.Errorf("%s: %d connections and %d bytes are still held", label, r.end.Connections, r.end.BufferedBytes)
	}
}
