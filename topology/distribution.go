package topology

import (
	"math"
	"slices"
)

// Distribution is how long things took within a window, in the buckets of a native histogram: Counts[i] counts
// (base^(First+i-1), base^(First+i)] seconds, base = 2^(2^-Schema). Where a series has classic buckets only, Bounds and
// Classic stand in: Classic[i] counts (Bounds[i-1], Bounds[i]], its last element what lies above all bounds.
type Distribution struct {
	Schema        int32
	ZeroThreshold float64
	Zero          float64
	Count, Sum    float64
	First         int32
	Counts        []float64

	Bounds  []float64
	Classic []float64
}

// rescale moves bucket index i from one schema to a coarser one, by steps halvings of the resolution.
func rescale(i, steps int32) int32 { return (i-1)>>steps + 1 }

// coarsen lowers d's resolution to schema.
func (d *Distribution) coarsen(schema int32) {
	steps := d.Schema - schema
	if steps <= 0 {
		return
	}
	if len(d.Counts) > 0 {
		first := rescale(d.First, steps)
		last := rescale(d.First+int32(len(d.Counts))-1, steps)
		counts := make([]float64, last-first+1)
		for i, c := range d.Counts {
			counts[rescale(d.First+int32(i), steps)-first] += c
		}
		d.First, d.Counts = first, counts
	}
	d.Schema = schema
}

// cover makes room for the buckets from first to last.
func (d *Distribution) cover(first, last int32) {
	if len(d.Counts) == 0 {
		d.First, d.Counts = first, make([]float64, last-first+1)
		return
	}
	if first < d.First {
		d.Counts = slices.Concat(make([]float64, d.First-first), d.Counts)
		d.First = first
	}
	if end := d.First + int32(len(d.Counts)) - 1; last > end {
		d.Counts = append(d.Counts, make([]float64, last-end)...)
	}
}

// Add adds o, at the coarser of the two resolutions. Classic buckets are kept where they have the same bounds, and
// ignored once either side has native ones.
func (d *Distribution) Add(o *Distribution) {
	if o == nil || o.Count == 0 {
		return
	}
	if d.Count == 0 && len(d.Counts) == 0 {
		d.Schema = o.Schema
	}
	d.Count += o.Count
	d.Sum += o.Sum
	d.Zero += o.Zero
	d.ZeroThreshold = max(d.ZeroThreshold, o.ZeroThreshold)
	if len(o.Counts) > 0 {
		d.addNative(o)
	}
	if len(o.Classic) > 0 {
		if len(d.Classic) == 0 {
			d.Bounds, d.Classic = o.Bounds, make([]float64, len(o.Classic))
		}
		if slices.Equal(d.Bounds, o.Bounds) {
			for i, c := range o.Classic {
				d.Classic[i] += c
			}
		}
	}
}

func (d *Distribution) addNative(o *Distribution) {
	if len(d.Counts) == 0 {
		d.Schema = min(d.Schema, o.Schema)
	}
	d.coarsen(o.Schema)
	steps := o.Schema - d.Schema
	first := rescale(o.First, steps)
	last := rescale(o.First+int32(len(o.Counts))-1, steps)
	d.cover(first, last)
	for i, c := range o.Counts {
		d.Counts[rescale(o.First+int32(i), steps)-d.First] += c
	}
}

// Since is what d counts beyond before, an earlier state of the same histogram; d itself when it was reset in between.
func (d *Distribution) Since(before *Distribution) *Distribution {
	if before == nil || before.Count == 0 || d.resetSince(before) {
		return d.clone()
	}
	out := d.clone()
	b := before.clone()
	if b.Schema < out.Schema { // resolution only ever falls, so this is a reset that the count did not show
		return out
	}
	b.coarsen(out.Schema)
	for i, c := range b.Counts {
		j := int(b.First) + i - int(out.First)
		if c == 0 {
			continue
		}
		if j < 0 || j >= len(out.Counts) || out.Counts[j] < c {
			return d.clone()
		}
		out.Counts[j] -= c
	}
	if slices.Equal(out.Bounds, b.Bounds) {
		for i, c := range b.Classic {
			if out.Classic[i] < c {
				return d.clone()
			}
			out.Classic[i] -= c
		}
	}
	out.Count -= b.Count
	out.Sum -= b.Sum
	out.Zero -= b.Zero
	return out
}

// resetSince compares what can only grow. Durations are not negative, so the sum can't shrink either.
func (d *Distribution) resetSince(before *Distribution) bool {
	return d.Count < before.Count || d.Sum < before.Sum || d.Zero < before.Zero
}

func (d *Distribution) clone() *Distribution {
	c := *d
	c.Counts = slices.Clone(d.Counts)
	c.Classic = slices.Clone(d.Classic)
	return &c
}

// Quantile is the q-quantile, as PromQL's histogram_quantile computes it: exponential interpolation within a native
// bucket, linear within the zero bucket and within classic ones. nil when d counts nothing.
func (d *Distribution) Quantile(q float64) *float64 {
	if d == nil || d.Count <= 0 {
		return nil
	}
	var v float64
	switch {
	case len(d.Counts) > 0 || d.Zero > 0:
		v = d.nativeQuantile(q)
	case len(d.Classic) > 0:
		v = d.classicQuantile(q)
	default:
		return nil
	}
	return &v
}

func (d *Distribution) nativeQuantile(q float64) float64 {
	rank := q * d.Count
	if d.Zero > 0 && d.Zero >= rank {
		return d.ZeroThreshold * rank / d.Zero
	}
	below, last := d.Zero, 0.0
	for i, c := range d.Counts {
		if c <= 0 {
			continue
		}
		index := d.First + int32(i)
		if below+c >= rank {
			lower := exponent(d.Schema, index-1)
			upper := exponent(d.Schema, index)
			return math.Exp2(lower + (upper-lower)*(rank-below)/c)
		}
		below += c
		last = math.Exp2(exponent(d.Schema, index))
	}
	return last
}

// exponent is the binary logarithm of bucket i's upper bound.
func exponent(schema, i int32) float64 { return math.Ldexp(float64(i), -int(schema)) }

func (d *Distribution) classicQuantile(q float64) float64 {
	total := 0.0
	for _, c := range d.Classic {
		total += c
	}
	rank, below, lower := q*total, 0.0, 0.0
	for i, upper := range d.Bounds {
		c := d.Classic[i]
		if c > 0 && below+c >= rank {
			return lower + (upper-lower)*(rank-below)/c
		}
		below += c
		lower = upper
	}
	return lower
}

// Quantiles are the three that every page shows.
func (d *Distribution) Quantiles() Quantiles {
	return Quantiles{P50Seconds: d.Quantile(0.5), P95Seconds: d.Quantile(0.95), P99Seconds: d.Quantile(0.99)}
}
