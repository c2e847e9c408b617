package shop

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/toposcope/toposcope/demo/fault"
)

// takeAgain is how long is waited until a queue that could not be read is tried again.
const takeAgain = 250 * time.Millisecond

// Consume takes what comes in the queues of s, one thing after another in each, until ctx ends and they are empty.
func Consume(ctx context.Context, s Service, c *Client, faults *fault.Switch) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, e := range s.Endpoints {
		if e.Queue == "" {
			continue
		}
		wg.Go(func() {
			for w := (worker{s.Name, c, faults}); w.consume(ctx, e); {
			}
		})
	}
}

// consume takes one thing from e's queue, if there is one, and works on it. It is false when nothing more is to come: whoever puts
// something there ends before.
func (w worker) consume(ctx context.Context, e Endpoint) bool {
	over := ctx.Err() != nil
	ctx = context.WithoutCancel(ctx) // what is begun is ended
	trace, ok, err := w.client.databases.take(ctx, e.Queue, !over)
	if err != nil {
		time.Sleep(takeAgain)
		return !over
	}
	if !ok {
		return !over
	}
	// An order that goes wrong is not tried again: there is nobody to tell.
	v := NewVisit(trace, w.service, nil)
	patience, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	if w.work(patience, e, v) == codes.OK {
		_ = w.ask(patience, e, v)
	}
	return true
}
