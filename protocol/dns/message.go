package dns

import (
	"encoding/binary"
	"net/netip"
)

// headerLen is the length of a message's header (RFC 1035 section 4.1.1).
const headerLen = 12

// maxMessage is how long a message may be: what 16 bits can say (RFC 1035 section 4.2.2).
const maxMessage = 1<<16 - 1

// Bits of the header's second word.
const (
	flagResponse      = 1 << 15
	flagAuthoritative = 1 << 10
	flagTruncated     = 1 << 9
	flagAvailable     = 1 << 7
	flagReserved      = 1 << 6
	maskCode          = 0xf
)

// Sections of a message, in their order.
const (
	questions = iota
	answers
	authorities
	additionals
)

// Bounds of what is told of an answer.
const (
	maxAddresses = 16
	// maxTTL is RFC 2181's: a longer one stands for 0.
	maxTTL = 1<<31 - 1
)

// message is a message as far as it is of interest. It refers to the bytes it was read from.
type message struct {
	data  []byte
	id    uint16
	flags uint16
	count [4]int

	// Of the first question. hash is of name, type and class.
	name, body int
	qtype      uint16
	class      uint16
	hash       uint64

	// Of the records. code is the whole response code, once the records have been read.
	code      int
	dnssecOK  bool
	addresses [maxAddresses]span
	found     int
	ttl       uint32
}

// span is a run of bytes of a message.
type span struct{ from, to uint16 }

// end is how reading a message went.
type end uint8

const (
	whole end = iota
	short     // the bytes ended before the message did
	wrong     // they are no message
)

// header reads the header.
func (m *message) header(data []byte) end {
	switch {
	case len(data) < headerLen:
		return short
	case len(data) > maxMessage:
		return wrong
	}
	m.data = data
	m.id, m.flags = binary.BigEndian.Uint16(data), binary.BigEndian.Uint16(data[2:])
	for i := range m.count {
		m.count[i] = int(binary.BigEndian.Uint16(data[4+2*i:]))
	}
	m.code = int(m.flags & maskCode)
	m.name, m.body, m.hash = 0, headerLen, 0
	return whole
}

func (m *message) response() bool { return m.flags&flagResponse != 0 }

func (m *message) op() int { return int(m.flags >> 11 & 0xf) }

// question reads the questions, of which the first counts. There may be none.
func (m *message) question() end {
	off := headerLen
	for i := range m.count[questions] {
		hash, next, ok, cut := readName(m.data, off)
		switch {
		case cut || ok && next+4 > len(m.data):
			return short
		case !ok:
			return wrong
		}
		if i == 0 {
			m.name = off
			m.qtype, m.class = binary.BigEndian.Uint16(m.data[next:]), binary.BigEndian.Uint16(m.data[next+2:])
			m.hash = ((hash^uint64(m.qtype))*hashPrime ^ uint64(m.class)) * hashPrime
		}
		off = next + 4
	}
	m.body = off
	return whole
}

// record is one resource record.
type record struct {
	kind, class uint16
	ttl         uint32
	data        span // RDATA
	next        int
}

// recordAt reads the record at off.
func (m *message) recordAt(off int) (record, end) {
	next, ok, cut := skipName(m.data, off)
	switch {
	case cut || ok && next+10 > len(m.data):
		return record{}, short
	case !ok:
		return record{}, wrong
	}
	head := m.data[next : next+10]
	r := record{kind: binary.BigEndian.Uint16(head), class: binary.BigEndian.Uint16(head[2:]), ttl: binary.BigEndian.Uint32(head[4:])}
	next += 10
	r.next = next + int(binary.BigEndian.Uint16(head[8:]))
	if r.next > len(m.data) {
		return record{}, short
	}
	r.data = span{uint16(next), uint16(r.next)}
	return r, whole
}

// records reads the records: the addresses that the answers give, and the OPT record with what it adds to the header. The
// bytes may go on after them.
func (m *message) records() end {
	m.dnssecOK, m.found, m.ttl = false, 0, maxTTL
	off := m.body
	for section := answers; section <= additionals; section++ {
		for range m.count[section] {
			r, e := m.recordAt(off)
			if e != whole {
				return e
			}
			switch {
			case section == answers:
				m.answer(&r)
			case section == additionals && r.kind == typeOPT:
				m.dnssecOK = r.ttl&0x8000 != 0
				m.code |= int(r.ttl >> 24 << 4)
			}
			off = r.next
		}
	}
	return whole
}

// answer takes in a record of the answer section. What is on the way to an address, and the address, hold for as long as the
// one that holds shortest.
func (m *message) answer(r *record) {
	if r.class != classIN {
		return
	}
	size := int(r.data.to - r.data.from)
	switch {
	case r.kind == typeCNAME || r.kind == typeDNAME:
	case r.kind == typeA && size == 4, r.kind == typeAAAA && size == 16:
		if m.found < maxAddresses {
			m.addresses[m.found] = r.data
			m.found++
		}
	default:
		return
	}
	ttl := r.ttl
	if ttl > maxTTL {
		ttl = 0
	}
	m.ttl = min(m.ttl, ttl)
}

// appendAddresses appends the addresses, comma-separated.
func (m *message) appendAddresses(dst []byte) []byte {
	for i, s := range m.addresses[:m.found] {
		if i > 0 {
			dst = append(dst, ',')
		}
		a, _ := netip.AddrFromSlice(m.data[s.from:s.to])
		dst = a.AppendTo(dst)
	}
	return dst
}
