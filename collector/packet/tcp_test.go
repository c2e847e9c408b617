package packet_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/packet"
)

// conversation is a request and an answer of a few segments each.
func conversation(t testing.TB) *talk {
	return newTalk(t, clientEnd, serverEnd).open().say(0, "request", 3).say(1, "the answer", 4)
}

// TestConnection: a connection from SYN to FIN, seen from the client's end.
func TestConnection(t *testing.T) {
	k := conversation(t).end()
	r, c := run(t, packet.Config{}, k.packets)
	h := r.only()
	want := event.Opened{
		Conn: 1, Flow: event.Flow{Local: clientEnd, Remote: serverEnd}, Role: event.RoleClient,
		Time: k.packets[1].Time, ConnectDuration: k.step,
	}
	h.opened.Time = h.opened.Time.UTC()
	if *h.opened != want {
		t.Errorf("opened %+v, want %+v", *h.opened, want)
	}
	if s, rc := h.stream(event.Sent), h.stream(event.Received); s != "request" || rc != "the answer" {
		t.Errorf("sent %q, received %q", s, rc)
	}
	for i, s := range h.segments {
		turn := uint32(0)
		if i >= 3 {
			turn = 1
		}
		if s.Seq != uint64(i) || !s.Turns || s.Turn != turn || !s.Time.Equal(k.packets[3+i].Time) {
			t.Errorf("segment %d: %+v", i, s)
		}
	}
	cl := h.closed
	if cl == nil || cl.Reason != event.CloseNormal || cl.Seq != 6 || cl.Sent != 7 || cl.Received != 10 || cl.Stats.RTT != 2*k.step {
		t.Errorf("closed %+v", cl)
	}
	if c.Packets != uint64(len(k.packets)) || c.Segments != 6 || c.Holes+c.Stray+c.Duplicates+c.Retransmits+c.Malformed != 0 {
		t.Errorf("counters %+v", c)
	}
}

// TestOrder: whatever the network does to segments, the streams are the same.
func TestOrder(t *testing.T) {
	whole := conversation(t).end().packets
	// 0 SYN, 1 SYN-ACK, 2 ACK, 3-5 request, 6-8 answer, 9-11 end
	at := func(list ...int) (out []packet.Packet) {
		for i, n := range list {
			p := whole[n]
			p.Time = epoch.Add(time.Duration(i+1) * time.Millisecond)
			out = append(out, p)
		}
		return out
	}
	for _, c := range []struct {
		name    string
		packets []packet.Packet
		check   func(packet.Counters) bool
	}{
		{"reordered", at(0, 1, 2, 4, 5, 3, 8, 7, 6, 9, 10, 11), func(c packet.Counters) bool { return c.Reordered == 4 }},
		{"answer before its question", at(0, 1, 2, 6, 7, 3, 8, 4, 5, 9, 10, 11), func(c packet.Counters) bool { return c.Reordered > 0 }},
		{"every packet three times", at(0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8, 9, 9, 9, 10, 10, 10, 11, 11, 11), func(c packet.Counters) bool { return c.Duplicates == 2*9 && c.Retransmits == 0 }},
		{"end before the data", at(0, 1, 2, 9, 3, 4, 5, 10, 6, 7, 8), func(c packet.Counters) bool { return true }},
		{"no handshake but the SYN", at(0, 3, 4, 5, 6, 7, 8, 9, 10, 11), func(c packet.Counters) bool { return true }},
		{"no SYN", at(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11), func(c packet.Counters) bool { return true }},
		{"no SYN-ACK, the answer first", at(0, 6, 7, 8, 3, 4, 5, 9, 10, 11), func(c packet.Counters) bool { return true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, count := run(t, packet.Config{}, c.packets)
			h := r.only()
			if s, rc := h.stream(event.Sent), h.stream(event.Received); s != "request" || rc != "the answer" || h.missing() != 0 {
				t.Errorf("sent %q, received %q, %d missing", s, rc, h.missing())
			}
			if h.opened.Existing || h.opened.Role != event.RoleClient || h.opened.Flow.Local != clientEnd || h.closed == nil {
				t.Errorf("opened %+v, closed %+v", h.opened, h.closed)
			}
			if last := h.segments[len(h.segments)-1]; !last.Turns || last.Turn != 1 {
				t.Errorf("last turn %d (%v), want 1", last.Turn, last.Turns)
			}
			if count.Holes != 0 || !c.check(count) {
				t.Errorf("counters %+v", count)
			}
		})
	}
}

