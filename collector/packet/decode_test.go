package packet_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/packet"
)

var (
	askerEnd    = netip.MustParseAddrPort("10.0.0.1:40000")
	resolverEnd = netip.MustParseAddrPort("10.0.0.2:53")
	asker6      = netip.MustParseAddrPort("[2001:db8::1]:40000")
	resolver6   = netip.MustParseAddrPort("[2001:db8::2]:53")
)

// TestLinks: the same datagram, whatever it is wrapped in.
func TestLinks(t *testing.T) {
	v4, v6 := udp(t, askerEnd, resolverEnd, 7, "question"), udp(t, asker6, resolver6, 7, "question")
	bytes := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	ether := func(t layers.EthernetType) []byte { return append(make([]byte, 12), byte(t>>8), byte(t)) }
	cooked := func(pad string, t uint16) []byte { return binary.BigEndian.AppendUint16([]byte(pad), t) }
	for _, c := range []struct {
		name string
		link packet.LinkType
		data []byte
	}{
		{"raw", packet.LinkRaw, v4},
		{"raw of BSD", packet.LinkRawBSD, v4},
		{"raw of others, version 6", packet.LinkRawOther, v6},
		{"IPv4", packet.LinkIPv4, v4},
		{"IPv6", packet.LinkIPv6, v6},
		{"Ethernet", packet.LinkEthernet, bytes(ether(0x0800), v4)},
		{"Ethernet, padded", packet.LinkEthernet, bytes(ether(0x86dd), v6, make([]byte, 20))},
		{"VLAN", packet.LinkEthernet, bytes(ether(0x8100), []byte{0, 5, 8, 0}, v4)},
		{"QinQ", packet.LinkEthernet, bytes(ether(0x88a8), []byte{0, 5, 0x81, 0, 0, 6, 0x86, 0xdd}, v6)},
		{"QinQ of old", packet.LinkEthernet, bytes(ether(0x9100), []byte{0, 5, 0x81, 0, 0, 6, 8, 0}, v4)},
		{"MPLS", packet.LinkEthernet, bytes(ether(0x8847), []byte{0, 1, 0, 64, 0, 2, 1, 64}, v6)},
		{"cooked", packet.LinkLinuxSLL, bytes(cooked("\x00\x04\x00\x01\x00\x06abcdef\x00\x00", 0x0800), v4)},
		{"cooked, VLAN", packet.LinkLinuxSLL, bytes(cooked("\x00\x04\x00\x01\x00\x06abcdef\x00\x00", 0x8100), []byte{0, 5, 8, 0}, v4)},
		{"cooked, version 2", packet.LinkLinuxSLL2, bytes([]byte("\x08\x00\x00\x00\x00\x00\x00\x02\x00\x01\x04\x06abcdef\x00\x00"), v4)},
		{"null, little-endian", packet.LinkNull, bytes([]byte{2, 0, 0, 0}, v4)},
		{"null, big-endian", packet.LinkNull, bytes([]byte{0, 0, 0, 30}, v6)},
		{"null, FreeBSD", packet.LinkNull, bytes([]byte{28, 0, 0, 0}, v6)},
		{"loop", packet.LinkLoop, bytes([]byte{0, 0, 0, 24}, v6)},
		{"IPv4 with options", packet.LinkRaw, withOptions(v4)},
		{"IPv4 without a length", packet.LinkRaw, with(v4, 2, 0, 0)},
		{"IPv6 without a length", packet.LinkRaw, with(v6, 4, 0, 0)},
		{"UDP without a length", packet.LinkRaw, with(v4, 24, 0, 0)},
		{"IPv6 with extensions", packet.LinkRaw, withExtensions(v6, 0, 60, 43, 135)},
		{"IPv6 with authentication", packet.LinkRaw, withExtensions(v6, 51)},
		{"IPv6, a fragment of its own", packet.LinkRaw, withExtensions(v6, 44)},
		{"IPv6 jumbogram", packet.LinkRaw, with(withExtensions(v6, 0), 4, 0, 0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := packet.Packet{Time: epoch, Link: c.link, Data: c.data, Length: len(c.data)}
			r, count := run(t, packet.Config{}, []packet.Packet{p})
			if len(r.order) != 1 || count.Cut != 0 {
				t.Fatalf("%d sockets, %+v", len(r.order), count)
			}
			h := r.order[0]
			local, peer := askerEnd, resolverEnd
			if !strings.Contains(h.opened.Flow.Local.String(), "10.") {
				local, peer = asker6, resolver6
			}
			s := h.segments[0]
			if h.opened.Flow.Local != local || s.Peer != peer || string(s.Data) != "question" || s.Size != 8 || !s.Datagram || !h.opened.Datagram {
				t.Errorf("%+v, %+v", h.opened, s)
			}
			for n := range c.data { // cut anywhere it is less, but no harm
				p.Data = c.data[:n:n]
				r, _ := run(t, packet.Config{}, []packet.Packet{p})
				if len(r.order) == 1 && len(r.order[0].segments[0].Data) > 8 {
					t.Fatalf("cut at %d: %+v", n, r.order[0].segments)
				}
			}
		})
	}
}

