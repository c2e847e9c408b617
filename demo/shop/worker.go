package shop

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/toposcope/toposcope/demo/fault"
)

// worker acts out the endpoints of one service, whatever protocol they are asked by.
type worker struct {
	service string
	client  *Client
	faults  *fault.Switch
}

// work takes e's time, and what faults add to it. It returns what goes wrong here, codes.OK if nothing does.
func (w worker) work(ctx context.Context, e Endpoint, v *Visit) codes.Code {
	// Faults that are switched on have dice of their own, so that all else falls as it does without them.
	f, d := w.faults.Now(), v.trace.Dice(w.service+" fault")
	lost, failed, slow := d.Chance(f.Lost), d.Chance(f.Fail), d.Chance(f.Slow)
	took := v.dice.Spread(e.Work)
	if v.dice.Chance(e.Fault.Slow) {
		took += v.dice.Spread(e.Fault.SlowBy)
	}
	if slow {
		took += f.SlowBy
	}
	if lost {
		<-ctx.Done()
		return status.FromContextError(ctx.Err()).Code()
	}
	if err := sleep(ctx, took); err != nil {
		return status.FromContextError(err).Code()
	}
	if failed {
		return codes.Unavailable
	}
	for _, wrong := range e.Fault.Errors {
		if v.dice.Chance(wrong.Share) {
			return wrong.Code
		}
	}
	return codes.OK
}

// sleep returns early, with the reason, when ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ask makes e's lookups and calls in turn. It returns what a needed one lacks, codes.OK if all is well.
func (w worker) ask(ctx context.Context, e Endpoint, v *Visit) codes.Code {
	for _, l := range e.Lookups {
		if !v.drawn(l.Share) {
			continue
		}
		if err := w.client.lookup(ctx, l, v); err != nil && !l.Optional {
			return codes.Unavailable
		}
	}
	for _, call := range e.Calls {
		if err := ctx.Err(); err != nil {
			return status.FromContextError(err).Code() // nobody waits for the rest
		}
		if !v.drawn(call.Share) {
			continue
		}
		if code := w.client.Do(ctx, call, v); code != codes.OK && !call.Optional {
			return code
		}
	}
	return codes.OK
}

// mistaken says whether code is the fault of who asked, and so may be handed on to who asked that one.
func mistaken(code codes.Code) bool {
	return code == codes.NotFound || code == codes.FailedPrecondition || code == codes.InvalidArgument
}
