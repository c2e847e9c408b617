package guard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// overwhelm makes capture take three times the limit whatever is shed.
func (p *plant) overwhelm() { p.attached = 3 * cpuLimit }

// untilDetached waits until the guard detaches.
func (p *plant) untilDetached() (seconds int) {
	p.t.Helper()
	for ; p.enabled; seconds++ {
		if seconds > 60 {
			p.t.Fatalf("not detached at %.2f cores, %d lots shed", p.cores, p.lots)
		}
		p.second()
	}
	return seconds
}

// untilAttached waits until it attaches again.
func (p *plant) untilAttached() (seconds int) {
	p.t.Helper()
	for ; !p.enabled; seconds++ {
		if seconds > 3600 {
			p.t.Fatal("not attached again within an hour")
		}
		p.second()
	}
	return seconds
}

// TestDetach: when everything is shed and CPU is still far over the limit, capture is detached and says so; it is attached again after 1
// minute, then 2, up to 15, and after an hour of calm it begins with 1 again.
func TestDetach(t *testing.T) {
	p := newPlant(t, Limits{CPU: cpuLimit})
	p.spread(p.loadFor(0.1))
	p.seconds(30, nil)
	p.overwhelm()
	if took := p.untilDetached(); took > 20 {
		t.Errorf("it took %d s", took)
	}
	if p.lots != Lots {
		t.Errorf("only %d lots were shed before", p.lots)
	}
	want := "capture was detached to protect this host: CPU in use is 1.5"
	for what, got := range map[string]string{"reason": p.guard.Reason(), "readiness": fmt.Sprint(p.guard.Ready())} {
		if !strings.HasPrefix(got, want) || !strings.Contains(got, "attached again at 20") {
			t.Errorf("%s: %s", what, got)
		}
	}
	p.checkMetrics(1, 1, 0)
	waits := []int{p.untilAttached()}
	if p.guard.Reason() != "" || p.guard.Ready() != nil {
		t.Errorf("attached, but: %s, %v", p.guard.Reason(), p.guard.Ready())
	}
	for range 6 {
		p.untilDetached()
		waits = append(waits, p.untilAttached())
	}
	if got := fmt.Sprint(waits); got != "[60 120 240 480 900 900 900]" {
		t.Errorf("attached again after %s s", got)
	}
	p.attached = 0
	p.seconds(90, nil)
	if p.lots != 0 {
		t.Errorf("%d lots are shed though all is well", p.lots)
	}
	p.seconds(int(calm/time.Second), nil)
	p.overwhelm()
	p.untilDetached()
	if wait := p.untilAttached(); wait != 60 {
		t.Errorf("after an hour of calm it takes %d s", wait)
	}
	p.checkMetrics(0, 8, 0)
}

func (p *plant) checkMetrics(detached, cpu, memory int) {
	p.t.Helper()
	want := fmt.Sprintf(`
# HELP toposcope_capture_guard_detached Whether capture is detached because it took far more than its limits: 1, else 0.
# TYPE toposcope_capture_guard_detached gauge
toposcope_capture_guard_detached %d
# HELP toposcope_capture_guard_detaches_total How often capture was detached to protect the host, by the limit that was exceeded.
# TYPE toposcope_capture_guard_detaches_total counter
toposcope_capture_guard_detaches_total{reason="cpu"} %d
toposcope_capture_guard_detaches_total{reason="memory"} %d
# HELP toposcope_capture_shed_ratio Share of connections that are left out in turn, since capture takes more than limits.cpu or limits.memory, or its rings are full.
# TYPE toposcope_capture_shed_ratio gauge
toposcope_capture_shed_ratio %g
`, detached, cpu, memory, float64(p.lots)/Lots)
	err := testutil.CollectAndCompare(p.guard, strings.NewReader(want),
		"toposcope_capture_guard_detached", "toposcope_capture_guard_detaches_total", "toposcope_capture_shed_ratio")
	if err != nil {
		p.t.Error(err)
	}
}

// TestBurst: a few seconds far over the limit shed, and do not detach.
func TestBurst(t *testing.T) {
	p := newPlant(t, Limits{CPU: cpuLimit})
	p.seconds(20, nil)
	p.overwhelm()
	p.seconds(patience, nil)
	p.attached = 0
	p.seconds(60, nil)
	if !p.enabled || p.lots != 0 {
		t.Errorf("enabled %v, %d lots shed", p.enabled, p.lots)
	}
}

// TestDeaf: where shedding does nothing, as with a way of capture that cannot, the guard detaches.
func TestDeaf(t *testing.T) {
	p := newPlant(t, Limits{CPU: cpuLimit})
	p.deaf = true
	p.seconds(20, nil)
	p.spread(p.loadFor(3 * cpuLimit))
	if took := p.untilDetached(); took > 40 {
		t.Errorf("it took %d s", took)
	}
}

