package packet_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/packet"
)

// TestExisting: a connection whose SYN was not seen counts from its first byte, and the lower port is the server's.
func TestExisting(t *testing.T) {
	k := conversation(t)
	before := newTalk(t, netip.MustParseAddrPort("10.9.9.9:1234"), serverEnd).open()
	for i := range before.packets {
		before.packets[i].Time = epoch.Add(-time.Hour)
	}
	for _, from := range []int{2, 3, 4, 6, 7} {
		r, c := run(t, packet.Config{}, append(slices.Clone(before.packets), k.packets[from:]...))
		h := r.order[1]
		whole := [2]string{"request", "the answer"}
		for d := event.Sent; d <= event.Received; d++ {
			if got := h.stream(d); !strings.HasSuffix(whole[d], got) {
				t.Errorf("from packet %d: %v %q", from, d, got)
			}
		}
		first := slices.IndexFunc(k.packets[from:], func(p packet.Packet) bool { return len(p.Data) > 40 })
		if from == 2 {
			first = 0 // a bare acknowledgement
		}
		o := h.opened
		if !o.Existing || o.Role != event.RoleUnknown || o.Flow.Local != clientEnd || !o.Time.Equal(k.packets[from+first].Time) ||
			!o.LastActive.Equal(epoch.Add(-time.Hour)) {
			t.Errorf("from packet %d: opened %+v", from, o)
		}
		if h.missing() != 0 || c.Holes != 0 {
			t.Errorf("from packet %d: %d missing", from, h.missing())
		}
	}
}

// TestEnds of connections: half-closed, reset, timed out, used again.
func TestEnds(t *testing.T) {
	t.Run("half-closed", func(t *testing.T) {
		k := newTalk(t, clientEnd, serverEnd).open().say(0, "request", 7)
		k.add(0, segment{fin: true})
		k.say(1, "a long answer", 5)
		r, _ := run(t, packet.Config{}, k.packets)
		if h := r.only(); h.closed != nil || h.stream(event.Received) != "a long answer" {
			t.Errorf("closed %+v after %q", h.closed, h.stream(event.Received))
		}
		k.add(1, segment{fin: true})
		k.add(0, segment{})
		r, c := run(t, packet.Config{}, k.packets)
		if h := r.only(); h.closed == nil || h.closed.Reason != event.CloseNormal || h.missing() != 0 || c.Holes != 0 {
			t.Errorf("closed %+v", h.closed)
		}
	})
	t.Run("reset", func(t *testing.T) {
		k := conversation(t)
		k.add(1, segment{rst: true})
		k.packets = append(k.packets, k.packets[len(k.packets)-1], k.packets[len(k.packets)-3]) // copies, late
		r, c := run(t, packet.Config{}, k.packets)
		if h := r.only(); h.closed == nil || h.closed.Reason != event.CloseReset || c.Stray != 1 {
			t.Errorf("closed %+v, counters %+v", h.closed, c)
		}
	})
	t.Run("reset out of the window", func(t *testing.T) {
		k := conversation(t)
		k.next[1] += 1 << 31
		k.add(1, segment{rst: true})
		r, c := run(t, packet.Config{}, k.packets)
		if h := r.only(); h.closed != nil || c.OutOfWindow != 1 {
			t.Errorf("closed %+v, counters %+v", h.closed, c)
		}
	})
	t.Run("ports used again", func(t *testing.T) {
		k := conversation(t).end()
		for range 2 {
			k.next = [2]uint32{k.next[0] + 12345, k.next[1] + 54321}
			k.open().say(0, "again", 5).say(1, "and again", 9)
		}
		r, c := run(t, packet.Config{}, k.packets)
		if len(r.order) != 3 || r.order[1].closed == nil || r.order[2].closed != nil || c.Holes != 0 {
			t.Fatalf("%d connections, counters %+v", len(r.order), c)
		}
		for _, h := range r.order[1:] {
			if h.stream(event.Sent) != "again" || h.stream(event.Received) != "and again" || h.opened.Existing {
				t.Errorf("%q %q", h.stream(event.Sent), h.stream(event.Received))
			}
		}
	})
	t.Run("idle", func(t *testing.T) {
		k := conversation(t)
		k.at = k.at.Add(time.Hour)
		k.say(0, "later", 5)
		r, _ := run(t, packet.Config{TCPIdle: time.Minute}, k.packets)
		if len(r.order) != 2 || r.order[0].closed == nil || r.order[0].closed.Reason != event.CloseTimeout || !r.order[1].opened.Existing {
			t.Errorf("%d connections, the first closed: %+v", len(r.order), r.order[0].closed)
		}
	})
}

