package topology

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func stateOf(values ...time.Duration) HistogramState {
	var h Histogram
	for _, v := range values {
		h.Observe(v)
	}
	s, _ := h.state(start, nil)
	return s
}

// TestNativeIndex holds every index against its definition: (base^(i-1), base^i].
func TestNativeIndex(t *testing.T) {
	base := math.Exp2(1.0 / 8)
	for i := int32(-240); i <= 120; i++ {
		upper := math.Exp2(float64(i) / 8)
		for v, want := range map[float64]int32{
			upper * 0.999999: i, upper * 1.000001: i + 1, upper / math.Sqrt(base): i,
		} {
			if got := nativeIndex(v); got != want {
				t.Errorf("index of %g is %d, want %d", v, got, want)
			}
		}
	}
	if got := nativeIndex(0.5); got != -8 {
		t.Errorf("index of 0.5 is %d; a bucket includes its upper bound", got)
	}
}

func TestClassicBuckets(t *testing.T) {
	s := stateOf(-time.Second, 0, 5*time.Millisecond, 5*time.Millisecond+1, 10*time.Second, 10*time.Second+1, time.Hour)
	want := [12]uint64{0: 3, 1: 1, 10: 1, 11: 2}
	if s.Classic != want || s.Count != 7 || s.Zero != 2 {
		t.Errorf("%+v", s)
	}
}

// TestRange spreads durations over 1 ns to 1,000 hours: the buckets stay bounded, nothing is lost, quantiles stay close.
func TestRange(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	var all []float64
	for range 20000 {
		d := time.Duration(math.Exp(r.Float64() * math.Log(3.6e15)))
		h.Observe(d)
		all = append(all, d.Seconds())
	}
	s, _ := h.state(start, nil)
	sum := s.Zero
	for _, c := range s.Counts {
		sum += c
	}
	if sum != 20000 || len(s.Counts) > maxBuckets || s.Schema >= nativeSchema {
		t.Errorf("%d counted in %d buckets of schema %d", sum, len(s.Counts), s.Schema)
	}
	slices.Sort(all)
	width := math.Exp2(math.Exp2(-float64(s.Schema)))
	for _, q := range []float64{0.1, 0.5, 0.9, 0.99} {
		got, want := *s.Distribution().Quantile(q), all[int(q*float64(len(all)))]
		if got > want*width || got < want/width {
			t.Errorf("quantile %g is %g, want within a bucket of %g", q, got, want)
		}
	}
}

// TestMergeIsTheSameAsTogether adds histograms of different resolutions.
func TestMergeIsTheSameAsTogether(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		var a, b, both Histogram
		for range 300 {
			d := time.Duration(math.Exp(r.Float64() * math.Log(1e9)))
			if r.IntN(2) == 0 {
				d = time.Duration(math.Exp(r.Float64() * math.Log(3.6e15)))
				b.Observe(d)
			} else {
				a.Observe(d)
			}
			both.Observe(d)
		}
		sa, _ := a.state(start, nil)
		sb, _ := b.state(start, nil)
		s, _ := both.state(start, nil)
		sum := sa.Distribution()
		sum.Add(sb.Distribution())
		want := s.Distribution()
		if sum.Count != want.Count || math.Abs(sum.Sum-want.Sum) > 1e-6 {
			t.Fatalf("sum %g of %g, want %g of %g", sum.Sum, sum.Count, want.Sum, want.Count)
		}
		want.coarsen(sum.Schema)
		sum.coarsen(want.Schema)
		for _, q := range []float64{0.5, 0.95, 0.99} {
			if g, w := *sum.Quantile(q), *want.Quantile(q); math.Abs(g-w) > 1e-9*w {
				t.Fatalf("quantile %g is %g, want %g", q, g, w)
			}
		}
		if got := want.Since(sb.Distribution()); got.Count != sa.Distribution().Count {
			t.Fatalf("%g since, want %g", got.Count, sa.Distribution().Count)
		}
	}
}

func TestSinceReset(t *testing.T) {
	a, b := stateOf(time.Second, time.Second), stateOf(time.Second, time.Second, time.Minute)
	for _, tc := range []struct {
		name          string
		before, after HistogramState
		want          float64
	}{
		{"grown", a, b, 1},
		{"same", a, a, 0},
		{"fewer", b, a, 2},
		{"as many, others", a, stateOf(time.Minute, time.Minute), 2},
		{"from nothing", HistogramState{}, a, 2},
	} {
		if got := tc.after.Distribution().Since(tc.before.Distribution()); got.Count != tc.want {
			t.Errorf("%s: %g, want %g", tc.name, got.Count, tc.want)
		}
	}
}

// TestQuantile has the answers of PromQL's histogram_quantile.
func TestQuantile(t *testing.T) {
	ms := time.Millisecond
	for _, tc := range []struct {
		name string
		d    Distribution
		q    float64
		want float64
	}{
		{"one bucket, its middle on a logarithmic scale", Distribution{Count: 2, Schema: 0, First: 1, Counts: []float64{2}}, 0.5, math.Sqrt2},
		{"all", Distribution{Count: 2, Schema: 0, First: 1, Counts: []float64{2}}, 1, 2},
		{"two buckets", Distribution{Count: 4, Schema: 0, First: 1, Counts: []float64{2, 2}}, 0.75, 2 * math.Sqrt2},
		{"skips empty ones", Distribution{Count: 4, Schema: 0, First: 1, Counts: []float64{2, 0, 2}}, 1, 8},
		{"zero bucket is linear", Distribution{Count: 4, Zero: 4, ZeroThreshold: 0.1}, 0.5, 0.05},
		{"classic is linear", Distribution{Count: 4, Bounds: []float64{1, 2}, Classic: []float64{2, 2, 0}}, 0.75, 1.5},
		{"beyond the last bound", Distribution{Count: 4, Bounds: []float64{1, 2}, Classic: []float64{0, 0, 4}}, 0.75, 2},
	} {
		if got := tc.d.Quantile(tc.q); got == nil || math.Abs(*got-tc.want) > 1e-12 {
			t.Errorf("%s: %v, want %g", tc.name, got, tc.want)
		}
	}
	if q := (&Distribution{}).Quantile(0.5); q != nil {
		t.Errorf("quantile of nothing is %g", *q)
	}
	s := stateOf(10*ms, 10*ms, 10*ms)
	if q := *s.Distribution().Quantile(0.5); q < 0.0091 || q > 0.011 {
		t.Errorf("median of 10 ms is %g", q)
	}
}

func BenchmarkObserve(b *testing.B) {
	var h Histogram
	for i := range b.N {
		h.Observe(time.Duration(i%1000) * 10 * time.Microsecond)
	}
	b.ReportAllocs()
}
