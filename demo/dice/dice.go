// Package dice draws what happens in the demo, so that one seed gives the same traffic however its processes are scheduled.
//
// Dice belong to one request, not to a process: a request carries its Trace, as W3C Trace Context's traceparent, and each
// process that serves it throws dice of its own, which follow from the trace alone.
package dice

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"time"
)

// Dice draws. It is for one goroutine.
type Dice struct{ rng *rand.Rand }

// New makes the dice that go by name where all begins with seed. Other names give other dice.
func New(seed uint64, name string) *Dice {
	return &Dice{rand.New(rand.NewPCG(seed, hash(name)))}
}

// hash is FNV-1a.
func hash(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return h
}

// Chance is true for share of its calls (0..1).
func (d *Dice) Chance(share float64) bool { return d.rng.Float64() < share }

// IntN draws from 0 to n-1.
func (d *Dice) IntN(n int) int { return d.rng.IntN(n) }

// Spread draws a duration whose median is d, log-normally.
func (d *Dice) Spread(median time.Duration) time.Duration {
	const sigma = 0.35
	return time.Duration(float64(median) * math.Exp(d.rng.NormFloat64()*sigma))
}

// Interval draws the time to the next of events that come at rate per second, independently of each other.
func (d *Dice) Interval(rate float64) time.Duration {
	return time.Duration(d.rng.ExpFloat64() / rate * float64(time.Second))
}

// Trace draws a request that nothing came before.
func (d *Dice) Trace() Trace {
	var t Trace
	binary.BigEndian.PutUint64(t.ID[:8], d.rng.Uint64())
	binary.BigEndian.PutUint64(t.ID[8:], d.rng.Uint64())
	return d.Next(t)
}

// Next draws a call that is made on behalf of t.
func (d *Dice) Next(t Trace) Trace {
	binary.BigEndian.PutUint64(t.Span[:], d.rng.Uint64())
	return t
}