// TestConnectFailed: a SYN that is refused, or that nobody answers.
func TestConnectFailed(t *testing.T) {
	k := newTalk(t, clientEnd, serverEnd)
	k.add(0, segment{syn: true})
	k.add(1, segment{rst: true})
	k.packets = append(k.packets, k.packets[1])
	other := newTalk(t, netip.MustParseAddrPort("10.0.0.7:7777"), serverEnd)
	other.add(0, segment{syn: true})
	for range 3 { // sent again
		p := other.packets[len(other.packets)-1]
		p.Time = p.Time.Add(10 * time.Second)
		other.packets = append(other.packets, p)
	}
	packets := append(k.packets, other.packets...)
	packets = append(packets, raw(epoch.Add(10*time.Minute), nil))
	r, _ := run(t, packet.Config{}, packets)
	if len(r.order) != 0 || len(r.failed) != 2 {
		t.Fatalf("%d connections, failures %+v", len(r.order), r.failed)
	}
	if f := r.failed[0]; f.Flow.Local != clientEnd || f.Errno != 111 || f.Duration != k.step {
		t.Errorf("refused: %+v", f)
	}
	if f := r.failed[1]; f.Errno != 110 || f.Flow.Local.Port() != 7777 {
		t.Errorf("not answered: %+v", f)
	}
}

// TestOpening: data in the SYN, and both ends opening at once.
func TestOpening(t *testing.T) {
	t.Run("fast open", func(t *testing.T) {
		for _, taken := range []bool{true, false} {
			k := newTalk(t, clientEnd, serverEnd)
			k.add(0, segment{syn: true, data: "request"})
			if !taken {
				k.acked[1] -= 7
			}
			k.add(1, segment{syn: true})
			if !taken {
				k.next[0] -= 7
				k.say(0, "request", 7)
			}
			k.say(1, "answer", 6).end()
			r, c := run(t, packet.Config{}, k.packets)
			h := r.only()
			if h.stream(event.Sent) != "request" || h.stream(event.Received) != "answer" || h.closed == nil || c.Holes != 0 {
				t.Errorf("taken %v: %q %q %+v", taken, h.stream(event.Sent), h.stream(event.Received), h.closed)
			}
			if !h.segments[0].Time.Equal(k.packets[0].Time) {
				t.Errorf("the request's time is %v, not the SYN's", h.segments[0].Time)
			}
		}
	})
	t.Run("simultaneous", func(t *testing.T) {
		k := newTalk(t, clientEnd, serverEnd)
		k.add(0, segment{syn: true})
		k.acked[1] = 0
		k.add(1, segment{syn: true})
		for end := range 2 { // each answers with its SYN again
			k.next[end]--
			k.acked[end] = k.next[1-end]
			if end == 0 {
				k.packets = append(k.packets, raw(k.at, segment{src: clientEnd, dst: serverEnd, seq: k.next[0], ack: k.next[1], syn: true}.bytes(t)))
				k.next[0]++
				continue
			}
			k.add(end, segment{syn: true})
		}
		k.say(0, "request", 7).say(1, "answer", 6)
		r, c := run(t, packet.Config{}, k.packets)
		h := r.only()
		if h.stream(event.Sent) != "request" || h.stream(event.Received) != "answer" || h.opened.Role != event.RoleClient || c.Holes != 0 {
			t.Errorf("%q %q %+v %+v", h.stream(event.Sent), h.stream(event.Received), h.opened, c)
		}
	})
}
