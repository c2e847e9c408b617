package guard

import (
	"slices"
	"time"
)

// controller says how many lots to shed. It does not steer by steps: it reckons what all traffic would cost, from what was spent and
// the share of calls that were kept meanwhile, and keeps the part that the limit pays for. So a change of load is met within a sample
// or two, and the same load gives the same answer, whatever was shed before.
type controller struct {
	limit  float64
	kept   int      // lots
	recent []spell  // the last few, oldest first
	peaks  []demand // likewise, a longer time
	// fits is how many calls a second the rings were seen to hold when they overflowed last, and fitsFor for how many samples that is
	// believed.
	fits    float64
	fitsFor int
	whole   []float64 // calls a second that were kept in the last samples without loss
	vain    int       // samples in a row far over the limit although no more is kept than it should take
}

// spell is what counts of a sample, or the mean of several: cores, and calls a second.
type spell struct{ cpu, kept, shed, lost float64 }

// demand is by how many times all traffic exceeds what may be kept; not known while nothing of it is seen.
type demand struct {
	times float64
	known bool
}

// lots is how many may be kept.
func (d demand) lots() int {
	if d.times <= 1 {
		return Lots
	}
	return int(Lots / d.times)
}

const (
	// goal is the share of the limit that is aimed at, so that noise does not cross it.
	goal = 0.9
	// window is over how many samples the limit is meant, and jump the multiple of the limit that is answered at once.
	window = 3
	jump   = 2
	// memoryOf is for how many samples the highest demand holds lots back.
	memoryOf = 10
	// opening is how many lots are let in again at most by a sample, blind how many while nothing is seen at all, and slack how much
	// better the outlook must be.
	opening = 16
	blind   = 4
	slack   = 1.05
	// tolerable is the share of calls that may be lost in a ring before fewer are let in: shed connections are missed as a whole, lost
	// events tear holes into all of them. What fits is believed for a minute.
	tolerable  = 0.01
	overflowed = 60
)

func newController(limit float64) controller { return controller{limit: limit, kept: Lots} }

// restart begins with everything shed.
func (c *controller) restart() { *c = controller{limit: c.limit} }

func (c *controller) shedLots() int { return Lots - c.kept }

// step takes in a sample, of which capture answers for cpu cores, and returns how many lots to shed.
func (c *controller) step(s sample, cpu float64) int {
	last := spell{cpu, float64(s.kept) / s.seconds, float64(s.shed) / s.seconds, float64(s.lost) / s.seconds}
	c.recent = push(c.recent, last, window)
	all := mean(c.recent)
	torn := last.lost > tolerable*(last.kept+last.lost)
	if last.cpu > jump*c.limit || torn {
		all = last
	}
	if c.fitsFor--; !torn {
		c.whole = push(c.whole, last.kept, memoryOf)
	} else {
		c.fits = last.kept
		if c.fitsFor < 0 && len(c.whole) > 0 { // the first time it may be that this process was held up: what it did before still fits
			c.fits = max(c.fits, slices.Max(c.whole)/goal)
		}
		c.fitsFor = overflowed
	}
	now := c.demand(all)
	c.peaks = push(c.peaks, now, memoryOf)
	if last.cpu > jump*c.limit && now.lots() >= c.kept {
		c.vain++
	} else {
		c.vain = 0
	}
	if torn || all.cpu > c.limit {
		// Where there are no calls it is not calls that take so much, and where shedding does nothing the reckoning is wrong. One large
		// connection comes to sight and goes with the turns.
		now.known = now.known && all.calls() > 0 && c.vain <= 2*int(turnEvery/Interval)
		c.close(now)
	} else {
		c.open()
	}
	return c.shedLots()
}

// close keeps only what may be kept.
func (c *controller) close(d demand) {
	if !d.known {
		c.kept /= 2 // what little is seen says nothing
		return
	}
	c.kept = min(c.kept, d.lots())
}

// open lets lots in again, as far as the highest demand of late allows.
func (c *controller) open() {
	if c.kept == Lots {
		return
	}
	highest := demand{}
	for _, d := range c.peaks {
		if d.known && (!highest.known || d.times > highest.times) {
			highest = d
		}
	}
	if !highest.known {
		c.kept = min(c.kept+blind, Lots)
		return
	}
	want := highest.lots()
	if float64(want) >= min(slack*float64(c.kept)+1, Lots) {
		c.kept = min(want, c.kept+opening)
	}
}

