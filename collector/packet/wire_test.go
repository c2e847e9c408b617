package packet_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/packet"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Ends of most conversations.
var (
	clientEnd = netip.MustParseAddrPort("10.0.0.1:40000")
	serverEnd = netip.MustParseAddrPort("10.0.0.2:80")
)

// serialize makes a packet of layers, lengths and checksums filled in.
func serialize(t testing.TB, list ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, list...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// ip makes the network layer between two addresses.
func ip(src, dst netip.AddrPort, p layers.IPProtocol, id uint16) (gopacket.NetworkLayer, gopacket.SerializableLayer) {
	if src.Addr().Is4() {
		l := &layers.IPv4{
			Version: 4, TTL: 64, Protocol: p, Id: id, Flags: layers.IPv4DontFragment,
			SrcIP: net.IP(src.Addr().AsSlice()), DstIP: net.IP(dst.Addr().AsSlice()),
		}
		return l, l
	}
	l := &layers.IPv6{
		Version: 6, HopLimit: 64, NextHeader: p, SrcIP: net.IP(src.Addr().AsSlice()), DstIP: net.IP(dst.Addr().AsSlice()),
	}
	return l, l
}

// segment is a TCP segment in the making.
type segment struct {
	src, dst           netip.AddrPort
	seq, ack           uint32
	syn, fin, rst, psh bool
	data               string
	id                 uint16
	options            []layers.TCPOption
}

func (s segment) bytes(t testing.TB) []byte {
	t.Helper()
	network, l := ip(s.src, s.dst, layers.IPProtocolTCP, s.id)
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(s.src.Port()), DstPort: layers.TCPPort(s.dst.Port()), Seq: s.seq, Ack: s.ack, ACK: s.ack != 0,
		SYN: s.syn, FIN: s.fin, RST: s.rst, PSH: s.psh, Window: 65535, Options: s.options,
	}
	if err := tcp.SetNetworkLayerForChecksum(network); err != nil {
		t.Fatal(err)
	}
	return serialize(t, l, tcp, gopacket.Payload(s.data))
}

func udp(t testing.TB, src, dst netip.AddrPort, id uint16, data string) []byte {
	t.Helper()
	network, l := ip(src, dst, layers.IPProtocolUDP, id)
	u := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	if err := u.SetNetworkLayerForChecksum(network); err != nil {
		t.Fatal(err)
	}
	return serialize(t, l, u, gopacket.Payload(data))
}

// talk writes down the packets of one TCP connection, raw IP, as its two ends send them in turn.
type talk struct {
	t       testing.TB
	ends    [2]netip.AddrPort // client, server
	next    [2]uint32         // sequence number that each sends next
	acked   [2]uint32         // what each has of the other
	id      uint16
	at      time.Time
	step    time.Duration
	packets []packet.Packet
}

func newTalk(t testing.TB, client, server netip.AddrPort) *talk {
	return &talk{t: t, ends: [2]netip.AddrPort{client, server}, next: [2]uint32{1000, 4294967000}, at: epoch, step: time.Millisecond}
}

// add appends what end sends: a segment whose numbers are filled in.
func (k *talk) add(end int, s segment) {
	k.t.Helper()
	s.src, s.dst = k.ends[end], k.ends[1-end]
	s.seq = k.next[end]
	if !s.syn || end == 1 {
		s.ack = k.acked[end]
	}
	k.id++
	s.id = k.id
	k.at = k.at.Add(k.step)
	k.packets = append(k.packets, raw(k.at, s.bytes(k.t)))
	k.next[end] += uint32(len(s.data))
	if s.syn || s.fin {
		k.next[end]++
	}
	k.acked[1-end] = k.next[end]
}

func (k *talk) open() *talk {
	k.t.Helper()
	k.add(0, segment{syn: true})
	k.add(1, segment{syn: true})
	k.add(0, segment{})
	return k
}

// say has an end send data, in segments of at most mss bytes.
func (k *talk) say(end int, data string, mss int) *talk {
	k.t.Helper()
	for len(data) > 0 {
		n := min(mss, len(data))
		k.add(end, segment{data: data[:n], psh: n == len(data)})
		data = data[n:]
	}
	return k
}

// end closes from both sides, the client first.
func (k *talk) end() *talk {
	k.t.Helper()
	k.add(0, segment{fin: true})
	k.add(1, segment{fin: true})
	k.add(0, segment{})
	return k
}

func raw(at time.Time, data []byte) packet.Packet {
	return packet.Packet{Time: at, Link: packet.LinkRaw, Data: data, Length: len(data)}
}

