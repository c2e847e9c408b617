package metrics

import (
	"strconv"
	"time"

	"github.com/toposcope/toposcope/topology"
)

func edgeLabels() []string {
	return []string{
		topology.LabelClient, topology.LabelServer, topology.LabelClientNamespace, topology.LabelServerNamespace,
		topology.LabelConnectionType, topology.LabelProtocol,
	}
}

func instanceLabels() []string {
	return []string{
		topology.LabelClient, topology.LabelServer, topology.LabelClientNamespace, topology.LabelServerNamespace,
		topology.LabelClientInstance, topology.LabelServerInstance, topology.LabelProtocol,
	}
}

// perEdge is a counter that every edge has.
func perEdge(name, help, unit string, value func(*topology.EdgeState) uint64) Metric {
	return perEdgeSince(name, help, unit, func(e *topology.EdgeState) (uint64, time.Time) { return value(e), e.Created })
}

// perEdgeSince is a counter that an edge has since a time of its own; one for which that is zero has none.
func perEdgeSince(name, help, unit string, value func(*topology.EdgeState) (uint64, time.Time)) Metric {
	return Metric{
		Name: name, Help: help, Unit: unit, Type: Counter, Labels: edgeLabels(),
		collect: func(in *input, out *sink) {
			for i := range in.snapshot.Edges {
				e := &in.snapshot.Edges[i]
				if n, created := value(e); !created.IsZero() {
					out.counter(float64(n), created, e.Client.Name, e.Server.Name, e.Client.Namespace, e.Server.Namespace,
						string(e.Type), e.Protocol)
				}
			}
		},
	}
}

// edgeSeconds is a latency that an edge has when that side was observed.
func edgeSeconds(name, help string, value func(*topology.EdgeState) *topology.HistogramState) Metric {
	return Metric{
		Name: name, Help: help, Unit: "seconds", Type: Histogram, Labels: edgeLabels(),
		collect: func(in *input, out *sink) {
			for i := range in.snapshot.Edges {
				e := &in.snapshot.Edges[i]
				out.histogram(value(e), e.Client.Name, e.Server.Name, e.Client.Namespace, e.Server.Namespace,
					string(e.Type), e.Protocol)
			}
		},
	}
}

func perInstance(name, help string, value func(*topology.InstanceEdgeState) uint64) Metric {
	return Metric{
		Name: name, Help: help, Type: Counter, Labels: instanceLabels(),
		collect: func(in *input, out *sink) {
			for i := range in.snapshot.Instances {
				e := &in.snapshot.Instances[i]
				out.counter(float64(value(e)), e.Created, e.Client.Name, e.Server.Name, e.Client.Namespace, e.Server.Namespace,
					e.ClientInstance, e.ServerInstance, e.Protocol)
			}
		},
	}
}

func edges() []Metric {
	return []Metric{
		perEdge(topology.MetricRequests,
			"Requests from client to server. Counted by the client's end where it is watched, else by the server's.", "",
			func(e *topology.EdgeState) uint64 { return e.Requests }),
		perEdge(topology.MetricFailed,
			"Requests from client to server that failed: the server's fault or no answer.", "",
			func(e *topology.EdgeState) uint64 { return e.Failed }),
		edgeSeconds(topology.MetricServerSeconds,
			"Time from the request's first byte to the answer's last, as the server's end saw it.",
			func(e *topology.EdgeState) *topology.HistogramState { return &e.ServerSeconds }),
		edgeSeconds(topology.MetricClientSeconds,
			"Time from the request's first byte to the answer's last, as the client's end saw it.",
			func(e *topology.EdgeState) *topology.HistogramState { return &e.ClientSeconds }),
		perEdge(topology.MetricRejected,
			"Requests from client to server that were refused for the caller's own mistake.", "",
			func(e *topology.EdgeState) uint64 { return e.Rejected }),
		perEdge(topology.MetricLost,
			"Requests from client to server that are known to be missed.", "",
			func(e *topology.EdgeState) uint64 { return e.Lost }),
		perEdge(topology.MetricSentBytes,
			"Bytes of requests from client to server, bodies included.", "bytes",
			func(e *topology.EdgeState) uint64 { return e.Sent }),
		perEdge(topology.MetricReceivedBytes,
			"Bytes of the server's answers to the client, bodies included.", "bytes",
			func(e *topology.EdgeState) uint64 { return e.Received }),
		perEdgeSince(topology.MetricWaiting,
			"Requests from client to server that waited for something to happen (BLPOP, Fetch, a long poll). They are among the requests, and in no latency of the edge.", "",
			func(e *topology.EdgeState) (uint64, time.Time) { return e.Waiting, e.WaitingCreated }),
		perEdgeSince(topology.MetricUpkeep,
			"Exchanges by which the client looked after its connections to the server (handshakes, authentication, heartbeats, preparing of statements) and that did not fail. They are not among the requests.", "",
			func(e *topology.EdgeState) (uint64, time.Time) { return e.Upkeep, e.UpkeepCreated }),
		perInstance(topology.MetricInstanceRequests,
			"Requests from an instance of the client to one of the server.",
			func(e *topology.InstanceEdgeState) uint64 { return e.Requests }),
		perInstance(topology.MetricInstanceFailed,
			"Requests from an instance of the client to one of the server that failed.",
			func(e *topology.InstanceEdgeState) uint64 { return e.Failed }),
	}
}

