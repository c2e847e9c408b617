package packet

import (
	"encoding/binary"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/toposcope/toposcope/collector/event"
)

// datagram is what the headers of a packet tell.
type datagram struct {
	at    int64 // Unix nanoseconds
	netns uint32
	way   Direction // DirectionUnknown without Config.PerEnd
	task  event.Task

	src, dst     [16]byte // IPv4 as mapped into IPv6
	sport, dport uint16
	id           uint32 // IPv4's identification, 0 for none

	data []byte // payload as captured
	size int    // its true length

	// Of TCP; stamp is the sender's own timestamp option.
	seq, ack, stamp                 uint32
	syn, fin, rst, hasAck, hasStamp bool
}

// Lengths of headers.
const (
	ipv4Len = 20
	ipv6Len = 40
	tcpLen  = 20
	udpLen  = 8
)

// ipv4 reads an IPv4 packet. Only its header is given to the layer: its length may be 0 (segmentation left to the device, or
// more than 64 KiB at once), and the layer would then take it from too short a number.
func (a *Assembler) ipv4(data []byte, size int) {
	header := int(data[0]&0x0f) * 4
	if len(data) < ipv4Len || header < ipv4Len || len(data) < header {
		a.count.Malformed++
		return
	}
	total := int(binary.BigEndian.Uint16(data[2:]))
	if total == 0 {
		total = size
	}
	ip, d := &a.layers.ip4, &a.dg
	if ip.DecodeFromBytes(data[:header], gopacket.NilDecodeFeedback) != nil || total < header {
		a.count.Malformed++
		return
	}
	d.src, d.dst = mapped(ip.SrcIP), mapped(ip.DstIP)
	d.id = uint32(ip.Id)
	body := data[header:min(len(data), total)]
	if more := ip.Flags&layers.IPv4MoreFragments != 0; more || ip.FragOffset != 0 {
		a.fragment(fragment{
			id: d.id, next: uint8(ip.Protocol), off: int(ip.FragOffset) * 8, more: more, data: body, size: total - header,
		})
		return
	}
	a.transport(uint8(ip.Protocol), body, total-header)
}

func mapped(v4 []byte) (a [16]byte) {
	a[10], a[11] = 0xff, 0xff
	copy(a[12:], v4)
	return a
}

// ipv6 reads an IPv6 packet. The layer refuses those without a length, and keeps a list of hop-by-hop options that it
// allocates for each packet.
func (a *Assembler) ipv6(data []byte, size int) {
	if len(data) < ipv6Len {
		a.count.Malformed++
		return
	}
	d := &a.dg
	d.src, d.dst = [16]byte(data[8:24]), [16]byte(data[24:40])
	length := int(binary.BigEndian.Uint16(data[4:]))
	if length == 0 { // a jumbogram (RFC 2675), or the device's to fill in
		length = size - ipv6Len
	}
	if length <= 0 {
		a.count.Malformed++
		return
	}
	a.extensions(data[6], data[ipv6Len:min(len(data), ipv6Len+length)], length)
}

// maxExtensions bounds the extension headers of a packet.
const maxExtensions = 16

// authentication and others are extension headers (RFC 8200 section 4, IANA) beside those that layers name.
const (
	mobility = 135
	hip      = 139
	shim6    = 140
)

// extensions skips extension headers.
func (a *Assembler) extensions(next uint8, data []byte, size int) {
	for range maxExtensions {
		var length int
		switch layers.IPProtocol(next) {
		case layers.IPProtocolTCP, layers.IPProtocolUDP:
			a.transport(next, data, size)
			return
		case layers.IPProtocolIPv6HopByHop, layers.IPProtocolIPv6Routing, layers.IPProtocolIPv6Destination, mobility, hip, shim6:
			if len(data) < 2 {
				a.count.Malformed++
				return
			}
			length = (int(data[1]) + 1) * 8
		case layers.IPProtocolAH:
			if len(data) < 2 {
				a.count.Malformed++
				return
			}
			length = (int(data[1]) + 2) * 4
		case layers.IPProtocolIPv6Fragment:
			a.fragment6(data, size)
			return
		default:
			a.count.NotTransport++
			return
		}
		if length > len(data) {
			a.count.Malformed++
			return
		}
		next, data, size = data[0], data[length:], size-length
	}
	a.count.Malformed++
}

// fragment6 reads a fragment header (RFC 8200 section 4.5).
func (a *Assembler) fragment6(data []byte, size int) {
	const header = 8
	if len(data) < header || size < header {
		a.count.Malformed++
		return
	}
	where := binary.BigEndian.Uint16(data[2:])
	f := fragment{
		v6: true, id: binary.BigEndian.Uint32(data[4:]), next: data[0], off: int(where &^ 7), more: where&1 != 0,
		data: data[header:], size: size - header,
	}
	if f.off == 0 && !f.more { // one of its own (RFC 6946)
		a.extensions(f.next, f.data, f.size)
		return
	}
	a.fragment(f)
}

// transport reads the header of TCP or UDP and hands the packet to its connection.
func (a *Assembler) transport(protocol uint8, data []byte, size int) {
	switch layers.IPProtocol(protocol) {
	case layers.IPProtocolTCP:
		if !a.readTCP(data, size) {
			a.count.Malformed++
			return
		}
		a.countCut()
		a.tcp()
	case layers.IPProtocolUDP:
		if !a.readUDP(data, size) {
			a.count.Malformed++
			return
		}
		a.countCut()
		a.udp()
	default:
		a.count.NotTransport++
	}
}

func (a *Assembler) countCut() {
	if len(a.dg.data) < a.dg.size {
		a.count.Cut++
	}
}

// readTCP fills in what TCP tells. An option that makes no sense, or is cut, spoils nothing but itself.
func (a *Assembler) readTCP(data []byte, size int) bool {
	if len(data) < tcpLen {
		return false
	}
	header := int(data[12]>>4) * 4
	if header < tcpLen || header > size {
		return false
	}
	t, d := &a.layers.tcp, &a.dg
	_ = t.DecodeFromBytes(data[:min(len(data), header)], gopacket.NilDecodeFeedback)
	d.sport, d.dport = uint16(t.SrcPort), uint16(t.DstPort)
	d.seq, d.ack = t.Seq, t.Ack
	d.syn, d.fin, d.rst, d.hasAck = t.SYN, t.FIN, t.RST, t.ACK
	d.hasStamp = false
	for i := range t.Options {
		if o := &t.Options[i]; o.OptionType == layers.TCPOptionKindTimestamps && len(o.OptionData) == 8 {
			d.stamp, d.hasStamp = binary.BigEndian.Uint32(o.OptionData), true
		}
	}
	d.data, d.size = data[min(header, len(data)):], size-header
	return true
}

func (a *Assembler) readUDP(data []byte, size int) bool {
	u, d := &a.layers.udp, &a.dg
	if len(data) < udpLen || u.DecodeFromBytes(data[:udpLen], gopacket.NilDecodeFeedback) != nil {
		return false
	}
	d.sport, d.dport = uint16(u.SrcPort), uint16(u.DstPort)
	if u.Length > 0 {
		size = min(size, int(u.Length))
	}
	d.data, d.size = data[udpLen:min(len(data), size)], size-udpLen
	return true
}
