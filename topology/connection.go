package topology

import (
	"sync"
	"time"

	"github.com/toposcope/toposcope/labeler"
)

// pair aggregates the TCP connections from one client to one server. Sent is from the client to the server.
type pair struct {
	PairKey
	created time.Time

	mu                              sync.Mutex
	gone                            bool
	last                            int64
	cost                            int
	active                          int64
	connects, failures, retransmits uint64
	sent, received                  uint64
	connect, accept, rtt            timed
}

// timed is a histogram with the start time of its series.
type timed struct {
	Histogram
	created time.Time
}

// observe counts d; cost is what the histogram adds to the series when this is its first value.
func (t *timed) observe(d time.Duration, at time.Time) (cost int) {
	if t.count == 0 {
		t.created = startOf(at)
		cost = histogramSeries
	}
	t.Observe(d)
	return cost
}

// expire spares a pair that has open connections.
func (p *pair) expire(before int64) (cost int, gone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = p.last < before && p.active == 0
	return p.cost, p.gone
}

// pair finds or makes the pair of two ends.
func (r *registry) pair(client, server *labeler.Resource, at time.Time) *pair {
	return r.pairOf(PairKey{keyOf(client), keyOf(server)}, at)
}

func (r *registry) pairOf(key PairKey, at time.Time) *pair {
	r.mu.Lock()
	defer r.mu.Unlock()
	key.Client, key.Server = r.admit(key.Client, key.Server)
	if p, ok := r.pairs[key]; ok {
		return p
	}
	cost := pairSeries
	if !r.take(cost) {
		key, cost = PairKey{otherKey, otherKey}, 0
		if p, ok := r.pairs[key]; ok {
			return p
		}
	}
	p := &pair{PairKey: key, created: startOf(at), last: at.UnixNano(), cost: cost}
	r.pairs[key] = p
	r.meet(key.Client, key.Server)
	return p
}
