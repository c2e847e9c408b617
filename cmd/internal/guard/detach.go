package guard

import (
	"context"
	"time"
)

// detach switches capture off until the backoff is over.
func (g *Guard) detach(ctx context.Context, now time.Time, cause, reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.off || !g.opts.Capture.Enabled() {
		return // somebody was faster
	}
	wait := g.backoff.next(now)
	g.detached = &detachment{cause: cause, reason: reason, since: now, until: now.Add(wait)}
	g.detaches[cause]++
	if err := g.opts.Capture.SetEnabled(ctx, false); err != nil {
		g.log.Error("Capture is over its limits and cannot be detached cleanly", "err", err)
	}
	g.log.Error("Capture was detached to protect this host", "reason", reason, "again_in", wait)
	g.memory.reset()
	g.trips.reset()
}

// consider attaches again what the guard detached, when it is time, or when CPU went on being taken without capture: it is to blame for
// something else then.
func (g *Guard) consider(ctx context.Context, now time.Time, s sample) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.detached
	if d == nil || g.off {
		return
	}
	innocent := d.cause == causeCPU && g.trips.without(now.Sub(d.since), s)
	switch {
	case innocent:
		g.log.Warn("CPU stays high without capture, which is attached again: queries or rules take it", "cores", s.own)
		g.backoff.undo()
	case now.Before(d.until):
		return
	case d.cause == causeMemory && g.memory.full(s):
		d.until = now.Add(g.backoff.next(now))
		g.log.Warn("Capture stays detached: memory has not come down", "memory_bytes", s.memory, "until", d.until)
		return
	}
	g.shedding.restart()
	g.lots = g.shedding.shedLots()
	if err := g.opts.Capture.Shed(g.turn.from, g.lots); err != nil {
		g.log.Error("Connections cannot be shed", "err", err)
	}
	if err := g.opts.Capture.SetEnabled(ctx, true); err != nil {
		d.until = now.Add(g.backoff.next(now))
		g.log.Error("Capture cannot be attached again", "err", err, "again_at", d.until)
		return
	}
	g.detached = nil
	g.log.Info("Capture was attached again")
}

// backoff is how long capture stays detached: longer each time, until an hour has gone well.
type backoff struct {
	times int
	last  time.Time // when the last one ended, as planned
}

const (
	shortest = time.Minute
	longest  = 15 * time.Minute
	calm     = time.Hour
)

func (b *backoff) next(now time.Time) time.Duration {
	if now.Sub(b.last) >= calm {
		b.times = 0
	}
	wait := longest
	if b.times < 4 { // 1, 2, 4, 8 minutes
		wait = shortest << b.times
	}
	b.times++
	b.last = now.Add(wait)
	return wait
}

// undo takes the last one back.
func (b *backoff) undo() { b.times = max(b.times-1, 0) }

// trips tells when shedding is not enough.
type trips struct {
	limit float64
	// over, apart and out count samples in a row over the last resort's limit: with everything shed, for something that calls do not
	// explain, and without capture.
	over, apart, out int
	// other is set while the process is known to take its CPU for other things than capture; quiet counts samples in a row below the
	// limit.
	other bool
	quiet int
}

const (
	// tooMuch is by how much the limit must be exceeded to detach, patience for how many samples.
	tooMuch  = 2
	patience = 5
	// forbearance is the patience with CPU that calls do not explain: most of it is a query's, or a compaction's, and ends by itself.
	forbearance = 30
	// amnesty is how many quiet samples end the suspicion that the process is busy otherwise.
	amnesty = 10
	// dear is the most CPU time that this process takes for a call, in seconds: ten times what one of HTTP does (test/bench).
	dear = 20e-6
)

// charged is the CPU that calls have to answer for, which shedding can bring down. Queries, rules and compactions take this process's
// CPU too: what is more than its calls can take is theirs. While the process is known to be busy with such its own part is taken to be
// as large as the kernel's; where the kernel's is not told, that is taken to be as large as its own.
func (t *trips) charged(s sample) float64 {
	own := min(s.own, dear*float64(s.kept)/s.seconds)
	switch {
	case !s.told:
		return 2 * own
	case t.other:
		return min(2*s.bpf, own+s.bpf)
	default:
		return own + s.bpf
	}
}

// taken is all CPU that is known to be taken, of which charged is a part.
func taken(s sample, charged float64) float64 {
	if !s.told {
		return max(s.own, charged)
	}
	return s.own + s.bpf
}

func (t *trips) forgive(s sample) {
	if s.own > t.limit {
		t.quiet = 0
		return
	}
	if t.quiet++; t.quiet >= amnesty {
		t.other = false
	}
}

// exhausted tells that CPU is far over the limit although everything is shed, or for long and not for calls, so that shedding would not
// help: then capture may be to blame in another way, which a while without it shows.
func (t *trips) exhausted(s sample, charged float64, lots int) bool {
	far := tooMuch * t.limit
	t.over = count(t.over, lots == Lots && charged > far)
	t.apart = count(t.apart, !t.other && taken(s, charged)-charged > far)
	return t.over > patience || t.apart > forbearance
}

// count goes on counting while something holds.
func count(n int, holds bool) int {
	if !holds {
		return 0
	}
	return n + 1
}

// without tells, some seconds after capture was detached for its CPU, that the process takes as much without.
func (t *trips) without(since time.Duration, s sample) bool {
	if since <= settling || s.own <= tooMuch*t.limit {
		t.out = 0
		return false
	}
	t.out++
	if t.out < patience {
		return false
	}
	t.other, t.quiet, t.out = true, 0, 0
	return true
}

func (t *trips) reset() { t.over, t.apart, t.out = 0, 0, 0 }
