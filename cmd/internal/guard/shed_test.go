package guard

import (
	"math/rand/v2"
	"testing"
)

const cpuLimit = 0.5

// loadFor is how many calls a second take so many cores when none is shed.
func (p *plant) loadFor(cores float64) float64 { return cores / (p.own + p.bpf) }

// TestStep: a load that grows tenfold is held within the limit a few seconds later, at a share that stays where it is; when it is gone
// nothing is shed any more.
func TestStep(t *testing.T) {
	for name, prepare := range map[string]func(p *plant){
		"smooth":              func(*plant) {},
		"with noise":          func(p *plant) { p.noise = rand.New(rand.NewPCG(1, 2)) },
		"with other work":     func(p *plant) { p.attached, p.other = 0.05, 0.1 },
		"cost is not told":    func(p *plant) { p.untold = true; p.skip = 0.1e-6 },
		"a dear kernel side":  func(p *plant) { p.own, p.bpf = 3e-6, 8e-6 },
		"shedding costs much": func(p *plant) { p.skip = p.bpf / 6 },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlant(t, Limits{CPU: cpuLimit})
			prepare(p)
			before := 0.8 * cpuLimit // of all the process takes
			p.spread(p.loadFor(before - p.attached - p.other))
			p.seconds(60, func(int) {
				if p.lots != 0 {
					t.Fatalf("%d lots are shed at %.2f of %.2f cores", p.lots, p.cores, cpuLimit)
				}
			})
			for lot := range p.load {
				p.load[lot] *= 10
			}
			const held = 20 // seconds
			changes, was := 0, 0
			low, high := Lots, 0
			p.seconds(120, func(second int) {
				if second < held {
					was = p.lots
					return
				}
				if p.cores > 1.1*cpuLimit {
					t.Errorf("second %d: %.2f cores with %d lots shed", second, p.cores, p.lots)
				}
				if p.lots != was {
					changes++
				}
				was, low, high = p.lots, min(low, p.lots), max(high, p.lots)
			})
			t.Logf("%d to %d lots are shed, %.2f cores, %d changes", low, high, p.cores, changes)
			if high-low > Lots/16 {
				t.Errorf("it swings: from %d to %d lots", low, high)
			}
			if p.cores < 0.6*cpuLimit {
				t.Errorf("more is shed than the limit asks for: %.2f cores are left", p.cores)
			}
			for lot := range p.load {
				p.load[lot] /= 10
			}
			p.seconds(60, nil)
			if p.lots != 0 {
				t.Errorf("%d lots are still shed after a minute at %.2f cores", p.lots, p.cores)
			}
			p.seconds(60, func(int) {
				if p.lots != 0 {
					t.Fatalf("%d lots are shed again", p.lots)
				}
			})
		})
	}
}

// TestReaction: twice the limit is answered within two seconds, little more than the limit within a few.
func TestReaction(t *testing.T) {
	for times, within := range map[float64]int{3: 2, 1.5: 4, 1.1: 8} {
		p := newPlant(t, Limits{CPU: cpuLimit})
		p.seconds(20, nil)
		p.spread(p.loadFor(times * cpuLimit))
		p.seconds(within, nil)
		p.seconds(1, nil)
		if p.cores > cpuLimit {
			t.Errorf("%.1f times the limit: %.2f cores after %d s, %d lots shed", times, p.cores, within, p.lots)
		}
	}
}

// TestFewConnections: where a connection is much, the limit holds in the mean, each is seen at some time, and the share does not run
// away.
func TestFewConnections(t *testing.T) {
	for name, cores := range map[string][]float64{
		"one":        {2},
		"two uneven": {1.8, 0.2},
		"sixteen":    {0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlant(t, Limits{CPU: cpuLimit})
			p.seconds(20, nil)
			lots := rand.New(rand.NewPCG(3, 4)).Perm(Lots)
			for i, c := range cores {
				p.load[lots[i]] = p.loadFor(c)
			}
			p.seconds(20, nil)
			var sum float64
			const minutes = 10
			seen := map[int]int{}
			p.seconds(minutes*60, func(int) {
				sum += p.cores
				for i := range cores {
					if !p.sheds(lots[i]) {
						seen[i]++
					}
				}
			})
			if mean := sum / (minutes * 60); mean > cpuLimit || mean < cpuLimit/8 {
				t.Errorf("%.2f cores in the mean of %d minutes, the limit is %.2f", mean, minutes, cpuLimit)
			}
			for i := range cores {
				if seen[i] == 0 {
					t.Errorf("connection %d is never seen", i)
				}
			}
			clear(p.load[:])
			p.seconds(60, nil)
			if p.lots != 0 {
				t.Errorf("%d lots are shed of nothing", p.lots)
			}
		})
	}
}

// TestRings: when the rings overflow though CPU is left, whole connections are shed instead, and now and then one second tries whether
// more fits by now.
func TestRings(t *testing.T) {
	p := newPlant(t, Limits{CPU: 100})
	p.spread(10_000)
	p.room = 4_000
	p.seconds(30, nil)
	losing, lost := 0, p.calls.Lost
	p.seconds(600, func(int) {
		if p.calls.Lost > lost {
			losing, lost = losing+1, p.calls.Lost
		}
	})
	if losing > 600/overflowed || p.lots < Lots*6/10 || p.lots > Lots*7/10 {
		t.Errorf("%d lots are shed, %d seconds of ten minutes lost calls", p.lots, losing)
	}
	p.room = 0
	p.seconds(2*overflowed, nil)
	if p.lots != 0 {
		t.Errorf("%d lots are still shed", p.lots)
	}
}

// TestStall: a second in which nobody reads the rings, as when a virtual machine is held up, says little of what fits.
func TestStall(t *testing.T) {
	p := newPlant(t, Limits{CPU: cpuLimit})
	p.spread(p.loadFor(0.1))
	p.seconds(30, nil)
	p.room = p.loadFor(0.1) / 5
	p.seconds(1, nil)
	p.room = 0
	p.seconds(60, func(second int) {
		if p.lots > Lots/16 {
			t.Fatalf("%d s later %d lots are shed", second, p.lots)
		}
	})
}

// TestTurn: whatever the share, a round brings every lot to sight.
func TestTurn(t *testing.T) {
	for _, lots := range []int{1, 7, 128, 200, 251, 255} {
		p := newPlant(t, Limits{})
		seen := map[int]bool{}
		kept := Lots - lots
		for range (Lots + kept - 1) / kept {
			p.now = p.now.Add(turnEvery)
			p.guard.shed(p.now, lots, "")
			for lot := range Lots {
				seen[lot] = seen[lot] || !p.sheds(lot)
			}
		}
		if len(seen) != Lots {
			t.Errorf("%d lots shed: %d are seen", lots, len(seen))
		}
		for lot := range Lots {
			if !seen[lot] {
				t.Errorf("%d lots shed: lot %d is not seen in a round", lots, lot)
				break
			}
		}
	}
}
