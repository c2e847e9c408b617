package postgresql_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/postgresql"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

// wire is a connection to a tracker of its own, past its handshake.
type wire struct {
	t     *testing.T
	track *protocol.Tracker
	sink  *finder
	seq   uint64
	off   [2]uint64
	now   time.Time
}

func newWire(t *testing.T) *wire {
	w := &wire{t: t, sink: &finder{}, now: time.Unix(1e9, 0)}
	w.track = protocol.NewTracker([]*protocol.Spec{postgresql.Spec(protocol.Options{TextLimit: 256})}, protocol.Config{}, w.sink, w.sink)
	w.track.Handle(&event.Opened{Conn: 1, Role: event.RoleClient, Time: w.now})
	w.say("startup user=app database=shop")
	w.hear("auth ok ; key ; ready I")
	return w
}

func (w *wire) send(d event.Dir, data []byte) {
	w.now = w.now.Add(time.Microsecond)
	w.track.Handle(&event.Segment{Conn: 1, Dir: d, Seq: w.seq, Off: w.off[d], Data: data, Size: len(data), Time: w.now})
	w.seq++
	w.off[d] += uint64(len(data))
}

func (w *wire) line(d event.Dir, from protocol.Side, line string) {
	w.t.Helper()
	data, err := encode(from, line)
	if err != nil {
		w.t.Fatal(err)
	}
	w.send(d, data)
}

func (w *wire) say(line string)  { w.line(event.Sent, protocol.ClientSide, line) }
func (w *wire) hear(line string) { w.line(event.Received, protocol.ServerSide, line) }

// works checks that the connection is still decoded, with nothing held.
func (w *wire) works() {
	w.t.Helper()
	before := len(w.sink.list)
	w.say("query SELECT a FROM fine")
	w.hear("columns a ; complete SELECT 0 ; ready I")
	if n := len(w.sink.list); n != before+1 || w.sink.list[n-1].what() != "SELECT fine" {
		w.t.Errorf("the connection is decoded no more: %d exchanges", n-before)
	}
	if held := w.track.Counters().BufferedBytes; held != 0 {
		w.t.Errorf("%d bytes are held", held)
	}
}

// settle has the server say something, after which nothing moves for a while: pairing may begin anew.
func (w *wire) settle() {
	w.hear("notify x")
	w.now = w.now.Add(time.Second)
	w.sink.list = nil
}

// grown runs f and fails when the heap grows by more than most bytes.
func grown(t *testing.T, most int64, f func()) {
	t.Helper()
	before := protocoltest.Heap()
	f()
	if n := int64(protocoltest.Heap()) - int64(before); n > most {
		t.Errorf("grew by %d bytes", n)
	}
}

// TestLengths: lengths that are negative, too small, or more than any message has break the rules; the largest are passed over.
func TestLengths(t *testing.T) {
	for _, kind := range "QPBDECFdfpSHXc" {
		for _, n := range []uint32{0, 3, 1 << 30, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
			w := newWire(t)
			w.send(event.Sent, append(binary.BigEndian.AppendUint32([]byte{byte(kind)}, n), "SELECT 1"...))
			if got := w.track.Counters().ParseErrors[postgresql.Name]; got != 1 {
				t.Errorf("%c of %d bytes: %d errors", kind, n, got)
			}
			w.settle()
			w.works()
		}
	}
	w := newWire(t)
	grown(t, 4<<20, func() {
		w.send(event.Sent, append(binary.BigEndian.AppendUint32([]byte{'Q'}, 1<<30-1), "INSERT INTO big VALUES ('"...))
		w.send(event.Sent, bytes.Repeat([]byte("x"), 1<<20))
		chunk := bytes.Repeat([]byte("x"), 1<<20)
		for left := 1<<30 - 4 - 25 - 1 - 1<<20; left > 0; left -= len(chunk) {
			w.send(event.Sent, chunk[:min(left, len(chunk))])
		}
	})
	w.hear("error 54000 ; ready I")
	if x := w.sink.list[1]; x.what() != "INSERT big 54000" || x.sizes[0] != 1<<30 {
		t.Errorf("%s of %d bytes", x.what(), x.sizes[0])
	}
	w.works()
}

// TestManyNames: statements and portals without end.
func TestManyNames(t *testing.T) {
	w := newWire(t)
	grown(t, 2<<20, func() {
		for i := range 50_000 {
			w.say(fmt.Sprintf("parse name_%d SELECT %s FROM t ; bind portal_%d name_%[1]d ; sync", i, strings.Repeat("a, ", 50), i))
			w.hear("parsed ; bound ; ready T")
			w.sink.list = w.sink.list[:0]
		}
	})
	w.say("bind - name_49999 ; execute - ; sync")
	w.hear("bound ; complete SELECT 0 ; ready T")
	if last := w.sink.list[len(w.sink.list)-1]; last.what() != "SELECT t" {
		t.Errorf("%s", last.what())
	}
	w.sink.list = nil
	w.works()
}

