// Package tally counts the calls that one service of the demo made, so that what Toposcope shows can be held against what happened.
package tally

import (
	"cmp"
	"slices"
	"sync"
)

// Call says who asked whom for what, and how it ended.
type Call struct {
	Client string `json:"client"`
	Server string `json:"server"`
	Method string `json:"method"`
	// Route is the pattern that the server declares, "/items/{sku}".
	Route string `json:"route"`
	// Status is the response's status code, 0 when there was no response.
	Status int `json:"status"`
}

// Row is a call and how often it was made.
type Row struct {
	Call
	Count uint64 `json:"count"`
}

// Counter counts calls. Its zero value is ready; its methods may be called from any goroutine.
type Counter struct {
	mu     sync.Mutex
	counts map[Call]uint64
}

// Add counts one call.
func (c *Counter) Add(call Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[Call]uint64{}
	}
	c.counts[call]++
}

// Rows are the counts so far, sorted.
func (c *Counter) Rows() []Row {
	c.mu.Lock()
	defer c.mu.Unlock()
	rows := make([]Row, 0, len(c.counts))
	for call, n := range c.counts {
		rows = append(rows, Row{call, n})
	}
	Sort(rows)
	return rows
}

// Sort orders rows by client, server, route, method and status.
func Sort(rows []Row) {
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(
			cmp.Compare(a.Client, b.Client),
			cmp.Compare(a.Server, b.Server),
			cmp.Compare(a.Route, b.Route),
			cmp.Compare(a.Method, b.Method),
			cmp.Compare(a.Status, b.Status),
		)
	})
}

// Merge adds up rows that stand for the same call; a service that was restarted reports twice.
func Merge(rows []Row) []Row {
	sums := map[Call]uint64{}
	for _, r := range rows {
		sums[r.Call] += r.Count
	}
	merged := make([]Row, 0, len(sums))
	for call, n := range sums {
		merged = append(merged, Row{call, n})
	}
	Sort(merged)
	return merged
}
