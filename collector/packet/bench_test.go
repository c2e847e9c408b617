package packet_test

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/packet"
)

// traffic is the packets of many open connections, which repeat for ever: sequence numbers wrap after 2^32 bytes, so that a
// round of 2^k bytes is followed by the same bytes' successors.
func traffic(b *testing.B, conns, size int) []packet.Packet {
	var packets []packet.Packet
	body := strings.Repeat("x", size)
	for i := range conns {
		k := newTalk(b, netip.AddrPortFrom(clientEnd.Addr(), uint16(10000+i)), serverEnd)
		k.open().say(0, body, 1460).say(1, body, 1460)
		packets = append(packets, k.packets[3:]...)
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(conns, func(i, j int) {
		n := len(packets) / conns
		for x := range n {
			packets[i*n+x], packets[j*n+x] = packets[j*n+x], packets[i*n+x]
		}
	})
	return packets
}

// BenchmarkStream is TCP in order: 1,000 connections, each in turn, whose numbers go on from round to round.
func BenchmarkStream(b *testing.B) {
	const size = 1 << 12
	packets := traffic(b, 1000, size)
	segments, bytes := 0, 0
	a := packet.New(packet.Config{}, func(ev event.Event) {
		if s, ok := ev.(*event.Segment); ok {
			segments++
			bytes += s.Size
		}
	})
	for _, p := range packets {
		a.Packet(&p)
	}
	b.ReportAllocs()
	n, at := 0, epoch.Add(time.Hour)
	segments, bytes = 0, 0
	for b.Loop() {
		p := &packets[n%len(packets)]
		if n++; n%1000 == 0 {
			at = at.Add(time.Millisecond)
			a.Tick(at)
		}
		p.Time = at
		for i := range 2 { // both numbers are one round further
			at := p.Data[24+4*i : 28+4*i]
			v := uint32(at[0])<<24 | uint32(at[1])<<16 | uint32(at[2])<<8 | uint32(at[3])
			v += size
			at[0], at[1], at[2], at[3] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
		}
		a.Packet(p)
	}
	a.Flush(at)
	if c := a.Counters(); segments != n || c.Holes != 0 {
		b.Fatalf("%d segments of %d packets, %+v", segments, n, c)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "packets/s")
	b.ReportMetric(float64(bytes)/b.Elapsed().Seconds()/1e6, "MB/s")
}

// BenchmarkDatagram is DNS: a question and its answer, of 1,000 sockets.
func BenchmarkDatagram(b *testing.B) {
	var packets []packet.Packet
	for i := range 1000 {
		from := netip.AddrPortFrom(askerEnd.Addr(), uint16(10000+i))
		packets = append(packets, raw(epoch, udp(b, from, resolverEnd, 1, strings.Repeat("q", 40))),
			raw(epoch, udp(b, resolverEnd, from, 1, strings.Repeat("a", 100))))
	}
	a := packet.New(packet.Config{UDPPorts: []uint16{53}}, func(event.Event) {})
	for i := range packets {
		a.Packet(&packets[i])
	}
	b.ReportAllocs()
	n, at := 0, epoch
	for b.Loop() {
		p := &packets[n%len(packets)]
		n++
		at = at.Add(100 * time.Microsecond)
		p.Time = at
		a.Packet(p)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "packets/s")
}