// TestByHand: what is switched off by hand stays off, also while the guard holds capture detached, and what is switched on is on.
func TestByHand(t *testing.T) {
	ctx := context.Background()
	p := newPlant(t, Limits{CPU: cpuLimit})
	p.seconds(20, nil)
	p.overwhelm()
	p.untilDetached()
	must(t, p.guard.SetEnabled(ctx, true))
	if !p.enabled || p.guard.Reason() != "" {
		t.Errorf("switched on by hand: enabled %v, %q", p.enabled, p.guard.Reason())
	}
	p.untilDetached()
	if wait := p.untilAttached(); wait != 60 {
		t.Errorf("a switch by hand did not begin anew: attached after %d s", wait)
	}
	p.untilDetached()
	must(t, p.guard.SetEnabled(ctx, false))
	p.attached = 0
	p.seconds(3600, nil)
	if p.enabled || p.guard.Enabled() || p.guard.Reason() != "" {
		t.Errorf("switched off by hand: enabled %v, %q", p.enabled, p.guard.Reason())
	}
	if err := p.guard.Ready(); err == nil || err.Error() != "capture is switched off" {
		t.Errorf("ready: %v", err)
	}
	must(t, p.guard.SetEnabled(ctx, true))
	p.refuse = errors.New("the kernel says no")
	p.overwhelm()
	p.seconds(settlingSamples, nil)
	p.untilDetached()
	p.attached = 0
	p.seconds(120, nil)
	if p.guard.Reason() == "" {
		t.Error("attaching failed, and the guard forgot that it is to try again")
	}
	p.refuse = nil
	p.untilAttached()
}

const settlingSamples = int(settling / time.Second)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOtherWork: CPU that the process goes on taking without capture is not capture's: it is attached again at once, and not detached for
// it while that lasts.
func TestOtherWork(t *testing.T) {
	p := newPlant(t, Limits{CPU: cpuLimit})
	p.spread(p.loadFor(0.1))
	p.seconds(20, nil)
	p.other = 4 * cpuLimit
	p.untilDetached()
	if wait := p.untilAttached(); wait > 15 {
		t.Errorf("attached again after %d s", wait)
	}
	p.seconds(600, func(second int) {
		if !p.enabled {
			t.Fatalf("detached again after %d s", second)
		}
	})
	if p.lots != 0 {
		t.Errorf("%d lots are shed for what capture does not take", p.lots)
	}
	p.other = 0
	p.seconds(60, nil)
	p.overwhelm()
	p.untilDetached() // it answers for itself again
	if wait := p.untilAttached(); wait != 60 && wait != 120 {
		t.Errorf("attached again after %d s", wait)
	}
}

// TestQueries: CPU that queries, rules and compactions take, for a while or all the time, sheds nothing on a host with little traffic and
// does not detach, whether the kernel tells what its programs take or not.
func TestQueries(t *testing.T) {
	for _, q := range []struct {
		cores   float64
		seconds int
	}{{4 * cpuLimit, 20}, {1.2 * cpuLimit, 600}, {1.9 * cpuLimit, 600}} {
		for _, untold := range []bool{false, true} {
			p := newPlant(t, Limits{CPU: cpuLimit})
			p.untold = untold
			p.spread(p.loadFor(0.02))
			p.seconds(20, nil)
			p.other = q.cores
			p.seconds(q.seconds, func(second int) {
				if p.lots != 0 || !p.enabled {
					t.Fatalf("%.1f cores, untold %v: after %d s %d lots are shed, enabled %v", q.cores, untold, second, p.lots, p.enabled)
				}
			})
		}
	}
}

// TestOtherWorkUntold is TestOtherWork where the kernel does not tell what its programs take: one try without capture, not one after the
// other.
func TestOtherWorkUntold(t *testing.T) {
	p := newPlant(t, Limits{CPU: cpuLimit})
	p.untold = true
	p.spread(p.loadFor(0.1))
	p.seconds(20, nil)
	p.other = 4 * cpuLimit
	detaches, was := 0, true
	p.seconds(600, func(int) {
		if was && !p.enabled {
			detaches++
		}
		was = p.enabled
	})
	if detaches > 1 || p.lots != 0 || !p.enabled {
		t.Errorf("detached %d times, %d lots shed, enabled %v", detaches, p.lots, p.enabled)
	}
}

// slow is a plant on which programs are being attached, so that nobody else gets to it for a while.
type slow struct {
	*plant
	start time.Time
	busy  time.Duration
	shed  int // at most
}

func (s *slow) Shed(from, lots int) error {
	s.shed = max(s.shed, lots)
	return s.plant.Shed(from, lots)
}

func (s *slow) Enabled() bool {
	if wait := s.busy - time.Since(s.start); wait > 0 {
		time.Sleep(wait)
	}
	return true
}

