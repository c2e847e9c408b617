package packet

import (
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// half is one direction of a connection. Offsets count from the byte after the SYN, or from the first byte that was seen.
type half struct {
	next     uint64 // offset of the byte that is due
	acked    uint64 // up to where the other end has bytes
	ackedAt  int64  // since when acked is beyond next
	told     uint64 // up to where missing bytes have been told as lost
	fin      uint64 // where the direction ends, when hasFin
	at       int64  // time of the last byte emitted
	progress int64  // when the last byte was emitted, by the packets' clock

	held, last *piece // by offset, without overlap
	cost       int    // of those in held

	base        uint32 // sequence number of offset 0
	retransmits uint32
	seen        recentKeys

	known   bool // base is set
	started bool // offset 0 is certain: the SYN was seen, or a byte
	hasFin  bool
	ended   bool // the FIN is where next is
}

// offset is where the byte numbered seq is, as the nearest to next of those that the 32 bits may mean; negative: before 0.
func (h *half) offset(seq uint32) int64 {
	return int64(h.next) + int64(int32(seq-h.base-uint32(h.next)))
}

// begin sets offset 0.
func (h *half) begin(seq uint32, certain bool) {
	h.base, h.known, h.started = seq, true, certain
	h.next, h.acked, h.told = 0, 0, 0
}

// piece is a run of bytes that waits: for bytes before it, or for those of the other direction that its packet acknowledges.
type piece struct {
	off  uint64
	size int
	data []byte // a copy of what was captured
	need uint64 // offset that the other direction must have come to
	at   int64
	task event.Task
	fin  bool // the direction ends with it
	sent sent
	next *piece
}

func (p *piece) end() uint64 { return p.off + uint64(p.size) }

const (
	// pieceCost is what a piece costs beside its bytes, of which it may have none, in memory and in time: inserting one walks
	// those before it.
	pieceCost = 256
	// Free pieces are kept with their memory, unless it is large.
	keptPieces   = 256
	keptCapacity = 4 << 10
)

func (p *piece) cost() int { return pieceCost + len(p.data) }

func (a *Assembler) newPiece(data []byte) *piece {
	p := a.freePieces
	if p == nil {
		p = &piece{}
	} else {
		a.freePieces, p.next = p.next, nil
		a.nFree--
	}
	p.data = append(p.data[:0], data...)
	return p
}

func (a *Assembler) freePiece(p *piece) {
	if a.nFree < keptPieces && cap(p.data) <= keptCapacity {
		*p = piece{data: p.data[:0], next: a.freePieces}
		a.freePieces = p
		a.nFree++
	}
}

// hold keeps r until its turn comes. Where it overlaps what is held, what came first stays; false: all of it came before.
func (a *Assembler) hold(f *flow, d event.Dir, r run) bool {
	h := &f.halves[d]
	off, data, size, fin := r.off, r.data, r.size, r.fin
	held := false
	at := &h.held
	if h.last != nil && off >= h.last.end() {
		at = &h.last.next
	}
	for {
		for *at != nil && (*at).end() <= off && !(size == 0 && (*at).off >= off) {
			at = &(*at).next
		}
		q := *at
		room := size
		if q != nil && q.off < off+uint64(size) {
			if q.off <= off { // the run's beginning is there already
				n := int(q.end() - off)
				if n >= size {
					q.fin = q.fin || fin && n == size
					break
				}
				off, data, size = off+uint64(n), data[min(n, len(data)):], size-n
				at = &q.next
				continue
			}
			room = int(q.off - off)
		}
		p := a.newPiece(data[:min(room, len(data))])
		p.off, p.size, p.need, p.at, p.task, p.next = off, room, r.need, a.dg.at, a.dg.task, q
		p.fin, p.sent = fin && room == size, sentBy(&a.dg)
		if !held {
			a.countSentAgain(h, q)
		}
		if *at, held = p, true; q == nil {
			h.last = p
		}
		h.cost += p.cost()
		a.held += p.cost()
		if room == size {
			break
		}
		off, data, size = off+uint64(room), data[min(room, len(data)):], size-room
		at = &p.next
	}
	if held {
		a.count.Reordered++
	}
	if held && !f.waiting {
		f.waiting = true
		a.waiting = append(a.waiting, f)
	}
	return held
}

// drop lets go of what f holds, unseen.
func (a *Assembler) drop(f *flow) {
	for d := event.Sent; d <= event.Received; d++ {
		for f.halves[d].held != nil {
			a.freePiece(a.unhold(f, d))
		}
	}
}

// unhold takes the first piece of direction d out.
func (a *Assembler) unhold(f *flow, d event.Dir) *piece {
	h := &f.halves[d]
	p := h.held
	if h.held, p.next = p.next, nil; h.held == nil {
		h.last = nil
	}
	h.cost -= p.cost()
	a.held -= p.cost()
	return p
}

// deliver emits the run [off, off+size) of direction d, of which data was captured, as far as it is new. off is not beyond
// what is due.
func (a *Assembler) deliver(f *flow, d event.Dir, off uint64, data []byte, size int, at int64, task event.Task) {
	h := &f.halves[d]
	if old := h.next - off; old > 0 {
		if old >= uint64(size) {
			return
		}
		off, data, size = h.next, data[min(int(old), len(data)):], size-int(old)
	}
	if size == 0 {
		return
	}
	if !f.announced {
		a.announce(f)
	}
	if off < h.told { // it was taken for lost, and is out of its turn
		f.turns = false
	}
	h.at, h.progress = max(h.at, at), a.now
	h.next = off + uint64(size)
	f.move(d)
	f.lost = [2]bool{}
	a.count.Segments++
	s := &a.seg
	*s = event.Segment{
		Conn: f.id, Source: event.SourcePacket, Dir: d, Seq: f.seq, Turn: f.turn, Turns: f.turns, Off: off, Task: task,
		Data: data, Size: size, Time: time.Unix(0, h.at),
	}
	f.seq++
	a.emit(s)
	s.Data = nil
}

// move counts turns: the bytes that come next, or are missing next, are of direction d. A connection's first turn is 0 when
// it is sent, 1 when it is received.
func (f *flow) move(d event.Dir) {
	switch {
	case !f.moved:
		f.turn = uint32(d)
	case f.lastDir != d:
		f.turn++
	}
	f.moved, f.lastDir = true, d
}

// lose notes that a run of n bytes of direction d, of all that is emitted next, is missing: a number is left out. Where bytes
// of both directions are missing it is not known how often they took turns.
func (a *Assembler) lose(f *flow, d event.Dir, n uint64) {
	a.count.Holes++
	a.count.HoleBytes += n
	f.seq++
	if f.lost[d.Reverse()] {
		f.turns = false
	}
	f.lost[d] = true
	f.move(d)
}
