package load

import (
	"cmp"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Report is what came of a Plan. Planned = Sent + NotSent, Sent = Completed + Failed.
type Report struct {
	Planned int `json:"planned"`
	// Sent requests were handed to the kernel whole.
	Sent int `json:"sent"`
	// Completed requests were answered, whatever the status; Failed ones were sent and not answered in full.
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
	// NotSent requests were planned, but their time passed, or there was no connection to send them on.
	NotSent int `json:"notSent"`
	// Warm requests were sent before the start and are in no other number.
	Warm        int `json:"warm"`
	Connections int `json:"connections"`
	// BytesSent and BytesReceived are those of all connections, those before the start included.
	BytesSent     int64     `json:"bytesSent"`
	BytesReceived int64     `json:"bytesReceived"`
	Start         time.Time `json:"start"`
	End           time.Time `json:"end"`
	// PerSecond is Completed over the time from Start to End.
	PerSecond float64 `json:"perSecond"`
	// Operations are the sent requests by what they asked and got, sorted.
	Operations     []Operation    `json:"operations"`
	Errors         map[string]int `json:"errors,omitempty"`
	LatencySeconds Quantiles      `json:"latencySeconds"`
}

// Operation counts requests of one method and route with one status.
type Operation struct {
	Method string `json:"method"`
	Route  string `json:"route"`
	// Status is 0 for a request that was not answered.
	Status int `json:"status"`
	Count  int `json:"count"`
}

// Quantiles of the time from a request's sending to its answer's last byte, in seconds.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// tally is one connection's part of a report.
type tally struct {
	planned, sent, completed, failed, notSent, warm, connections int

	bytesSent, bytesReceived int64

	counts  map[opKey]int
	errors  map[string]int
	latency []time.Duration
}

type opKey struct{ request, status int } // index into Plan.Requests

func newTally() *tally { return &tally{counts: map[opKey]int{}, errors: map[string]int{}} }

func (t *tally) answered(request, status int, d time.Duration) {
	t.completed++
	t.counts[opKey{request, status}]++
	t.latency = append(t.latency, d)
}

func (t *tally) unanswered(request int) {
	t.failed++
	t.counts[opKey{request, 0}]++
}

// failure counts err under a short name.
func (t *tally) failure(err error) {
	var timeout interface{ Timeout() bool }
	name := err.Error()
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		name = "connection refused"
	case errors.Is(err, syscall.ECONNRESET):
		name = "connection reset"
	case errors.Is(err, syscall.EPIPE):
		name = "broken pipe"
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		name = "closed early"
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		name = "timeout"
	}
	t.errors[name]++
}

// report sums tallies up.
func report(p *Plan, tallies []*tally, start, end time.Time) *Report {
	r := &Report{Start: start, End: end, Errors: map[string]int{}}
	var latency []time.Duration
	counts := map[Operation]int{}
	for _, t := range tallies {
		r.Planned += t.planned
		r.Sent += t.sent
		r.Completed += t.completed
		r.Failed += t.failed
		r.NotSent += t.notSent
		r.Warm += t.warm
		r.Connections += t.connections
		r.BytesSent += t.bytesSent
		r.BytesReceived += t.bytesReceived
		latency = append(latency, t.latency...)
		for k, n := range t.counts {
			request := p.Requests[k.request]
			counts[Operation{Method: request.Method, Route: request.Route(), Status: k.status}] += n
		}
		for name, n := range t.errors {
			r.Errors[name] += n
		}
	}
	for op, n := range counts {
		op.Count = n
		r.Operations = append(r.Operations, op)
	}
	slices.SortFunc(r.Operations, func(a, b Operation) int {
		return cmp.Or(strings.Compare(a.Route, b.Route), strings.Compare(a.Method, b.Method), cmp.Compare(a.Status, b.Status))
	})
	r.PerSecond = float64(r.Completed) / end.Sub(start).Seconds()
	r.LatencySeconds = quantiles(latency)
	return r
}

func quantiles(latency []time.Duration) Quantiles {
	if len(latency) == 0 {
		return Quantiles{}
	}
	slices.Sort(latency)
	at := func(q float64) float64 { return latency[int(q*float64(len(latency)-1))].Seconds() }
	return Quantiles{P50: at(0.5), P90: at(0.9), P99: at(0.99), Max: at(1)}
}
