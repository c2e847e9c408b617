package tsdb_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/toposcope/toposcope/api/store/tsdb"
)

// collector hands out the metrics it holds.
type collector struct{ metrics []prometheus.Metric }

func (*collector) Describe(chan<- *prometheus.Desc) {}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c.metrics {
		ch <- m
	}
}

// bench is a store with a writer on a clock and a collector of the test's.
type bench struct {
	*testing.T
	store  *tsdb.Store
	writer *tsdb.Writer
	own    *prometheus.Registry // the store's and the writer's own metrics
	now    time.Time
	col    collector
}

func newBench(t *testing.T, opts tsdb.Options) *bench {
	t.Helper()
	b := &bench{T: t, now: time.Now().Truncate(time.Second), own: prometheus.NewPedanticRegistry()}
	opts.Registerer = b.own
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	if opts.MinFreeBytes == 0 {
		opts.MinFreeBytes = 1
	}
	store, err := tsdb.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	b.store = store
	t.Cleanup(func() {
		if err := store.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	reg := prometheus.NewRegistry()
	reg.MustRegister(&b.col)
	b.writer = tsdb.NewWriter(store, tsdb.WriterOptions{
		Gatherer:   reg,
		Now:        func() time.Time { return b.now },
		Registerer: b.own,
	})
	return b
}

// write sets the time to at seconds after the start, the metrics to ms, and writes.
func (b *bench) write(at float64, ms ...prometheus.Metric) {
	b.Helper()
	start := b.now
	b.now = b.at(at)
	b.col.metrics = ms
	if err := b.writer.Write(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.now = start
}

func (b *bench) at(s float64) time.Time { return b.now.Add(time.Duration(s * float64(time.Second))) }

// samples are all of the store, as "name{labels}" and, for each, "seconds:value".
func (b *bench) samples() map[string][]string {
	b.Helper()
	q, err := b.store.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	out := map[string][]string{}
	set := q.Select(b.Context(), true, nil, labels.MustNewMatcher(labels.MatchNotEqual, model.MetricNameLabel, ""))
	for set.Next() {
		out[set.At().Labels().String()] = b.series(set.At())
	}
	if set.Err() != nil {
		b.Fatal(set.Err())
	}
	return out
}

func (b *bench) series(s storage.Series) (out []string) {
	it := s.Iterator(nil)
	for t := it.Next(); t != chunkenc.ValNone; t = it.Next() {
		at := float64(it.AtT()-b.now.UnixMilli()) / 1000
		switch t {
		case chunkenc.ValFloat:
			_, v := it.At()
			if value.IsStaleNaN(v) {
				out = append(out, fmt.Sprintf("%v:stale", at))
			} else {
				out = append(out, fmt.Sprintf("%v:%v", at, v))
			}
		case chunkenc.ValHistogram:
			_, h := it.AtHistogram(nil)
			if value.IsStaleNaN(h.Sum) {
				out = append(out, fmt.Sprintf("%v:stale", at))
			} else {
				out = append(out, fmt.Sprintf("%v:%s", at, h))
			}
		default:
			b.Fatalf("unexpected sample type %v", t)
		}
	}
	return out
}

func counter(name string, v float64, created time.Time, kv ...string) prometheus.Metric {
	d, values := desc(name, kv)
	if created.IsZero() {
		return prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, values...)
	}
	return prometheus.MustNewConstMetricWithCreatedTimestamp(d, prometheus.CounterValue, v, created, values...)
}

func gauge(name string, v float64, kv ...string) prometheus.Metric {
	d, values := desc(name, kv)
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, values...)
}

func desc(name string, kv []string) (*prometheus.Desc, []string) {
	var names, values []string
	for i := 0; i < len(kv); i += 2 {
		names, values = append(names, kv[i]), append(values, kv[i+1])
	}
	return prometheus.NewDesc(name, "Help of "+name+".", names, nil), values
}

func histogram(name string, created time.Time, observations ...float64) prometheus.Metric {
	d, _ := desc(name, nil)
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: name, Help: "Help of " + name + ".",
		Buckets: []float64{0.1, 1}, NativeHistogramBucketFactor: 2,
	})
	for _, o := range observations {
		h.Observe(o)
	}
	return created0{d, h, created}
}

// created0 replaces the created timestamp, which client_golang takes from the real clock.
type created0 struct {
	desc    *prometheus.Desc
	m       prometheus.Metric
	created time.Time
}

func (c created0) Desc() *prometheus.Desc { return c.desc }

func (c created0) Write(out *dto.Metric) error {
	if err := c.m.Write(out); err != nil {
		return err
	}
	if t := out.GetHistogram().GetCreatedTimestamp(); t != nil {
		t.Seconds, t.Nanos = c.created.Unix(), int32(c.created.Nanosecond())
	}
	return nil
}

