package protocol

import (
	"slices"

	"github.com/toposcope/toposcope/collector/event"
)

// identify asks every protocol whether data, at direction d's pos, is its own. It reports whether there is more to do with the
// data: the connection is decided, or a preamble was skipped. If not, what cannot be the beginning of anything is dropped and the
// rest waits for more.
func (t *Tracker) identify(c *conn, d event.Dir, v *view, data []byte, then Then) bool {
	st := &c.dirs[d]
	if then == Ended || then == Idle {
		return false
	}
	if c.hello != nil {
		return t.greet(c, d, v, data, then)
	}
	mk, first := v.at(st.pos)
	// Only where a message may begin can one be recognised: at the beginning of a stream, and after the other end has spoken.
	begins := len(data) > 0 && (st.fresh || st.pos == 0 && !c.existing || first && mk.turn)
	opinion := No
	if begins {
		var spec *Spec
		n, proxied := sniffProxy(data)
		switch opinion, spec = t.sniff(c, d, data); {
		case opinion == Yes:
			t.decide(c, d, spec)
			return true
		case proxied == Yes && c.proxied < maxProxies:
			c.proxied++
			t.take(st, v, uint64(n))
			st.fresh = true // the preamble is not of the protocol
			return true
		case proxied == Yes:
			proxied = No
		}
		tls := sniffTLS(data)
		if tls == Yes {
			other := &c.dirs[d.Reverse()]
			t.expectTLS(c, false, (st.pos == 0 || st.fresh) && !mk.torn && other.end == 0 && !other.suspect)
			return true
		}
		opinion = max(opinion, proxied, tls)
	}
	if opinion == More && then == Continues && len(data) < t.cfg.MaxBuffer {
		return false
	}
	t.unrecognised(c, d, len(data), begins && !mk.torn)
	return false
}

// sniff asks the protocols in their order. Who says Yes has it, though others may say More: a Yes is strict, as the corpus of
// protocol/all sees to, and a More may be of anybody who has seen too little to say No. Of two who say Yes the one whose port it is
// has it, else the first.
func (t *Tracker) sniff(c *conn, d event.Dir, data []byte) (Sniffed, *Spec) {
	best := No
	var spec *Spec
	for _, s := range t.specs {
		if s.Over == OverDatagram || s.Carrier != "" {
			continue
		}
		o := s.Sniff(d, data)
		if o == Yes && (spec == nil || !c.onPort(spec) && c.onPort(s)) {
			spec = s
		}
		best = max(best, o)
	}
	return best, spec
}

func (c *conn) onPort(s *Spec) bool {
	return slices.Contains(s.Ports, c.ports[0]) || slices.Contains(s.Ports, c.ports[1])
}

// decide makes s the protocol of c, found in direction d at its pos.
func (t *Tracker) decide(c *conn, d event.Dir, s *Spec) {
	t.become(c, s)
	c.dirs[d].lost, c.dirs[d].fresh = false, false
	c.swapped = true
	if o := &c.dirs[d.Reverse()]; o.run != nil && s.Sniff(d.Reverse(), o.run.data) == No {
		// What the other end said was held for somebody else.
		t.releaseRun(o)
		o.pos, o.lost, o.fresh = o.end, true, false
		c.pair.trust = lost
	}
}

// unrecognised drops what direction d holds, captured bytes of it. A connection on which that happens too often is refused.
func (t *Tracker) unrecognised(c *conn, d event.Dir, captured int, turn bool) {
	st := &c.dirs[d]
	c.unrecognised(captured)
	st.pos, st.lost, st.fresh = st.end, true, false
	c.pair.trust = lost
	budget := t.cfg.SniffBytes
	if c.existing {
		budget *= 64
	}
	if turn {
		c.turns++
	}
	if int(c.turns) >= t.cfg.SniffTurns || int(c.sniffed) >= budget {
		t.refuse(c, ReasonUnknown)
	}
}

// unrecognised counts bytes that say nothing.
func (c *conn) unrecognised(n int) { c.sniffed = int32(min(int(c.sniffed)+n, 1<<30)) }
