package dns

import (
	"encoding/binary"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// longEnough is how much of a message must have been read without fault for it to be believed when its end is not there.
const longEnough = 256

// sniff judges whether data is a message by itself, or begins with one and its length.
func sniff(_ event.Dir, data []byte) protocol.Sniffed {
	if o := sniffMessage(data, len(data), unicast); o == protocol.Yes {
		return o
	}
	return sniffPrefixed(data)
}

// sniffPrefixed judges whether data begins with the length of a message and the message.
func sniffPrefixed(data []byte) protocol.Sniffed {
	if len(data) < 2 {
		return protocol.More
	}
	size := int(binary.BigEndian.Uint16(data))
	if size < headerLen+5 {
		return protocol.No
	}
	data = data[2:]
	return sniffMessage(data[:min(size, len(data))], size, unicast)
}

// dialect is one of the three protocols, which differ in what their headers may say.
type dialect uint8

const (
	unicast dialect = iota
	multicast
	linkLocal
)

// speaks says whether a header may be d's.
func (m *message) speaks(d dialect) bool {
	switch d {
	case multicast:
		return m.isMulticast()
	case linkLocal:
		return m.isLLMNR()
	default:
		return m.isUnicast()
	}
}

// sniffMessage judges a message of size bytes, of which data are there.
func sniffMessage(data []byte, size int, d dialect) protocol.Sniffed {
	var m message
	if m.header(data) != whole {
		if len(data) < size && plausible(data) {
			return protocol.More
		}
		return protocol.No
	}
	if !m.speaks(d) || !m.roomFor(size) {
		return protocol.No
	}
	e := m.question()
	if e == whole && !m.asksSensibly(d) {
		return protocol.No
	}
	after := m.body
	if e == whole {
		after, e = m.strict()
	}
	switch {
	case e == wrong, e == whole && after != size:
		return protocol.No
	case e == whole:
		return protocol.Yes
	case m.body > headerLen && (len(data) >= longEnough || m.flags&flagTruncated != 0 && len(data) == size):
		return protocol.Yes
	case len(data) < size:
		return protocol.More
	default:
		return protocol.No
	}
}

// roomFor says whether as many questions and records as the header counts have room in a message.
func (m *message) roomFor(size int) bool {
	const question, record = 1 + 4, 1 + 10
	return headerLen+question*m.count[questions]+record*(m.count[answers]+m.count[authorities]+m.count[additionals]) <= size ||
		m.flags&flagTruncated != 0
}

// asksSensibly says whether the first question can be meant: a type, a class that is in use, and no name of NetBIOS, which has
// the same form (RFC 1002 section 4.2.12).
func (m *message) asksSensibly(d dialect) bool {
	if m.count[questions] == 0 {
		return true
	}
	class := m.class
	if d == multicast {
		class &^= classUnicast
	}
	switch class {
	case classIN, classCH, classHS, classNone, classAny:
	default:
		return false
	}
	if m.qtype == typeNB || m.qtype == typeSRV {
		return !netBIOS(m.data[m.name:])
	}
	return m.qtype != 0
}

// classUnicast is the bit that mDNS adds to the class of a question to ask for an answer by unicast (RFC 6762 section 5.4).
const classUnicast = 1 << 15

// netBIOS says whether a name begins with 16 bytes in two letters from A to P each.
func netBIOS(name []byte) bool {
	const letters = 32
	if len(name) <= letters || name[0] != letters {
		return false
	}
	for _, c := range name[1 : 1+letters] {
		if c < 'A' || c > 'P' {
			return false
		}
	}
	return true
}

// strict goes through all records as records does, and follows their names too. It returns where they end.
func (m *message) strict() (after int, e end) {
	off := m.body
	for range m.count[answers] + m.count[authorities] + m.count[additionals] {
		_, _, ok, cut := readName(m.data, off)
		switch {
		case cut:
			return off, short
		case !ok:
			return off, wrong
		}
		r, e := m.recordAt(off)
		if e != whole {
			return off, e
		}
		off = r.next
	}
	return off, whole
}

// isUnicast knows a header of DNS: one question, and a request has no answers. What has neither an ID nor a flag is mDNS.
func (m *message) isUnicast() bool {
	if m.count[questions] != 1 || m.flags&flagReserved != 0 {
		return false
	}
	op := m.op()
	switch op {
	case opQuery, opNotify, opUpdate:
	default:
		return false
	}
	switch {
	case m.response():
		return true
	case m.code != 0, m.flags&(flagTruncated|flagAvailable) != 0, m.flags == 0 && m.id == 0:
		return false
	case op == opQuery:
		return m.flags&flagAuthoritative == 0 && m.count[answers] == 0 && m.count[authorities] <= 1 && m.count[additionals] <= 3
	case op == opNotify:
		return m.count[answers] <= 1 && m.count[authorities] == 0
	default:
		return true
	}
}

// isMulticast knows a header of mDNS, which has few bits that may be set (RFC 6762 section 18). Port 5353 is no proof: resolvers
// that may not bind 53 take it too, but what they are asked has the bit RD set.
func (m *message) isMulticast() bool {
	if m.response() {
		return m.flags&^flagTruncated == flagResponse|flagAuthoritative && m.count[answers] > 0 && m.count[questions] <= 1
	}
	return m.flags&^flagTruncated == 0 && m.count[questions] > 0 && m.count[questions] <= maxQuestions
}

// isLLMNR knows a header of LLMNR (RFC 4795 section 2.1.1), in which the bit of AA says that there is a conflict, and RD's that the answer is tentative.
func (m *message) isLLMNR() bool {
	if m.count[questions] != 1 {
		return false
	}
	if m.response() {
		const reserved = 0xf0
		return m.flags&reserved == 0 && m.op() == opQuery
	}
	return m.flags&^flagAuthoritative == 0 && m.count[answers] == 0 && m.count[authorities] == 0
}
