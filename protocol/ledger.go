package protocol

import "github.com/toposcope/toposcope/collector/event"

// ledger is the account of a connection's exchanges: those emitted and those reported missing shall add up to those there
// were. What a loss hid is found out in one of two ways; conn.exact chooses.
//
// By turns: a client that does not pipeline takes one turn for each request, and turns are numbered before anything is lost.
// From one request that was seen to the next there were as many exchanges as turns in the direction of requests; those that
// were not emitted are missing. The account is drawn up (balance) at each request that is seen and at the end, and something
// is reported only when a loss was noticed (owed). The result is exact, whatever was lost, with two exceptions: an answer that
// came before its request was over leaves a turn too few, a lost interim response one too many.
//
// By ID: an answer without its request, a request whose answer can have been among what was lost, and the requests that a
// counting ID has left out are missing, each found out when it shows.
//
// By estimate, reported at once (missed): from how many segments an exchange takes and, where turns are numbered, from those
// that nothing was seen of, at the average number of requests of a turn so far; one each for requests that were seen and
// could not be taken. This is the way for a client that pipelines: how many requests a lost turn held nobody knows, so the
// sum is right within a few percent when each burst is one call, and rougher when it is several. It is also the way for
// sources without turns, and before the first request on a connection older than capture.
type ledger struct {
	// owed is how many exchanges are estimated to be missing and not yet reported: until the account is drawn up, or until
	// the protocol is known.
	owed int
	// base is the turn at which the account begins. emitted are the exchanges since, less those that were outstanding then:
	// they belong to turns before.
	base    uint32
	emitted int32
	// turn is that of the last segment; numbered: the source numbers turns; based: base is known.
	turn            uint32
	numbered, based bool

	// By ID: holes are the segments that were lost and that no exchange known to be missing explains yet; lossy: there were any,
	// torn: since the last request. lastID is that one's, orphans are the answers to later requests, which were not seen.
	holes, orphans uint32
	lossy, torn    bool
	lastID         uint64

	requests, requestTurns, lastRequest uint32 // seen, for the average
	segments, exchanges, sinceExchange  uint32
}

// exact says whether the missing exchanges of c are counted by turns.
func (c *conn) exact() bool {
	return c.ledger.numbered && c.ledger.based && !c.pair.byID && !c.pair.pipelined
}

// missed takes in that n exchanges, by estimate, are missing.
func (t *Tracker) missed(c *conn, n int) {
	if c.exact() || c.spec == nil {
		c.ledger.owed += n
		return
	}
	t.report(c, n)
}

// report tells the sink of n exchanges that are missing for certain, or as well as can be known. Those of a protocol that nobody
// wants are no loss.
func (t *Tracker) report(c *conn, n int) {
	if i := int(c.carries); n > 0 && (i == len(t.specs) || !t.specs[i].Muted) {
		t.sink.Gap(c.id, t.count.protocols[c.carries].name, uint64(n))
	}
}

// balance draws up the account of the turns before to, and begins the next.
func (t *Tracker) balance(c *conn, to uint32) {
	l, outstanding := &c.ledger, c.pair.outstanding.n
	if l.owed > 0 {
		n := l.owed
		if d, ok := c.asks(); ok && c.exact() {
			n = turnsOf(d, l.base, to) - int(l.emitted) - outstanding
		}
		l.owed = 0
		t.report(c, n)
	}
	l.base, l.emitted = to, -int32(outstanding)
}

// balanceAll draws up the account of all turns that were seen: decoding ends here, or is about to be done in another way.
func (t *Tracker) balanceAll(c *conn) { t.balance(c, c.ledger.turn+1) }

// balanceEnd draws up the last account. Where a source cannot tell the number of the last turn, those after the last one
// that was seen remain unknown.
func (t *Tracker) balanceEnd(c *conn, e *event.Closed) {
	if e.Turns && c.source != event.SourceTLS {
		c.ledger.turn = e.Turn
	}
	t.balanceAll(c)
}

// asked notes that a request was seen at turn.
func (t *Tracker) asked(c *conn, turn uint32) {
	l := &c.ledger
	t.balance(c, turn)
	l.based = l.numbered
	if l.requestTurns == 0 || l.lastRequest != turn {
		l.lastRequest = turn
		l.requestTurns++
	}
	if l.requests++; l.requests >= 1<<16 {
		l.requests, l.requestTurns = l.requests/2, max(l.requestTurns/2, 1)
	}
}

// lost is where what c has lost is accounted for: for a peer of a datagram socket the socket's.
func (c *conn) lost() *ledger {
	if c.far != nil {
		return &c.far.socket.ledger
	}
	return &c.ledger
}