// TestRetransmission: no byte twice, the first copy wins, and an overlap is no reason to lose what is new.
func TestRetransmission(t *testing.T) {
	k := newTalk(t, clientEnd, serverEnd).open().say(0, "abcdef", 6)
	start := k.next[0] - 6
	resend := func(off uint32, data string) {
		k.next[0] = start + off
		k.add(0, segment{data: data})
	}
	resend(0, "ABCDEF")   // the same bytes, changed
	resend(3, "DEFghi")   // overlaps
	resend(12, "mno")     // early
	resend(10, "klMNOpq") // overlaps what is held on both sides
	resend(9, "jk")       // fills the hole, overlapping
	resend(15, "pq")      // old
	resend(17, "r")
	r, c := run(t, packet.Config{}, k.packets)
	h := r.only()
	if got := h.stream(event.Sent); got != "abcdefghijklmnopqr" {
		t.Errorf("%q", got)
	}
	// Two were known whole, and two had bytes that were due before those which had been sent earlier.
	if c.Retransmits != 4 || c.Holes != 0 {
		t.Errorf("counters %+v", c)
	}
	if h.stats == nil || h.stats.Sent != 18 || h.stats.Retransmits != 4 {
		t.Errorf("stats %+v", h.stats)
	}
}

// TestKeepAlive: probes carry no byte of the stream, though some have one.
func TestKeepAlive(t *testing.T) {
	k := newTalk(t, clientEnd, serverEnd).open().say(0, "abc", 3)
	for _, probe := range []string{"", "x"} {
		k.next[0]--
		k.add(0, segment{data: probe})
		k.next[0] += uint32(1 - len(probe))
		k.add(1, segment{})
	}
	k.say(0, "def", 3)
	r, c := run(t, packet.Config{}, k.packets)
	if got := r.only().stream(event.Sent); got != "abcdef" || c.KeepAlives != 2 || c.Retransmits != 0 {
		t.Errorf("%q, counters %+v", got, c)
	}
}

// TestWrap: sequence numbers start again in the middle, and offsets go on past 4 GiB.
func TestWrap(t *testing.T) {
	k := newTalk(t, clientEnd, serverEnd).open()
	r := newRecorder(t)
	a := packet.New(packet.Config{}, r.handle)
	chunk := strings.Repeat("x", 1<<15)
	for i := range 3 << 17 { // 12 GiB, of which a thousandth is shown
		if i%1024 == 0 {
			k.say(0, chunk, len(chunk))
		} else {
			s := segment{src: clientEnd, dst: serverEnd, seq: k.next[0], ack: k.acked[0]}.bytes(t)
			n := len(s) + len(chunk)
			s[2], s[3] = byte(n>>8), byte(n)
			k.packets = append(k.packets, packet.Packet{Time: k.at, Link: packet.LinkRaw, Data: s, Length: n})
			k.next[0] += uint32(len(chunk))
		}
		for j := range k.packets {
			a.Packet(&k.packets[j])
		}
		k.packets = k.packets[:0]
	}
	a.Flush(k.at)
	total := uint64(3<<17) * uint64(len(chunk))
	if h := r.only(); h.stats.Sent != total || h.missing() != 0 || a.Counters().Cut != 3<<17-3<<7 {
		t.Errorf("%d bytes, want %d; %d missing, %+v", h.stats.Sent, total, h.missing(), a.Counters())
	}
}

// TestSnapshotLength: what was not captured is known by its size.
func TestSnapshotLength(t *testing.T) {
	k := conversation(t).end()
	for i := range k.packets {
		p := &k.packets[i]
		p.Data = p.Data[:min(len(p.Data), 42)]
	}
	r, c := run(t, packet.Config{}, k.packets)
	h := r.only()
	if s, rc := h.stream(event.Sent), h.stream(event.Received); s != "re_ue_t" || rc != "th__an__er" || h.missing() != 0 {
		t.Errorf("sent %q, received %q, %d missing", s, rc, h.missing())
	}
	if c.Cut != 4 || c.Holes != 0 || h.closed == nil {
		t.Errorf("counters %+v", c)
	}
	// Options that are cut spoil nothing.
	cut := newTalk(t, clientEnd, serverEnd)
	cut.add(0, segment{syn: true, options: []layers.TCPOption{{OptionType: 8, OptionLength: 10, OptionData: make([]byte, 8)}}})
	cut.packets[0].Data = cut.packets[0].Data[:45]
	cut.add(1, segment{syn: true})
	if r, c := run(t, packet.Config{}, cut.packets); len(r.order) != 1 || c.Malformed != 0 {
		t.Errorf("%d connections, counters %+v", len(r.order), c)
	}
}

