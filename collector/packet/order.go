package packet

import (
	"github.com/toposcope/toposcope/collector/event"
)

// misses says whether bytes before off, a position that the other end has told, are still to come. The number that a FIN takes
// is no byte's; off may have been told before the FIN was seen.
func (h *half) misses(off uint64) bool {
	if h.hasFin {
		off = min(off, h.fin)
	}
	return off > max(h.next, h.told)
}

// ready says whether the first piece that direction d holds may be emitted.
func (f *flow) ready(d event.Dir) bool {
	h, o := &f.halves[d], &f.halves[d.Reverse()]
	p := h.held
	return p != nil && p.off <= max(h.next, h.told) && !o.misses(p.need)
}

// release emits all that waits no more, in the order of time where the two directions leave a choice, and gives up on what
// has been missing for too long.
func (a *Assembler) release(f *flow) {
	for f.state == established {
		d := event.Sent
		switch sent, received := f.ready(event.Sent), f.ready(event.Received); {
		case sent && received:
			if f.halves[event.Received].held.at < f.halves[event.Sent].held.at {
				d = event.Received
			}
		case received:
			d = event.Received
		case !sent:
			if !a.overdue(f) {
				return
			}
			continue
		}
		a.pop(f, d)
	}
}

// pop emits the first piece of direction d.
func (a *Assembler) pop(f *flow, d event.Dir) {
	p := a.unhold(f, d)
	h := &f.halves[d]
	h.next = max(h.next, p.off)
	a.deliver(f, d, p.off, p.data, p.size, p.at, p.task)
	if p.fin {
		h.ended = true
	}
	a.freePiece(p)
}

// overdue tells one run of missing bytes as lost, if one has been waited for long enough.
func (a *Assembler) overdue(f *flow) bool {
	for d := event.Sent; d <= event.Received; d++ {
		h, o := &f.halves[d], &f.halves[d.Reverse()]
		p := h.held
		switch {
		case p == nil:
		case p.off > max(h.next, h.told):
			wait, since := a.cfg.ReorderWait, max(p.at, h.progress)
			if h.acked > h.next {
				wait, since = a.cfg.AckedWait, max(p.at, h.ackedAt)
			}
			if a.now-since >= int64(wait) {
				a.tell(f, d, p.off)
				return true
			}
		case o.misses(p.need) && a.now-p.at >= int64(a.cfg.AckedWait):
			a.tell(f, d.Reverse(), o.missingTo(p.need))
			return true
		}
	}
	return false
}

// missingTo is where the run of bytes ends that h misses, at most at limit: where bytes are held, or the direction ends.
func (h *half) missingTo(limit uint64) uint64 {
	if p := h.held; p != nil && p.off > max(h.next, h.told) {
		limit = min(limit, p.off)
	}
	if h.hasFin {
		limit = min(limit, h.fin)
	}
	return limit
}

// tell takes the bytes of direction d that are missing before off for lost. What is due stays: should they come after all,
// they are welcome. A single number at the end may be that of a FIN that was missed.
func (a *Assembler) tell(f *flow, d event.Dir, off uint64) {
	h := &f.halves[d]
	if n := off - max(h.next, h.told); n > 1 || h.hasFin || h.held != nil {
		a.lose(f, d, n)
	}
	h.told = off
}

// giveUp takes all that is missing for lost, and emits the rest. What the other end has acknowledged is missing too.
func (a *Assembler) giveUp(f *flow) {
	if f.state != established {
		return
	}
	for f.halves[event.Sent].held != nil || f.halves[event.Received].held != nil {
		a.force(f)
		a.release(f)
	}
	for d := event.Sent; d <= event.Received; d++ {
		h := &f.halves[d]
		missed := h.missingTo(h.acked)
		if h.started && h.misses(missed) {
			a.tell(f, d, missed)
		}
	}
}

// force tells one run of missing bytes as lost, the one that has been missing for longest.
func (a *Assembler) force(f *flow) {
	first := event.Sent
	s, r := f.halves[event.Sent].held, f.halves[event.Received].held
	if s == nil || r != nil && r.at < s.at {
		first = event.Received
	}
	h, o := &f.halves[first], &f.halves[first.Reverse()]
	p := h.held
	switch {
	case p.off > max(h.next, h.told):
		a.tell(f, first, p.off)
	case o.misses(p.need):
		a.tell(f, first.Reverse(), o.missingTo(p.need))
	}
}

// releaseWaiting looks after the flows that hold something.
func (a *Assembler) releaseWaiting() {
	keep := a.waiting[:0]
	for _, f := range a.waiting {
		a.release(f)
		a.settle(f)
		if f.halves[event.Sent].held == nil && f.halves[event.Received].held == nil {
			f.waiting = false
			continue
		}
		keep = append(keep, f)
	}
	clear(a.waiting[len(keep):])
	a.waiting = keep
}

// makeRoom keeps what waits within the bounds: f's own, then that of all.
func (a *Assembler) makeRoom(f *flow) {
	for d := event.Sent; d <= event.Received; d++ {
		for h := &f.halves[d]; h.cost > a.cfg.MaxFlowHeld; {
			a.squeeze(f)
		}
	}
	for i := 0; a.held > a.cfg.MaxHeld && i < len(a.waiting); i++ {
		for w := a.waiting[i]; w.halves[event.Sent].held != nil || w.halves[event.Received].held != nil; {
			a.squeeze(w) // the first has waited longest, more or less
		}
		a.settle(a.waiting[i])
	}
}

// squeeze takes a run of bytes that f waits for for lost, for want of room. Bytes of a SYN that is not answered yet are let go.
func (a *Assembler) squeeze(f *flow) {
	a.count.HeldOut++
	if f.state != established {
		a.drop(f)
		return
	}
	a.force(f)
	a.release(f)
}
