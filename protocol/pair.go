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
	m.next = nil
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
	q.head, m.next = m.next, nil
	if q.head == nil {
		q.tail = nil
	}
	q.n--
	return m
}

func (q *queue) remove(m *Message) bool {
	if q.head == m {
		q.pop()
		return true
	}
	for p := q.head; p != nil; p = p.next {
		if p.next == m {
			p.next, m.next = m.next, nil
			if q.tail == m {
				q.tail = p
			}
			q.n--
			return true
		}
	}
	return false
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
	held        queue // answered, on probation
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

// match is the request that a response answers; nil when it was not seen.
func (p *pairer) match(id uint64) *Message {
	if !p.byID {
		return p.next()
	}
	for m := p.outstanding.head; m != nil; m = m.next {
		if m.ID == id && m.answer == nil {
			return m
		}
	}
	return nil
}

// answering is the request whose answer is open; nil when there is none.
func (p *pairer) answering(id uint64) *Message {
	for m := p.outstanding.head; m != nil; m = m.next {
		if m.answer != nil && (!p.byID || m.ID == id) {
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
