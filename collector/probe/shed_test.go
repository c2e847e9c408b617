package probe_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/probe"
)

// exchange sends a byte to the server and one back: two calls, and two turns, at each end.
func (p pair) exchange() {
	p.t.Helper()
	one := make([]byte, 1)
	if _, err := p.client.Write(one); err != nil {
		p.t.Fatal(err)
	}
	p.read(1)
	if _, err := p.server.Write(one); err != nil {
		p.t.Fatal(err)
	}
	if _, err := io.ReadFull(p.client, one); err != nil {
		p.t.Fatal(err)
	}
}

// TestShed sheds all: nothing comes but the beginning and the end, and once it is over the numbers and the turns say what is missing.
func TestShed(t *testing.T) {
	for _, method := range []string{"tracepoint", "syscall", "kprobe", "fexit"} {
		t.Run(method, func(t *testing.T) {
			const before, shed, after = 2, 5, 3
			r, p := capture(t, method)
			c := dial(t, "127.0.0.1:0")
			exchanges := func(n, lots int) {
				if err := p.Shed(0, lots); err != nil {
					t.Fatal(err)
				}
				for range n {
					c.exchange()
				}
			}
			exchanges(before, 0)
			exchanges(shed, probe.Lots)
			exchanges(after, 0)
			c.client.Close()
			c.server.Close()
			r.both(t, c, func(client, server *record) error {
				// The first turn of an end that sends first is turn 0.
				return errors.Join(checkShed("client", client, 0, before, shed, after), checkShed("server", server, 1, before, shed, after))
			})
			if got := counters(t, p).Lost["shed"]; got < 4*shed {
				t.Errorf("%d calls were counted as shed, want %d at least", got, 4*shed)
			}
		})
	}
}

// checkShed wants the numbers, and the turns from first on, of an end whose exchanges in the middle were shed.
func checkShed(name string, c *record, first uint32, before, shed, after int) error {
	if c.closed == nil {
		return fmt.Errorf("%s: not closed", name)
	}
	errs := c.errs
	total := 2 * (before + shed + after)
	if c.closed.Seq != uint64(total) || c.closed.Turn != first+uint32(total)-1 {
		errs = append(errs, fmt.Errorf("%s: %d numbers, %d turns, want %d", name, c.closed.Seq, c.closed.Turn, total))
	}
	for i := range total {
		want := i < 2*before || i >= 2*(before+shed)
		if seq, turn := c.seqs[uint64(i)], c.turns[first+uint32(i)]; seq != want || turn != want {
			errs = append(errs, fmt.Errorf("%s: call %d told: %v, its turn: %v, want %v", name, i, seq, turn, want))
		}
	}
	return errors.Join(errs...)
}

// TestShedPart sheds a part of the lots and then the rest: each connection is shed once, at both of its ends.
func TestShedPart(t *testing.T) {
	r, p := capture(t, "auto")
	if p.Shed(0, probe.Lots+1) == nil || p.Shed(0, -1) == nil {
		t.Error("more lots than there are, or less than none, were shed")
	}
	conns := make([]pair, 64)
	for i := range conns {
		conns[i] = dial(t, "127.0.0.1:0")
	}
	for _, from := range []int{200, 200 + probe.Lots/2} { // they wrap
		if err := p.Shed(from, probe.Lots/2); err != nil {
			t.Fatal(err)
		}
		for _, c := range conns {
			c.exchange()
		}
	}
	kept := map[string]int{}
	for _, c := range conns {
		c.client.Close()
		c.server.Close()
		r.both(t, c, func(client, server *record) error {
			if client.closed == nil || server.closed == nil {
				return errors.New("not closed")
			}
			at, other := fmt.Sprint(slices.Sorted(maps.Keys(client.seqs))), fmt.Sprint(slices.Sorted(maps.Keys(server.seqs)))
			if at != other {
				return fmt.Errorf("the client told the calls %s, the server %s", at, other)
			}
			kept[at]++
			return nil
		})
	}
	if len(kept) != 2 || kept["[0 1]"] == 0 || kept["[2 3]"] == 0 {
		t.Errorf("calls told, and by how many connections: %v", kept)
	}
}

// TestShedDatagrams sheds a part of the datagrams: those between two ends are told at both or at neither, and what is missing is
// counted.
func TestShedDatagrams(t *testing.T) {
	for _, method := range datagramMethods {
		t.Run(method, func(t *testing.T) {
			const questions = 64
			to := answerer(t, "127.0.0.1")
			r, p := captureDatagrams(t, to.Port, probe.Options{Datagrams: method})
			if err := p.Shed(0, probe.Lots/2); err != nil {
				t.Fatal(err)
			}
			for i := range questions {
				ask(t, to, fmt.Sprintf("question %d", i))
			}
			eventually(t, func() error {
				client, server := textsOf(r.all(event.RoleClient, 0)), textsOf(r.all(event.RoleServer, 0))
				shed := counters(t, p).Lost["shed"]
				switch told := len(client) + len(server); {
				case !slices.Equal(client, server):
					return fmt.Errorf("told at clients: %q, at servers: %q", client, server)
				case uint64(told)+shed != 4*questions || shed == 0 || told == 0:
					return fmt.Errorf("%d datagrams told, %d shed, want %d together", told, shed, 4*questions)
				}
				return r.errors()
			})
		})
	}
}

func textsOf(grams []gram) (texts []string) {
	for _, g := range grams {
		texts = append(texts, g.text)
	}
	slices.Sort(texts)
	return texts
}
