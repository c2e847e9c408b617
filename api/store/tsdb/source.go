package tsdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/common/model"
	promhistogram "github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/toposcope/toposcope/topology/history"
)

var _ history.Source = (*Store)(nil)

// Select implements history.Source. Memory is that of one series.
func (s *Store) Select(ctx context.Context, name string, matchers []history.Matcher, start, end time.Time, yield func(*history.Series) error) (err error) {
	// (start, end] in whole milliseconds.
	mint, maxt := start.UnixMilli()+1, end.UnixMilli()
	if mint > maxt {
		return nil
	}
	q, err := s.Querier(mint, maxt)
	if errors.Is(err, ErrNotReady) {
		return unavailable{fmt.Errorf("data folder %s is being reopened", s.opts.Dir)}
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, q.Close()) }()

	ms := make([]*labels.Matcher, 0, len(matchers)+1)
	ms = append(ms, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, name))
	for _, m := range matchers {
		t := labels.MatchEqual
		if m.Not {
			t = labels.MatchNotEqual
		}
		ms = append(ms, labels.MustNewMatcher(t, m.Name, m.Value))
	}
	set := q.Select(ctx, false, &storage.SelectHints{Start: mint, End: maxt}, ms...)
	rd := reader{mint: mint, maxt: maxt, out: history.Series{Labels: map[string]string{}}}
	for set.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := rd.series(set.At()); err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		if len(rd.out.Samples) == 0 {
			continue
		}
		if err := yield(&rd.out); err != nil {
			return err
		}
	}
	if err := set.Err(); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}

// reader turns stored series into history's; its buffers are reused from one series to the next.
type reader struct {
	mint, maxt int64
	out        history.Series
	it         chunkenc.Iterator
	pool       []*history.Histogram // the first used of them are in out
	used       int
	h          *promhistogram.Histogram
	fh         *promhistogram.FloatHistogram
}

func (r *reader) series(s storage.Series) error {
	clear(r.out.Labels)
	s.Labels().Range(func(l labels.Label) {
		if l.Name != model.MetricNameLabel {
			r.out.Labels[l.Name] = l.Value
		}
	})
	r.out.Samples, r.used = r.out.Samples[:0], 0
	r.it = s.Iterator(r.it)
	for t := r.it.Next(); t != chunkenc.ValNone; t = r.it.Next() {
		if at := r.it.AtT(); at < r.mint || at > r.maxt {
			continue
		}
		switch t {
		case chunkenc.ValFloat:
			ms, v := r.it.At()
			if !value.IsStaleNaN(v) {
				r.out.Samples = append(r.out.Samples, history.Sample{Time: time.UnixMilli(ms), Value: v})
			}
		case chunkenc.ValHistogram:
			var ms int64
			ms, r.h = r.it.AtHistogram(r.h)
			if !value.IsStaleNaN(r.h.Sum) {
				r.add(ms, r.intHistogram())
			}
		case chunkenc.ValFloatHistogram:
			var ms int64
			ms, r.fh = r.it.AtFloatHistogram(r.fh)
			if !value.IsStaleNaN(r.fh.Sum) {
				r.add(ms, r.floatHistogram())
			}
		}
	}
	return r.it.Err()
}

func (r *reader) add(ms int64, h *history.Histogram) {
	r.out.Samples = append(r.out.Samples, history.Sample{Time: time.UnixMilli(ms), Value: math.NaN(), Histogram: h})
}

func (r *reader) next() *history.Histogram {
	if r.used == len(r.pool) {
		r.pool = append(r.pool, &history.Histogram{Buckets: map[int32]float64{}})
	}
	h := r.pool[r.used]
	r.used++
	clear(h.Buckets)
	return h
}

func (r *reader) intHistogram() *history.Histogram {
	h := r.next()
	h.Schema, h.ZeroThreshold, h.ZeroCount = r.h.Schema, r.h.ZeroThreshold, float64(r.h.ZeroCount)
	h.Count, h.Sum = float64(r.h.Count), r.h.Sum
	var count int64
	eachBucket(r.h.PositiveSpans, func(i int, index int32) {
		count += r.h.PositiveBuckets[i] // stored as differences
		if count != 0 {
			h.Buckets[index] = float64(count)
		}
	})
	return h
}

func (r *reader) floatHistogram() *history.Histogram {
	h := r.next()
	h.Schema, h.ZeroThreshold, h.ZeroCount = r.fh.Schema, r.fh.ZeroThreshold, r.fh.ZeroCount
	h.Count, h.Sum = r.fh.Count, r.fh.Sum
	eachBucket(r.fh.PositiveSpans, func(i int, index int32) {
		if r.fh.PositiveBuckets[i] != 0 {
			h.Buckets[index] = r.fh.PositiveBuckets[i]
		}
	})
	return h
}

// eachBucket calls f with each bucket's position and index.
func eachBucket(spans []promhistogram.Span, f func(i int, index int32)) {
	var index int32
	i := 0
	for _, s := range spans {
		index += s.Offset
		for range s.Length {
			f(i, index)
			i++
			index++
		}
	}
}

// unavailable marks an error that passes: the caller may try again.
type unavailable struct{ error }

func (e unavailable) Unwrap() error { return e.error }

// Unavailable is true; package api answers 503 for such an error.
func (unavailable) Unavailable() bool { return true }
