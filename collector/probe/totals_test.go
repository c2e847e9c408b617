package probe

import (
	"slices"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// ledger notes what a shard tells.
type ledger struct {
	totals []event.ConnID
	closed []event.ConnID
}

func (l *ledger) Handle(ev event.Event) {
	switch ev := ev.(type) {
	case *event.Stats:
		l.totals = append(l.totals, ev.Conn)
	case *event.Closed:
		l.closed = append(l.closed, ev.Conn)
	}
}

func (l *ledger) Tick(time.Time) {}

func newTestShard() (*shard, *ledger) {
	l := &ledger{}
	return &shard{posted: make(chan func(*shard), 64), open: map[event.ConnID]uint64{}, handler: l}, l
}

// TestTeller has the totals of many connections told while the shard does its rounds: each comes once, and few are on their way.
func TestTeller(t *testing.T) {
	s, l := newTestShard()
	done := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case f := <-s.posted:
				f(s)
			case <-stop:
				s.work()
				return
			}
		}
	}()
	teller := teller{shard: s, free: make(chan []event.Stats, pieces)}
	var want []event.ConnID
	for id := event.ConnID(1); id <= 5*pieceLen+7; id++ {
		teller.tell(event.Stats{Conn: id})
		want = append(want, id)
		if cap(teller.piece) > 2*pieceLen {
			t.Fatalf("a piece has room for %d totals, want %d", cap(teller.piece), pieceLen)
		}
	}
	teller.flush()
	close(stop)
	<-done
	if teller.behind || teller.made >= pieces || !slices.Equal(l.totals, want) {
		t.Errorf("%d totals came of %d, behind: %t, pieces made: %d", len(l.totals), len(want), teller.behind, teller.made+1)
	}
}

// TestTellerOfBusyShard wants a shard that has no room for more work to be left alone.
func TestTellerOfBusyShard(t *testing.T) {
	s, l := newTestShard()
	for s.post(func(*shard) {}) {
	}
	teller := teller{shard: s, free: make(chan []event.Stats, pieces)}
	for id := range event.ConnID(3 * pieceLen) {
		teller.tell(event.Stats{Conn: id})
	}
	if !teller.behind || len(l.totals) > 0 {
		t.Errorf("behind: %t, totals told: %d", teller.behind, len(l.totals))
	}
}

// TestMissedTwice wants a connection closed that two walks over the kernel's table in a row did not find, and no other.
func TestMissedTwice(t *testing.T) {
	s, l := newTestShard()
	for id := event.ConnID(1); id <= 3; id++ {
		s.opened++
		s.open[id] = s.opened
	}
	before := uint64(0)
	for round, found := range [][]event.ConnID{{1, 3}, {1, 2}, {1, 2, 4}, {1}, {1}} {
		opened := s.opened
		var totals []event.Stats
		for _, id := range found {
			totals = append(totals, event.Stats{Conn: id})
		}
		s.takeTotals(totals)
		s.closeMissing(nil, 1<<63, before)
		before = opened
		want := [][]event.ConnID{nil, nil, {3}, {3}, {3, 2}}[round]
		if !slices.Equal(l.closed, want) {
			t.Errorf("round %d: closed %v, want %v", round+1, l.closed, want)
		}
	}
	if _, ok := s.open[4]; ok {
		t.Error("a connection is open that was never opened here")
	}
}
