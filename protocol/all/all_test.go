package all_test

import (
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/all"
)

// ignore takes what a tracker finds, and does nothing.
type ignore struct{}

func (ignore) Exchange(*protocol.Exchange)      {}
func (ignore) Gap(event.ConnID, string, uint64) {}

// takenFor is the protocol that the only connection of a tracker was taken for: the one that a loss is counted for. seq is the
// next segment's number.
func takenFor(t *protocol.Tracker, seq uint64, now time.Time) string {
	t.Handle(&event.Segment{Conn: 1, Seq: seq + 1, Off: 1 << 20, Data: []byte("x"), Size: 1, Time: now})
	t.Tick(now.Add(time.Hour))
	for name, n := range t.Counters().StreamGaps {
		if n > 0 {
			return name
		}
	}
	return ""
}

// TestTextOfABody is a download that capture meets midway, whose text quotes requests and answers.
func TestTextOfABody(t *testing.T) {
	for _, quoted := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"} {
		tr := protocol.NewTracker(all.Specs(protocol.Options{}), protocol.Config{}, nil, ignore{})
		tr.Handle(&event.Opened{Conn: 1, Role: event.RoleClient, Existing: true})
		off := uint64(0)
		for seq, text := range []string{"a page about HTTP, which says:\r\n", quoted, "and goes on"} {
			tr.Handle(&event.Segment{Conn: 1, Dir: event.Received, Seq: uint64(seq), Off: off, Data: []byte(text), Size: len(text)})
			off += uint64(len(text))
		}
		if got := takenFor(tr, 3, time.Unix(1e9, 0)); got != "" {
			t.Errorf("%q is taken for %q", quoted, got)
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range all.Specs(protocol.Options{}) {
		for _, n := range append([]string{s.Name}, s.Aliases...) {
			if seen[n] {
				t.Errorf("two protocols are called %q", n)
			}
			seen[n] = true
		}
	}
}
