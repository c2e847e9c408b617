package tsdb_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/toposcope/toposcope/api/store/tsdb"
)

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

// TestManyNewSeries writes more new series than one commit takes: each has its zero sample and its value, also after a restart, and the
// writer counts them all.
func TestManyNewSeries(t *testing.T) {
	const n = 10_000
	dir := t.TempDir()
	b := newBench(t, tsdb.Options{Dir: dir})
	all := make([]prometheus.Metric, n)
	for i := range all {
		all[i] = counter("calls_total", float64(i), b.at(4), "i", fmt.Sprint(i))
	}
	b.write(10, all...)
	if written := b.metric("toposcope_store_series", ""); written != n {
		t.Errorf("%g series were written, want %d", written, n)
	}
	if err := b.store.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := newBench(t, tsdb.Options{Dir: dir})
	second.now = b.now
	got := second.samples()
	for i := range n {
		name, want := fmt.Sprintf(`{__name__="calls_total", i="%d"}`, i), []string{"4:0", fmt.Sprintf("10:%d", i)}
		if !slices.Equal(got[name], want) {
			t.Fatalf("%s is %v, want %v", name, got[name], want)
		}
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
