package packet

import (
	"encoding/binary"
	"hash/maphash"
	"time"
)

// A packet that passes several interfaces is captured on each. Bytes of a stream count once whatever happens; what is here
// tells such copies from segments that were sent again, and drops copies of datagrams.

// sent is what tells when, by its sender's own account, a segment was sent.
type sent struct {
	stamp, id uint32
	hasStamp  bool
	at        int64
}

func sentBy(d *datagram) sent { return sent{d.stamp, d.id, d.hasStamp, d.at} }

// late is how much later a segment must come to be taken for one that is sent again where its sender does not tell. It is what
// Wireshark takes.
const late = 3 * time.Millisecond

// after says whether s was sent after o. Timestamps count milliseconds; within one, the identification of IPv4 decides, which
// most systems count up.
func (s sent) after(o sent) bool {
	switch {
	case s.hasStamp && o.hasStamp && s.stamp != o.stamp:
		return int32(s.stamp-o.stamp) > 0
	case s.id != 0 && o.id != 0:
		return int16(s.id-o.id) > 0
	default:
		return s.at-o.at >= int64(late)
	}
}

// countSentAgain counts the segment at hand, whose bytes nobody has seen before, if it was sent after p, which has later bytes:
// its first copy was lost before it could be captured.
func (a *Assembler) countSentAgain(h *half, p *piece) {
	if p != nil && sentBy(&a.dg).after(p.sent) {
		h.retransmits++
		a.count.Retransmits++
	}
}

// recentKeys remembers the last segments with bytes of a direction, in a ring.
type recentKeys struct {
	keys [8]uint32
	at   uint8
}

// recentKey names a segment: a copy has the same identification (IPv4) or timestamp (IPv6, which has none), a segment that is
// sent again has another.
func recentKey(d *datagram) uint32 {
	n := d.id
	if n == 0 && d.hasStamp {
		n = d.stamp
	}
	return max(d.seq*2654435761^n, 1)
}

func (r *recentKeys) add(key uint32) {
	r.keys[r.at%uint8(len(r.keys))] = key
	r.at++
}

func (r *recentKeys) has(key uint32) bool {
	for _, k := range r.keys {
		if k == key {
			return true
		}
	}
	return false
}

// copyWithin is how much later a copy of a datagram may come. Nobody asks again as soon as that.
const copyWithin = 50 * time.Millisecond

// duplicates remembers the last datagrams of all sockets, in a ring.
type duplicates struct {
	seed   maphash.Seed
	recent [128]seenDatagram
	at     uint8
	key    []byte // of the last one, for its memory
}

type seenDatagram struct {
	hash uint64
	at   int64
}

func (s *duplicates) init() { s.seed = maphash.MakeSeed() }

// seen says whether the datagram at hand is a copy of one, and remembers it if not.
func (s *duplicates) seen(d *datagram) bool {
	key := append(append(s.key[:0], d.src[:]...), d.dst[:]...)
	key = binary.NativeEndian.AppendUint32(key, uint32(d.sport)<<16|uint32(d.dport))
	key = binary.NativeEndian.AppendUint32(key, d.id)
	key = binary.NativeEndian.AppendUint32(key, d.netns)
	key = binary.NativeEndian.AppendUint32(key, uint32(d.size)<<2|uint32(d.way))
	s.key = binary.NativeEndian.AppendUint64(key, maphash.Bytes(s.seed, d.data))
	sum := maphash.Bytes(s.seed, s.key)
	for i := range s.recent {
		if r := &s.recent[i]; r.hash == sum && d.at-r.at <= int64(copyWithin) && d.at >= r.at {
			return true
		}
	}
	s.recent[int(s.at)%len(s.recent)] = seenDatagram{sum, d.at}
	s.at++
	return false
}