// heard is what was emitted for one connection.
type heard struct {
	opened   *event.Opened
	segments []event.Segment
	closed   *event.Closed
	stats    *event.Stats
}

// stream is what direction d carried; missing bytes are '_'.
func (h *heard) stream(d event.Dir) string {
	var out []byte
	for _, s := range h.segments {
		if s.Dir != d {
			continue
		}
		for uint64(len(out)) < s.Off {
			out = append(out, '_')
		}
		out = append(out, s.Data...)
		for uint64(len(out)) < s.Off+uint64(s.Size) {
			out = append(out, '_')
		}
	}
	return string(out)
}

// missing is how many numbers were left out.
func (h *heard) missing() uint64 {
	n := uint64(len(h.segments))
	switch {
	case h.closed != nil:
		return h.closed.Seq - n
	case n > 0:
		return h.segments[n-1].Seq + 1 - n
	default:
		return 0
	}
}

// recorder takes events and checks what holds for any input.
type recorder struct {
	t      testing.TB
	conns  map[event.ConnID]*heard
	order  []*heard
	failed []event.ConnectFailed
	ends   map[event.ConnID][2]uint64
}

func newRecorder(t testing.TB) *recorder {
	return &recorder{t: t, conns: map[event.ConnID]*heard{}, ends: map[event.ConnID][2]uint64{}}
}

func (r *recorder) handle(ev event.Event) {
	r.t.Helper()
	switch e := ev.(type) {
	case *event.Opened:
		if r.conns[e.Conn] != nil {
			r.t.Fatalf("connection %d opens twice", e.Conn)
		}
		o := *e
		r.conns[e.Conn] = &heard{opened: &o}
		r.order = append(r.order, r.conns[e.Conn])
	case *event.Segment:
		r.segment(e)
	case *event.Closed:
		h := r.alive(e.Conn)
		c := *e
		h.closed = &c
		ends := r.ends[e.Conn]
		if n := len(h.segments); n > 0 && e.Seq <= h.segments[n-1].Seq || !h.opened.Datagram && (e.Sent < ends[0] || e.Received < ends[1]) {
			r.t.Fatalf("connection %d ends before its last segment: %+v", e.Conn, e)
		}
	case *event.Stats:
		s := *e
		r.alive(e.Conn).stats = &s
	case *event.ConnectFailed:
		r.failed = append(r.failed, *e)
	default:
		r.t.Fatalf("unexpected %T", ev)
	}
}

func (r *recorder) alive(id event.ConnID) *heard {
	r.t.Helper()
	h := r.conns[id]
	if h == nil || h.closed != nil {
		r.t.Fatalf("connection %d is not open", id)
	}
	return h
}

func (r *recorder) segment(e *event.Segment) {
	r.t.Helper()
	h := r.alive(e.Conn)
	if n := len(h.segments); n > 0 && e.Seq <= h.segments[n-1].Seq {
		r.t.Fatalf("connection %d: segment %d after %d", e.Conn, e.Seq, h.segments[n-1].Seq)
	}
	if e.Size < len(e.Data) || e.Source != event.SourcePacket {
		r.t.Fatalf("malformed segment %+v", e)
	}
	if !e.Datagram {
		ends := r.ends[e.Conn]
		if e.Off < ends[e.Dir] || e.Size == 0 {
			r.t.Fatalf("connection %d: %v at %d, %d bytes, after %d", e.Conn, e.Dir, e.Off, e.Size, ends[e.Dir])
		}
		ends[e.Dir] = e.Off + uint64(e.Size)
		r.ends[e.Conn] = ends
	}
	s := *e
	s.Data = append([]byte(nil), e.Data...)
	h.segments = append(h.segments, s)
}

// run gives packets to an assembler, which ticks with their time, and flushes it at the end.
func run(t testing.TB, cfg packet.Config, packets []packet.Packet) (*recorder, packet.Counters) {
	t.Helper()
	r := newRecorder(t)
	a := packet.New(cfg, r.handle)
	last := epoch
	for i := range packets {
		p := &packets[i]
		for p.Time.Sub(last) >= 50*time.Millisecond {
			last = last.Add(50 * time.Millisecond)
			a.Tick(last)
		}
		a.Packet(p)
	}
	if len(packets) > 0 {
		last = packets[len(packets)-1].Time
	}
	a.Flush(last)
	return r, a.Counters()
}

// only is the one connection that there is.
func (r *recorder) only() *heard {
	r.t.Helper()
	if len(r.order) != 1 {
		r.t.Fatalf("%d connections, want 1", len(r.order))
	}
	return r.order[0]
}