// with is data with b in place of what was at i.
func with(data []byte, i int, b ...byte) []byte {
	out := slices.Clone(data)
	copy(out[i:], b)
	return out
}

func withOptions(v4 []byte) []byte {
	out := slices.Concat(v4[:20], []byte{1, 1, 1, 0}, v4[20:])
	out[0]++
	binary.BigEndian.PutUint16(out[2:], uint16(len(out)))
	return out
}

// withExtensions puts extension headers of 8 bytes (authentication has 16) in front of what v6 carries.
func withExtensions(v6 []byte, list ...byte) []byte {
	out := slices.Clone(v6[:40])
	at := 6 // of the number of the next header
	last := out[at]
	for _, next := range list {
		out[at] = next
		at = len(out)
		h := make([]byte, 8)
		if next == 51 {
			h = make([]byte, 16)
			h[1] = 2
		}
		out = append(out, h...)
	}
	out[at] = last
	out = append(out, v6[40:]...)
	binary.BigEndian.PutUint16(out[4:], uint16(len(out)-40))
	return out
}

// TestNothingInIt: what cannot be decoded is counted by its reason.
func TestNothingInIt(t *testing.T) {
	v4 := udp(t, askerEnd, resolverEnd, 7, "question")
	icmp := with(v4, 9, 1)
	var tags []byte
	for range 40 {
		tags = append(tags, 0, 1, 0x81, 0)
	}
	reset := segment{src: clientEnd, dst: serverEnd, rst: true}.bytes(t)
	for _, c := range []struct {
		name string
		link packet.LinkType
		data []byte
		of   func(packet.Counters) uint64
	}{
		{"link", 9999, v4, func(c packet.Counters) uint64 { return c.UnknownLink }},
		{"ARP", packet.LinkEthernet, append(append(make([]byte, 12), 8, 6), v4...), func(c packet.Counters) uint64 { return c.NotIP }},
		{"802.3", packet.LinkEthernet, append(append(make([]byte, 12), 0, 40), v4...), func(c packet.Counters) uint64 { return c.NotIP }},
		{"IP version", packet.LinkRaw, with(v4, 0, 0x55), func(c packet.Counters) uint64 { return c.NotIP }},
		{"ICMP", packet.LinkRaw, icmp, func(c packet.Counters) uint64 { return c.NotTransport }},
		{"nothing", packet.LinkRaw, nil, func(c packet.Counters) uint64 { return c.Malformed }},
		{"tags without end", packet.LinkEthernet, slices.Concat(make([]byte, 12), []byte{0x81, 0}, tags), func(c packet.Counters) uint64 { return c.Malformed }},
		{"address length", packet.LinkLinuxSLL, slices.Concat([]byte("\x00\x00\x00\x01\xff\xffabcdefgh\x08\x00"), v4), func(c packet.Counters) uint64 { return c.Malformed }},
		{"header length", packet.LinkRaw, with(v4, 0, 0x41), func(c packet.Counters) uint64 { return c.Malformed }},
		{"length shorter than header", packet.LinkRaw, with(v4, 2, 0, 10), func(c packet.Counters) uint64 { return c.Malformed }},
		{"UDP length", packet.LinkRaw, with(v4, 24, 0, 3), func(c packet.Counters) uint64 { return c.Malformed }},
		{"TCP offset", packet.LinkRaw, with(reset, 32, 0x10), func(c packet.Counters) uint64 { return c.Malformed }},
		{"extensions without end", packet.LinkRaw, withExtensions(udp(t, asker6, resolver6, 1, ""), make([]byte, 40)...), func(c packet.Counters) uint64 { return c.Malformed }},
		{"reset of nothing", packet.LinkRaw, reset, func(c packet.Counters) uint64 { return c.Stray }},
		{"SYN and FIN", packet.LinkRaw, segment{src: clientEnd, dst: serverEnd, syn: true, fin: true}.bytes(t), func(c packet.Counters) uint64 { return c.Malformed }},
	} {
		p := packet.Packet{Time: epoch, Link: c.link, Data: c.data, Length: len(c.data)}
		r, count := run(t, packet.Config{}, []packet.Packet{p})
		if len(r.order) != 0 || c.of(count) != 1 || count.Packets != 1 {
			t.Errorf("%s: %d connections, %+v", c.name, len(r.order), count)
		}
	}
	count := func(ports ...uint16) uint64 {
		_, c := run(t, packet.Config{UDPPorts: ports}, []packet.Packet{raw(epoch, v4)})
		return c.Filtered
	}
	if count(53) != 0 || count(40000) != 0 || count(54) != 1 {
		t.Error("ports are not filtered as asked")
	}
}

