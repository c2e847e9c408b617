package protocol

import "sync/atomic"

// Reason is why a connection is not decoded: the label of toposcope_undecoded_connections.
type Reason string

// Reasons. A filtered connection never reaches a Tracker; whoever filters counts it.
const (
	ReasonTLS      Reason = "tls"
	ReasonUnknown  Reason = "unknown"
	ReasonFiltered Reason = "filtered"
)

// Labels are those of toposcope_exchanges_total.
type Labels struct {
	Protocol string
	Outcome  Outcome
}

// Counters is a reading of what a Tracker did. All but the gauges only grow. Maps have an entry per known protocol; the
// protocol "" stands for connections whose protocol was not yet known.
type Counters struct {
	// Exchanges were handed to the Sink, ParseErrors are runs of bytes that broke their protocol's rules, StreamGaps are
	// runs of segments or bytes that never came.
	Exchanges   map[Labels]uint64
	ParseErrors map[string]uint64
	StreamGaps  map[string]uint64
	// Unresolved are the exchanges, of those above, that refer to what was not seen; see Message.Unresolved.
	Unresolved map[string]uint64

	// TLS are the connections that were found to speak it, by what their hellos say. A label set that never was has no entry.
	TLS map[TLSLabels]uint64
	// Reinferred connections broke the rules of their protocol so often that they were taken for undecided again.
	Reinferred uint64

	// Connections (a gauge) are tracked now; Undecoded (a gauge) of them are open and not decoded.
	Connections int64
	Undecoded   map[Reason]int64
	// BufferedBytes (a gauge) are held in streams and for reordering.
	BufferedBytes int64

	// Reordered segments came before their turn, Late ones after their number had been given up, Duplicates brought nothing new.
	Reordered, Late, Duplicates uint64
	// EvictedConnections were forgotten to make room, EvictedRequests because a connection had too many outstanding,
	// EvictedBuffers are open messages that outgrew their bound.
	EvictedConnections, EvictedRequests, EvictedBuffers uint64
	// Withdrawn datagram requests were answered by another of those who were asked.
	Withdrawn uint64
	// Orphans are responses whose request was not seen, Clamped exchanges ended before they began by the clock.
	Orphans, Clamped uint64
}

// perProtocol is counted by protocol; the last of a Tracker's is for undecided connections.
type perProtocol struct {
	name        string
	exchanges   [3]atomic.Uint64
	parseErrors atomic.Uint64
	gaps        atomic.Uint64
	unresolved  atomic.Uint64
}

// counters are written by the Tracker's goroutine and read by any.
type counters struct {
	protocols []perProtocol

	conns, tls, unknown, buffered   atomic.Int64
	reordered, late, duplicates     atomic.Uint64
	evictedConns, evictedRequests   atomic.Uint64
	evictedBuffers, orphans, clamps atomic.Uint64
	withdrawn, reinferred           atomic.Uint64

	handshakes [len(tlsVersions)][len(tlsALPNs)]atomic.Uint64
}

func newCounters(specs []*Spec) *counters {
	c := &counters{protocols: make([]perProtocol, len(specs)+1)}
	for i, s := range specs {
		c.protocols[i].name = s.Name
	}
	return c
}

// Counters reads what t did so far. It may be called from any goroutine.
func (t *Tracker) Counters() Counters {
	c := t.count
	r := Counters{
		Exchanges:   make(map[Labels]uint64, 3*len(c.protocols)),
		ParseErrors: make(map[string]uint64, len(c.protocols)),
		StreamGaps:  make(map[string]uint64, len(c.protocols)),
		Unresolved:  make(map[string]uint64, len(c.protocols)),
		Connections: c.conns.Load(),
		Undecoded: map[Reason]int64{
			ReasonTLS: c.tls.Load(), ReasonUnknown: c.unknown.Load(), ReasonFiltered: 0,
		},
		BufferedBytes:      c.buffered.Load(),
		Reordered:          c.reordered.Load(),
		Late:               c.late.Load(),
		Duplicates:         c.duplicates.Load(),
		EvictedConnections: c.evictedConns.Load(),
		EvictedRequests:    c.evictedRequests.Load(),
		EvictedBuffers:     c.evictedBuffers.Load(),
		Withdrawn:          c.withdrawn.Load(),
		Reinferred:         c.reinferred.Load(),
		TLS:                map[TLSLabels]uint64{},
		Orphans:            c.orphans.Load(),
		Clamped:            c.clamps.Load(),
	}
	for v := range c.handshakes {
		for a := range c.handshakes[v] {
			if n := c.handshakes[v][a].Load(); n > 0 {
				r.TLS[TLSLabels{tlsVersions[v], tlsALPNs[a]}] = n
			}
		}
	}
	for i := range c.protocols {
		p := &c.protocols[i]
		r.ParseErrors[p.name] = p.parseErrors.Load()
		r.StreamGaps[p.name] = p.gaps.Load()
		if p.name == "" {
			continue
		}
		r.Unresolved[p.name] = p.unresolved.Load()
		for _, o := range []Outcome{OK, Failed, Rejected} {
			r.Exchanges[Labels{p.name, o}] = p.exchanges[o].Load()
		}
	}
	return r
}
