package probe_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/probe"
)

// TestDatagramSwitch switches capture off and on: nothing in between is told, and sockets that were known have been closed.
func TestDatagramSwitch(t *testing.T) {
	for _, method := range datagramMethods {
		t.Run(method, func(t *testing.T) {
			s := answerer(t, "127.0.0.1")
			r, p := captureDatagrams(t, s.Port, probe.Options{Datagrams: method})
			ask(t, s, "one")
			eventually(t, func() error { return holds(r, "one") })
			began := time.Now()
			if err := p.SetEnabled(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 5*time.Second { // a second on a machine of one's own
				t.Errorf("switching off took %v", took)
			}
			ask(t, s, "two")
			eventually(t, func() error {
				r.mu.Lock()
				defer r.mu.Unlock()
				for _, s := range r.sockets {
					if !s.closed {
						return fmt.Errorf("%+v is open", s.open)
					}
				}
				return nil
			})
			if err := p.SetEnabled(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			ask(t, s, "three")
			eventually(t, func() error { return holds(r, "three") })
			if err := holds(r, "two"); err == nil {
				t.Error("told what was said while capture was off")
			}
		})
	}
}

// holds wants a text at the client and at the server.
func holds(r *datagrams, text string) error {
	for _, role := range []event.Role{event.RoleClient, event.RoleServer} {
		found := false
		for _, g := range r.all(role, 0) {
			found = found || g.text == text
		}
		if !found {
			return fmt.Errorf("%s: no %q", role, text)
		}
	}
	return nil
}

// TestDatagramWatch excludes this process, includes it again and leaves it to be judged: nothing of it may be told meanwhile.
func TestDatagramWatch(t *testing.T) {
	for _, method := range datagramMethods {
		t.Run(method, func(t *testing.T) {
			s := answerer(t, "127.0.0.1")
			r, p := captureDatagrams(t, s.Port, probe.Options{Datagrams: method})
			needSenders(t, p)
			self := uint32(os.Getpid())
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(p.WatchBy(probe.Include))
			ask(t, s, "included")
			eventually(t, func() error { return holds(r, "included") })
			before := counters(t, p)
			must(p.WatchPID(self, probe.Exclude))
			ask(t, s, "excluded")
			must(p.WatchPID(self, probe.Pending))
			ask(t, s, "pending")
			eventually(t, func() error {
				after := counters(t, p)
				if after.Unwatched+after.Pending < before.Unwatched+before.Pending+4 {
					return fmt.Errorf("before %+v, after %+v", before, after)
				}
				return nil
			})
			must(p.ForgetPID(self))
			ask(t, s, "again")
			eventually(t, func() error { return holds(r, "again") })
			for _, text := range []string{"excluded", "pending"} {
				if holds(r, text) == nil {
					t.Errorf("told %q", text)
				}
			}
		})
	}
}