// holed notes the loss of n segments that may have been anybody's.
func (l *ledger) holed(n uint64) {
	l.holes = uint32(min(uint64(l.holes)+n, 1<<30))
	l.lossy, l.torn = true, true
}

// explained notes that n missing exchanges have been found out.
func (c *conn) explained(n uint32) {
	l := c.lost()
	l.holes -= min(n, l.holes)
}

// skipped reports the requests that a loss has hidden, where IDs count them: those between the last one seen and id, but for
// those whose answer came without them.
func (t *Tracker) skipped(c *conn, id uint64) {
	l, step := &c.ledger, c.spec.IDStep
	if step == 0 {
		return
	}
	next := l.lastID + step
	switch {
	case l.lastID == 0 && c.existing:
		next = id - min(id, step) // one, as far as anybody can tell
	case l.lastID == 0:
		next = 1
	}
	if l.torn && id > next {
		n := (id - next) / step
		n -= min(n, uint64(l.orphans))
		t.report(c, int(min(n, 1<<20)))
	}
	l.orphans, l.torn = 0, false
	l.lastID = max(l.lastID, id)
}

// orphaned reports the request that an answer was left without by a loss, unless counting IDs have told of it. A datagram that was
// lost is one message; there may be answers without a loss, to questions that were asked twice.
func (t *Tracker) orphaned(c *conn, id uint64) {
	l, lost := &c.ledger, c.lost()
	if !lost.lossy || c.far != nil && lost.holes == 0 || c.spec.IDStep != 0 && id <= l.lastID {
		return
	}
	c.explained(1)
	l.orphans++
	t.missed(c, 1)
}

// unexplained reports, at the end of a connection that pairs by ID, losses of which nothing has shown: an exchange has two sides,
// so each two of them may have hidden one. Where IDs count, all but those since the last request would have shown.
func (t *Tracker) unexplained(c *conn) {
	l := &c.ledger
	switch {
	case int(c.carries) >= len(t.specs):
	case c.spec == nil || c.spec.IDStep == 0:
		t.report(c, int(l.holes+1)/2)
	case l.torn && l.holes > 0:
		t.report(c, 1)
	}
}

// exchanged notes that a request has found its answer, or its end.
func (l *ledger) exchanged() {
	l.emitted++
	l.exchanges++
	l.sinceExchange = 0
	if l.exchanges >= 1<<16 {
		l.exchanges, l.segments = l.exchanges/2, l.segments/2
	}
}

// moved notes a segment.
func (l *ledger) moved(s *event.Segment) {
	if l.segments == 0 && s.Seq == 0 {
		l.base = s.Turn // nothing was before
	}
	l.turn, l.numbered = s.Turn, s.Turns
	l.segments++
	l.sinceExchange++
}

// hidden estimates how many exchanges the loss of n segments before first touched, known among them: those that were
// outstanding.
func (c *conn) hidden(n uint64, first *early, known int) int {
	l := &c.ledger
	per := uint64(2)
	if l.exchanges > 0 {
		per = max(2, uint64(l.segments)/uint64(l.exchanges))
	}
	bySegments := int(min((uint64(l.sinceExchange)%per+n-1)/per+1, 1<<30))
	return max(known+l.unseen(c, first), bySegments)
}

// unseen estimates how many requests there were in the turns before first of which nothing was seen.
func (l *ledger) unseen(c *conn, first *early) int {
	end, ok := first.turn()
	d, directed := c.asks()
	if !ok || !l.numbered || !directed {
		return 0
	}
	if first.closed != nil {
		end++
	}
	n := turnsOf(d, l.turn+1, end)
	if l.requestTurns > 0 {
		n = (n*int(l.requests) + int(l.requestTurns)/2) / int(l.requestTurns)
	}
	return n
}

// asks is the direction of requests, if that is known.
func (c *conn) asks() (event.Dir, bool) {
	switch {
	case c.pair.knowsDir:
		return c.pair.reqDir, true
	case c.role == event.RoleServer:
		return event.Received, true
	default:
		return event.Sent, c.role == event.RoleClient
	}
}

// turnsOf is how many of the turns from first to before end go in direction d. Turns alternate, from 0 for a first one that
// is sent and 1 for one that is received: those sent are even.
func turnsOf(d event.Dir, first, end uint32) int {
	first += (first ^ uint32(d)) & 1
	return int(max(int32(end-first), -1)+1) / 2
}

// turn is the turn that the event belongs to, for an end the last one; ok false: it is not numbered.
func (e *early) turn() (n uint32, ok bool) {
	if e.closed != nil {
		return e.closed.Turn, e.closed.Turns
	}
	return e.seg.Turn, e.seg.Turns
}
