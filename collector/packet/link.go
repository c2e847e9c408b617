package packet

import (
	"encoding/binary"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Ethernet types that layers have no name for, or that are asked for in more than one place.
const (
	etherIPv4     = uint16(layers.EthernetTypeIPv4)
	etherIPv6     = uint16(layers.EthernetTypeIPv6)
	etherVLAN     = uint16(layers.EthernetTypeDot1Q)
	etherQinQ     = uint16(layers.EthernetTypeQinQ)
	etherOldQinQ  = 0x9100
	etherMPLS     = uint16(layers.EthernetTypeMPLSUnicast)
	etherMPLSMany = uint16(layers.EthernetTypeMPLSMulticast)
)

const (
	vlanLen = 4
	mplsLen = 4
	sll2Len = 20
	// maxTags bounds VLAN tags and MPLS labels, which a packet may stack.
	maxTags = 16
)

// link takes the link layer off. size is the true length of data, here and below.
func (a *Assembler) link(t LinkType, data []byte, size int) {
	switch t {
	case LinkEthernet:
		if a.layers.eth.DecodeFromBytes(data, gopacket.NilDecodeFeedback) != nil {
			a.count.Malformed++
			return
		}
		header := len(a.layers.eth.Contents)
		a.tagged(uint16(a.layers.eth.EthernetType), data[header:], size-header)
	case LinkLinuxSLL:
		a.cooked(data, size)
	case LinkLinuxSLL2:
		if len(data) < sll2Len {
			a.count.Malformed++
			return
		}
		a.tagged(binary.BigEndian.Uint16(data), data[sll2Len:], size-sll2Len)
	case LinkNull, LinkLoop:
		if a.layers.loop.DecodeFromBytes(data, gopacket.NilDecodeFeedback) != nil {
			a.count.Malformed++
			return
		}
		header := len(a.layers.loop.Contents)
		a.raw(data[header:], size-header) // the family's number differs between systems, the IP version does not
	case LinkRaw, LinkRawBSD, LinkRawOther, LinkIPv4, LinkIPv6:
		a.raw(data, size)
	default:
		a.count.UnknownLink++
	}
}

// cooked is a packet of "tcpdump -i any".
func (a *Assembler) cooked(data []byte, size int) {
	const addrLen, maxAddrLen = 4, 8 // the layer trusts the length that it finds there
	if len(data) < addrLen+2 || binary.BigEndian.Uint16(data[addrLen:]) > maxAddrLen ||
		a.layers.sll.DecodeFromBytes(data, gopacket.NilDecodeFeedback) != nil {
		a.count.Malformed++
		return
	}
	header := len(a.layers.sll.Contents)
	a.tagged(uint16(a.layers.sll.EthernetType), data[header:], size-header)
}

// tagged takes VLAN tags and MPLS labels off.
func (a *Assembler) tagged(t uint16, data []byte, size int) {
	for range maxTags {
		switch t {
		case etherIPv4, etherIPv6:
			a.raw(data, size)
			return
		case etherVLAN, etherQinQ, etherOldQinQ:
			if a.layers.vlan.DecodeFromBytes(data, gopacket.NilDecodeFeedback) != nil {
				a.count.Malformed++
				return
			}
			t, data, size = uint16(a.layers.vlan.Type), data[vlanLen:], size-vlanLen
		case etherMPLS, etherMPLSMany:
			if len(data) < mplsLen {
				a.count.Malformed++
				return
			}
			const bottom = 1 << 0 // of the stack, in the third byte (RFC 3032 section 2.1)
			if data[2]&bottom != 0 {
				t = etherIPv4 // or 6: what follows says so itself
			}
			data, size = data[mplsLen:], size-mplsLen
		default:
			a.count.NotIP++
			return
		}
	}
	a.count.Malformed++
}

// raw is an IP packet, of the version that its first byte tells.
func (a *Assembler) raw(data []byte, size int) {
	switch {
	case len(data) == 0:
		a.count.Malformed++
	case data[0]>>4 == 4:
		a.ipv4(data, size)
	case data[0]>>4 == 6:
		a.ipv6(data, size)
	default:
		a.count.NotIP++
	}
}
