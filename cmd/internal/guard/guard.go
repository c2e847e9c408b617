// Package guard keeps capture within limits.cpu and limits.memory. Once a second it looks at what Toposcope takes, its own CPU and that
// of its kernel programs, which the watched processes pay for. Over the limit it sheds: whole connections, chosen by their hash and in
// turn, of which the kernel copies nothing and counts what it left out. Where that is not enough it detaches everything, and attaches
// again by itself later.
package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"
)

// Capture is what the guard holds back; *probe.Probe is one. It is called from many goroutines.
type Capture interface {
	Enabled() bool
	// SetEnabled attaches or detaches every program and returns when that is done.
	SetEnabled(ctx context.Context, enabled bool) error
	// Shed has nothing copied of the connections in as many lots, 0 to Lots, from one on.
	Shed(from, lots int) error
}

// Lots is how many lots there are. Each connection is in one, by a hash that both its ends share.
const Lots = 256

// Calls are the runs of bytes that the kernel saw since the start, by what became of them.
type Calls struct {
	// Kept reached a ring, Shed were left out by the guard, Lost found no room in a ring.
	Kept, Shed, Lost uint64
}

// Options of a Guard. Limits, Capture, Calls and Usage are needed.
type Options struct {
	Limits  Limits
	Capture Capture
	// Calls reads the kernel's counters, Usage what this process takes.
	Calls func() (Calls, error)
	Usage func() (Usage, error)
	// Cost measures for a while how many CPUs the kernel programs take. Where it cannot tell, or without it, they are taken to cost
	// as much as the process, which is about what they do.
	Cost func(ctx context.Context, during time.Duration) (cores float64, err error)
	// Ready is why there is no capture for other reasons than the guard's; nil func for none.
	Ready func() error
	// Collect gives memory back to the system as far as that can be done (debug.FreeOSMemory); nil for nothing.
	Collect func()
	Logger  *slog.Logger
}

// Limits are what Toposcope may take: CPU in cores, Memory in bytes. Zero is no limit.
type Limits struct {
	CPU    float64
	Memory uint64
}

// Guard watches over capture. Make one with New, call Run once, and switch capture through it: a switch by hand wins over the guard.
type Guard struct {
	opts Options
	log  *slog.Logger

	// Of the goroutine of Run.
	meter    meter
	shedding controller
	memory   memoryWatch
	trips    trips
	turn     turn
	attached time.Time // when capture was seen to be attached; zero while it is not
	warned   time.Time // when shedding was last told of in the log
	unable   bool      // to shed, which the log has told

	mu       sync.Mutex // guards what follows, and that nobody else switches capture meanwhile
	off      bool       // by hand
	detached *detachment
	backoff  backoff
	lots     int
	spentOwn float64 // CPU seconds of this process
	spentBPF float64 // and of its programs
	told     bool    // the kernel tells what its programs take
	detaches map[string]uint64
}

// detachment is capture switched off by the guard.
type detachment struct {
	cause  string // the label of toposcope_capture_guard_detaches_total
	reason string // for people
	since  time.Time
	until  time.Time
}

// Why the guard detaches.
const (
	causeCPU    = "cpu"
	causeMemory = "memory"
)

const (
	// Interval is how often the guard looks.
	Interval = time.Second
	// settling is how long after programs were attached nothing is judged: loading them takes CPU that capture does not.
	settling = 5 * time.Second
)

// New makes a guard. Capture is left as it is.
func New(o Options) *Guard {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Limits.CPU <= 0 {
		o.Limits.CPU = math.Inf(1)
	}
	if o.Limits.Memory == 0 {
		o.Limits.Memory = math.MaxUint64
	}
	return &Guard{
		opts: o, log: o.Logger,
		meter:    meter{calls: o.Calls, usage: o.Usage, cost: o.Cost, limit: o.Limits.CPU, log: o.Logger},
		shedding: newController(o.Limits.CPU),
		memory:   memoryWatch{limit: o.Limits.Memory},
		trips:    trips{limit: o.Limits.CPU},
		detaches: map[string]uint64{causeCPU: 0, causeMemory: 0},
	}
}

// Run watches until ctx ends.
func (g *Guard) Run(ctx context.Context) error {
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			// This waits while somebody attaches or detaches, which takes seconds on slow hosts: what is read is of the time after.
			g.opts.Capture.Enabled()
			g.step(ctx, time.Now())
		}
	}
}

