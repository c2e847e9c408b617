package probe

import (
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// detach ends every program. The caller holds p.mu.
func (p *Probe) detach() {
	p.closeNamespaces()
	p.dropPrograms()
	p.method, p.datagrams = "", ""
	p.enabled = false
}

func (pr *program) close() { closeAll([]*program{pr}) }

// closeAll ends the links of all programs side by side: each end waits for a grace period of the kernel, and a kill switch must not
// wait for thirty of them in a row.
func closeAll(programs []*program) {
	var wg sync.WaitGroup
	for _, pr := range programs {
		for _, l := range pr.links {
			wg.Go(func() { unlink(l, pr.prog.Type()) })
		}
	}
	wg.Wait()
	for _, pr := range programs {
		pr.prog.Close()
		pr.links = nil
	}
}

// unlink ends a link. The perf event of a tracepoint takes a grace period more to end, under a lock that all of them share
// (perf_trace_destroy takes event_mutex), so that 27 of them take more than a second. Where it is the link that holds the program,
// since 5.15, the program has ended with the link: the event, which has nobody to call by then, ends in the background. A kprobe's
// may not: its name in tracefs is removed with it.
func unlink(l link.Link, of ebpf.ProgramType) {
	event, ok := l.(link.PerfEvent)
	if ok && of == ebpf.TracePoint && isKernelLink(l) {
		if kept, err := event.PerfEvent(); err == nil {
			defer func() { go kept.Close() }()
		}
	}
	l.Close()
}

// isKernelLink tells a link of the kernel's from a perf event that holds the program itself, of which the kernel knows nothing to tell.
func isKernelLink(l link.Link) bool {
	_, err := l.Info()
	return err == nil
}
