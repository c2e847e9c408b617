// Package history computes graphs, and the numbers behind a node's or an edge's page, from stored series.
//
// It reads raw samples (last minus first, minding resets) and not rate(), whose extrapolation hides short-lived edges. It
// knows no store: the embedded TSDB and a Thanos Query each implement Source.
package history

import (
	"context"
	"time"
)

// Matcher selects series by one label: equality, or its negation. An empty Value also matches a series without the label.
type Matcher struct {
	Name, Value string
	Not         bool
}

// Source reads raw samples. Implementations live in api/store; they are called from any goroutine.
type Source interface {
	// Select calls yield with each series called name (and carrying matchers) that has a sample in (start, end], samples in
	// time order. The series and its slices are valid until yield returns; an error from yield ends the call and is
	// returned. Staleness markers are left out.
	Select(ctx context.Context, name string, matchers []Matcher, start, end time.Time, yield func(*Series) error) error
}

// Series is one series' samples.
type Series struct {
	Labels  map[string]string // without __name__
	Samples []Sample
}

// Sample is one sample of a counter or gauge (Value), or of a native histogram (Histogram not nil).
type Sample struct {
	Time      time.Time
	Value     float64
	Histogram *Histogram
}

// Histogram is a native histogram: exponential buckets, Buckets[i] counting (base^(i-1), base^i] with base = 2^(2^-Schema).
// Counts are cumulative over time, not over buckets.
type Histogram struct {
	Schema        int32
	ZeroThreshold float64
	ZeroCount     float64
	Count, Sum    float64
	Buckets       map[int32]float64
}