func TestSamples(t *testing.T) {
	const calls = `{__name__="calls_total", a="b"}`
	tests := []struct {
		name  string
		write func(*bench)
		want  map[string][]string
	}{{
		name: "a new counter starts at zero when it was created",
		write: func(b *bench) {
			b.write(10, counter("calls_total", 3, b.at(4), "a", "b"))
			b.write(25, counter("calls_total", 5, b.at(4), "a", "b"))
		},
		want: map[string][]string{calls: {"4:0", "10:3", "25:5"}},
	}, {
		name: "without a created timestamp there is no zero",
		write: func(b *bench) {
			b.write(10, counter("calls_total", 3, time.Time{}, "a", "b"))
		},
		want: map[string][]string{calls: {"10:3"}},
	}, {
		name: "created after the gathering began, or in its very millisecond",
		write: func(b *bench) {
			b.write(10, counter("calls_total", 3, b.at(10), "a", "b"))
			b.write(25, counter("calls_total", 4, b.at(10), "a", "b"), counter("other_total", 1, b.at(26)))
		},
		want: map[string][]string{
			calls:                      {"9.999:0", "10:3", "25:4"},
			`{__name__="other_total"}`: {"24.999:0", "25:1"},
		},
	}, {
		name: "a reset between two writes",
		write: func(b *bench) {
			b.write(10, counter("calls_total", 3, b.at(4), "a", "b"))
			b.write(25, counter("calls_total", 9, b.at(20), "a", "b"))
		},
		want: map[string][]string{calls: {"4:0", "10:3", "20:0", "25:9"}},
	}, {
		name: "a reset that claims a time before the last sample comes after it",
		write: func(b *bench) {
			b.write(10, counter("calls_total", 3, b.at(4), "a", "b"))
			b.write(25, counter("calls_total", 9, b.at(8), "a", "b"))
		},
		want: map[string][]string{calls: {"4:0", "10:3", "10.001:0", "25:9"}},
	}, {
		name: "created longer ago than the store accepts",
		write: func(b *bench) {
			b.write(10, gauge("g", 1))
			b.write(25, gauge("g", 1), counter("calls_total", 3, b.at(-5*3600), "a", "b"))
		},
		want: map[string][]string{
			calls:            {"-3590:0", "25:3"},
			`{__name__="g"}`: {"10:1", "25:1"},
		},
	}, {
		name: "the same on an empty store",
		write: func(b *bench) {
			b.write(10, counter("calls_total", 3, b.at(-5*3600), "a", "b"))
		},
		want: map[string][]string{calls: {"-3590:0", "10:3"}},
	}, {
		name: "a series that goes is marked, and one that comes back new starts at zero",
		write: func(b *bench) {
			b.write(10, counter("calls_total", 3, b.at(4), "a", "b"))
			b.write(25)
			b.write(40)
			b.write(55, counter("calls_total", 1, b.at(50), "a", "b"))
			b.write(70)
			b.write(85, counter("calls_total", 2, b.at(50), "a", "b")) // not new
		},
		want: map[string][]string{calls: {"4:0", "10:3", "25:stale", "50:0", "55:1", "70:stale", "85:2"}},
	}, {
		name: "an empty label is no label",
		write: func(b *bench) {
			b.write(10, gauge("g", 1, "a", "b", "empty", ""), gauge("g", 2, "a", "", "empty", ""))
			b.write(25, gauge("g", 3, "a", "b", "empty", ""), gauge("g", 4, "a", "", "empty", ""))
		},
		want: map[string][]string{
			`{__name__="g", a="b"}`: {"10:1", "25:3"},
			`{__name__="g"}`:        {"10:2", "25:4"},
		},
	}, {
		name: "a clock that goes back loses the samples, and only those",
		write: func(b *bench) {
			b.write(10, counter("calls_total", 3, b.at(4), "a", "b"))
			b.write(7, counter("calls_total", 4, b.at(4), "a", "b"))
			b.write(25, counter("calls_total", 5, b.at(4), "a", "b"))
		},
		want: map[string][]string{calls: {"4:0", "10:3", "25:5"}},
	}, {
		name: "a histogram in both forms, each series from zero and to its end",
		write: func(b *bench) {
			b.write(10, histogram("d_seconds", b.at(4), 0.5, 2))
			b.write(25)
		},
		want: map[string][]string{
			`{__name__="d_seconds"}`: {
				"4:{count:0, sum:0}",
				"10:{count:2, sum:2.5, (0.25,0.5]:1, (1,2]:1}",
				"25:stale",
			},
			`{__name__="d_seconds_sum"}`:               {"4:0", "10:2.5", "25:stale"},
			`{__name__="d_seconds_count"}`:             {"4:0", "10:2", "25:stale"},
			`{__name__="d_seconds_bucket", le="0.1"}`:  {"4:0", "10:0", "25:stale"},
			`{__name__="d_seconds_bucket", le="1.0"}`:  {"4:0", "10:1", "25:stale"},
			`{__name__="d_seconds_bucket", le="+Inf"}`: {"4:0", "10:2", "25:stale"},
		},
	}, {
		name: "a summary",
		write: func(b *bench) {
			d, _ := desc("s_seconds", nil)
			b.write(10, prometheus.MustNewConstSummaryWithCreatedTimestamp(d, 2, 3, map[float64]float64{0.5: 1}, b.at(4)))
		},
		want: map[string][]string{
			`{__name__="s_seconds", quantile="0.5"}`: {"10:1"},
			`{__name__="s_seconds_sum"}`:             {"4:0", "10:3"},
			`{__name__="s_seconds_count"}`:           {"4:0", "10:2"},
		},
	}, {
		name: "buckets that change end those that are gone",
		write: func(b *bench) {
			d, _ := desc("d_seconds", nil)
			b.write(10, prometheus.MustNewConstHistogram(d, 3, 1, map[float64]uint64{1: 1, 2: 2}))
			b.write(25, prometheus.MustNewConstHistogram(d, 4, 1, map[float64]uint64{2: 3, 3: 4}))
		},
		want: map[string][]string{
			`{__name__="d_seconds_sum"}`:               {"10:1", "25:1"},
			`{__name__="d_seconds_count"}`:             {"10:3", "25:4"},
			`{__name__="d_seconds_bucket", le="1.0"}`:  {"10:1", "25:stale"},
			`{__name__="d_seconds_bucket", le="2.0"}`:  {"10:2", "25:3"},
			`{__name__="d_seconds_bucket", le="3.0"}`:  {"25:4"},
			`{__name__="d_seconds_bucket", le="+Inf"}`: {"10:3", "25:4"},
		},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, tsdb.Options{})
			tt.write(b)
			got := b.samples()
			for name, want := range tt.want {
				if !slices.Equal(got[name], want) {
					t.Errorf("%s\n got %s\nwant %s", name, strings.Join(got[name], " "), strings.Join(want, " "))
				}
				delete(got, name)
			}
			for name, have := range got {
				t.Errorf("unexpected %s: %s", name, strings.Join(have, " "))
			}
		})
	}
}