// step looks once and acts.
func (g *Guard) step(ctx context.Context, now time.Time) {
	s, ok := g.meter.read(ctx, now, g.opts.Capture.Enabled())
	if !ok {
		return
	}
	g.account(s)
	if !g.opts.Capture.Enabled() {
		g.attached = time.Time{}
		g.consider(ctx, now, s)
		return
	}
	if g.attached.IsZero() {
		g.attached = now
	}
	if now.Sub(g.attached) < settling {
		return
	}
	g.hold(ctx, now, s)
}

// hold keeps capture within its limits while it is attached.
func (g *Guard) hold(ctx context.Context, now time.Time, s sample) {
	g.trips.forgive(s)
	cpu := g.trips.charged(s)
	forCalls, forMemory := g.shedding.step(s, cpu), g.memory.lots(s)
	lots := max(forCalls, forMemory)
	why := "limits.cpu"
	switch {
	case forMemory > forCalls:
		why = "limits.memory"
	case g.shedding.fitsFor > 0:
		why = "full rings"
	}
	g.shed(now, lots, why)
	if g.memory.collectNow(now, s) && g.opts.Collect != nil {
		g.opts.Collect()
	}
	switch {
	case g.memory.exhausted(s):
		g.detach(ctx, now, causeMemory, fmt.Sprintf("memory in use is %d MiB after a forced collection, limits.memory is %d MiB",
			s.memory>>20, g.opts.Limits.Memory>>20))
	case g.trips.exhausted(s, cpu, lots):
		g.detach(ctx, now, causeCPU, fmt.Sprintf("CPU in use is %.2f cores with %d %% of connections shed, limits.cpu is %.2f",
			taken(s, cpu), 100*lots/Lots, g.opts.Limits.CPU))
	}
}

// account adds up what was spent.
func (g *Guard) account(s sample) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spentOwn += s.own * s.seconds
	if g.told = s.told; s.told {
		g.spentBPF += s.bpf * s.seconds
	}
}

// shed has the kernel leave out lots of connections, in turn; why is for the log.
func (g *Guard) shed(now time.Time, lots int, why string) {
	from, moved := g.turn.next(now, lots)
	g.mu.Lock()
	was := g.lots
	g.mu.Unlock()
	if lots == was && !moved {
		return
	}
	err := g.opts.Capture.Shed(from, lots)
	if err != nil {
		if !g.unable {
			g.log.Error("Connections cannot be shed", "err", err)
		}
		g.unable = true
		return
	}
	g.unable = false
	g.mu.Lock()
	g.lots = lots
	g.mu.Unlock()
	g.warn(now, was, lots, why)
}

// warnEvery is how often the log may say that shedding begins.
const warnEvery = time.Minute

func (g *Guard) warn(now time.Time, was, lots int, why string) {
	switch {
	case was == 0 && lots > 0 && now.Sub(g.warned) >= warnEvery:
		g.warned = now
		g.log.Warn("Capture takes more than it may: some connections are left out in turn, and counted",
			"share", float64(lots)/Lots, "for", why)
	case was > 0 && lots == 0:
		g.log.Info("Nothing is left out any more")
	}
}

// Enabled tells whether programs are attached.
func (g *Guard) Enabled() bool { return g.opts.Capture.Enabled() }

// SetEnabled switches capture by hand: what is switched off stays off, and what is switched on begins anew.
func (g *Guard) SetEnabled(ctx context.Context, enabled bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !enabled {
		g.off, g.detached = true, nil // also where not all goes well
	}
	if err := g.opts.Capture.SetEnabled(ctx, enabled); err != nil {
		return err
	}
	if enabled {
		g.off, g.detached, g.backoff = false, nil, backoff{}
	}
	return nil
}

// Reason says why the guard has detached capture, and when it attaches again; "" while it has not.
func (g *Guard) Reason() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.detached == nil {
		return ""
	}
	return fmt.Sprintf("capture was detached to protect this host: %s; it is attached again at %s",
		g.detached.reason, g.detached.until.UTC().Format(time.RFC3339))
}

// Ready is nil while capture is attached, else why it is not.
func (g *Guard) Ready() error {
	if reason := g.Reason(); reason != "" {
		return errors.New(reason)
	}
	if g.opts.Ready == nil {
		return nil
	}
	return g.opts.Ready()
}
