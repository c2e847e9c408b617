package probe

import (
	"testing"
	"time"
)

// RunsWithin is how many runs of programs the kernel notes within a while by itself.
func (p *Probe) RunsWithin(t *testing.T, d time.Duration) (runs uint64) {
	t.Helper()
	before, err := p.programTimes()
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(d)
	after, err := p.programTimes()
	if err != nil {
		t.Fatal(err)
	}
	for pr, now := range after {
		runs += now.RunCount - before[pr].RunCount
	}
	return runs
}

// WithMaxConns is o with a smaller table of connections in the kernel.
func (o Options) WithMaxConns(n int) Options {
	o.maxConns = n
	return o
}
