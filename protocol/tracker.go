package protocol

import (
	"cmp"
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// Verdict tells the kernel how much of a connection to copy.
type Verdict struct {
	// Head and Tail are bytes of one direction since the last turn, see Capture; Whole copies everything, Refused nothing.
	Head, Tail     int
	Whole, Refused bool
	// Undecided takes an earlier verdict back: the connection is copied as one of which nothing is known.
	Undecided bool
	// Why a connection is refused.
	Why Reason
	// Again is set when the same was told before: it looks as if it had been forgotten, as verdicts are where there is room for so
	// many only.
	Again bool
}

// Verdicts takes a Tracker's verdicts. It is called from the Tracker's goroutine.
type Verdicts interface {
	SetVerdict(event.ConnID, Verdict)
}

// Sink takes what a Tracker finds. It is called from the Tracker's goroutine. See HandshakeSink for what else it may take.
type Sink interface {
	// Exchange is called for each exchange. It and all it points to are valid until the call returns.
	Exchange(*Exchange)
	// Gap is called when n exchanges of a connection are known to be missed; protocol is "" when it was not yet known.
	Gap(c event.ConnID, protocol string, n uint64)
}

// Config bounds a Tracker. Zero values stand for the defaults.
type Config struct {
	// Keep says which texts are kept.
	Keep Options
	// MaxBuffer is how many bytes a direction may hold while a message is incomplete; 16 times as many is what the attributes of all
	// requests may take that wait for their response. Default 64 KiB.
	MaxBuffer int
	// MaxHeld is how many bytes all connections of the Tracker may hold together. Default 64 MiB.
	MaxHeld int
	// MaxConns is how many connections are tracked; past it the longest idle of a sample is forgotten. Default 262,144.
	MaxConns int
	// MaxPipelined is how many requests of a connection may wait for their response. Default 16,384: what bounds memory is the bytes of
	// their attributes, see MaxBuffer.
	MaxPipelined int
	// ReorderEvents, ReorderBytes and ReorderWait bound the wait for a missing segment. Defaults 64, 1 MiB (a segment may have
	// 256 KiB) and 50 ms.
	ReorderEvents int
	ReorderBytes  int
	ReorderWait   time.Duration
	// SniffBytes and SniffTurns bound how long a connection may stay undecided: captured bytes (64 times as many on a
	// connection older than capture, which may be within a large body) and turns that nobody recognised. Defaults 64 KiB and 8.
	SniffBytes, SniffTurns int
	// MaxErrors is how many times in a row bytes may break the rules of the protocol before the connection is undecided again.
	// Default 3. MaxReinferences is how often a connection may be; then it is refused. Default 2, none if negative.
	MaxErrors, MaxReinferences int
	// MaxPeers is how many peers of a datagram socket may be waiting or waited for. Default 4,096. AnswerWait is for how long a datagram may
	// wait for its answer. Default 5.5 s: resolvers send a question again after 5 s, and that is still the same one.
	MaxPeers   int
	AnswerWait time.Duration
	// IdleAfter is for how long no byte must move for a connection to count as idle. Default 250 ms.
	IdleAfter time.Duration
	// SettleAfter is for how long no byte must move for an answer to have ended whose end was not captured. Default 5 s.
	SettleAfter time.Duration
}

func (c Config) withDefaults() Config {
	c.MaxBuffer = cmp.Or(c.MaxBuffer, 64<<10)
	c.MaxHeld = cmp.Or(c.MaxHeld, 64<<20)
	c.MaxConns = cmp.Or(c.MaxConns, 1<<18)
	c.MaxPipelined = cmp.Or(c.MaxPipelined, 1<<14)
	c.ReorderEvents = cmp.Or(c.ReorderEvents, 64)
	c.ReorderBytes = cmp.Or(c.ReorderBytes, 1<<20)
	c.ReorderWait = cmp.Or(c.ReorderWait, 50*time.Millisecond)
	c.SniffBytes = cmp.Or(c.SniffBytes, 64<<10)
	c.SniffTurns = cmp.Or(c.SniffTurns, 8)
	c.MaxErrors = cmp.Or(c.MaxErrors, 3)
	c.MaxReinferences = cmp.Or(c.MaxReinferences, 2)
	c.MaxPeers = cmp.Or(c.MaxPeers, 4096)
	c.AnswerWait = cmp.Or(c.AnswerWait, 5500*time.Millisecond)
	c.IdleAfter = cmp.Or(c.IdleAfter, 250*time.Millisecond)
	c.SettleAfter = cmp.Or(c.SettleAfter, 5*time.Second)
	return c
}

// Tracker turns the events of one shard into exchanges. All methods but Counters are called from one goroutine.
type Tracker struct {
	cfg      Config
	specs    []*Spec
	verdicts Verdicts
	sink     Sink
	count    *counters

	conns map[event.ConnID]*conn
	// watch lists connections that a Tick must look at.
	watch []*conn
	// gone remembers connections closed of late (their number plus one), so that a straggler does not raise them from the dead.
	gone [1024]event.ConnID
	now  time.Time // of the last Tick

	runs     runPool
	messages []*Message // free
	scratch  *Message   // handed to parsers
	ch       Chunk      // handed to parsers
	x        Exchange   // handed to the sink
	one      [1]mark    // of the segment that is being handled
	peers    []*conn    // of datagram sockets, out of use

	hellos     []*hello      // out of use
	handshakes HandshakeSink // the sink, nil: it does not want to know
	handshake  Handshake     // handed to it
}

// pooledMessages bounds the free list; a message with a larger attribute buffer than pooledAttrs is not kept.
const (
	pooledMessages = 1024
	pooledAttrs    = 4 << 10
)

// NewTracker returns a Tracker that knows specs, in the order in which they are asked. v may be nil.
func NewTracker(specs []*Spec, cfg Config, v Verdicts, s Sink) *Tracker {
	handshakes, _ := s.(HandshakeSink)
	return &Tracker{
		cfg:        cfg.withDefaults(),
		specs:      specs,
		verdicts:   v,
		sink:       s,
		handshakes: handshakes,
		count:      newCounters(specs),
		conns:      make(map[event.ConnID]*conn),
		scratch:    &Message{},
	}
}

// Handle takes one event: Opened, Segment or Closed. Others are ignored; a loss shows in the numbers of the segments.
func (t *Tracker) Handle(ev event.Event) {
	switch e := ev.(type) {
	case *event.Segment:
		t.handleSegment(e)
	case *event.Opened:
		t.opened(e)
	case *event.Closed:
		t.handleClosed(e)
	}
}

func (t *Tracker) opened(e *event.Opened) {
	if old := t.conns[e.Conn]; old != nil {
		if old.announced {
			return
		}
		// A segment came first: only what it could not tell is taken over.
		old.announced, old.role, old.ports = true, e.Role, ports(e.Flow)
		return
	}
	c := t.add(e.Conn)
	c.announced, c.role, c.ports, c.task = true, e.Role, ports(e.Flow), e.Owner
	c.ledger.based = !e.Existing
	c.existing, c.lastAt = e.Existing, e.Time.UnixNano()
	if !e.LastActive.IsZero() {
		c.lastAt = e.LastActive.UnixNano()
	}
	if e.Existing {
		c.startLost()
	}
}

func ports(f event.Flow) [2]uint16 { return [2]uint16{f.Local.Port(), f.Remote.Port()} }

// add makes the state of a connection, at the cost of another when there are too many.
func (t *Tracker) add(id event.ConnID) *conn {
	if len(t.conns) >= t.cfg.MaxConns {
		t.evict()
	}
	c := &conn{id: id, proto: uint8(len(t.specs)), carries: uint8(len(t.specs))}
	t.conns[id] = c
	t.count.conns.Add(1)
	return c
}

// evict forgets the longest idle of a few connections; the map's random order makes the sample.
func (t *Tracker) evict() {
	const sample = 8
	var oldest *conn
	n := 0
	for _, c := range t.conns {
		if oldest == nil || c.lastAt < oldest.lastAt {
			oldest = c
		}
		if n++; n == sample {
			break
		}
	}
	t.count.evictedConns.Add(1)
	t.forget(oldest, nil, oldest.waiting())
	t.balanceAll(oldest)
	t.remove(oldest)
}

// waiting is how many requests wait for their answer, with all peers of a datagram socket.
func (c *conn) waiting() int {
	n := c.pair.outstanding.n
	for _, p := range c.peers {
		n += p.pair.outstanding.n
	}
	return n
}

// remove ends the state of a connection.
func (t *Tracker) remove(c *conn) {
	t.release(c)
	switch c.reason {
	case ReasonTLS:
		t.count.tls.Add(-1)
	case ReasonUnknown:
		t.count.unknown.Add(-1)
	}
	c.removed = true
	delete(t.conns, c.id)
	t.gone[uint64(c.id)%uint64(len(t.gone))] = c.id + 1
	t.count.conns.Add(-1)
}

// Tick gives up on what has been waited for long enough. It is called about every 50 ms with the time of day, or in replay
// with the time of the events; a last call with a time far ahead lets go of everything.
func (t *Tracker) Tick(now time.Time) {
	t.now = now
	keep := t.watch[:0]
	for _, c := range t.watch {
		if !c.removed && t.tickConn(c, now) {
			keep = append(keep, c)
			continue
		}
		c.watched = false
	}
	clear(t.watch[len(keep):])
	t.watch = keep
	t.noteBuffered()
}

// tickConn looks after one connection and says whether it needs to be watched on.
func (t *Tracker) tickConn(c *conn, now time.Time) bool {
	for c.reorder != nil && now.Sub(c.reorder.events[0].since) >= t.cfg.ReorderWait {
		t.giveUp(c)
	}
	if c.removed {
		return false
	}
	quiet := time.Duration(now.UnixNano() - c.lastAt)
	if c.pair.held.n > 0 && quiet >= t.cfg.IdleAfter {
		t.confirm(c) // no answer was left over
	}
	if c.vague && quiet >= t.cfg.SettleAfter {
		t.settled(c)
	}
	if c.asking {
		t.expirePeers(c, now)
	}
	return c.reorder != nil || c.vague || c.asking || c.pair.held.n > 0
}

// watchOver has Tick look at c.
func (t *Tracker) watchOver(c *conn) {
	if !c.watched {
		c.watched = true
		t.watch = append(t.watch, c)
	}
}

func (t *Tracker) noteBuffered() { t.count.buffered.Store(int64(t.runs.held)) }

// newMessage returns a message that is not in use. It may hold anything but links.
func (t *Tracker) newMessage() *Message {
	if n := len(t.messages); n > 0 {
		m := t.messages[n-1]
		t.messages = t.messages[:n-1]
		return m
	}
	return &Message{}
}

// recycle takes a message, and its answer, out of use.
func (t *Tracker) recycle(m *Message) {
	for m != nil {
		answer := m.answer
		if len(t.messages) < pooledMessages && cap(m.Attrs.buf) <= pooledAttrs {
			m.next, m.prev, m.answer, m.asked = nil, nil, nil, nil
			t.messages = append(t.messages, m)
		}
		m = answer
	}
}

// own returns a message that outlives the parser's next call: m itself when it is the scratch one, else a copy.
func (t *Tracker) own(m *Message) *Message {
	if m == t.scratch {
		t.scratch = t.newMessage()
		return m
	}
	o := t.newMessage()
	a := o.Attrs
	*o = *m
	o.Attrs, o.next, o.prev, o.answer, o.asked = a, nil, nil, nil, nil
	o.Attrs.CopyFrom(&m.Attrs)
	return o
}
