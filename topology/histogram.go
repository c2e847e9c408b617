package topology

import (
	"math"
	"slices"
	"time"
)

// Resolution of the native buckets: each is 2^(1/8), some 9 %, wider than the one before, so a quantile is off by at most
// 4.5 %. A histogram that would need more than maxBuckets halves its resolution.
const (
	nativeSchema  = 3
	zeroThreshold = 1.0 / (1 << 30) // about 1 ns, the clock's own grain
	maxBuckets    = 160
)

// Bounds are the upper bounds of the classic buckets in seconds, Prometheus's default ones.
func Bounds() []float64 { return slices.Clone(bounds[:]) }

var bounds = [...]float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// boundsNanos are bounds in nanoseconds: durations are counted without a rounding step.
var boundsNanos = [...]int64{5e6, 1e7, 25e6, 5e7, 1e8, 25e7, 5e8, 1e9, 25e8, 5e9, 1e10}

// nativeBounds are the upper bounds of the eight buckets of schema 3 between 0.5 and 1, lowest first: 2^(i/8-1).
var nativeBounds = [...]float64{
	0.5, 0.5452538663326288, 0.5946035575013605, 0.6484197773255048,
	0.7071067811865475, 0.7711054127039704, 0.8408964152537144, 0.9170040432046711,
}

// Histogram counts durations in classic and in native buckets at once. Observe does not allocate but when a duration falls
// outside the range of buckets seen so far, and never holds more than maxBuckets of them. Not safe for concurrent use.
type Histogram struct {
	count   uint64
	sum     uint64 // nanoseconds
	classic [len(bounds) + 1]uint64

	zero   uint64
	schema int32
	first  int32
	counts []uint64
}

// Observe counts d; a negative one counts as zero.
func (h *Histogram) Observe(d time.Duration) {
	n := max(int64(d), 0)
	if h.count == 0 {
		h.schema = nativeSchema
	}
	h.count++
	h.sum += uint64(n)
	i := 0
	for i < len(boundsNanos) && n > boundsNanos[i] {
		i++
	}
	h.classic[i]++
	seconds := float64(n) / 1e9
	if seconds <= zeroThreshold {
		h.zero++
		return
	}
	h.slot(rescale(nativeIndex(seconds), nativeSchema-h.schema))
}

// nativeIndex is the index of v's bucket at schema 3.
func nativeIndex(v float64) int32 {
	frac, exp := math.Frexp(v) // frac in [0.5, 1)
	i := 0
	for i < len(nativeBounds) && frac > nativeBounds[i] {
		i++
	}
	return int32(i) + int32(exp-1)*int32(len(nativeBounds))
}

// slot counts one in bucket i, of h.schema.
func (h *Histogram) slot(i int32) {
	if len(h.counts) == 0 {
		h.first, h.counts = i, append(make([]uint64, 0, 16), 1)
		return
	}
	for {
		lo, hi := min(h.first, i), max(h.first+int32(len(h.counts))-1, i)
		if hi-lo < maxBuckets {
			break
		}
		i = rescale(i, 1)
		h.halve()
	}
	if i < h.first {
		h.counts = slices.Insert(h.counts, 0, make([]uint64, h.first-i)...)
		h.first = i
	}
	for int(i-h.first) >= len(h.counts) {
		h.counts = append(h.counts, 0)
	}
	h.counts[i-h.first]++
}

// halve merges pairs of neighbouring buckets.
func (h *Histogram) halve() {
	first := rescale(h.first, 1)
	last := rescale(h.first+int32(len(h.counts))-1, 1)
	merged := make([]uint64, last-first+1)
	for i, c := range h.counts {
		merged[rescale(h.first+int32(i), 1)-first] += c
	}
	h.schema--
	h.first, h.counts = first, merged
}

// HistogramState is a copy of a Histogram at one moment.
type HistogramState struct {
	// Created is when the series began; zero for one that has no value yet.
	Created time.Time
	Count   uint64
	Sum     time.Duration
	Classic [len(bounds) + 1]uint64 // not cumulative

	Schema        int32
	ZeroThreshold float64
	Zero          uint64
	First         int32
	Counts        []uint64
}

// state copies h; the counts go to the end of arena, which is returned grown, so that a snapshot of many histograms is a
// few allocations.
func (h *Histogram) state(created time.Time, arena []uint64) (HistogramState, []uint64) {
	start := len(arena)
	arena = append(arena, h.counts...)
	schema := h.schema
	if h.count == 0 {
		schema = nativeSchema
	}
	return HistogramState{
		Created: created, Count: h.count, Sum: time.Duration(h.sum), Classic: h.classic, Schema: schema,
		ZeroThreshold: zeroThreshold, Zero: h.zero, First: h.first, Counts: arena[start:len(arena):len(arena)],
	}, arena
}

// Distribution is s in the form that quantiles are computed from.
func (s *HistogramState) Distribution() *Distribution {
	d := &Distribution{
		Schema: s.Schema, ZeroThreshold: s.ZeroThreshold, Zero: float64(s.Zero), Count: float64(s.Count),
		Sum: s.Sum.Seconds(), First: s.First, Counts: make([]float64, len(s.Counts)),
	}
	for i, c := range s.Counts {
		d.Counts[i] = float64(c)
	}
	return d
}
