package history_test

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/topology"
	"github.com/toposcope/toposcope/topology/history"
	"github.com/toposcope/toposcope/topology/metrics"
)

// memory is a store of series: what a scrape of the registry gave, with a zero sample at each start time.
type memory struct {
	series map[string]map[string]*history.Series // by name, then by labels
	// noNative drops native histograms, as a store that takes none would.
	noNative bool
}

var _ history.Source = (*memory)(nil)

func newMemory() *memory { return &memory{series: map[string]map[string]*history.Series{}} }

func (m *memory) Select(ctx context.Context, name string, matchers []history.Matcher, start, end time.Time, yield func(*history.Series) error) error {
	for _, id := range sorted(m.series[name]) {
		s := m.series[name][id]
		if slices.ContainsFunc(matchers, func(x history.Matcher) bool { return (s.Labels[x.Name] == x.Value) == x.Not }) {
			continue
		}
		lo := sort.Search(len(s.Samples), func(i int) bool { return s.Samples[i].Time.After(start) })
		hi := sort.Search(len(s.Samples), func(i int) bool { return s.Samples[i].Time.After(end) })
		if lo == hi {
			continue
		}
		if err := yield(&history.Series{Labels: s.Labels, Samples: s.Samples[lo:hi]}); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// scrape stores all that r has at a time.
func (m *memory) scrape(t testing.TB, r prometheus.Gatherer, at time.Time) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, s := range f.Metric {
			labels := map[string]string{}
			for _, l := range s.Label {
				if l.GetValue() != "" { // stores know no empty label
					labels[l.GetName()] = l.GetValue()
				}
			}
			switch {
			case s.Counter != nil:
				m.put(f.GetName(), labels, at, s.Counter.GetCreatedTimestamp().AsTime(), history.Sample{Value: s.Counter.GetValue()}, history.Sample{})
			case s.Gauge != nil:
				m.put(f.GetName(), labels, at, time.Time{}, history.Sample{Value: s.Gauge.GetValue()}, history.Sample{})
			case s.Histogram != nil:
				m.histogram(f.GetName(), labels, at, s.Histogram)
			}
		}
	}
}

func (m *memory) histogram(name string, labels map[string]string, at time.Time, h *dto.Histogram) {
	created := h.GetCreatedTimestamp().AsTime()
	if !m.noNative {
		native := &history.Histogram{
			Schema: h.GetSchema(), ZeroThreshold: h.GetZeroThreshold(), ZeroCount: float64(h.GetZeroCount()),
			Count: float64(h.GetSampleCount()), Sum: h.GetSampleSum(), Buckets: map[int32]float64{},
		}
		index, i, count := int32(0), 0, int64(0)
		for _, span := range h.PositiveSpan {
			index += span.GetOffset()
			for range span.GetLength() {
				count += h.PositiveDelta[i]
				native.Buckets[index] = float64(count)
				index++
				i++
			}
		}
		zero := &history.Histogram{Schema: native.Schema, ZeroThreshold: native.ZeroThreshold, Buckets: map[int32]float64{}}
		m.put(name, labels, at, created, history.Sample{Value: math.NaN(), Histogram: native},
			history.Sample{Value: math.NaN(), Histogram: zero})
	}
	bucket := func(le string, v uint64) {
		l := map[string]string{"le": le}
		for k, v := range labels {
			l[k] = v
		}
		m.put(name+"_bucket", l, at, created, history.Sample{Value: float64(v)}, history.Sample{})
	}
	for _, b := range h.Bucket {
		bucket(strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64), b.GetCumulativeCount())
	}
	bucket("+Inf", h.GetSampleCount())
}

func (m *memory) put(name string, labels map[string]string, at, created time.Time, sample, zero history.Sample) {
	var id strings.Builder
	for _, k := range sorted(labels) {
		fmt.Fprintf(&id, "%q=%q,", k, labels[k])
	}
	if m.series[name] == nil {
		m.series[name] = map[string]*history.Series{}
	}
	s, ok := m.series[name][id.String()]
	if !ok {
		s = &history.Series{Labels: labels}
		m.series[name][id.String()] = s
	}
	if n := len(s.Samples); !created.IsZero() && (n == 0 || created.After(s.Samples[n-1].Time)) {
		zero.Time = created
		s.Samples = append(s.Samples, zero)
	}
	sample.Time = at
	s.Samples = append(s.Samples, sample)
}

// directory resolves what a test tells it.
type directory struct {
	processes map[uint32]*labeler.Resource
	addresses map[netip.AddrPort]*labeler.Resource
}

func (d *directory) Process(t event.Task) *labeler.Resource { return d.processes[t.PID] }

func (d *directory) Address(a netip.AddrPort, _ uint32, _ time.Time) (*labeler.Resource, bool) {
	r, ok := d.addresses[a]
	return r, ok && r.Kind == labeler.KindWorkload
}

// world is a topology with its registry and a store that scrapes it.
type world struct {
	*topology.Topology
	dir      *directory
	registry *prometheus.Registry
	store    *memory
	now      time.Time
}

func newWorld(t testing.TB, cfg topology.Config) *world {
	t.Helper()
	w := &world{
		dir: &directory{map[uint32]*labeler.Resource{}, map[netip.AddrPort]*labeler.Resource{}},
		now: start, registry: prometheus.NewRegistry(), store: newMemory(),
	}
	cfg.Now = func() time.Time { return start }
	var err error
	if w.Topology, err = topology.New(cfg, w.dir); err != nil {
		t.Fatal(err)
	}
	c, err := metrics.New(w.Topology, metrics.Sources{}, func() time.Time { return w.now })
	if err != nil {
		t.Fatal(err)
	}
	w.registry.MustRegister(c)
	return w
}

// scrape stores the series and returns what they were made of.
func (w *world) scrape(t testing.TB, at time.Duration) *topology.Snapshot {
	t.Helper()
	w.now = start.Add(at)
	w.store.scrape(t, w.registry, w.now)
	return w.Snapshot(w.now)
}

var start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
