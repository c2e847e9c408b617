package metrics

import (
	"maps"
	"slices"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/topology"
)

// self are Toposcope's metrics of itself.
func self() []Metric {
	return slices.Concat(captureMetrics(), decodingMetrics(), []Metric{
		reasons("toposcope_series_dropped_total",
			"Label sets, or for routes requests, that a limit folded into the value other.",
			func(s *topology.Snapshot) []topology.ReasonCount { return s.Dropped }),
		reasons("toposcope_exchanges_left_out_total",
			"Exchanges that are on no edge (self, unopened) or counted as lasting 0 s (negative_duration), and connections not remembered.",
			func(s *topology.Snapshot) []topology.ReasonCount { return s.LeftOut }),
	})
}

func captureMetrics() []Metric {
	return []Metric{
		{
			Name: "toposcope_build_info", Help: "The version that runs; always 1.", Type: Gauge,
			Labels: []string{"version", "revision", "goversion"},
			collect: func(in *input, out *sink) {
				b := in.sources.Build
				out.gauge(1, b.Version, b.Revision, b.GoVersion)
			},
		},
		{
			Name: "toposcope_capture_method_info", Help: "The way of capture in use; always 1.", Type: Gauge,
			Labels: []string{"method"},
			collect: func(in *input, out *sink) {
				if in.sources.Method != nil {
					if m := in.sources.Method(); m != "" {
						out.gauge(1, m)
					}
				}
			},
		},
		{
			Name: "toposcope_ebpf_program_attached", Help: "Whether an eBPF program is attached: 1, else 0.", Type: Gauge,
			Labels: []string{"program"},
			collect: func(in *input, out *sink) {
				if in.sources.Programs != nil {
					for name, attached := range in.sources.Programs() {
						out.gauge(map[bool]float64{true: 1}[attached], name)
					}
				}
			},
		},
		{
			Name: "toposcope_kernel_memory_bytes", Unit: "bytes", Type: Gauge,
			Help: "Memory that the kernel holds for capture: rings, and maps, which grow with the connections that are open.",
			collect: func(in *input, out *sink) {
				if in.sources.KernelMemory != nil {
					out.gauge(float64(in.sources.KernelMemory()))
				}
			},
		},
		{
			Name: "toposcope_events_total", Help: "Events that capture handed on.", Type: Counter,
			collect: func(in *input, out *sink) {
				if in.sources.Events != nil {
					out.counter(float64(in.sources.Events()), in.snapshot.Started)
				}
			},
		},
		{
			Name: "toposcope_events_lost_total", Help: "Events that were dropped, by the stage that dropped them.",
			Type: Counter, Labels: []string{"stage"},
			collect: func(in *input, out *sink) {
				if in.sources.Lost != nil {
					for stage, n := range in.sources.Lost() {
						out.counter(float64(n), in.snapshot.Started, stage)
					}
				}
			},
		},
	}
}

func decodingMetrics() []Metric {
	return []Metric{
		perProtocol("toposcope_stream_gaps_total", "Runs of bytes that never came, by the connection's protocol.",
			func(c *protocol.Counters) map[string]uint64 { return c.StreamGaps }),
		perProtocol("toposcope_exchanges_unresolved_total",
			"Exchanges of which a name or a status reads unknown: the bytes refer to what was said before capture began, or was lost.",
			func(c *protocol.Counters) map[string]uint64 { return c.Unresolved }),
		perProtocol("toposcope_parse_errors_total", "Runs of bytes that broke their protocol's rules.",
			func(c *protocol.Counters) map[string]uint64 { return c.ParseErrors }),
		{
			Name: "toposcope_exchanges_total", Type: Counter, Labels: []string{"protocol", "outcome"},
			Help:    "Exchanges that were decoded. One that both ends saw counts twice here.",
			collect: exchanges,
		},
		{
			Name: "toposcope_undecoded_connections", Help: "Open connections whose bytes are not decoded, and why.",
			Type: Gauge, Labels: []string{"reason"}, collect: undecoded,
		},
		{
			Name: "toposcope_tls_connections_total", Type: Counter, Labels: []string{"version", "alpn"},
			Help: "Connections that speak TLS, by the version that the server chose and the protocol within: the one agreed on or, where that " +
				"is encrypted, the first that the client wishes. One that both ends saw counts twice here.",
			collect: tlsConnections,
		},
		{
			Name: "toposcope_reinferred_connections_total", Type: Counter,
			Help: "Connections that broke the rules of their protocol so often that they were taken for undecided again.",
			collect: func(in *input, out *sink) {
				in.sum(out, func(c *protocol.Counters) uint64 { return c.Reinferred })
			},
		},
		trackerGauge("toposcope_tracked_connections", "Connections that are being decoded or watched for a protocol.", "",
			func(c *protocol.Counters) int64 { return c.Connections }),
		trackerGauge("toposcope_stream_buffered_bytes", "Captured bytes that wait for the rest of a message.", "bytes",
			func(c *protocol.Counters) int64 { return c.BufferedBytes }),
		{
			Name: "toposcope_stream_evictions_total", Type: Counter, Labels: []string{"what"},
			Help: "What decoding had to forget for want of room.",
			collect: func(in *input, out *sink) {
				in.sum(out, func(c *protocol.Counters) uint64 { return c.EvictedConnections }, "connections")
				in.sum(out, func(c *protocol.Counters) uint64 { return c.EvictedRequests }, "requests")
				in.sum(out, func(c *protocol.Counters) uint64 { return c.EvictedBuffers }, "buffers")
			},
		},
		{
			Name: "toposcope_requests_withdrawn_total", Type: Counter,
			Help: "Questions put to several servers at once that another one answered first: they are no exchanges of their own.",
			collect: func(in *input, out *sink) {
				in.sum(out, func(c *protocol.Counters) uint64 { return c.Withdrawn })
			},
		},
		{
			Name: "toposcope_orphan_responses_total", Help: "Responses whose request was not seen.", Type: Counter,
			collect: func(in *input, out *sink) {
				in.sum(out, func(c *protocol.Counters) uint64 { return c.Orphans })
			},
		},
	}
}

