package tsdb_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/toposcope/toposcope/api/store/tsdb"
)

// BenchmarkWrite is a round of known series: counters, and histograms in both forms of 13 classic buckets.
func BenchmarkWrite(b *testing.B) {
	store, err := tsdb.Open(tsdb.Options{Dir: b.TempDir(), MinFreeBytes: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close(b.Context())
	now := time.Now()
	families := manySeries(now)
	w := tsdb.NewWriter(store, tsdb.WriterOptions{
		Gatherer: prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return families, nil }),
		Now:      func() time.Time { now = now.Add(15 * time.Second); return now },
	})
	if err := w.Write(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Write(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(50_000, "series/op")
}

// manySeries are 2,000 counters and 3,000 histograms of 16 series each.
func manySeries(created time.Time) []*dto.MetricFamily {
	pairs := func(i int) []*dto.LabelPair {
		return []*dto.LabelPair{
			{Name: ptr("client"), Value: ptr(fmt.Sprintf("client-%d", i%50))},
			{Name: ptr("client_service_namespace"), Value: ptr("shop")},
			{Name: ptr("connection_type"), Value: ptr("")},
			{Name: ptr("protocol"), Value: ptr("http")},
			{Name: ptr("server"), Value: ptr(fmt.Sprintf("server-%d", i))},
			{Name: ptr("server_service_namespace"), Value: ptr("shop")},
		}
	}
	at := timestamppb.New(created)
	counters := &dto.MetricFamily{Name: ptr("calls_total"), Type: dto.MetricType_COUNTER.Enum()}
	for i := range 2000 {
		counters.Metric = append(counters.Metric, &dto.Metric{Label: pairs(i), Counter: &dto.Counter{Value: ptr(1.0), CreatedTimestamp: at}})
	}
	histograms := &dto.MetricFamily{Name: ptr("d_seconds"), Type: dto.MetricType_HISTOGRAM.Enum()}
	for i := range 3000 {
		h := &dto.Histogram{
			SampleCount: ptr(uint64(9)), SampleSum: ptr(1.5), CreatedTimestamp: at, Schema: ptr(int32(3)), ZeroThreshold: ptr(1e-9),
			PositiveSpan:  []*dto.BucketSpan{{Offset: ptr(int32(-20)), Length: ptr(uint32(9))}},
			PositiveDelta: []int64{1, 0, 0, 0, 0, 0, 0, 0, 0},
		}
		for k := range 12 {
			h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: ptr(float64(k)), CumulativeCount: ptr(uint64(min(k, 9)))})
		}
		histograms.Metric = append(histograms.Metric, &dto.Metric{Label: pairs(i), Histogram: h})
	}
	return []*dto.MetricFamily{counters, histograms}
}
