package metrics

import (
	"maps"
	"slices"

	"github.com/toposcope/toposcope/topology"
)

func pairLabels() []string {
	return []string{
		topology.LabelClient, topology.LabelServer, topology.LabelClientNamespace, topology.LabelServerNamespace,
	}
}

func perPair(name, help, unit string, value func(*topology.PairState) uint64) Metric {
	return Metric{
		Name: name, Help: help, Unit: unit, Type: Counter, Labels: pairLabels(),
		collect: func(in *input, out *sink) {
			for i := range in.snapshot.Pairs {
				p := &in.snapshot.Pairs[i]
				out.counter(float64(value(p)), p.Created, p.Client.Name, p.Server.Name, p.Client.Namespace, p.Server.Namespace)
			}
		},
	}
}

func pairSeconds(name, help string, value func(*topology.PairState) *topology.HistogramState) Metric {
	return Metric{
		Name: name, Help: help, Unit: "seconds", Type: Histogram, Labels: pairLabels(),
		collect: func(in *input, out *sink) {
			for i := range in.snapshot.Pairs {
				p := &in.snapshot.Pairs[i]
				out.histogram(value(p), p.Client.Name, p.Server.Name, p.Client.Namespace, p.Server.Namespace)
			}
		},
	}
}

// connections are the series of TCP connections, each counted once, by the client's end where it is watched.
func connections() []Metric {
	return []Metric{
		perPair("toposcope_tcp_connects_total", "Connections that were established.", "",
			func(p *topology.PairState) uint64 { return p.Connects }),
		perPair("toposcope_tcp_connect_failures_total", "Connections that were refused, timed out or found no way.", "",
			func(p *topology.PairState) uint64 { return p.Failures }),
		pairSeconds("toposcope_tcp_connect_duration_seconds", "Time from SYN to established, at the client.",
			func(p *topology.PairState) *topology.HistogramState { return &p.Connect }),
		pairSeconds("toposcope_tcp_accept_duration_seconds",
			"Time from the end of the handshake to the moment the server's process accepted the connection.",
			func(p *topology.PairState) *topology.HistogramState { return &p.Accept }),
		{
			Name: "toposcope_tcp_active_connections", Help: "Connections that are open.", Type: Gauge, Labels: pairLabels(),
			collect: func(in *input, out *sink) {
				for i := range in.snapshot.Pairs {
					p := &in.snapshot.Pairs[i]
					out.gauge(float64(p.Active), p.Client.Name, p.Server.Name, p.Client.Namespace, p.Server.Namespace)
				}
			},
		},
		perPair("toposcope_tcp_sent_bytes_total", "Bytes that were acknowledged or sent from client to server.", "bytes",
			func(p *topology.PairState) uint64 { return p.Sent }),
		perPair("toposcope_tcp_received_bytes_total", "Bytes that the client received from the server.", "bytes",
			func(p *topology.PairState) uint64 { return p.Received }),
		perPair(topology.MetricRetransmits, "Segments that an end, watched here, had to send again.", "",
			func(p *topology.PairState) uint64 { return p.Retransmits }),
		pairSeconds("toposcope_tcp_rtt_seconds", "Smoothed round-trip time, one observation per reading of a connection.",
			func(p *topology.PairState) *topology.HistogramState { return &p.RTT }),
		{
			Name: "toposcope_tcp_accept_queue_length", Type: Gauge, Labels: pairLabels(),
			Help: "Connections that wait to be accepted. A listener does not know its callers: client is empty.",
			collect: func(in *input, out *sink) {
				keys := slices.Collect(maps.Keys(in.snapshot.AcceptQueues))
				for _, k := range keys {
					out.gauge(float64(in.snapshot.AcceptQueues[k]), "", k.Name, "", k.Namespace)
				}
			},
		},
	}
}
