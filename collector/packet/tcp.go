package packet

import "github.com/toposcope/toposcope/collector/event"

// window is the most that a sequence number may be off what is due: the largest window that TCP has (RFC 7323 section 2.3).
const window = 1 << 30

// tcp hands the segment at hand to its connection.
func (a *Assembler) tcp() {
	k, from := a.side()
	if !a.isLocal(&k.a) {
		a.count.NotLocal++
		return
	}
	d, f := &a.dg, a.flows[k]
	seq := d.seq
	switch {
	case d.syn && (d.rst || d.fin):
		a.count.Malformed++
		return
	case d.syn:
		if f = a.syn(f, k, from); f == nil {
			return
		}
		seq++ // the SYN takes a number
	case f == nil && (d.rst || d.fin && d.size == 0):
		a.count.Stray++
		return
	case f == nil:
		f = a.newFlow(k, a.guess(&k, from))
		f.existing = true
		a.become(f, established)
	}
	if f.state == closed {
		if d.size > 0 {
			a.count.Stray++
		}
		return
	}
	a.touch(f)
	dir := f.dir(from)
	if d.rst {
		a.reset(f, dir)
		return
	}
	if !d.syn {
		a.handshake(f, dir)
	}
	a.acknowledged(f, dir)
	a.payload(f, dir, seq)
	if f.waiting {
		a.release(f)
		a.makeRoom(f)
	}
	a.settle(f)
}

// guess is the local end of a connection whose SYN was not seen.
func (a *Assembler) guess(k *flowKey, from uint8) uint8 {
	switch {
	case a.cfg.PerEnd || k.aport > k.bport:
		return 0
	case k.aport < k.bport:
		return 1
	default:
		return from
	}
}

// syn handles a SYN, with or without ACK. It returns the flow that it is news for, nil for none.
func (a *Assembler) syn(f *flow, k flowKey, from uint8) *flow {
	d := &a.dg
	if f != nil {
		h := &f.halves[f.dir(from)]
		switch {
		case h.known && h.base == d.seq+1: // once more, or seen on another interface
			a.touch(f)
			if f.state == synSent && !d.hasAck {
				f.rttFrom = d.at
			}
			if f.state == synSent && d.hasAck { // after a simultaneous open
				a.establish(f)
			}
			a.countOld(h, -1, 0)
			return nil
		case f.state == synSent && !h.known && (!d.hasAck || f.answers(d.ack, f.dir(from).Reverse())):
			h.begin(d.seq+1, true)
			h.seen.add(recentKey(d))
			if d.hasAck {
				a.establish(f)
			}
			return f
		case f.state == synSent && d.hasAck:
			a.count.Stray++ // answers another SYN
			return nil
		}
		if f.state != closed {
			a.end(f, event.CloseTimeout, f.last) // the ports are used again, so it has ended unseen
		}
		a.forget(f)
	}
	return a.opened(k, from)
}

// opened makes the flow that the SYN at hand belongs to.
func (a *Assembler) opened(k flowKey, from uint8) *flow {
	d := &a.dg
	client := from
	if d.hasAck {
		client ^= 1
	}
	f := a.newFlow(k, client)
	f.role = event.RoleClient
	if a.cfg.PerEnd {
		if f.local = 0; client == 1 {
			f.role = event.RoleServer
		}
	}
	dir := f.dir(from)
	f.halves[dir].begin(d.seq+1, true)
	f.halves[dir].seen.add(recentKey(d))
	if d.hasAck {
		f.halves[dir.Reverse()].begin(d.ack, true)
		a.establish(f)
		return f
	}
	f.synAt, f.rttFrom = d.at, d.at
	return f
}

// answers says whether a SYN with this acknowledgement answers the SYN of direction opener; data may have come with that.
func (f *flow) answers(ack uint32, opener event.Dir) bool {
	h := &f.halves[opener]
	n := ack - h.base
	limit := uint32(0)
	if h.held != nil {
		limit = uint32(h.held.size)
	}
	return n <= limit
}

// handshake notes the third packet of the handshake, or any later one where the second was missed.
func (a *Assembler) handshake(f *flow, dir event.Dir) {
	d := &a.dg
	h, o := &f.halves[dir], &f.halves[dir.Reverse()]
	if f.state == synSent {
		if !h.known {
			h.begin(d.seq, true)
		}
		if !o.known && d.hasAck {
			o.begin(d.ack, true)
		}
		a.establish(f)
	}
	if f.rttFrom != 0 && f.opener() == dir {
		f.rtt, f.rttFrom = d.at-f.rttFrom, 0
	}
}