// TestLargeSegments: segmentation left to the device makes packets longer than IP's length can tell.
func TestLargeSegments(t *testing.T) {
	k := newTalk(t, clientEnd, serverEnd).open()
	big := strings.Repeat("x", 200_000)
	s := segment{src: clientEnd, dst: serverEnd, seq: k.next[0], ack: k.acked[0]}.bytes(t)
	s[2], s[3] = 0, 0
	k.packets = append(k.packets, raw(k.at, append(s, big...)))
	k.next[0] += uint32(len(big))
	k.say(0, "end", 3)
	r, c := run(t, packet.Config{}, k.packets)
	if got := r.only().stream(event.Sent); got != big+"end" || c.Holes != 0 {
		t.Errorf("%d bytes, %+v", len(got), c)
	}
}

// cutUp makes fragments of a raw IP packet, of n bytes each.
func cutUp(data []byte, n int) (out [][]byte) {
	header, v6 := 20, data[0]>>4 == 6
	if v6 {
		header = 40
	}
	for at := 0; at < len(data)-header; at += n {
		end := min(at+n, len(data)-header)
		more := end < len(data)-header
		if !v6 {
			f := slices.Concat(data[:20], data[header+at:header+end])
			binary.BigEndian.PutUint16(f[2:], uint16(len(f)))
			where := uint16(at / 8)
			if more {
				where |= 1 << 13
			}
			binary.BigEndian.PutUint16(f[6:], where)
			out = append(out, f)
			continue
		}
		where := uint16(at)
		if more {
			where |= 1
		}
		h := []byte{data[6], 0, byte(where >> 8), byte(where), 1, 2, 3, 4}
		f := slices.Concat(data[:40], h, data[header+at:header+end])
		f[6] = 44
		binary.BigEndian.PutUint16(f[4:], uint16(len(f)-40))
		out = append(out, f)
	}
	return out
}

// TestFragments: datagrams in pieces, in any order, with copies, cut or incomplete.
func TestFragments(t *testing.T) {
	text := strings.Repeat("0123456789", 100)
	for _, whole := range [][]byte{udp(t, askerEnd, resolverEnd, 7, text), udp(t, asker6, resolver6, 7, text)} {
		parts := cutUp(whole, 200)
		n := len(parts)
		packets := func(order ...int) (out []packet.Packet) {
			for _, i := range order {
				out = append(out, raw(epoch, parts[i]))
			}
			return out
		}
		for _, order := range [][]int{{0, 1, 2, 3, 4, 5}, {5, 4, 3, 2, 1, 0}, {0, 0, 2, 2, 1, 5, 4, 3}, {3, 1, 4, 0, 5, 2, 2, 0, 5}} {
			r, c := run(t, packet.Config{}, packets(order...))
			if s := r.only().segments; len(s) != 1 || string(s[0].Data) != text || s[0].Size != len(text) || c.FragmentsLost != 0 || c.HeldBytes != 0 {
				t.Errorf("%v: %d datagrams, %+v", order, len(s), c)
			}
			if c.Duplicates != uint64(len(order)-n) {
				t.Errorf("%v: %d copies, want %d", order, c.Duplicates, len(order)-n)
			}
		}
		r, c := run(t, packet.Config{}, packets(0, 1, 3, 4, 5))
		if len(r.order) != 0 || c.FragmentsLost != uint64(n-1) || c.HeldBytes != 0 {
			t.Errorf("incomplete: %d, %+v", len(r.order), c)
		}
		cut := packets(0, 1, 2, 3, 4, 5)
		cut[2].Data = cut[2].Data[:100]
		r, c = run(t, packet.Config{}, cut)
		if s := r.only().segments[0]; !strings.HasPrefix(text, string(s.Data)) || s.Size != len(text) || c.Cut != 1 || len(s.Data) < 400 {
			t.Errorf("cut: %d bytes of %d, %+v", len(s.Data), s.Size, c)
		}
		both := make([]packet.Packet, 0, 2*n)
		for _, p := range packets(0, 1, 2, 3, 4, 5) {
			p.Direction = packet.Outgoing
			both = append(both, p)
			p.Direction = packet.Incoming
			both = append(both, p)
		}
		r, _ = run(t, packet.Config{PerEnd: true}, both)
		if len(r.order) != 2 || len(r.order[0].segments) != 1 || len(r.order[1].segments) != 1 {
			t.Errorf("%d ends of a datagram on the loopback device", len(r.order))
		}
	}
	// Without end.
	var flood []packet.Packet
	for i := range 5000 {
		f := cutUp(udp(t, askerEnd, resolverEnd, uint16(i), text), 200)[i%5]
		flood = append(flood, raw(epoch.Add(time.Duration(i)*time.Millisecond), f))
	}
	a := packet.New(packet.Config{MaxFragmented: 100}, newRecorder(t).handle)
	for i := range flood {
		a.Packet(&flood[i])
	}
	a.Tick(epoch)
	if c := a.Counters(); c.HeldBytes > 100*200 || c.FragmentsLost < 4900 {
		t.Errorf("%+v", c)
	}
}

