package postgresql_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/postgresql"
)

// found is an exchange, copied.
type found struct {
	operation, collection, namespace, code string
	outcome                                string
	upkeep, waiting, unresolved            bool
	start, end                             time.Time
	sizes                                  [2]int64
	all                                    string // every attribute
}

// what is how the live tests count: operation, collection and error, with "+" before what is upkeep.
func (f *found) what() string {
	s := strings.Join(strings.Fields(f.operation+" "+f.collection+" "+f.code), " ")
	if f.upkeep {
		s = "+" + s
	}
	if f.waiting {
		s = "~" + s
	}
	return s
}

// finder is a Sink.
type finder struct {
	list     []found
	gaps     uint64
	counters protocol.Counters
}

func (f *finder) Exchange(x *protocol.Exchange) {
	a := &x.Request.Attrs
	e := found{
		operation: string(a.Get(protocol.DBOperation)), collection: string(a.Get(protocol.DBCollection)),
		namespace: string(a.Get(protocol.DBNamespace)), code: x.Error, outcome: x.Outcome.String(),
		upkeep: x.Request.Upkeep, waiting: x.Waiting(), unresolved: x.Request.Unresolved, start: x.Start(), end: x.End(),
		sizes: [2]int64{x.Request.Size, -1},
	}
	list := []*protocol.Message{x.Request}
	if r := x.Response; r != nil {
		e.sizes[1], e.unresolved = r.Size, e.unresolved || r.Unresolved
		list = append(list, r)
	}
	for _, m := range list {
		for i := range m.Attrs.Len() {
			k, v := m.Attrs.At(i)
			e.all += fmt.Sprintf(" %s=%s", k, v)
		}
	}
	f.list = append(f.list, e)
}
func (f *finder) Gap(_ event.ConnID, _ string, n uint64)  { f.gaps += n }
func (*finder) SetVerdict(event.ConnID, protocol.Verdict) {}

// decode has a tracker read a tape, as seen from that end, from the from-th segment on (from > 0: as a connection older than capture) and
// without the lost-th, counted from there; -1 for none.
func decode(tp *tape, role event.Role, from, lost int) *finder {
	f := &finder{}
	t := protocol.NewTracker([]*protocol.Spec{postgresql.Spec(protocol.Options{TextLimit: 256})}, protocol.Config{}, f, f)
	t.Handle(&event.Opened{Conn: 1, Role: role, Existing: from > 0, Time: tp.segments[0].Time})
	turned := event.Dir(0)
	if role == event.RoleServer {
		turned = 1
	}
	turn, last := uint32(tp.segments[from].Dir^turned), tp.segments[from].Dir
	var off [2]uint64
	for i, s := range tp.segments[from:] {
		c := *s
		if c.Dir != last {
			turn, last = turn+1, c.Dir
		}
		c.Dir ^= turned
		c.Seq, c.Turn, c.Turns, c.Off = uint64(i), turn, true, off[c.Dir]
		off[c.Dir] += uint64(c.Size)
		if i != lost {
			t.Handle(&c)
		}
	}
	f.counters = t.Counters()
	at := tp.segments[len(tp.segments)-1].Time
	t.Handle(&event.Closed{
		Conn: 1, Seq: uint64(len(tp.segments) - from), Sent: off[event.Sent], Received: off[event.Received], Turn: turn, Turns: true, Time: at,
	})
	return f
}

// tally counts what was found.
func tally(list []found) map[string]int {
	m := map[string]int{}
	for i := range list {
		m[list[i].what()]++
	}
	return m
}

// some is the number of exchanges of which the client's version decides how many there are.
const some = -1

// check wants exactly what is in want of tapes, seen from either end, and nothing wrong when capture begins later. It returns how much that
// finds.
func check(t *testing.T, tapes []*tape, want map[string]int) (late int) {
	t.Helper()
	for _, role := range []event.Role{event.RoleClient, event.RoleServer} {
		got := map[string]int{}
		for _, tp := range tapes {
			if len(tp.segments) == 0 {
				continue
			}
			f := decode(tp, role, 0, -1)
			for k, n := range tally(f.list) {
				got[k] += n
			}
			if n := f.counters.ParseErrors[postgresql.Name]; n != 0 || f.gaps != 0 {
				t.Errorf("%d parse errors, %d gaps", n, f.gaps)
			}
			for i := range f.list {
				if strings.Contains(f.list[i].all, "secret") {
					t.Errorf("a value shows: %s", f.list[i].all)
				}
			}
		}
		for k, n := range want {
			if n == some && got[k] > 0 {
				got[k] = some
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("role %v:\n%s", role, differ(got, want))
		}
	}
	for _, tp := range tapes {
		late += joined(t, tp)
	}
	return late
}

// differ lists where counts differ.
func differ(got, want map[string]int) string {
	var lines []string
	for k, n := range got {
		if want[k] != n {
			lines = append(lines, fmt.Sprintf("  %-60s %d, want %d", k, n, want[k]))
		}
	}
	for k, n := range want {
		if _, ok := got[k]; !ok {
			lines = append(lines, fmt.Sprintf("  %-60s 0, want %d", k, n))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// moment is when an exchange was, by which it is known again.
type moment struct{ start, end int64 }

// joined wants that capture which begins at any segment, or loses one, finds nothing that was not there: missing and unknown, but not
// wrong. It returns how much it finds.
func joined(t *testing.T, tp *tape) (count int) {
	t.Helper()
	if len(tp.segments) == 0 {
		return 0
	}
	full := map[moment][]found{}
	for _, x := range decode(tp, event.RoleClient, 0, -1).list {
		k := moment{x.start.UnixNano(), x.end.UnixNano()}
		full[k] = append(full[k], x)
	}
	step := 1 + len(tp.segments)/200
	for at := 1; at < len(tp.segments); at += step {
		late, lossy := decode(tp, event.RoleClient, at, -1).list, decode(tp, event.RoleClient, 0, at).list
		count += len(late)
		for i, x := range slices.Concat(late, lossy) {
			k := moment{x.start.UnixNano(), x.end.UnixNano()}
			if !slices.ContainsFunc(full[k], func(f found) bool { return x.isPartOf(&f) }) {
				t.Errorf("segment %d of %d, lost: %v: %s %v, which never was", at, len(tp.segments), i >= len(late), x.what(), x.end.Sub(x.start))
			}
		}
	}
	return count
}

// isPartOf reports whether x is what f is, as far as was seen.
func (x *found) isPartOf(f *found) bool {
	name := func(a, b string) bool { return a == b || x.unresolved && a == protocol.Unknown }
	return name(x.operation, f.operation) && name(x.collection, f.collection) &&
		f.outcome == x.outcome && f.code == x.code && f.sizes == x.sizes
}