func TestClockBackwardsIsCounted(t *testing.T) {
	b := newBench(t, tsdb.Options{})
	b.write(10, gauge("g", 1))
	b.write(5, gauge("g", 2))
	if got := b.metric("toposcope_store_samples_dropped_total", "out_of_order"); got != 1 {
		t.Errorf("dropped %v samples, want 1", got)
	}
}

// metric reads one of the store's own counters by its only label's value ("" for none).
func (b *bench) metric(name, labelValue string) float64 {
	b.Helper()
	fs, err := b.own.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range fs {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.Metric {
			if labelValue == "" || m.Label[0].GetValue() == labelValue {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	b.Fatalf("no metric %s %q", name, labelValue)
	return 0
}

// TestRestart checks that what a first process wrote is continued by the second without a second zero.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	first := newBench(t, tsdb.Options{Dir: dir})
	first.write(10, counter("calls_total", 3, first.at(4)), histogram("d_seconds", first.at(4), 1))
	if err := first.store.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := newBench(t, tsdb.Options{Dir: dir})
	second.now = first.now
	second.write(40, counter("calls_total", 1, second.at(30)), histogram("d_seconds", second.at(30), 2))
	got := second.samples()
	if want := []string{"4:0", "10:3", "30:0", "40:1"}; !slices.Equal(got[`{__name__="calls_total"}`], want) {
		t.Errorf("counter: got %v, want %v", got[`{__name__="calls_total"}`], want)
	}
	if n := len(got[`{__name__="d_seconds"}`]); n != 4 {
		t.Errorf("histogram: %d samples, want 4: %v", n, got[`{__name__="d_seconds"}`])
	}
}

// TestSteadyAllocs holds the writer to its promise: a round of known series allocates next to nothing per series.
func TestSteadyAllocs(t *testing.T) {
	b := newBench(t, tsdb.Options{})
	const n = 2000
	families := []*dto.MetricFamily{{Name: ptr("calls_total"), Type: dto.MetricType_COUNTER.Enum()}}
	for i := range n {
		families[0].Metric = append(families[0].Metric, &dto.Metric{
			Label:   []*dto.LabelPair{{Name: ptr("a"), Value: ptr("b")}, {Name: ptr("i"), Value: ptr(fmt.Sprint(i))}},
			Counter: &dto.Counter{Value: ptr(1.0)},
		})
	}
	now := time.Now()
	w := tsdb.NewWriter(b.store, tsdb.WriterOptions{
		Gatherer: prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return families, nil }),
		Now:      func() time.Time { now = now.Add(time.Second); return now },
	})
	write := func() {
		if err := w.Write(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	write()
	if perSeries := testing.AllocsPerRun(20, write) / n; perSeries > 0.1 {
		t.Errorf("%.2f allocations per series and write, want next to none", perSeries)
	}
}

func ptr[T any](v T) *T { return &v }
