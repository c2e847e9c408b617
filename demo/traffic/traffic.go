// Package traffic is the shop's customers: requests to its front that come independently of each other at a steady rate.
package traffic

import (
	"context"
	"sync"
	"time"

	"github.com/toposcope/toposcope/demo/shop"
)

// Step is something a customer does, and how often compared with the other steps.
type Step struct {
	shop.Call
	Weight float64
}

// Steps is what customers do. One visit in twelve comes on a connection of its own, and some look for pages that are not there.
func Steps() []Step {
	return []Step{
		{shop.Call{Server: "web", Method: "GET", Route: "/"}, 20},
		{shop.Call{Server: "web", Method: "GET", Route: "/", Close: true}, 8},
		{shop.Call{Server: "web", Method: "GET", Route: "/items/{sku}"}, 30},
		{shop.Call{Server: "web", Method: "GET", Route: "/search"}, 8},
		{shop.Call{Server: "web", Method: "GET", Route: "/users/{user}"}, 8},
		{shop.Call{Server: "web", Method: "GET", Route: "/cart/{user}"}, 8},
		{shop.Call{Server: "web", Method: "POST", Route: "/cart/{user}/items", Body: 220}, 10},
		{shop.Call{Server: "web", Method: "POST", Route: "/checkout", Body: 1200}, 6},
		{shop.Call{Server: "web", Method: "GET", Route: "/sale"}, 2},
	}
}

// Load sends Steps at Rate per second until its context ends.
type Load struct {
	Client *shop.Client
	Steps  []Step
	Rate   float64
	// MaxInFlight bounds the requests that wait for their answer. One more is not sent, and counted.
	MaxInFlight int
}

// Run sends until ctx ends, waits for what is still in flight, and returns how many requests were not sent for MaxInFlight.
func (l *Load) Run(ctx context.Context) (notSent uint64) {
	slots := make(chan struct{}, l.MaxInFlight)
	var wg sync.WaitGroup
	defer wg.Wait()
	next := time.Now()
	for {
		next = next.Add(l.Client.Interval(l.Rate))
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return notSent
		case <-timer.C:
		}
		step := l.pick()
		select {
		case slots <- struct{}{}:
		default:
			notSent++
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			// A failure is in the client's count; there is nobody else to tell.
			_, _ = l.Client.Do(context.WithoutCancel(ctx), step.Call, l.Client.Value)
		})
	}
}

// pick draws a step by weight.
func (l *Load) pick() Step {
	var rest float64
	for _, s := range l.Steps {
		rest += s.Weight
	}
	for _, s := range l.Steps[:len(l.Steps)-1] {
		if l.Client.Chance(s.Weight / rest) {
			return s
		}
		rest -= s.Weight
	}
	return l.Steps[len(l.Steps)-1]
}
