// Package metrics exports the topology as Prometheus series: the catalogue of every metric, and the Collector that fills
// it.
//
// A metric is one value in the catalogue's list, with the function that reads it from a topology.Snapshot or from the
// Sources. reference.md is generated from the list.
package metrics

//go:generate go test -run TestReference -update .

import (
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/topology"
)

// Type is a metric's type.
type Type uint8

// Types. A Histogram is exported with classic and native buckets at once; an Info is a gauge that is always 1.
const (
	Counter Type = iota
	Gauge
	Histogram
)

func (t Type) String() string { return [...]string{"counter", "gauge", "histogram"}[t] }

// Metric is one metric of the catalogue.
type Metric struct {
	Name, Help string
	// Unit is "seconds", "bytes" or "" for a plain number.
	Unit   string
	Type   Type
	Labels []string

	collect func(in *input, out *sink)
}

// Sources are what capture and decoding tell of themselves. A nil function leaves its metrics without series. They are
// called at each collection, from any goroutine.
type Sources struct {
	// Build is the version of the running program.
	Build Build
	// Method is the way of capture in use ("fexit", "kprobe", "tracepoint", "syscall"); "" while there is none.
	Method func() string
	// Programs says for each eBPF program whether it is attached.
	Programs func() map[string]bool
	// Events is how many events capture has handed on, Lost how many were dropped, by stage.
	Events func() uint64
	Lost   func() map[string]uint64
	// Trackers are the counters of all trackers.
	Trackers func() []protocol.Counters
	// Filtered is how many open connections the filters leave out.
	Filtered func() int64
	// KernelMemory is what the kernel holds for capture, in bytes.
	KernelMemory func() uint64
}

// Build names a version.
type Build struct{ Version, Revision, GoVersion string }

// input is what one collection reads.
type input struct {
	snapshot *topology.Snapshot
	sources  *Sources
	trackers []protocol.Counters
}

// Catalogue lists every metric for series with these resource labels, in the order of the reference.
func Catalogue(resourceLabels []string) []Metric {
	var out []Metric
	for _, group := range [][]Metric{edges(), operations(resourceLabels), processes(), connections(), self()} {
		out = append(out, group...)
	}
	return out
}