// TestDatagrams: a socket and its peers, copies, roles, and the end of what is idle.
func TestDatagrams(t *testing.T) {
	at := func(ms int, src, dst string, id uint16, data string) packet.Packet {
		return raw(epoch.Add(time.Duration(ms)*time.Millisecond), udp(t, netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst), id, data))
	}
	packets := []packet.Packet{
		at(0, "10.0.0.1:40000", "10.0.0.2:53", 1, "question"),
		at(0, "10.0.0.1:40000", "10.0.0.2:53", 1, "question"), // on the bridge
		at(1, "10.0.0.2:53", "10.0.0.1:40000", 1, "answer"),
		at(2, "10.0.0.1:40000", "10.0.0.3:53", 2, "question"),
		at(3, "10.0.0.1:40000", "10.0.0.2:53", 3, "question"),   // sent again
		at(4, "10.0.0.2:53", "10.0.0.9:33000", 4, "answer"),     // its question was missed
		at(5, "10.0.0.4:5353", "224.0.0.251:5353", 5, "anyone"), // to all
		at(6, "10.0.0.5:9000", "10.0.0.6:9000", 6, "a"),         // equals: who speaks first
		at(7, "10.0.0.6:9000", "10.0.0.5:9000", 6, "b"),
	}
	r, c := run(t, packet.Config{}, packets)
	type said struct {
		dir        event.Dir
		peer, data string
	}
	want := map[string][]said{
		"10.0.0.1:40000": {
			{event.Sent, "10.0.0.2:53", "question"},
			{event.Received, "10.0.0.2:53", "answer"},
			{event.Sent, "10.0.0.3:53", "question"},
			{event.Sent, "10.0.0.2:53", "question"},
		},
		"10.0.0.9:33000": {{event.Received, "10.0.0.2:53", "answer"}},
		"10.0.0.4:5353":  {{event.Sent, "224.0.0.251:5353", "anyone"}},
		"10.0.0.5:9000":  {{event.Sent, "10.0.0.6:9000", "a"}, {event.Received, "10.0.0.6:9000", "b"}},
	}
	for _, h := range r.order {
		local := h.opened.Flow.Local.String()
		var got []said
		for _, s := range h.segments {
			got = append(got, said{s.Dir, s.Peer.String(), string(s.Data)})
		}
		if !slices.Equal(got, want[local]) || h.opened.Flow.Remote.IsValid() || h.opened.Role != event.RoleUnknown {
			t.Errorf("%s: %v, want %v; opened %+v", local, got, want[local], h.opened)
		}
		delete(want, local)
	}
	if len(want) != 0 || c.Duplicates != 1 || c.Datagrams != 8 {
		t.Errorf("not there: %v; %+v", want, c)
	}
	r, c = run(t, packet.Config{UDPPorts: []uint16{53}, UDPIdle: time.Second}, append(packets, raw(epoch.Add(time.Minute), nil)))
	if len(r.order) != 2 || c.Sockets != 0 || c.Filtered != 3 {
		t.Errorf("%d sockets, %+v", len(r.order), c)
	}
	for _, h := range r.order {
		if h.opened.Role != event.RoleClient || h.closed == nil || h.closed.Seq != uint64(len(h.segments)) {
			t.Errorf("%+v, closed %+v", h.opened, h.closed)
		}
	}
	_, c = run(t, packet.Config{MaxFlows: 2}, packets)
	if c.Sockets != 2 || c.Evicted != 2 {
		t.Errorf("%+v", c)
	}
}