// TestLongNames: names and texts of 1 MiB, and ones that do not end.
func TestLongNames(t *testing.T) {
	long := strings.Repeat("n", 1<<20)
	w := newWire(t)
	grown(t, 2<<20, func() {
		w.say("parse " + long + " SELECT 1 ; sync")
		w.hear("error 42622 ; ready I")
		w.say("bind " + long + " " + long + " ; execute - ; sync")
		w.hear("error 42622 ; ready I")
		w.say("query SELECT '" + long + "' FROM t")
		w.hear("row 1048576 ; complete SELECT 1 ; ready I")
		w.send(event.Sent, []byte("P\x00\x00\x00\x08nameB\x00\x00\x00\x08nameE\x00\x00\x00\x08name"))
		w.say("sync")
		w.hear("error 08P01 ; ready I")
	})
	w.works()
}

// TestMixedUp: messages where they have no place are an error, and do not end it.
func TestMixedUp(t *testing.T) {
	for _, c := range []struct{ say, hear string }{
		{"query SELECT 1", "ready I"},
		{"bind - - ; execute - ; sync", "ready I"},
		{"bind - - ; execute - ; sync", "bound ; ready I"},
		{"parse a SELECT 1 ; flush", "parsed ; complete SELECT 1"},
	} {
		w := newWire(t)
		w.say(c.say)
		w.hear(c.hear)
		if c.hear != "parsed ; complete SELECT 1" && w.track.Counters().ParseErrors[postgresql.Name] != 1 {
			t.Errorf("%s, %s: %d errors", c.say, c.hear, w.track.Counters().ParseErrors[postgresql.Name])
		}
		if n := len(w.sink.list); n > 2 {
			t.Errorf("%s, %s: %d exchanges", c.say, c.hear, n)
		}
		w.settle()
		w.works()
	}
}

// TestPipelineWithoutEnd: more requests than may be outstanding, and a batch that fails as a whole.
func TestPipelineWithoutEnd(t *testing.T) {
	w := newWire(t)
	w.hear("notice")
	const requests = 1000
	for range requests {
		w.say("parse - UPDATE t SET a = 1 ; bind - - ; execute -")
	}
	w.hear("parsed ; error 40001")
	w.say("sync")
	w.hear("ready I")
	counts := tally(w.sink.list)
	if counts["UPDATE t 40001"] != 1 || counts["UPDATE t aborted"] != requests-1 {
		t.Errorf("%v", counts)
	}
	w.works()
	grown(t, 4<<20, func() {
		for range 20_000 {
			w.say("parse - UPDATE t SET a = 1 ; bind - - ; execute - ; sync")
		}
	})
}

// TestBackslashes: where a literal ends is a matter of what the server has said. Nothing of one shows, whatever it has said last.
func TestBackslashes(t *testing.T) {
	const on, off = "standard_conforming_strings off", "standard_conforming_strings on" // of backslashes
	const escaped, plain = `query SELECT 'it\'s secret' FROM t`, `query SELECT 'a\', b FROM t`
	for _, c := range []struct{ status, say, text string }{
		{on, escaped, "SELECT ? FROM t"},
		{off, plain, "SELECT ?, b FROM t"},
		{"client_encoding SJIS", escaped, "SELECT ?"},
		{"client_encoding UTF8", `query SELECT E'it\'s secret' FROM t`, "SELECT ? FROM t"},
	} {
		w := newWire(t)
		w.hear("status " + c.status)
		w.say(c.say)
		w.hear("columns a ; complete SELECT 0 ; ready I")
		last := w.sink.list[len(w.sink.list)-1]
		if !strings.Contains(last.all, "db.query.text="+c.text+" ") || strings.Contains(last.all, "secret") {
			t.Errorf("%s, %s: %s", c.status, c.say, last.all)
		}
	}
	w := newWire(t)
	w.hear("status " + off)
	w.off[event.Received] += 40 // lost: among it may be that they are on
	w.say("query SELECT 1")
	w.hear("columns a ; complete SELECT 1 ; ready I")
	w.settle()
	w.say(escaped)
	w.hear("columns a ; complete SELECT 0 ; ready I")
	for _, x := range w.sink.list {
		if strings.Contains(x.all, "secret") || !strings.Contains(x.all, "db.query.text=SELECT") {
			t.Errorf("%s", x.all)
		}
	}
	if len(w.sink.list) == 0 {
		t.Error("nothing was found")
	}
}

// TestEndUnseen: an answer whose end nobody saw has ended when nothing moves any more. How, nobody knows.
func TestEndUnseen(t *testing.T) {
	w := newWire(t)
	w.say("query SELECT a FROM t")
	w.hear("columns a ; row 10")
	w.track.Handle(&event.Segment{Conn: 1, Dir: event.Received, Seq: w.seq, Off: w.off[event.Received], Size: 5000, Time: w.now})
	w.seq++
	w.off[event.Received] += 5000
	w.track.Tick(w.now.Add(time.Minute))
	last := w.sink.list[len(w.sink.list)-1]
	if last.what() != "SELECT t" || !last.unresolved || !strings.Contains(last.all, "db.response.status_code=unknown") {
		t.Errorf("%s %s", last.what(), last.all)
	}
	w.now = w.now.Add(time.Minute)
	w.works()
}
