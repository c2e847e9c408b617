package packet

import (
	"slices"
	"time"
)

// fragment is a piece of an IP packet's payload.
type fragment struct {
	v6   bool
	id   uint32
	next uint8 // protocol of what the pieces make up
	off  int
	more bool
	data []byte // as captured
	size int
}

// fragmentKey names the packet that fragments belong to (RFC 791 section 3.2, RFC 8200 section 4.5). The way is part of it
// because a packet on the loopback device is seen both ways.
type fragmentKey struct {
	src, dst [16]byte
	id       uint32
	netns    uint32
	next     uint8
	v6       bool
	way      Direction
}

// fragmented is a packet whose fragments are being collected.
type fragmented struct {
	key   fragmentKey
	since int64
	parts []fragment // by offset, without overlap
	held  int        // bytes captured
	total int        // length of the whole, 0 until the last fragment has come
	done  bool       // handed on; kept for the copies that other interfaces show
}

// fragments collects, first in first out.
type fragments struct {
	byKey map[fragmentKey]*fragmented
	queue []*fragmented
}

const (
	// fragmentWait is for how long a packet's fragments may come (RFC 1122 section 3.3.2 has 60 to 120 s; receivers, Linux for
	// one, take 30), copyWait for how long copies of fragments that are done with may.
	fragmentWait = 30 * time.Second
	copyWait     = time.Second
	// maxIP is the longest packet that fragments can make, maxParts into how many it may be cut.
	maxIP    = 1 << 16
	maxParts = 256
)

func (s *fragments) init() { s.byKey = map[fragmentKey]*fragmented{} }

// fragment takes one in and goes on with the packet when it is whole.
func (a *Assembler) fragment(f fragment) {
	a.count.Fragments++
	d, s := &a.dg, &a.fragments
	if f.size <= 0 || f.off+f.size > maxIP || f.more && f.size%8 != 0 {
		a.count.Malformed++
		return
	}
	key := fragmentKey{src: d.src, dst: d.dst, id: f.id, netns: d.netns, next: f.next, v6: f.v6, way: d.way}
	p := s.byKey[key]
	if p == nil {
		s.expire(a, a.now)
		for len(s.queue) >= a.cfg.MaxFragmented || len(s.queue) > 0 && a.held > a.cfg.MaxHeld {
			s.forget(a, 1)
		}
		p = &fragmented{key: key, since: d.at}
		s.byKey[key] = p
		s.queue = append(s.queue, p)
	}
	if p.done && d.at-p.since >= int64(copyWait) { // the number is used again
		p.done, p.total, p.since = false, 0, d.at
	}
	if p.done || len(p.parts) >= maxParts || !p.put(f) {
		a.count.Duplicates++
		return
	}
	if !f.more {
		p.total = f.off + f.size
	}
	a.held += len(f.data)
	if !p.whole() {
		return
	}
	data := p.join()
	p.done = true
	a.held -= p.held
	p.parts, p.held = nil, 0
	if f.v6 {
		a.extensions(f.next, data, p.total)
	} else {
		a.transport(f.next, data, p.total)
	}
}

// put adds f, of which it keeps a copy, unless it overlaps: an honest sender's fragments never do but in full (RFC 5722).
func (p *fragmented) put(f fragment) bool {
	i, found := slices.BinarySearchFunc(p.parts, f.off, func(q fragment, off int) int { return q.off - off })
	if found || i > 0 && p.parts[i-1].off+p.parts[i-1].size > f.off || i < len(p.parts) && f.off+f.size > p.parts[i].off {
		return false
	}
	f.data = slices.Clone(f.data)
	p.parts = slices.Insert(p.parts, i, f)
	p.held += len(f.data)
	return true
}

func (p *fragmented) whole() bool {
	end := 0
	for i := range p.parts {
		if p.parts[i].off != end {
			return false
		}
		end += p.parts[i].size
	}
	return p.total > 0 && end == p.total
}

// join puts the payload together, up to the first byte that was not captured.
func (p *fragmented) join() []byte {
	data := make([]byte, 0, p.held)
	for i := range p.parts {
		data = append(data, p.parts[i].data...)
		if len(p.parts[i].data) < p.parts[i].size {
			break
		}
	}
	return data
}

// expire forgets what has waited for too long.
func (s *fragments) expire(a *Assembler, now int64) {
	n := 0
	for n < len(s.queue) {
		wait := fragmentWait
		if s.queue[n].done {
			wait = copyWait
		}
		if now-s.queue[n].since < int64(wait) {
			break
		}
		n++
	}
	s.forget(a, n)
}

// drop forgets all that is not whole.
func (s *fragments) drop(a *Assembler) { s.forget(a, len(s.queue)) }

// forget lets go of the n oldest.
func (s *fragments) forget(a *Assembler, n int) {
	for _, p := range s.queue[:n] {
		a.count.FragmentsLost += uint64(len(p.parts))
		a.held -= p.held
		delete(s.byKey, p.key)
	}
	s.queue = slices.Delete(s.queue, 0, n)
}