// sum sends a counter that is the sum over all trackers.
func (in *input) sum(out *sink, value func(*protocol.Counters) uint64, labels ...string) {
	if in.sources.Trackers == nil {
		return
	}
	var n uint64
	for i := range in.trackers {
		n += value(&in.trackers[i])
	}
	out.counter(float64(n), in.snapshot.Started, labels...)
}

func exchanges(in *input, out *sink) {
	for k, n := range summed(in, func(c *protocol.Counters) map[protocol.Labels]uint64 { return c.Exchanges }) {
		out.counter(float64(n), in.snapshot.Started, k.Protocol, k.Outcome.String())
	}
}

func tlsConnections(in *input, out *sink) {
	for k, n := range summed(in, func(c *protocol.Counters) map[protocol.TLSLabels]uint64 { return c.TLS }) {
		out.counter(float64(n), in.snapshot.Started, k.Version, k.ALPN)
	}
}

// summed adds up a count by labels over all trackers.
func summed[K comparable, N int64 | uint64](in *input, of func(*protocol.Counters) map[K]N) map[K]N {
	sum := map[K]N{}
	for i := range in.trackers {
		for k, n := range of(&in.trackers[i]) {
			sum[k] += n
		}
	}
	return sum
}

func undecoded(in *input, out *sink) {
	if in.sources.Trackers == nil {
		return
	}
	sum := summed(in, func(c *protocol.Counters) map[protocol.Reason]int64 { return c.Undecoded })
	if in.sources.Filtered != nil {
		sum[protocol.ReasonFiltered] += in.sources.Filtered()
	}
	for k, n := range sum {
		out.gauge(float64(n), string(k))
	}
}

func trackerGauge(name, help, unit string, value func(*protocol.Counters) int64) Metric {
	return Metric{
		Name: name, Help: help, Unit: unit, Type: Gauge,
		collect: func(in *input, out *sink) {
			if in.sources.Trackers == nil {
				return
			}
			var n int64
			for i := range in.trackers {
				n += value(&in.trackers[i])
			}
			out.gauge(float64(n))
		},
	}
}

// perProtocol sums a counter up over trackers; a connection's protocol may not be known yet.
func perProtocol(name, help string, value func(*protocol.Counters) map[string]uint64) Metric {
	return Metric{
		Name: name, Help: help, Type: Counter, Labels: []string{"protocol"},
		collect: func(in *input, out *sink) {
			sum := summed(in, value)
			for _, k := range slices.Sorted(maps.Keys(sum)) {
				label := k
				if label == "" {
					label = "unknown"
				}
				out.counter(float64(sum[k]), in.snapshot.Started, label)
			}
		},
	}
}

func reasons(name, help string, value func(*topology.Snapshot) []topology.ReasonCount) Metric {
	return Metric{
		Name: name, Help: help, Type: Counter, Labels: []string{"reason"},
		collect: func(in *input, out *sink) {
			for _, r := range value(in.snapshot) {
				out.counter(float64(r.Count), in.snapshot.Started, r.Reason)
			}
		},
	}
}
