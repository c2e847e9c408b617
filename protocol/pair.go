package protocol

import "github.com/toposcope/toposcope/collector/event"

// trust is what a pairer knows about which request the next answer belongs to.
type trust uint8

const (
	// synced: every outstanding request is in the queue.
	synced trust = iota
	// lost: requests may be outstanding that were not seen. No request is taken unless the connection has never pipelined
	// or has been idle.
	lost
	// probation: requests are taken again, but their exchanges are held back until it is clear that no answer is left over.
	probation
)

// cleanHistory is how many exchanges, one after the other without pipelining, make a loss harmless: with such a client the
// first request after it is answered next. probationLength is how many held exchanges prove the same of a client without history.
const (
	cleanHistory    = 16
	probationLength = 4
)

// queue is a list of messages linked through Message.next.
type queue struct {
	head, tail *Message
	n          int
}

func (q *queue) push(m *Message) {
	m.next, m.prev = nil, q.tail
	if q.tail == nil {
		q.head = m
	} else {
		q.tail.next = m
	}
	q.tail = m
	q.n++
}

func (q *queue) pop() *Message {
	m := q.head
	if m == nil {
		return nil
	}
	q.remove(m)
	return m
}

func (q *queue) remove(m *Message) {
	switch {
	case q.head == m:
		q.head = m.next
	case m.prev == nil:
		return // it is not in the queue
	default:
		m.prev.next = m.next
	}
	if q.tail == m {
		q.tail = m.prev
	} else {
		m.next.prev = m.prev
	}
	m.next, m.prev = nil, nil
	q.n--
}

// pairer finds the request of each response of one connection.
//
// In order: the n-th response answers the n-th request, as long as none was missed. After a loss, and on a connection that
// is older than capture, it forgets what is outstanding. A client that does not pipeline is taken up again at its next
// request, which by then can have no other request before it. A client that has pipelined is taken up when the connection has
// been idle. Where it is not yet known which kind of client it is, the first exchanges are held back until the next
// request, idleness or the close shows that no answer was left over; a left-over answer proves them wrong, and they are dropped.
//
// By ID: a loss can leave a request without its response, never mispair it.
type pairer struct {
	outstanding queue
	bytes       int                 // of outstanding's attributes, when they were asked
	ids         map[uint64]*Message // of outstanding, when pairing by ID and there are many
	held        queue               // answered, on probation
	orphan      *Message

	reqDir    event.Dir
	knowsDir  bool
	byID      bool
	trust     trust
	pipelined bool
	clean     uint8 // exchanges in a row without pipelining, up to cleanHistory
}

// next is the request that the next response answers in order; nil when not known.
func (p *pairer) next() *Message {
	if p.byID {
		return nil
	}
	for m := p.outstanding.head; m != nil; m = m.next {
		if m.answer == nil {
			return m
		}
	}
	return nil
}

// fewIDs is how many outstanding requests are looked through one by one.
const fewIDs = 16

// push takes a request in.
func (p *pairer) push(m *Message) {
	p.outstanding.push(m)
	m.bytes = len(m.Attrs.buf)
	p.bytes += m.bytes
	switch {
	case !p.byID:
	case p.ids != nil:
		p.ids[m.ID] = m
	case p.outstanding.n > fewIDs:
		p.ids = make(map[uint64]*Message, 4*fewIDs)
		for m := p.outstanding.head; m != nil; m = m.next {
			p.ids[m.ID] = m
		}
	}
}

// remove lets a request go.
func (p *pairer) remove(m *Message) {
	p.outstanding.remove(m)
	p.bytes, m.bytes = p.bytes-m.bytes, 0
	if p.ids != nil && p.ids[m.ID] == m {
		delete(p.ids, m.ID)
	}
}

// pop lets the oldest request go; nil when there is none.
func (p *pairer) pop() *Message {
	m := p.outstanding.head
	if m != nil {
		p.remove(m)
	}
	return m
}

// find is the request of that ID, answered in part or not; nil when it was not seen.
func (p *pairer) find(id uint64) *Message {
	if p.ids != nil {
		return p.ids[id]
	}
	for m := p.outstanding.tail; m != nil; m = m.prev {
		if m.ID == id {
			return m
		}
	}
	return nil
}

// match is the request that a response answers; nil when it was not seen.
func (p *pairer) match(id uint64) *Message {
	if !p.byID {
		return p.next()
	}
	if m := p.find(id); m != nil && m.answer == nil {
		return m
	}
	return nil
}

// answering is the request whose answer is open; nil when there is none, and when pairing by ID: there may be many.
func (p *pairer) answering() *Message {
	if p.byID {
		return nil
	}
	for m := p.outstanding.head; m != nil; m = m.next {
		if m.answer != nil {
			return m
		}
	}
	return nil
}

// onLoss changes to the state after a loss. Who calls it drops what is outstanding.
func (p *pairer) onLoss() {
	if p.byID {
		for m := p.outstanding.head; m != nil; m = m.next {
			m.doubt = true
		}
		return
	}
	if !p.pipelined && p.clean >= cleanHistory {
		p.trust = synced
		return
	}
	p.trust = lost
}

// admit says whether a request may be taken, given how long the connection was idle before it, and moves on to the state
// in which it is taken.
func (p *pairer) admit(idle bool) bool {
	if p.trust != lost || p.byID {
		return true
	}
	switch {
	case idle:
		p.trust = synced
	case p.pipelined:
		return false
	default:
		p.trust = probation
	}
	return true
}
