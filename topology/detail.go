package topology

import "time"

// NodeDetail is one node in depth: the answer of GET /api/v1/topology/nodes/{id}.
type NodeDetail struct {
	Window     Window      `json:"window"`
	Node       Node        `json:"node"`
	Series     []Point     `json:"series"`
	Operations []Operation `json:"operations"`
	Callers    []Edge      `json:"callers"`
	Callees    []Edge      `json:"callees"`
}

// EdgeDetail is one edge in depth: the answer of GET /api/v1/topology/edges/{id}.
type EdgeDetail struct {
	Window Window  `json:"window"`
	Edge   Edge    `json:"edge"`
	Series []Point `json:"series"`
	// ClientSeconds and ServerSeconds are the same exchanges' latency as each end saw it; null where that end was not
	// watched. What lies between them is the network's and the accept queue's.
	ClientSeconds *Quantiles `json:"clientSeconds"`
	ServerSeconds *Quantiles `json:"serverSeconds"`
}

// Quantiles of a latency.
type Quantiles struct {
	P50Seconds *float64 `json:"p50Seconds"`
	P95Seconds *float64 `json:"p95Seconds"`
	P99Seconds *float64 `json:"p99Seconds"`
}

// Point is RED within one step of the window, Time its end.
type Point struct {
	Time              time.Time `json:"time"`
	RequestsPerSecond float64   `json:"requestsPerSecond"`
	FailedRatio       *float64  `json:"failedRatio"`
	RejectedRatio     *float64  `json:"rejectedRatio"`
	P50Seconds        *float64  `json:"p50Seconds"`
	P95Seconds        *float64  `json:"p95Seconds"`
	P99Seconds        *float64  `json:"p99Seconds"`
}

// Operation is RED of one operation of a node, as Side saw it ("server": what it serves, "client": what it asks of others).
type Operation struct {
	Side      string `json:"side"`
	Protocol  string `json:"protocol"`
	Operation string `json:"operation"` // "GET /users/{id}"
	// Status is the response's status code, "" for all together.
	Status            string   `json:"status"`
	RequestsPerSecond float64  `json:"requestsPerSecond"`
	FailedRatio       *float64 `json:"failedRatio"`
	P50Seconds        *float64 `json:"p50Seconds"`
	P95Seconds        *float64 `json:"p95Seconds"`
	P99Seconds        *float64 `json:"p99Seconds"`
}
