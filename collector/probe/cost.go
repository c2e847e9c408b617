package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Cost is what the kernel spent in our programs within a while: CPU that is charged to the processes that are watched. What it takes to
// get to a program (a trap, a tracepoint, a trampoline) is not in it, nor is the packet way's socket filter.
type Cost struct {
	// Time is the programs' own, Over how long it was measured.
	Time, Over time.Duration
	// Runs is how often they ran.
	Runs uint64
}

// Cores is the share of CPU that the programs took; 0 when nothing was measured.
func (c Cost) Cores() float64 {
	if c.Over <= 0 {
		return 0
	}
	return c.Time.Seconds() / c.Over.Seconds()
}

// MeasureCost has the kernel time its programs (BPF_ENABLE_STATS, Linux 5.8, CAP_SYS_ADMIN) until a while is over or ctx ends, and not
// longer: timing costs each run two readings of a clock. While nothing is attached the cost is zero. An error says why the kernel does
// not tell.
func (p *Probe) MeasureCost(ctx context.Context, during time.Duration) (Cost, error) {
	timing, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		return Cost{}, fmt.Errorf("having the kernel time its programs: %w", err)
	}
	begin := time.Now()
	before, err := p.programTimes()
	wait := time.NewTimer(during)
	select {
	case <-ctx.Done():
		wait.Stop()
	case <-wait.C:
	}
	after, e := p.programTimes()
	cost := Cost{Over: time.Since(begin)}
	if err := errors.Join(err, e, timing.Close()); err != nil {
		return Cost{}, fmt.Errorf("reading what programs took: %w", err)
	}
	for pr, now := range after {
		was, ok := before[pr]
		if !ok {
			continue // attached meanwhile
		}
		cost.Time += now.Runtime - was.Runtime
		cost.Runs += now.RunCount - was.RunCount
	}
	return cost, nil
}

// programTimes reads what the kernel has noted of each program that others run; iterators run in this process, which pays for them.
func (p *Probe) programTimes() (map[*program]ebpf.ProgramStats, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	times := make(map[*program]ebpf.ProgramStats, len(p.programs))
	for _, pr := range p.programs {
		if len(pr.links) == 0 {
			continue
		}
		stats, err := pr.prog.Stats()
		if err != nil {
			return nil, fmt.Errorf("program %s: %w", pr.name, err)
		}
		times[pr] = *stats
	}
	return times, nil
}