// TestPerEnd: each packet of the loopback device is seen twice, and each end is a connection with its own task.
func TestPerEnd(t *testing.T) {
	k := conversation(t).end()
	var packets []packet.Packet
	for i, p := range k.packets {
		client, server := event.Task{PID: 10}, event.Task{PID: 20}
		if fromClient := i != 1 && i != 6 && i != 7 && i != 8 && i != 10; !fromClient {
			client, server = server, client
		}
		p.Direction, p.Task, p.NetNS = packet.Outgoing, client, 7
		packets = append(packets, p)
		p.Direction, p.Task = packet.Incoming, server
		packets = append(packets, p)
	}
	packets = append(packets, k.packets[3]) // no direction
	r, c := run(t, packet.Config{PerEnd: true, FirstConn: 100}, packets)
	if len(r.order) != 2 || c.Undirected != 1 || c.Duplicates+c.Retransmits+c.Holes != 0 {
		t.Fatalf("%d connections, counters %+v", len(r.order), c)
	}
	slices.SortFunc(r.order, func(x, y *heard) int { return int(x.opened.Role) - int(y.opened.Role) })
	for i, h := range r.order {
		role, flow, sent, received, pid := event.RoleClient, event.Flow{Local: clientEnd, Remote: serverEnd, NetNS: 7}, "request", "the answer", uint32(10)
		if i == 1 {
			role, flow, sent, received, pid = event.RoleServer, flow.Mirror(), received, sent, 20
		}
		o := h.opened
		if o.Role != role || o.Flow != flow || o.Existing || h.closed == nil || o.Conn < 100 {
			t.Errorf("end %d: %+v", i, o)
		}
		if h.stream(event.Sent) != sent || h.stream(event.Received) != received {
			t.Errorf("end %d: sent %q, received %q", i, h.stream(event.Sent), h.stream(event.Received))
		}
		for _, s := range h.segments {
			if s.Task.PID != pid || s.Turn%2 != uint32(s.Dir) {
				t.Errorf("end %d: %+v", i, s)
			}
		}
	}
	local := func(_ uint32, a netip.Addr) bool { return a == clientEnd.Addr() }
	r, c = run(t, packet.Config{PerEnd: true, Local: local}, packets[:len(packets)-1])
	if h := r.only(); h.opened.Flow.Local != clientEnd || c.NotLocal != uint64(len(k.packets)) {
		t.Errorf("%+v, counters %+v", h.opened, c)
	}
}

// TestBounds: connections and held bytes are bounded, whatever comes.
func TestBounds(t *testing.T) {
	var packets []packet.Packet
	for i := range 300 {
		k := newTalk(t, netip.AddrPortFrom(clientEnd.Addr(), uint16(10000+i)), serverEnd)
		k.at = epoch.Add(time.Duration(i) * time.Second)
		k.open().say(0, fmt.Sprint("request ", i), 100)
		packets = append(packets, k.packets...)
	}
	r, c := run(t, packet.Config{MaxFlows: 10}, packets)
	if len(r.order) != 300 || c.Flows != 10 || c.Evicted != 290 {
		t.Errorf("%d connections, counters %+v", len(r.order), c)
	}
	k := newTalk(t, clientEnd, serverEnd).open()
	k.next[0]++ // never seen, never acknowledged
	k.acked[1] = k.next[0] - 1
	for range 200 {
		k.say(0, strings.Repeat("x", 1000), 1000)
	}
	r, c = run(t, packet.Config{MaxFlowHeld: 50_000}, k.packets)
	if h := r.only(); c.HeldOut != 1 || c.HeldBytes != 0 || h.missing() != 1 || len(h.stream(event.Sent)) != 200_001 {
		t.Errorf("%d missing, counters %+v", h.missing(), c)
	}
}