// TestSlowStart: a host that takes long to verify programs, and then to read /proc, is not judged for it.
func TestSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const verifying, reading = 20 * time.Second, 3 * time.Second
		p := newPlant(t, Limits{CPU: cpuLimit})
		s := &slow{plant: p, start: time.Now(), busy: verifying}
		p.guard.opts.Capture = s
		p.guard.meter.usage = func() (Usage, error) { return Usage{CPU: 4 * min(time.Since(s.start), verifying+reading)}, nil }
		p.guard.meter.calls = func() (Calls, error) { return Calls{Kept: uint64(time.Since(s.start).Seconds() * 1e6)}, nil }
		ctx, cancel := context.WithTimeout(t.Context(), verifying+30*time.Second)
		defer cancel()
		must(t, p.guard.Run(ctx))
		if s.shed != 0 {
			t.Errorf("up to %d lots were shed for the start", s.shed)
		}
	})
}

// TestMemory: near the limit connections are shed; garbage over the limit is collected; what is still over the limit then ends capture
// until it has gone.
func TestMemory(t *testing.T) {
	const limit = 100 << 20
	p := newPlant(t, Limits{CPU: cpuLimit, Memory: limit})
	p.spread(p.loadFor(0.1))
	p.live = 80 << 20
	p.seconds(20, nil)
	if p.lots != Lots || !p.enabled {
		t.Errorf("memory is crowded: %d lots shed, enabled %v", p.lots, p.enabled)
	}
	p.live = 50 << 20
	p.seconds(60, nil)
	if p.lots != 0 {
		t.Errorf("memory is roomy again: %d lots shed", p.lots)
	}
	p.dead = 40 << 20
	p.seconds(10, nil)
	if p.lots != 0 {
		t.Errorf("%d lots are shed for what a query left behind", p.lots)
	}
	p.seconds(20, nil)
	p.forced, p.garbage = 0, 60<<20
	p.seconds(20, nil)
	if p.forced != 1 || !p.enabled {
		t.Errorf("garbage over the limit: %d collections, enabled %v", p.forced, p.enabled)
	}
	p.live = 120 << 20
	p.untilDetached()
	p.checkMetrics(1, 0, 1)
	if reason := p.guard.Reason(); !strings.Contains(reason, "memory in use is 120 MiB after a forced collection, limits.memory is 100 MiB") {
		t.Error(reason)
	}
	p.seconds(600, nil)
	if p.enabled {
		t.Error("attached again while memory is full")
	}
	p.live = 40 << 20
	p.untilAttached()
}

// TestMeasuring: programs are timed now and then, and at every look only near the limit; what was spent is told in parts.
func TestMeasuring(t *testing.T) {
	p := newPlant(t, Limits{CPU: cpuLimit})
	p.spread(p.loadFor(0.1))
	p.seconds(101, nil)
	if p.measured < 9 || p.measured > 11 {
		t.Errorf("measured %d times in 100 s", p.measured)
	}
	p.spread(p.loadFor(0.4))
	p.measured = 0
	p.seconds(100, nil)
	if p.measured != 100 {
		t.Errorf("near the limit: measured %d times in 100 s", p.measured)
	}
	parts := func() map[string]float64 { return cpuParts(t, p.guard) }
	seconds := 0.1*100 + 0.4*100 // the second is the first sample's
	got := parts()
	if own, want := got["process"], seconds*p.own/(p.own+p.bpf); own < 0.95*want || own > 1.05*want {
		t.Errorf("process: %g s, want %g", own, want)
	}
	if bpf, want := got["bpf"], seconds*p.bpf/(p.own+p.bpf); bpf < 0.95*want || bpf > 1.05*want {
		t.Errorf("bpf: %g s, want %g", bpf, want)
	}
	q := newPlant(t, Limits{CPU: cpuLimit})
	q.untold = true
	q.spread(q.loadFor(0.1))
	q.seconds(100, nil)
	if _, ok := cpuParts(t, q.guard)["bpf"]; ok || q.measured != 1 {
		t.Errorf("what the kernel does not tell is in the metrics: %v, asked %d times", ok, q.measured)
	}
}

func cpuParts(t *testing.T, g *Guard) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(g)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "toposcope_capture_cpu_seconds_total" {
			for _, m := range f.GetMetric() {
				parts[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return parts
}

// TestOwnUsage reads this process.
func TestOwnUsage(t *testing.T) {
	const kernel = 1 << 40
	before, err := OwnUsage(kernel)
	must(t, err)
	held := make([]byte, 64<<20)
	for i := range held {
		held[i] = byte(i)
	}
	after, err := OwnUsage(kernel)
	must(t, err)
	if before.Live < kernel || after.Memory-before.Memory < uint64(len(held)) || after.CPU < before.CPU || after.CPU == 0 {
		t.Errorf("before %+v, after %+v with %d bytes more (%d)", before, after, len(held), held[0])
	}
}
