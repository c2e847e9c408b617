package guard

import (
	"context"
	"log/slog"
	"time"
)

// sample is what was taken since the one before.
type sample struct {
	seconds float64 // since the one before
	// own is the CPU of this process, bpf that of the kernel programs, in cores; told says that the kernel has told the latter.
	own, bpf float64
	told     bool
	// kept, shed and lost are calls; see Calls.
	kept, shed, lost uint64
	// memory is in use, live is what would be after a collection, in bytes.
	memory, live uint64
}

// meter makes samples of readings that only grow.
type meter struct {
	calls func() (Calls, error)
	usage func() (Usage, error)
	cost  func(ctx context.Context, during time.Duration) (float64, error)
	limit float64
	log   *slog.Logger

	begun    bool // there is one to compare with
	at       time.Time
	was      Usage
	wasCalls Calls

	bpf      float64 // as last measured
	measured time.Time
	refused  bool // the kernel does not tell what its programs take
	failed   bool // a reading has failed, which the log has told
}

const (
	// measureEvery is how often programs are timed while the limit is far, which costs each of their runs two readings of a clock for as
	// long as measureFor; near it, with half of it taken, they are at every sample.
	measureEvery = 10 * time.Second
	measureFor   = 100 * time.Millisecond
	near         = 0.5
)

// read makes a sample; false for the first reading, and where one fails.
func (m *meter) read(ctx context.Context, now time.Time, attached bool) (s sample, ok bool) {
	usage, err := m.usage()
	var calls Calls
	if err == nil {
		calls, err = m.calls()
	}
	if err != nil {
		if !m.failed && ctx.Err() == nil { // capture may have ended first
			m.log.Error("What Toposcope takes cannot be read: its limits are not kept", "err", err)
		}
		m.failed, m.begun = true, false
		return sample{}, false
	}
	first := !m.begun
	s = sample{
		seconds: now.Sub(m.at).Seconds(), memory: usage.Memory, live: usage.Live,
		kept: grown(calls.Kept, m.wasCalls.Kept), shed: grown(calls.Shed, m.wasCalls.Shed), lost: grown(calls.Lost, m.wasCalls.Lost),
	}
	took := usage.CPU - m.was.CPU
	m.begun, m.at, m.was, m.wasCalls = true, now, usage, calls
	if first || s.seconds <= 0 {
		return sample{}, false
	}
	s.own = took.Seconds() / s.seconds
	s.bpf, s.told = m.programs(ctx, now, attached, s)
	return s, true
}

// programs is what the kernel programs take, measured where it is time to.
func (m *meter) programs(ctx context.Context, now time.Time, attached bool, s sample) (cores float64, told bool) {
	switch {
	case !attached:
		m.measured = time.Time{}
		return 0, !m.refused
	case m.cost == nil || m.refused:
		return s.own, false
	}
	if s.own+m.bpf < near*m.limit && s.shed == 0 && now.Sub(m.measured) < measureEvery {
		return m.bpf, true
	}
	cores, err := m.cost(ctx, measureFor)
	if err != nil {
		m.refused = true
		m.log.Warn("The kernel does not tell what its programs take, which limits.cpu takes to be as much as the process", "err", err)
		return s.own, false
	}
	m.bpf, m.measured = cores, now
	return cores, true
}

// grown is by how much a counter grew; one that begins anew counts from 0.
func grown(now, was uint64) uint64 {
	if now < was {
		return now
	}
	return now - was
}
