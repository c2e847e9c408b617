package protocol

import (
	"net/netip"
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// Exchange is a request with its response. It and all it points to are valid until the emit callback returns.
type Exchange struct {
	Conn event.ConnID
	Side Side
	// Peer is the other end of a datagram socket that is not connected; else not valid, and the connection's flow tells.
	Peer netip.AddrPort
	// Task is the one that did the work at the watched end: on the client's side it wrote the request, on the server's it
	// wrote the response (a worker that was handed the socket), or read the request when there is no response.
	Task     event.Task
	Protocol *Spec
	Request  *Message
	// Response is nil when the exchange ended unanswered.
	Response *Message
	Outcome  Outcome
	Error    string
}

// Waiting reports whether the exchange's duration is a wait for something to happen; see Message.Waiting.
func (x *Exchange) Waiting() bool {
	return x.Request.Waiting || x.Response != nil && x.Response.Waiting
}

// Upkeep reports whether the exchange is a connection's own upkeep, and did not fail; see Message.Upkeep.
func (x *Exchange) Upkeep() bool { return x.Request.Upkeep && x.Outcome != Failed }

// Start is the time of the request's first byte at the watched end.
func (x *Exchange) Start() time.Time { return x.Request.Start }

// End is the time of the last byte of the response; of the end of the wait when unanswered.
func (x *Exchange) End() time.Time {
	if x.Response != nil {
		return x.Response.End
	}
	return x.Request.End
}

// finish ends an exchange whose request has its answer.
func (t *Tracker) finish(c *conn, req *Message) {
	p := &c.pair
	p.remove(req)
	t.disown(c, req)
	c.errors = 0
	c.ledger.exchanged()
	if p.outstanding.n == 0 && p.clean < cleanHistory {
		p.clean++
	}
	if p.trust == probation && !p.byID {
		p.held.push(req)
		t.watchOver(c)
		return
	}
	if c.far != nil {
		t.withdraw(c, req.ID)
	}
	t.emit(c, req)
}

// disown forgets that m or its answer is open: they are about to leave the pairer.
func (t *Tracker) disown(c *conn, m *Message) {
	for d := range c.dirs {
		st := &c.dirs[d]
		if st.open == nil || st.open != m && st.open != m.answer {
			continue
		}
		if st.byPart {
			st.open.Size = int64(min(st.pos, st.end) - st.openAt)
		}
		st.open = nil
	}
}

// emit hands an exchange to the sink and takes its messages out of use. req has left the queue.
func (t *Tracker) emit(c *conn, req *Message) {
	resp := req.answer
	x := &t.x
	spec, number := t.counted(c, req)
	x.Conn, x.Side, x.Task, x.Protocol, x.Peer = c.id, c.side(), req.Task, spec, netip.AddrPort{}
	if c.far != nil {
		x.Peer, c.far.socket.carries = c.far.addr, number
	}
	x.Request, x.Response, x.Outcome, x.Error = req, resp, OK, ""
	switch {
	case (resp == nil || resp.partial) && x.Waiting(): // nothing had happened yet when the connection ended: that is no failure
	case resp != nil && resp.partial:
		x.Outcome, x.Error = Failed, ErrorUnanswered // the end of the connection cut it short
	case resp != nil:
		x.Outcome, x.Error = resp.Outcome, resp.Error
		if x.Side == ServerSide && resp.Task != (event.Task{}) {
			x.Task = resp.Task
		}
	case !req.NoReply && req.Kind != OneWay:
		x.Outcome, x.Error = Failed, ErrorUnanswered
	}
	end := &req.End // of an exchange without a response
	if resp != nil {
		end = &resp.End
	}
	if end.Before(req.Start) {
		*end = req.Start
		t.count.clamps.Add(1)
	}
	if spec != nil && !spec.Muted {
		count := &t.count.protocols[number]
		count.exchanges[x.Outcome].Add(1)
		if req.Unresolved || resp != nil && resp.Unresolved {
			count.unresolved.Add(1)
		}
		t.cfg.Keep.redact(x)
		t.sink.Exchange(x)
	}
	t.recycle(req)
}

// counted is the protocol that a request counts for: the connection's, or the one of that name that is spoken in it; nil when
// that one is not wanted.
func (t *Tracker) counted(c *conn, req *Message) (*Spec, uint8) {
	c.carries = c.proto
	if req.Protocol == "" || c.spec != nil && req.Protocol == c.spec.Name {
		return c.spec, c.proto
	}
	for i, s := range t.specs {
		if s.Name == req.Protocol {
			c.carries = uint8(i)
			return s, c.carries
		}
	}
	return nil, c.proto
}

// unattributed notes that bytes of direction d went by that belong to no message: what is still unanswered at the end may
// have been answered by them.
func (c *conn) unattributed(d event.Dir) {
	if p := &c.pair; p.knowsDir && d != p.reqDir {
		for m := p.outstanding.head; m != nil; m = m.next {
			m.doubt = true
		}
	}
}

// side is the end that was watched: as the connection was opened, else as requests go.
func (c *conn) side() Side {
	switch {
	case c.role == event.RoleClient:
		return ClientSide
	case c.role == event.RoleServer:
		return ServerSide
	case c.pair.reqDir == event.Received:
		return ServerSide
	default:
		return ClientSide
	}
}

// confirm lets go of the exchanges on probation: they were right.
func (t *Tracker) confirm(c *conn) {
	for m := c.pair.held.pop(); m != nil; m = c.pair.held.pop() {
		t.emit(c, m)
	}
	if c.pair.trust == probation {
		c.pair.trust = synced
	}
}

// unanswered ends all that is outstanding at the end of the connection.
func (t *Tracker) unanswered(c *conn, at time.Time) {
	p := &c.pair
	for m := p.pop(); m != nil; m = p.pop() {
		t.endUnanswered(c, m, at)
	}
}

// endUnanswered ends a request, out of the queue, to which no answer was seen.
func (t *Tracker) endUnanswered(c *conn, m *Message, at time.Time) {
	if m.doubt {
		t.missed(c, 1)
		c.explained(1)
		t.recycle(m)
		return
	}
	c.ledger.emitted++
	m.End = at
	if m.answer != nil {
		m.answer.End = at
	}
	if at.Before(m.Start) {
		m.End = m.Start
		t.count.clamps.Add(1)
	}
	t.emit(c, m)
}
