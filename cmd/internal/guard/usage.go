package guard

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/metrics"
	"strconv"
	"syscall"
	"time"
)

// Usage is what a process takes.
type Usage struct {
	// CPU since its start, in user and kernel mode.
	CPU time.Duration
	// Memory in use, in bytes: its own pages, and what the kernel holds for it. Live is what a collection would leave of it.
	Memory, Live uint64
}

// OwnUsage reads what this process takes. kernel is what the kernel holds for it that its own pages do not show, in bytes: rings and
// maps of capture. Files that are mapped are not in it: the system takes their pages back when it needs them.
func OwnUsage(kernel uint64) (Usage, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return Usage{}, fmt.Errorf("reading the process's CPU time: %w", err)
	}
	pages, err := anonymous()
	if err != nil {
		return Usage{}, fmt.Errorf("reading the process's memory: %w", err)
	}
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples)
	live := kernel
	for _, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 {
			live += s.Value.Uint64()
		}
	}
	return Usage{CPU: time.Duration(r.Utime.Nano() + r.Stime.Nano()), Memory: pages + kernel, Live: live}, nil
}

// anonymous is the size of the process's own pages: RssAnon of proc(5), in bytes.
func anonymous() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		if value, ok := bytes.CutPrefix(line, []byte("RssAnon:")); ok {
			kib, err := strconv.ParseUint(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(value), []byte("kB")))), 10, 54)
			return kib << 10, err
		}
	}
	return 0, errors.New("/proc/self/status has no RssAnon")
}
