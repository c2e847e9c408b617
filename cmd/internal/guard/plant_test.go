package guard

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

// plant is a host that capture runs on, reckoned second by second.
type plant struct {
	t     *testing.T
	guard *Guard
	now   time.Time
	noise *rand.Rand // by a tenth; nil for none

	load     [Lots]float64 // calls a second, by lot
	own, bpf float64       // CPU seconds of a call that is copied
	skip     float64       // of one that is shed, in the kernel
	attached float64       // cores that the kernel programs take whatever is shed
	other    float64       // cores that the process takes without capture
	room     float64       // calls a second that the rings hold; 0 for all

	deaf bool // shedding does nothing

	live, garbage uint64 // bytes
	dead          uint64 // what lived at the last collection, and is garbage since
	untold        bool   // the kernel does not time programs

	enabled    bool
	from, lots int
	refuse     error // to attach

	cpu      time.Duration
	calls    Calls
	cores    float64 // of the last second, all parts
	programs float64 // of the kernel's part
	measured int
	forced   int
}

func newPlant(t *testing.T, limits Limits) *plant {
	p := &plant{t: t, now: time.Unix(1_700_000_000, 0), own: 6e-6, bpf: 5e-6, skip: 0.5e-6, enabled: true}
	p.guard = New(Options{
		Limits: limits, Capture: p,
		Calls: func() (Calls, error) { return p.calls, nil },
		Usage: func() (Usage, error) {
			return Usage{CPU: p.cpu, Memory: p.live + p.garbage + p.dead, Live: p.live + p.dead}, nil
		},
		Cost: func(context.Context, time.Duration) (float64, error) {
			p.measured++
			if p.untold {
				return 0, errors.New("not permitted")
			}
			return p.programs, nil
		},
		Collect: func() { p.forced++; p.garbage, p.dead = 0, 0 },
		Ready: func() error {
			if !p.enabled {
				return errors.New("capture is switched off")
			}
			return nil
		},
	})
	return p
}

func (p *plant) Enabled() bool { return p.enabled }

func (p *plant) SetEnabled(_ context.Context, on bool) error {
	if on && p.refuse != nil {
		return p.refuse
	}
	p.enabled = on
	return nil
}

func (p *plant) Shed(from, lots int) error {
	if from < 0 || from >= Lots || lots < 0 || lots > Lots {
		p.t.Errorf("shed %d lots from %d on", lots, from)
	}
	p.from, p.lots = from, lots
	return nil
}

// sheds is what the kernel programs do.
func (p *plant) sheds(lot int) bool { return !p.deaf && (lot-p.from)&(Lots-1) < p.lots }

// second lets one pass, and the guard look.
func (p *plant) second() {
	p.now = p.now.Add(time.Second)
	var kept, shed float64
	for lot, calls := range p.load {
		if p.noise != nil {
			calls *= 0.9 + 0.2*p.noise.Float64()
		}
		if p.sheds(lot) {
			shed += calls
		} else {
			kept += calls
		}
	}
	own := p.other
	p.programs = 0
	if p.enabled {
		handled := kept
		if p.room > 0 {
			handled = min(kept, p.room)
		}
		own += handled * p.own
		p.programs = p.attached + kept*p.bpf + shed*p.skip
		p.calls.Kept += uint64(handled)
		p.calls.Lost += uint64(kept - handled)
		p.calls.Shed += uint64(shed)
	}
	p.cpu += time.Duration(own * float64(time.Second))
	p.cores = own + p.programs
	p.guard.step(context.Background(), p.now)
}

// seconds lets some pass; each is called after every one, and may be nil.
func (p *plant) seconds(n int, each func(second int)) {
	for i := range n {
		p.second()
		if each != nil {
			each(i)
		}
	}
}

// spread lets calls a second come evenly over all lots.
func (p *plant) spread(calls float64) {
	for lot := range p.load {
		p.load[lot] = calls / Lots
	}
}
