package tsdb

import (
	"errors"
	"math"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
)

// round appends one gathering.
type round struct {
	app      storage.Appender
	now, min int64 // milliseconds: of the samples, and the oldest that may be appended
	cache    *cache
	dropped  *prometheus.CounterVec
	samples  int
	err      error // of the store; the round is then lost
	// fresh counts the series that the store has not seen before since the last commit, commit ends one and begins the next.
	fresh  int
	commit func() (storage.Appender, error)
}

// maxFresh is how many new series may go into one commit. They become one record of the log, and the buffer that it is
// compressed into stays as large as the largest: 200 bytes a series, for good, after a start with tens of thousands. A metric's
// series stay together.
const maxFresh = 4096

// family appends all metrics of a family.
func (r *round) family(f *dto.MetricFamily) {
	name := f.GetName()
	for _, m := range f.Metric {
		if r.err != nil {
			return
		}
		e := r.cache.get(name, m)
		switch f.GetType() {
		case dto.MetricType_COUNTER:
			zero := r.zeroTime(e, m.GetCounter().GetCreatedTimestamp())
			r.float(e, &e.value, "", zero, m.GetCounter().GetValue())
		case dto.MetricType_GAUGE:
			r.float(e, &e.value, "", 0, m.GetGauge().GetValue())
		case dto.MetricType_UNTYPED:
			r.float(e, &e.value, "", 0, m.GetUntyped().GetValue())
		case dto.MetricType_SUMMARY:
			r.summary(e, m.GetSummary())
		case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
			r.histogram(e, m.GetHistogram())
		}
		e.last = r.now
		if r.fresh >= maxFresh && r.err == nil {
			r.fresh = 0
			r.app, r.err = r.commit()
		}
	}
}

func (r *round) summary(e *entry, s *dto.Summary) {
	zero := r.zeroTime(e, s.GetCreatedTimestamp())
	r.float(e, &e.sum, "_sum", zero, s.GetSampleSum())
	r.float(e, &e.count, "_count", zero, float64(s.GetSampleCount()))
	r.fit(e, len(s.Quantile), func(i int) float64 { return s.Quantile[i].GetQuantile() })
	for i, q := range s.Quantile {
		r.part(e, i, "", "quantile", 0, q.GetValue())
	}
}

// histogram appends the classic series where h has classic buckets, and the native one where h has native buckets.
func (r *round) histogram(e *entry, h *dto.Histogram) {
	zero := r.zeroTime(e, h.GetCreatedTimestamp())
	if isNative(h) {
		r.native(e, zero, h)
		if len(h.Bucket) == 0 {
			return
		}
	}
	r.float(e, &e.sum, "_sum", zero, h.GetSampleSum())
	r.float(e, &e.count, "_count", zero, float64(h.GetSampleCount()))

	// The last bucket, of all observations, need not be in h.
	n := len(h.Bucket)
	closed := n > 0 && math.IsInf(h.Bucket[n-1].GetUpperBound(), 1)
	if !closed {
		n++
	}
	r.fit(e, n, func(i int) float64 {
		if i == len(h.Bucket) {
			return math.Inf(1)
		}
		return h.Bucket[i].GetUpperBound()
	})
	for i := range n {
		v := h.GetSampleCount()
		if i < len(h.Bucket) {
			v = h.Bucket[i].GetCumulativeCount()
		}
		r.part(e, i, "_bucket", "le", zero, float64(v))
	}
}

// isNative follows Prometheus's scraping: a native histogram without observations is recognised by its zero bucket or by an
// empty span.
func isNative(h *dto.Histogram) bool {
	return h.GetZeroThreshold() > 0 || h.GetZeroCount() > 0 || len(h.PositiveSpan) > 0 || len(h.NegativeSpan) > 0
}

// zeroTime is when the series of e need a zero sample, 0 for not (again). It is the created timestamp, brought into order:
// after the series' last sample, not too old for the store, before the sample to come.
func (r *round) zeroTime(e *entry, created interface {
	GetSeconds() int64
	GetNanos() int32
},
) int64 {
	ms := created.GetSeconds()*1000 + int64(created.GetNanos())/1e6
	if ms == 0 || ms == e.created {
		return 0
	}
	e.created = ms
	return min(max(ms, e.last+1, r.min), r.now-1)
}

// fit makes e's parts n with these bounds; when they were others, those series end.
func (r *round) fit(e *entry, n int, bound func(int) float64) {
	same := len(e.parts) == n
	for i := 0; same && i < n; i++ {
		same = e.parts[i].bound == bound(i)
	}
	if same {
		return
	}
	old := e.parts
	e.parts = make([]part, n)
	for i := range e.parts {
		e.parts[i].bound = bound(i)
		if j := slices.IndexFunc(old, func(p part) bool { return p.bound == e.parts[i].bound }); j >= 0 {
			e.parts[i] = old[j]
			old[j].ref = 0
		}
	}
	r.stale(&entry{parts: old, last: e.last})
}

