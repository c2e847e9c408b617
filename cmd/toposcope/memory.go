package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/toposcope/toposcope/cmd/internal/config"
)

// gcPercent is how much garbage may gather before a collection, in percent of what lives, where GOGC does not say. What lives is
// small and the hot path makes no garbage, so that half of Go's default costs next to nothing.
const gcPercent = 50

// boundGarbage sets how much garbage may gather, and leaves out the table of who allocated what when no page shows it.
func boundGarbage(profiled bool) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if !profiled {
		runtime.MemProfileRate = 0
	}
}

// boundHeap has the runtime collect more often before limits.memory is reached, where GOMEMLIMIT does not say when. kernel is
// what the kernel holds for the process, in bytes.
func boundHeap(limits config.Limits, kernel uint64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(limits.Heap(config.Bytes(kernel))))
	}
}

// releaseStartup hands back to the system, once capture is attached, what only attaching needed: the types of the whole kernel
// are several times what lives on. The runtime would do so in its own time, or never while it stays under its goal.
func (h *host) releaseStartup(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for h.probe.Ready() != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	debug.FreeOSMemory()
	return nil
}
