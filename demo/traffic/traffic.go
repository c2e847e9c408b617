// Package traffic is the shop's customers: requests to its front that come independently of each other at a steady rate.
package traffic

import (
	"context"
	"sync"
	"time"

	"github.com/toposcope/toposcope/demo/dice"
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
		{shop.Call{Server: "web", Method: "GET", Route: "/orders/{order}"}, 4},
		{shop.Call{Server: "web", Method: "GET", Route: "/sale"}, 2},
	}
}

// Load sends Steps at Rate per second until its context ends.
type Load struct {
	// Name is the name of the process that sends, for the dice.
	Name   string
	Client *shop.Client
	Dice   *dice.Dice
	Steps  []Step
	Rate   float64
	// Surge, which may be nil, is how many times as many requests are sent for the moment; 0 means as many as Rate says.
	Surge func() float64
	// Requests is how many it sends at most; 0: no limit.
	Requests uint64
	// MaxInFlight bounds the requests that wait for their answer. One more is not sent, and counted.
	MaxInFlight int
}

// Run sends until ctx ends, waits for what is still in flight, and returns how many requests were not sent for MaxInFlight.
//
// Whatever is drawn is drawn here, in order: the nth request is the same in every run, whatever became of those before it.
func (l *Load) Run(ctx context.Context) (notSent uint64) {
	slots := make(chan struct{}, l.MaxInFlight)
	var wg sync.WaitGroup
	defer wg.Wait()
	next := time.Now()
	for n := uint64(0); n < l.Requests || l.Requests == 0; n++ {
		next = next.Add(l.Dice.Interval(l.rate()))
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return notSent
		case <-timer.C:
		}
		step, visit := l.pick(), shop.NewVisit(l.Dice.Trace(), l.Name, nil)
		select {
		case slots <- struct{}{}:
		default:
			notSent++
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			// A failure is in the client's book; there is nobody else to tell.
			_ = l.Client.Do(context.WithoutCancel(ctx), step.Call, visit)
		})
	}
	return notSent
}

// rate is how many requests a second are sent now.
func (l *Load) rate() float64 {
	if l.Surge != nil {
		if times := l.Surge(); times > 0 {
			return l.Rate * times
		}
	}
	return l.Rate
}

// pick draws a step by weight.
func (l *Load) pick() Step {
	var rest float64
	for _, s := range l.Steps {
		rest += s.Weight
	}
	for _, s := range l.Steps[:len(l.Steps)-1] {
		if l.Dice.Chance(s.Weight / rest) {
			return s
		}
		rest -= s.Weight
	}
	return l.Steps[len(l.Steps)-1]
}