// operations are the histograms of OpenTelemetry's semantic conventions.
func operations(resourceLabels []string) []Metric {
	help := map[topology.OperationMetric]string{
		topology.HTTPServer:      "Duration of HTTP requests that the process served.",
		topology.HTTPClient:      "Duration of HTTP requests that the process made.",
		topology.RPCServer:       "Duration of remote procedure calls that the process served.",
		topology.RPCClient:       "Duration of remote procedure calls that the process made.",
		topology.DBServer:        "Duration of database operations that the process served.",
		topology.DBClient:        "Duration of database operations that the process asked for.",
		topology.MessagingClient: "Duration of messaging operations that the process asked for.",
		topology.DNSLookup:       "Duration of DNS lookups that the process made: one question and its answer.",
		topology.DNSResolution:   "Duration of what the process waited for when it asked for a name: all lookups of a walk through a search list are one.",
	}
	var out []Metric
	for _, m := range topology.OperationMetrics() {
		out = append(out, Metric{
			Name: m.Name(), Help: help[m], Unit: "seconds", Type: Histogram,
			Labels: append(append([]string{}, resourceLabels...), m.Labels()...),
			collect: func(in *input, out *sink) {
				values := make([]string, 0, len(out.names))
				for i := range in.snapshot.Operations {
					if o := &in.snapshot.Operations[i]; o.Metric == m {
						values = append(append(values[:0], o.Resource...), o.Values...)
						out.histogram(&o.Seconds, values...)
					}
				}
			},
		})
	}
	return out
}

func processes() []Metric {
	return []Metric{
		{
			Name: topology.MetricProcessInfo, Help: "A process with traffic; always 1. Of an instance that is short-lived commands only, one stands for all.", Type: Gauge,
			Labels: []string{
				topology.LabelPID, topology.LabelExecutable, topology.LabelServiceName, topology.LabelServiceNamespace,
				topology.LabelServiceInstance, topology.LabelK8sNamespace, topology.LabelK8sPod, topology.LabelK8sContainer,
				topology.LabelK8sWorkload, topology.LabelK8sWorkloadKind, topology.LabelK8sNode, topology.LabelContainer,
				topology.LabelHost, topology.LabelUnit, topology.LabelKind,
			},
			collect: func(in *input, out *sink) {
				for i := range in.snapshot.Processes {
					p := &in.snapshot.Processes[i]
					r := p.Resource
					out.gauge(1, strconv.FormatUint(uint64(r.PID), 10), r.Executable, p.Service.Name, p.Service.Namespace,
						p.Instance, r.K8sNamespace, r.K8sPod, r.K8sContainer, r.K8sWorkload, r.K8sWorkloadKind, r.K8sNode,
						r.ContainerName, r.Host, r.Unit, string(r.Kind))
				}
			},
		},
		{
			Name: topology.MetricNodeInfo, Help: "A node of the map and what it is; always 1.", Type: Gauge,
			Labels: []string{topology.LabelServiceName, topology.LabelServiceNamespace, topology.LabelKind},
			collect: func(in *input, out *sink) {
				for _, n := range in.snapshot.Nodes {
					out.gauge(1, n.Service.Name, n.Service.Namespace, string(n.Kind))
				}
			},
		},
	}
}
