package tsdb_test

import (
	"context"
	"fmt"
	"math"
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
