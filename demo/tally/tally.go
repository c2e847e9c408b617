// Package tally counts what one service of the demo asked of others, so that what Toposcope shows can be held against what happened.
package tally

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
)

// Key is something that is counted. Its fields are those of its JSON.
type Key[K any] interface {
	comparable
	// Compare orders keys: negative, 0, positive.
	Compare(other K) int
}

// Row is something that was counted, and how often. Its JSON is the key's with "count" beside.
type Row[K Key[K]] struct {
	Key   K
	Count uint64
}

type count struct {
	Count uint64 `json:"count"`
}

// MarshalJSON joins the key's fields and the count into one object.
func (r Row[K]) MarshalJSON() ([]byte, error) {
	key, err := json.Marshal(r.Key)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(key[:len(key)-1], `,"count":%d}`, r.Count), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Row[K]) UnmarshalJSON(text []byte) error {
	var n count
	if err := json.Unmarshal(text, &n); err != nil {
		return err
	}
	r.Count = n.Count
	return json.Unmarshal(text, &r.Key)
}

// Counter counts. Its zero value is ready; its methods may be called from any goroutine.
type Counter[K Key[K]] struct {
	mu     sync.Mutex
	counts map[K]uint64
}

// Add counts k once.
func (c *Counter[K]) Add(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[K]uint64{}
	}
	c.counts[k]++
}

// Rows are the counts so far, sorted.
func (c *Counter[K]) Rows() []Row[K] {
	c.mu.Lock()
	defer c.mu.Unlock()
	return rows(c.counts)
}

func rows[K Key[K]](counts map[K]uint64) []Row[K] {
	rows := make([]Row[K], 0, len(counts))
	for k, n := range counts {
		rows = append(rows, Row[K]{k, n})
	}
	slices.SortFunc(rows, func(a, b Row[K]) int { return a.Key.Compare(b.Key) })
	return rows
}

// Merge adds up the rows of lists that stand for the same, sorted; a service that was restarted reports twice.
func Merge[K Key[K]](lists ...[]Row[K]) []Row[K] {
	sums := map[K]uint64{}
	for _, list := range lists {
		for _, r := range list {
			sums[r.Key] += r.Count
		}
	}
	return rows(sums)
}
