package metrics

import (
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/toposcope/toposcope/topology"
)

var _ prometheus.Collector = (*Collector)(nil)

// Collector exports a Topology and the Sources. Register it in a registry of its own, so that no other metric shares its
// names.
type Collector struct {
	topology *topology.Topology
	sources  Sources
	now      func() time.Time
	families []family
	bounds   []float64 // of classic buckets; nobody changes them
}

// family is a metric ready to be collected.
type family struct {
	Metric
	desc *prometheus.Desc
	// sorted are the label names in the order that series have them, order[i] the place in Labels of the i-th.
	sorted []string
	order  []int
}

// New makes a Collector. now is the clock that series without news are removed by; nil means time.Now. It fails when a
// business label is no legal label name or is the name of another label.
func New(t *topology.Topology, src Sources, now func() time.Time) (*Collector, error) {
	if now == nil {
		now = time.Now
	}
	c := &Collector{topology: t, sources: src, now: now, bounds: topology.Bounds()}
	for _, m := range Catalogue(t.ResourceLabels()) {
		f := family{Metric: m, desc: prometheus.NewDesc(m.Name, m.Help, m.Labels, nil), sorted: slices.Sorted(slices.Values(m.Labels))}
		for i, name := range f.sorted {
			if !model.LegacyValidation.IsValidLabelName(name) {
				return nil, fmt.Errorf("metric %s: %q is not a label name", m.Name, name)
			}
			if i > 0 && name == f.sorted[i-1] {
				return nil, fmt.Errorf("metric %s: the label %s is there twice; a business label must have a name of its own",
					m.Name, name)
			}
			f.order = append(f.order, slices.Index(m.Labels, name))
		}
		c.families = append(c.families, f)
	}
	return c, nil
}

// Describe sends every metric's description: label sets never change.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for i := range c.families {
		ch <- c.families[i].desc
	}
}

// Collect sends all series as they are now.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	in := &input{snapshot: c.topology.Snapshot(c.now()), sources: &c.sources}
	if c.sources.Trackers != nil {
		in.trackers = c.sources.Trackers()
	}
	for i := range c.families {
		f := &c.families[i]
		out := &sink{family: f, names: f.Labels, bounds: c.bounds, ch: ch}
		f.collect(in, out)
	}
}

// sink takes the series of one metric.
type sink struct {
	family *family
	names  []string
	bounds []float64
	ch     chan<- prometheus.Metric
}

// series is one series; it is its own prometheus.Metric, since the client library's constants have no metric with a
// start time and both kinds of buckets.
type series struct {
	desc   *prometheus.Desc
	labels []*dto.LabelPair
	fill   func(*dto.Metric)
}

func (s *series) Desc() *prometheus.Desc { return s.desc }

// Write fills m. It is called once per collection.
func (s *series) Write(m *dto.Metric) error {
	m.Label = s.labels
	s.fill(m)
	return nil
}

// send sends a series with label values in the order of Metric.Labels.
func (s *sink) send(values []string, fill func(*dto.Metric)) {
	f := s.family
	labels := make([]*dto.LabelPair, len(f.sorted))
	pairs := make([]dto.LabelPair, len(f.sorted))
	sorted := make([]string, len(f.sorted))
	for i := range f.sorted {
		if value := values[f.order[i]]; utf8.ValidString(value) {
			sorted[i] = value
		}
		pairs[i].Name, pairs[i].Value = &f.sorted[i], &sorted[i]
		labels[i] = &pairs[i]
	}
	s.ch <- &series{desc: f.desc, labels: labels, fill: fill}
}

func (s *sink) counter(v float64, created time.Time, values ...string) {
	s.send(values, func(m *dto.Metric) {
		m.Counter = &dto.Counter{Value: &v, CreatedTimestamp: timestamppb.New(created)}
	})
}

func (s *sink) gauge(v float64, values ...string) {
	s.send(values, func(m *dto.Metric) { m.Gauge = &dto.Gauge{Value: &v} })
}

// histogram sends h unless it has no value yet: its series begins with the first.
func (s *sink) histogram(h *topology.HistogramState, values ...string) {
	if h.Count == 0 {
		return
	}
	s.send(values, func(m *dto.Metric) { m.Histogram = encode(h, s.bounds) })
}

// encode writes both kinds of buckets, the classic ones with these bounds. What a histogram consists of is made at once: there are
// thousands, at every collection.
func encode(h *topology.HistogramState, bounds []float64) *dto.Histogram {
	out := &dto.Histogram{
		SampleCount: proto.Uint64(h.Count), SampleSum: proto.Float64(h.Sum.Seconds()),
		CreatedTimestamp: timestamppb.New(h.Created),
		Schema:           proto.Int32(h.Schema), ZeroThreshold: proto.Float64(h.ZeroThreshold), ZeroCount: proto.Uint64(h.Zero),
	}
	out.Bucket = make([]*dto.Bucket, len(bounds))
	buckets, counts := make([]dto.Bucket, len(bounds)), make([]uint64, len(bounds))
	below := uint64(0)
	for i := range bounds {
		below += h.Classic[i]
		counts[i] = below
		buckets[i].CumulativeCount, buckets[i].UpperBound = &counts[i], &bounds[i]
		out.Bucket[i] = &buckets[i]
	}
	spans(out, h)
	return out
}

// spans writes the native buckets as runs of neighbours; up to two empty ones between are cheaper kept than skipped.
func spans(out *dto.Histogram, h *topology.HistogramState) {
	var (
		span *dto.BucketSpan
		last int64
		next = int32(0) // index after the last one written
	)
	put := func(n uint64) {
		span.Length = proto.Uint32(span.GetLength() + 1)
		out.PositiveDelta = append(out.PositiveDelta, int64(n)-last)
		last = int64(n)
		next++
	}
	for i, n := range h.Counts {
		if n == 0 {
			continue
		}
		index := h.First + int32(i)
		if span == nil || index-next > 2 {
			span = &dto.BucketSpan{Offset: proto.Int32(index - next), Length: proto.Uint32(0)}
			out.PositiveSpan = append(out.PositiveSpan, span)
			next = index
		}
		for next < index {
			put(0)
		}
		put(n)
	}
	if span == nil {
		// A span without buckets tells a native histogram with nothing above zero from a classic one.
		out.PositiveSpan = []*dto.BucketSpan{{Offset: proto.Int32(0), Length: proto.Uint32(0)}}
	}
}
