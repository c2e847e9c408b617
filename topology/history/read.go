package history

import (
	"context"
	"maps"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/toposcope/toposcope/topology"
)

// steps divides a window; step i spans (Start + i*Width, Start + (i+1)*Width].
type steps struct {
	start time.Time
	width time.Duration
	count int
}

func single(w topology.Window) steps { return steps{w.Start, w.End.Sub(w.Start), 1} }

// at is the step that t, a time within the window, falls into.
func (s steps) at(t time.Time) int {
	if s.count == 1 {
		return 0
	}
	i := int((t.Sub(s.start) - 1) / s.width)
	return min(max(i, 0), s.count-1)
}

// increases walks one series and calls emit with each pair of samples between which it only grew, never across two steps.
// before nil stands for zero: the series was reset. What counts as the value at the window's start is the last sample at
// or before it, else the series' first sample within the window, which for a new series is its zero sample.
func increases(samples []Sample, w topology.Window, s steps, emit func(step int, before, after *Sample)) {
	end := len(samples)
	for end > 0 && samples[end-1].Time.After(w.End) {
		end--
	}
	first := sort.Search(end, func(i int) bool { return samples[i].Time.After(w.Start) })
	first = max(first-1, 0)
	if first >= end {
		return
	}
	before, last, step := &samples[first], &samples[first], s.at(samples[first].Time)
	for i := first + 1; i < end; i++ {
		sample := &samples[i]
		now := s.at(sample.Time)
		switch {
		case resetBetween(last, sample):
			if last != before {
				emit(step, before, last)
			}
			before = nil
		case now != step && last != before:
			emit(step, before, last)
			before = last
		}
		last, step = sample, now
	}
	if last != before {
		emit(step, before, last)
	}
}

// resetBetween compares what can only grow. Durations are not negative, so a histogram's sum can't shrink either.
func resetBetween(a, b *Sample) bool {
	if a.Histogram == nil || b.Histogram == nil {
		return b.Value < a.Value
	}
	return b.Histogram.Count < a.Histogram.Count || b.Histogram.Sum < a.Histogram.Sum ||
		b.Histogram.ZeroCount < a.Histogram.ZeroCount
}

// counters calls add with what each series of a counter grew by in each step.
func (h *History) counters(ctx context.Context, name string, m []Matcher, w topology.Window, s steps,
	add func(labels map[string]string, step int, v float64),
) error {
	return h.source.Select(ctx, name, m, w.Start.Add(-h.opt.Lookback), w.End, func(series *Series) error {
		add(series.Labels, 0, 0) // the series is there, even if it stood still
		increases(series.Samples, w, s, func(step int, before, after *Sample) {
			v := after.Value
			if before != nil {
				v -= before.Value
			}
			add(series.Labels, step, v)
		})
		return nil
	})
}

// histograms calls add with what each series of a histogram counted in each step: its native buckets, or the classic
// ones where a store has no native ones for the name.
func (h *History) histograms(ctx context.Context, name string, m []Matcher, w topology.Window, s steps,
	add func(labels map[string]string, step int, d *topology.Distribution),
) error {
	native := false
	from := w.Start.Add(-h.opt.Lookback)
	err := h.source.Select(ctx, name, m, from, w.End, func(series *Series) error {
		increases(series.Samples, w, s, func(step int, before, after *Sample) {
			if after.Histogram == nil {
				return
			}
			var b *topology.Distribution
			if before != nil && before.Histogram != nil {
				b = distribution(before.Histogram)
			}
			add(series.Labels, step, distribution(after.Histogram).Since(b))
		})
		native = native || len(series.Samples) > 0 && series.Samples[0].Histogram != nil
		return nil
	})
	if err != nil || native {
		return err
	}
	return h.classic(ctx, name, m, w, s, add)
}

// maxSpan bounds the buckets of one distribution: a store's content is input, and indices may be anything.
const maxSpan = 4096

// distribution turns a sparse histogram into a contiguous one. Buckets further than maxSpan above the lowest are counted
// in the highest that is kept.
func distribution(h *Histogram) *topology.Distribution {
	d := &topology.Distribution{
		Schema: h.Schema, ZeroThreshold: h.ZeroThreshold, Zero: h.ZeroCount, Count: h.Count, Sum: h.Sum,
	}
	first, last := int32(math.MaxInt32), int32(math.MinInt32)
	for i := range h.Buckets {
		first, last = min(first, i), max(last, i)
	}
	if first > last {
		return d
	}
	span := min(int64(last)-int64(first)+1, maxSpan)
	d.First, d.Counts = first, make([]float64, span)
	for i, c := range h.Buckets {
		d.Counts[min(int64(i)-int64(first), span-1)] += c
	}
	return d
}

// classicHistogram is the buckets of one classic histogram.
type classicHistogram struct {
	labels map[string]string
	les    map[float64]bool
	// grown is by how much the cumulative bucket of an upper bound grew, by step.
	grown map[int]map[float64]float64
}

// classic puts the name_bucket series of a histogram together again.
func (h *History) classic(ctx context.Context, name string, m []Matcher, w topology.Window, s steps,
	add func(labels map[string]string, step int, d *topology.Distribution),
) error {
	all := map[string]*classicHistogram{}
	err := h.counters(ctx, name+"_bucket", m, w, s, func(labels map[string]string, step int, v float64) {
		le, err := strconv.ParseFloat(labels["le"], 64)
		if err != nil {
			return
		}
		id := identity(labels)
		c, ok := all[id]
		if !ok {
			c = &classicHistogram{
				labels: maps.Clone(labels), les: map[float64]bool{}, grown: map[int]map[float64]float64{},
			}
			delete(c.labels, "le")
			all[id] = c
		}
		c.les[le] = true
		if v > 0 {
			if c.grown[step] == nil {
				c.grown[step] = map[float64]float64{}
			}
			c.grown[step][le] += v
		}
	})
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		c := all[id]
		les := slices.Sorted(maps.Keys(c.les))
		for _, step := range slices.Sorted(maps.Keys(c.grown)) {
			add(c.labels, step, perBucket(les, c.grown[step]))
		}
	}
	return nil
}

// perBucket undoes the accumulation over buckets.
func perBucket(les []float64, cumulative map[float64]float64) *topology.Distribution {
	d := &topology.Distribution{}
	for _, le := range les {
		c := max(cumulative[le]-d.Count, 0)
		d.Count += c
		d.Classic = append(d.Classic, c)
		if !math.IsInf(le, 1) {
			d.Bounds = append(d.Bounds, le)
		}
	}
	if len(d.Classic) == len(d.Bounds) { // no +Inf bucket
		d.Classic = append(d.Classic, 0)
	}
	return d
}

// identity names a classic histogram by its labels but le.
func identity(labels map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if k != "le" {
			b.WriteString(k + "\xff" + labels[k] + "\xff")
		}
	}
	return b.String()
}
