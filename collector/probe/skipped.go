package probe

// skipped is how often the kernel has left out a run of our programs because another run of the same program, or for kprobes and
// tracepoints of any, was under way on that CPU: of a task that was preempted in it. It happens where the kernel is preemptible
// (PREEMPT, PREEMPT_LAZY). What it would have told is missing. While capture is being attached or detached it is what it was before.
func (p *Probe) skipped() uint64 {
	if !p.mu.TryLock() {
		return p.skips.Load()
	}
	defer p.mu.Unlock()
	p.skips.Store(p.skipsEnded + skipsOf(p.programs))
	return p.skips.Load()
}

func skipsOf(programs []*program) (n uint64) {
	for _, pr := range programs {
		if s, err := pr.prog.Stats(); err == nil { // the kernel counts them since 5.12
			n += s.RecursionMisses
		}
	}
	return n
}
