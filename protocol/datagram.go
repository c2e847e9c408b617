package protocol

import (
	"net/netip"
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// far tells a peer of a datagram socket who it is.
type far struct {
	socket *conn
	addr   netip.AddrPort
	// parser is one for spec that an earlier peer has left.
	parser Parser
	spec   *Spec
}

// datagram handles a segment of a datagram socket. A datagram is one chunk and is never joined to another; each peer of an
// unconnected socket has a state of its own for as long as one of the two waits for an answer, kept in its conn's peers. There
// are no turns, no holes and no offsets; a request that is not answered within Config.AnswerWait ends unanswered.
func (t *Tracker) datagram(c *conn, s *event.Segment) {
	switch {
	case s.Seq > c.nextSeq:
		t.count.protocols[c.proto].gaps.Add(1)
		c.ledger.holed(s.Seq - c.nextSeq)
		c.doubtPeers()
	case s.Seq < c.nextSeq:
		c.explained(1) // it was late, not lost
	}
	c.nextSeq = max(c.nextSeq, s.Seq+1)
	p := t.peer(c, s.Peer)
	d := s.Dir & 1
	at := s.Time.UnixNano()
	p.lastAt, c.lastAt = max(p.lastAt, at), max(c.lastAt, at)
	if p.parser == nil && !t.identifyDatagram(p, d, s.Data) {
		t.dropPeer(c, p)
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
	if p.pair.outstanding.n == 0 {
		t.dropPeer(c, p)
		return
	}
	c.asking = true
	t.watchOver(c)
}

// fewServers is how many peers one question may have been put to.
const fewServers = 8

// withdraw drops a question that has been answered by one of those whom a socket asked: musl asks all name servers at once, takes
// the first answer and is gone before the others come.
func (t *Tracker) withdraw(answered *conn, id uint64) {
	c := answered.far.socket
	if !answered.spec.AnyAnswer || len(c.peers) == 1 || len(c.peers) > fewServers || answered.pair.reqDir != event.Sent {
		return
	}
	for _, p := range c.peers {
		if m := p.pair.match(id); p != answered && m != nil {
			p.pair.remove(m)
			t.recycle(m)
			t.count.withdrawn.Add(1)
		}
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
		for _, p := range c.peers { // any
			t.count.evictedConns.Add(1)
			t.missed(p, p.pair.outstanding.n)
			t.dropPeer(c, p)
			break
		}
	}
	p := t.newPeer()
	p.far.socket, p.far.addr = c, addr
	p.id, p.role, p.ports, p.task = c.id, c.role, c.ports, c.task
	if addr.IsValid() {
		p.ports[1] = addr.Port()
	}
	c.peers[addr] = p
	return p
}

// pooledPeers bounds the peers that are kept for another use.
const pooledPeers = 256

// newPeer returns a peer without a past.
func (t *Tracker) newPeer() *conn {
	undecided := uint8(len(t.specs))
	if n := len(t.peers); n > 0 {
		p := t.peers[n-1]
		t.peers = t.peers[:n-1]
		*p = conn{far: p.far, proto: undecided, carries: undecided, datagram: true}
		return p
	}
	return &conn{far: &far{}, proto: undecided, carries: undecided, datagram: true}
}

// dropPeer forgets a peer, with what it waits for.
func (t *Tracker) dropPeer(c, p *conn) {
	delete(c.peers, p.far.addr)
	if p.parser != nil {
		p.far.parser, p.far.spec = p.parser, p.spec
	}
	t.release(p)
	if len(t.peers) < pooledPeers {
		t.peers = append(t.peers, p)
	}
}

// identifyDatagram asks the protocols that are spoken over datagrams. A datagram that nobody knows says nothing of the next.
func (t *Tracker) identifyDatagram(p *conn, d event.Dir, data []byte) bool {
	var spec *Spec
	group := p.far.addr.Addr().IsMulticast()
	for _, s := range t.specs {
		if group && s.Over == OverBoth {
			continue // what is also spoken over streams has one who answers
		}
		if s.Carrier == "" && s.Over != OverStream && (spec == nil || !p.onPort(spec) && p.onPort(s)) && s.Sniff(d, data) == Yes {
			spec = s
		}
	}
	if spec != nil {
		t.become(p, spec)
	}
	return spec != nil
}

// parserOf makes the parser of a connection, or takes up the one that a peer has.
func (c *conn) parserOf(s *Spec) Parser {
	if c.far != nil && c.far.spec == s {
		if p, ok := c.far.parser.(resetter); ok {
			p.Reset()
			return c.far.parser
		}
	}
	return s.New()
}

// resetter is a Parser that can be used again; see Parser.
type resetter interface{ Reset() }

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
			p.pair.pop()
			t.endUnanswered(p, m, now)
		}
		if p.pair.outstanding.n == 0 {
			t.dropPeer(c, p)
			continue
		}
		c.asking = true
	}
}

// endPeers ends what a datagram socket's peers wait for.
func (t *Tracker) endPeers(c *conn, at time.Time) {
	for _, p := range c.peers {
		t.unanswered(p, at)
		t.dropPeer(c, p)
	}
}
