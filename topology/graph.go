// Package topology joins exchanges with labels into calls and aggregates calls into a graph of services.
//
// It is where a protocol's exchange and a labeler's resource meet; each exchange is counted once, by the rule of sides.
package topology

import "time"

// Graph is what talked to what within a window. It is the topology API's answer and the map's input; each number is
// computed from named series, see the catalogue in topology/metrics.
type Graph struct {
	Window Window `json:"window"`
	Nodes  []Node `json:"nodes"`
	Edges  []Edge `json:"edges"`
}

// Window is a span of time, Start exclusive, End inclusive.
type Window struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// Seconds is the length of w.
func (w Window) Seconds() float64 { return w.End.Sub(w.Start).Seconds() }

// Health sums a node up for the eye.
type Health string

// Healths: warning from 1 % of the requests that a node served failed, critical from 5 %. A node that served none but made
// some is ok; idle has done neither in the window.
const (
	HealthOK       Health = "ok"
	HealthWarning  Health = "warning"
	HealthCritical Health = "critical"
	HealthIdle     Health = "idle"
)

// Node is a service, or whatever the graph is grouped by. Its rates are those of the requests it serves (the sum of the
// edges that lead to it). A pointer is null where there was no traffic: no traffic is not zero latency.
type Node struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Kind      string `json:"kind"`

	RequestsPerSecond float64  `json:"requestsPerSecond"`
	FailedRatio       *float64 `json:"failedRatio"`
	RejectedRatio     *float64 `json:"rejectedRatio"`
	P50Seconds        *float64 `json:"p50Seconds"`
	P95Seconds        *float64 `json:"p95Seconds"`
	P99Seconds        *float64 `json:"p99Seconds"`
	Health            Health   `json:"health"`

	Instances []Instance `json:"instances"`
}

// Instance is a process, pod or container of a node.
type Instance struct {
	PID         uint32 `json:"pid"`
	Process     string `json:"process"`
	Pod         string `json:"pod"`
	Container   string `json:"container"`
	Node        string `json:"node"`
	SystemdUnit string `json:"systemdUnit"`
}

// Edge is what a client asked of a server in one protocol.
type Edge struct {
	ID       string `json:"id"`
	Client   string `json:"client"` // Node.ID
	Server   string `json:"server"` // Node.ID
	Protocol string `json:"protocol"`

	RequestsPerSecond float64  `json:"requestsPerSecond"`
	FailedRatio       *float64 `json:"failedRatio"`
	RejectedRatio     *float64 `json:"rejectedRatio"`
	P50Seconds        *float64 `json:"p50Seconds"`
	P95Seconds        *float64 `json:"p95Seconds"`
	P99Seconds        *float64 `json:"p99Seconds"`

	SentBytesPerSecond     float64 `json:"sentBytesPerSecond"`     // client to server
	ReceivedBytesPerSecond float64 `json:"receivedBytesPerSecond"` // server to client
	// WaitingPerSecond are those of the requests that waited for something to happen (BLPOP, Fetch): they are in no latency.
	// UpkeepPerSecond is what drivers do to look after their connections (handshakes, heartbeats): none of the requests.
	WaitingPerSecond float64 `json:"waitingPerSecond"`
	UpkeepPerSecond  float64 `json:"upkeepPerSecond"`
	// RetransmitsPerSecond is of all connections between the two, whatever they speak: TCP does not know protocols.
	RetransmitsPerSecond float64 `json:"retransmitsPerSecond"`
	// Lost is how many exchanges or runs of bytes this edge is known to miss in the window.
	Lost float64 `json:"lost"`
}
