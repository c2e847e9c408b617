package dns

import (
	"encoding/binary"
	"slices"

	"github.com/toposcope/toposcope/protocol"
)

// maxTransfers is how many zone transfers of a connection are followed at once; past it the one begun first is forgotten.
const maxTransfers = 8

// transfer is a zone under way in many messages with one ID (RFC 5936, RFC 1995).
type transfer struct {
	id          uint64
	incremental bool   // IXFR was asked for
	had         uint32 // the serial that the asker has
	serial      uint32 // of the first record, which is the zone's new SOA and comes again as the last
	seen        uint8  // how often that was met
	changes     bool   // what comes are differences
	records     int
	begun       bool
	torn        bool  // bytes were lost before it began: what comes may not be its beginning
	size        int64 // of the messages since the first
}

// transfers says whether m is about the transfer of a zone.
func (m *message) transfers() bool {
	return m.op() == opQuery && (m.qtype == typeAXFR || m.qtype == typeIXFR)
}

// expect notes that a transfer was asked for.
func (p *parser) expect(m *message, id uint64) {
	if len(p.transfers) >= maxTransfers {
		p.transfers = slices.Delete(p.transfers, 0, 1)
	}
	t := transfer{id: id, incremental: m.qtype == typeIXFR}
	if t.incremental && m.count[authorities] > 0 {
		if r, e := m.recordAt(m.body); e == whole {
			t.had, _ = m.serial(&r)
		}
	}
	p.transfers = append(p.transfers, t)
}

// transfer is the one that a response is part of, nil for none. Only the first must repeat the question.
func (p *parser) transfer(m *message) *transfer {
	for i := range p.transfers {
		t := &p.transfers[i]
		if uint16(t.id) == m.id && (m.count[questions] == 0 || t.id>>16 == m.hash<<16>>16) {
			return t
		}
	}
	return nil
}

func (p *parser) ended(t *transfer) {
	id := t.id
	p.transfers = slices.DeleteFunc(p.transfers, func(o transfer) bool { return o.id == id })
}

// tear handles a loss of bytes: of a zone under way it cannot be known when it is over.
func (p *parser) tear() {
	p.transfers = slices.DeleteFunc(p.transfers, func(t transfer) bool { return t.begun })
	for i := range p.transfers {
		p.transfers[i].torn = true
	}
}

// transferred takes in a message of a transfer.
func (p *parser) transferred(t *transfer, m *message, out *protocol.Message, n int, e end) (int, *protocol.Message, error) {
	if e == short && out.Truncated {
		p.ended(t) // it cannot be known when it is over
		out.Kind = protocol.Interim
		return n, out, nil
	}
	if t.torn && !t.begun && m.code == 0 && !t.beginsWith(m) {
		p.ended(t)
		return 0, nil, protocol.ErrSyntax // which drops the exchange
	}
	done := e != whole || m.code != 0 || t.advance(m)
	t.size += int64(n)
	if !done && t.begun {
		return n, nil, nil
	}
	out.ID, out.Size = t.id, t.size
	m.resultTo(out, e)
	switch {
	case !done:
		out.Part, t.begun, t.size = protocol.PartHead, true, 0
		return n, out, nil
	case t.begun:
		out.Part = protocol.PartEnd
	}
	countTo(&out.Attrs, t.records)
	p.ended(t)
	return n, out, nil
}

// advance goes through the records of a message and reports whether the last has come. A whole zone ends where its SOA comes
// again; differences, whose second record is an older SOA, where the new one comes for the third time, the second being at the
// head of the last additions. The SOA alone says that the asker's copy is current. What begins without one is no zone.
func (t *transfer) advance(m *message) bool {
	off := m.body
	for range m.count[answers] {
		r, e := m.recordAt(off)
		if e != whole {
			return true
		}
		off = r.next
		t.records++
		serial, ok := m.serial(&r)
		switch {
		case !ok && t.records == 1:
			return true
		case !ok:
		case t.records == 1:
			t.serial, t.seen = serial, 1
		case serial == t.serial:
			t.seen++
		case t.records == 2:
			t.changes = true
		}
	}
	if t.records <= 1 {
		return t.records == 0 || t.incremental && int32(t.serial-t.had) <= 0 // RFC 1982
	}
	return t.seen == 2 && !t.changes || t.seen > 2
}

// beginsWith says whether m can only be the first message of t. In the middle of a zone there is no SOA, and in the middle of
// differences none is followed by that of the asker's version.
func (t *transfer) beginsWith(m *message) bool {
	r, e := m.recordAt(m.body)
	first, ok := m.serial(&r)
	switch {
	case m.count[answers] == 0 || e != whole || !ok:
		return false
	case m.count[answers] == 1:
		return t.incremental && int32(first-t.had) <= 0
	case !t.incremental:
		return true
	}
	r, e = m.recordAt(r.next)
	second, ok := m.serial(&r)
	return e == whole && ok && second == t.had
}

// serial is the serial number of an SOA record.
func (m *message) serial(r *record) (uint32, bool) {
	if r.kind != typeSOA {
		return 0, false
	}
	off := int(r.data.from)
	for range 2 {
		next, ok, _ := skipName(m.data, off)
		if !ok {
			return 0, false
		}
		off = next
	}
	if off+4 > int(r.data.to) {
		return 0, false
	}
	return binary.BigEndian.Uint32(m.data[off:]), true
}
