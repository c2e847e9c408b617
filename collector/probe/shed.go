package probe

import "fmt"

// Lots is how many lots connections are divided into. A connection's lot comes from a hash of its addresses and ports, the same at
// both of its ends.
const Lots = 256

// shedding is what is shed: as many lots as lots, from from on.
type shedding struct{ from, lots uint32 }

// Shed makes the kernel leave out the bytes of connections, and of datagrams, whose lot is among lots ones from from on; they are
// counted as from modulo Lots, and wrap. Their calls go on taking numbers and turns, so that what is missing shows as a gap, as lost
// events do; connections are announced and closed as ever. No lots: nothing is shed. All of it stays in force while capture is switched
// off and on. Counters says how many calls were left out (the stage "shed").
func (p *Probe) Shed(from, lots int) error {
	if lots < 0 || lots > Lots {
		return fmt.Errorf("shedding %d of %d lots of connections", lots, Lots)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shedding = shedding{uint32(from) % Lots, uint32(lots)}
	return p.writeSettings(p.enabled)
}