// opener is the direction that the SYN went.
func (f *flow) opener() event.Dir {
	if f.role == event.RoleServer {
		return event.Received
	}
	return event.Sent
}

func (a *Assembler) establish(f *flow) {
	a.become(f, established)
	a.announce(f)
}

// reset ends f by the RST at hand.
func (a *Assembler) reset(f *flow, dir event.Dir) {
	h := &f.halves[dir]
	off := h.offset(a.dg.seq)
	switch {
	case f.state == synSent && dir != f.opener():
		a.failed(f, refused, a.dg.at)
	case f.state == established && h.known && (off > int64(h.next)+window || off < int64(h.next)-window):
		a.count.OutOfWindow++
	default:
		a.end(f, event.CloseReset, a.dg.at)
	}
}

// acknowledged notes which bytes of the other direction the sender of the segment at hand has.
func (a *Assembler) acknowledged(f *flow, dir event.Dir) {
	o := &f.halves[dir.Reverse()]
	if !a.dg.hasAck || !o.started {
		return
	}
	n := uint64(max(o.offset(a.dg.ack), 0))
	if n <= o.acked || n > o.next+window {
		return
	}
	if o.acked <= o.next {
		o.ackedAt = a.dg.at
	}
	o.acked = n
}

// payload handles the bytes, and the FIN, of the segment at hand.
func (a *Assembler) payload(f *flow, dir event.Dir, seq uint32) {
	d := &a.dg
	h, o := &f.halves[dir], &f.halves[dir.Reverse()]
	data, size, fin := d.data, d.size, d.fin
	if !h.started && (!h.known || size > 0 || fin) {
		h.begin(seq, size > 0 || fin)
	}
	off := h.offset(seq)
	if size == 0 && !fin {
		if off == int64(h.next)-1 && !h.ended {
			a.count.KeepAlives++
		}
		return
	}
	if off > int64(h.next)+window || off < int64(h.next)-window {
		a.count.OutOfWindow++
		return
	}
	again := fin && h.hasFin
	fin = fin && h.endsAt(off+int64(size))
	old := int64(h.next) - off
	if old >= int64(size) && (size > 0 || again) {
		a.countOld(h, off, size)
	}
	if old > 0 {
		n := min(old, int64(size))
		data, size, off = data[min(int(n), len(data)):], size-int(n), int64(h.next)
	}
	if size == 0 && !fin {
		return
	}
	need := uint64(0)
	if d.hasAck && o.started {
		if n := o.offset(d.ack); n > 0 && n <= int64(o.next)+window {
			need = uint64(n)
		}
	}
	a.take(f, dir, run{uint64(off), data, size, need, fin})
}

// endsAt notes the end of the direction, the first time that it is told. It says whether this is it.
func (h *half) endsAt(off int64) bool {
	if h.hasFin || off < int64(h.next) {
		return false
	}
	h.hasFin, h.fin = true, uint64(off)
	return true
}

// run is a run of bytes at off, of which data was captured, that the direction ends with if fin is set. need is how far its
// sender had read the other direction.
type run struct {
	off  uint64
	data []byte
	size int
	need uint64
	fin  bool
}

// take emits r, or has it wait.
func (a *Assembler) take(f *flow, dir event.Dir, r run) {
	h, o := &f.halves[dir], &f.halves[dir.Reverse()]
	key := recentKey(&a.dg)
	inOrder := r.off == h.next && !o.misses(r.need) && f.state == established
	if inOrder && (h.held == nil || h.held.off >= r.off+uint64(r.size)) {
		a.countSentAgain(h, h.held)
		h.seen.add(key)
		a.deliver(f, dir, r.off, r.data, r.size, a.dg.at, a.dg.task)
		h.ended = h.ended || r.fin
		return
	}
	if !a.hold(f, dir, r) {
		a.countOld(h, int64(r.off), r.size)
		return
	}
	h.seen.add(key)
}

// countOld says why a segment at off brought nothing new.
func (a *Assembler) countOld(h *half, off int64, size int) {
	switch {
	case h.seen.has(recentKey(&a.dg)):
		a.count.Duplicates++
	case size == 1 && off == int64(h.next)-1:
		a.count.KeepAlives++
	default:
		h.retransmits++
		a.count.Retransmits++
		h.seen.add(recentKey(&a.dg))
	}
}

// settle closes f when both directions have ended.
func (a *Assembler) settle(f *flow) {
	if f.state == established && f.halves[event.Sent].ended && f.halves[event.Received].ended {
		a.end(f, event.CloseNormal, f.last)
	}
}
