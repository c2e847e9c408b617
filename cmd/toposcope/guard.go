package main

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/toposcope/toposcope/cmd/internal/guard"
	"github.com/toposcope/toposcope/collector/probe"
)

var _ guard.Capture = (*probe.Probe)(nil)

// newGuard makes what keeps capture within limits.cpu and limits.memory.
func (h *host) newGuard() *guard.Guard {
	return guard.New(guard.Options{
		Limits:  guard.Limits{CPU: h.cfg.Limits.CPU, Memory: uint64(h.cfg.Limits.Memory)},
		Capture: h.probe,
		Calls:   func() (guard.Calls, error) { return calls(h.probe) },
		Usage:   func() (guard.Usage, error) { return guard.OwnUsage(h.probe.KernelMemory()) },
		Cost: func(ctx context.Context, during time.Duration) (float64, error) {
			cost, err := h.probe.MeasureCost(ctx, during)
			return cost.Cores(), err
		},
		Ready:   h.probe.Ready,
		Collect: debug.FreeOSMemory,
		Logger:  h.log.With("stage", "guard"),
	})
}

// calls are what the kernel saw, by what became of it.
func calls(p *probe.Probe) (guard.Calls, error) {
	c, err := p.Counters()
	return guard.Calls{Kept: c.Events, Shed: c.Lost["shed"], Lost: c.Lost["ring"]}, err
}