// demand reckons what all traffic would take, as a multiple of what it may.
func (c *controller) demand(all spell) demand {
	share, known := all.share()
	if !known {
		return demand{}
	}
	times := all.cpu / (goal * c.limit) / share
	if c.fitsFor > 0 {
		times = max(times, all.calls()/(goal*max(c.fits, 1)))
	}
	return demand{times, true}
}

func (s spell) calls() float64 { return s.kept + s.shed + s.lost }

// share is the part of calls of which the kernel copied something; all of them while there are none. It is not known when next to none
// were kept.
func (s spell) share() (share float64, known bool) {
	kept, shed := s.kept+s.lost, s.shed
	if shed == 0 {
		return 1, true
	}
	const least = 1.0 / (2 * Lots)
	share = kept / (kept + shed)
	return share, share >= least
}

// mean is that of spells.
func mean(spells []spell) (m spell) {
	n := float64(len(spells))
	for _, s := range spells {
		m = spell{m.cpu + s.cpu/n, m.kept + s.kept/n, m.shed + s.shed/n, m.lost + s.lost/n}
	}
	return m
}

// push appends to a list that holds the last n.
func push[T any](list []T, one T, n int) []T {
	if len(list) == n {
		copy(list, list[1:])
		list = list[:n-1]
	}
	return append(list, one)
}

// turn moves the lots that are shed, so that no connection is out of sight for long.
type turn struct {
	from  int
	moved time.Time
}

// turnEvery is how long the same lots are shed: much longer than most exchanges take, so that those that are seen are seen whole.
const turnEvery = 5 * time.Second

// next is the first lot to shed, and whether that has changed. It moves by as many lots as are seen, so that after a round all
// connections have been.
func (t *turn) next(now time.Time, lots int) (from int, moved bool) {
	if lots == 0 || lots == Lots || now.Sub(t.moved) < turnEvery {
		return t.from, false
	}
	t.moved = now
	t.from = (t.from + Lots - lots) % Lots
	return t.from, true
}

// memoryWatch answers for memory. Nothing that capture holds can be given back at once, but without new bytes the connections' buffers
// drain, and collections become cheap again.
type memoryWatch struct {
	limit     uint64
	shed      int // lots
	over      int // samples in a row over the limit
	collected bool
	last      time.Time // of a forced collection
}

// What lives, as a share of the limit: above crowded collections take more and more CPU, below roomy lots are let in again.
const (
	crowded = 0.75
	roomy   = 0.65
	// collectEvery bounds how often a collection is forced.
	collectEvery = 10 * time.Second
	closing      = 32 // lots a sample
)

// lots is how many to shed for memory's sake.
func (m *memoryWatch) lots(s sample) int {
	switch live := float64(s.live) / float64(m.limit); {
	case live > crowded:
		m.shed = min(m.shed+closing, Lots)
	case live < roomy:
		m.shed = max(m.shed-opening, 0)
	}
	return m.shed
}

// full tells that memory is at its limit.
func (m *memoryWatch) full(s sample) bool { return float64(s.memory) > goal*float64(m.limit) }

// collectNow tells that memory is over its limit for long enough to force a collection, or that lots are shed for what lived at the last
// one: that may be minutes ago, in the midst of a large query.
func (m *memoryWatch) collectNow(now time.Time, s sample) bool {
	if s.memory <= m.limit {
		m.over, m.collected = 0, false
		if m.shed == 0 || now.Sub(m.last) < collectEvery {
			return false
		}
		m.last = now
		return true
	}
	m.over++
	if m.collected || m.over < window || now.Sub(m.last) < collectEvery {
		return false
	}
	m.collected, m.last, m.over = true, now, 0
	return true
}

// exhausted tells that memory is over its limit although a collection was forced.
func (m *memoryWatch) exhausted(s sample) bool {
	return s.memory > m.limit && m.collected && m.over >= 1
}

func (m *memoryWatch) reset() { *m = memoryWatch{limit: m.limit, last: m.last} }
