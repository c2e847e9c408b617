package protocol

import (
	"net/netip"
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// datagram handles a segment of a datagram socket. A datagram is one chunk and is never joined to another; each peer of an
// unconnected socket has a state of its own, kept in its conn's peers. There are no turns, no holes and no offsets; a
// request that is not answered within Config.AnswerWait ends unanswered.
func (t *Tracker) datagram(c *conn, s *event.Segment) {
	if s.Seq > c.nextSeq {
		t.count.protocols[c.proto].gaps.Add(1)
		c.doubtPeers()
	}
	c.nextSeq = max(c.nextSeq, s.Seq+1)
	p := t.peer(c, s.Peer)
	d := s.Dir & 1
	at := s.Time.UnixNano()
	p.lastAt, c.lastAt = max(p.lastAt, at), max(c.lastAt, at)
	if p.parser == nil && !t.identifyDatagram(p, d, s.Data) {
		return
	}
	m := mark{end: uint64(max(s.Size, len(s.Data))), at: s.Time, task: s.Task, call: true, turn: true}
	if m.task == (event.Task{}) {
		m.task = c.task
	}
	st := &p.dirs[d]
	*st = stream{end: m.end}
	t.one[0] = m
	v := view{data: s.Data, marks: t.one[:1], alone: true}
	then := Ended
	if m.end > uint64(len(s.Data)) {
		then = Hole
	}
	t.offer(p, d, &v, then)
	if st.open != nil { // its end was not captured
		t.endOpen(p, d, true)
	}
	*st = stream{}
	p.errors = 0
	if p.pair.outstanding.n > 0 {
		c.asking = true
		t.watchOver(c)
	}
}

// peer returns the state of a socket's traffic with one other end.
func (t *Tracker) peer(c *conn, addr netip.AddrPort) *conn {
	if p := c.peers[addr]; p != nil {
		return p
	}
	if c.peers == nil {
		c.peers = make(map[netip.AddrPort]*conn, 1)
	}
	if len(c.peers) >= t.cfg.MaxPeers {
		for a, p := range c.peers { // any
			t.endPeer(p, ns(c.lastAt))
			delete(c.peers, a)
			t.count.evictedConns.Add(1)
			break
		}
	}
	p := &conn{id: c.id, role: c.role, ports: c.ports, task: c.task, proto: uint8(len(t.specs)), datagram: true}
	if addr.IsValid() {
		p.ports[1] = addr.Port()
	}
	c.peers[addr] = p
	return p
}

// identifyDatagram asks the protocols that are spoken over datagrams. A datagram that nobody knows says nothing of the next.
func (t *Tracker) identifyDatagram(p *conn, d event.Dir, data []byte) bool {
	var spec *Spec
	for _, s := range t.specs {
		if s.Over != OverStream && s.Sniff(d, data) == Yes && (spec == nil || !p.onPort(spec) && p.onPort(s)) {
			spec = s
		}
	}
	if spec != nil {
		t.become(p, spec)
	}
	return spec != nil
}

// doubtPeers notes that answers may have been lost.
func (c *conn) doubtPeers() {
	for _, p := range c.peers {
		p.pair.onLoss()
	}
}

// expirePeers ends what has waited too long and notes whether anything still waits.
func (t *Tracker) expirePeers(c *conn, now time.Time) {
	c.asking = false
	for _, p := range c.peers {
		for m := p.pair.outstanding.head; m != nil && now.Sub(m.Start) >= t.cfg.AnswerWait; m = p.pair.outstanding.head {
			p.pair.outstanding.pop()
			t.endUnanswered(p, m, now)
		}
		c.asking = c.asking || p.pair.outstanding.n > 0
	}
}

// endPeer ends the state of one peer.
func (t *Tracker) endPeer(p *conn, at time.Time) {
	t.unanswered(p, at)
	t.release(p)
}