func (r *round) part(e *entry, i int, suffix, label string, zero int64, v float64) {
	p := &e.parts[i]
	if p.lset.IsEmpty() {
		b := labels.NewBuilder(e.lset)
		b.Set(model.MetricNameLabel, r.cache.name(e.lset.Get(model.MetricNameLabel), suffix))
		b.Set(label, r.cache.bound(p.bound))
		p.lset = r.shared(b.Labels())
	}
	r.append(&p.series, zero, v)
}

// float appends v to s, whose name is the family's with suffix.
func (r *round) float(e *entry, s *series, suffix string, zero int64, v float64) {
	r.name(e, s, suffix)
	r.append(s, zero, v)
}

func (r *round) name(e *entry, s *series, suffix string) {
	if !s.lset.IsEmpty() {
		return
	}
	lset := e.lset
	if suffix != "" {
		b := labels.NewBuilder(e.lset)
		b.Set(model.MetricNameLabel, r.cache.name(e.lset.Get(model.MetricNameLabel), suffix))
		lset = b.Labels()
	}
	s.lset = r.shared(lset)
	if suffix == "" {
		e.lset = s.lset
	}
}

// shared returns the head's copy of lset if there is one.
func (r *round) shared(lset labels.Labels) labels.Labels {
	if g, ok := r.app.(storage.GetRef); ok {
		if ref, own := g.GetRef(lset, lset.Hash()); ref != 0 {
			return own
		}
	}
	return lset
}

func (r *round) append(s *series, zero int64, v float64) {
	if zero != 0 {
		ref, err := r.app.AppendSTZeroSample(s.ref, s.lset, r.now, zero)
		r.zeroed(s, ref, err)
	}
	ref, err := r.app.Append(s.ref, s.lset, r.now, v)
	r.appended(s, ref, err)
}

func (r *round) native(e *entry, zero int64, d *dto.Histogram) {
	s := &e.value
	r.name(e, s, "")
	// The head keeps h.
	h := &histogram.Histogram{
		Schema:          d.GetSchema(),
		ZeroThreshold:   d.GetZeroThreshold(),
		ZeroCount:       d.GetZeroCount(),
		Count:           d.GetSampleCount(),
		Sum:             d.GetSampleSum(),
		PositiveSpans:   spans(d.PositiveSpan),
		PositiveBuckets: slices.Clone(d.PositiveDelta),
		NegativeSpans:   spans(d.NegativeSpan),
		NegativeBuckets: slices.Clone(d.NegativeDelta),
	}
	if zero != 0 {
		ref, err := r.app.AppendHistogramSTZeroSample(s.ref, s.lset, r.now, zero, h, nil)
		r.zeroed(s, ref, err)
	}
	ref, err := r.app.AppendHistogram(s.ref, s.lset, r.now, h, nil)
	r.appended(s, ref, err)
}

func spans(ds []*dto.BucketSpan) []histogram.Span {
	if len(ds) == 0 {
		return nil
	}
	out := make([]histogram.Span, len(ds))
	for i, d := range ds {
		out[i] = histogram.Span{Offset: d.GetOffset(), Length: d.GetLength()}
	}
	return out
}

// zeroed takes the outcome of a zero sample. One that is refused because the store has a later sample of this series, from
// before a restart, is not missing.
func (r *round) zeroed(s *series, ref storage.SeriesRef, err error) {
	switch {
	case err == nil:
		if s.ref == 0 {
			r.fresh++
		}
		s.ref = ref
		r.samples++
	case outOfOrder(err), errors.Is(err, storage.ErrOutOfOrderST), errors.Is(err, storage.ErrSTNewerThanSample):
	default:
		r.failed(err)
	}
}

func (r *round) appended(s *series, ref storage.SeriesRef, err error) {
	if err == nil {
		if s.ref == 0 {
			r.fresh++
		}
		s.ref = ref
		r.samples++
		return
	}
	if outOfOrder(err) {
		r.dropped.WithLabelValues(dropOutOfOrder).Inc()
		return
	}
	r.failed(err)
}

// failed tells an error of one sample (a histogram that does not add up) from one of the store.
func (r *round) failed(err error) {
	if errors.Is(err, ErrNotReady) {
		r.err = err
		return
	}
	r.dropped.WithLabelValues(dropInvalid).Inc()
}

// stale ends the series of e.
func (r *round) stale(e *entry) {
	e.each(func(s *series) {
		if r.err != nil {
			return
		}
		_, err := r.app.Append(s.ref, s.lset, r.now, math.Float64frombits(value.StaleNaN))
		if err == nil {
			r.samples++
		} else if !outOfOrder(err) {
			r.failed(err)
		}
	})
}
