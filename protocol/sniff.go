package protocol

import (
	"slices"

	"github.com/toposcope/toposcope/collector/event"
)

// identify asks every protocol whether data, at direction d's pos, is its own. It reports whether the connection is decided;
// if not, what cannot be the beginning of anything is dropped and the rest waits for more.
func (t *Tracker) identify(c *conn, d event.Dir, v *view, data []byte, then Then) bool {
	st := &c.dirs[d]
	if then == Ended || then == Idle {
		return false
	}
	mk, first := v.at(st.pos)
	// Only where a message may begin can one be recognised: at the beginning of a stream, and after the other end has spoken.
	begins := len(data) > 0 && (st.pos == 0 && !c.existing || first && mk.turn)
	c.sniffed = int32(min(int(c.sniffed)+len(data), 1<<30))
	opinion := No
	if begins {
		if sniffTLS(data) == Yes {
			t.refuse(c, ReasonTLS)
			return false
		}
		var spec *Spec
		if opinion, spec = t.sniff(c, d, data); opinion == Yes {
			t.decide(c, d, spec)
			return true
		}
		if opinion == No && sniffTLS(data) == More {
			opinion = More
		}
	}
	if opinion == More && then == Continues && len(data) < t.cfg.MaxBuffer {
		return false
	}
	t.unrecognised(c, d, begins && !mk.torn)
	return false
}

// sniff asks the protocols in their order; a port breaks ties.
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
	c.dirs[d].lost = false
	c.swapped = true
}

// unrecognised drops what direction d holds. A connection on which that happens too often is refused.
func (t *Tracker) unrecognised(c *conn, d event.Dir, turn bool) {
	st := &c.dirs[d]
	st.pos, st.lost = st.end, true
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
