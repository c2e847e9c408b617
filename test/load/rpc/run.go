package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
)

// Plan says what to call.
type Plan struct {
	// Target is the server's host:port.
	Target string
	// Connections are used side by side, each with Streams calls under way at once.
	Connections, Streams int
	// Count is how many calls to make; they are taken from Calls in turn.
	Count int
	Calls []Call
	// Warm are made once on each connection, one after the other, before the start. They are not in the report's counts.
	Warm []Call
	// Web, if not Native, is how calls are made instead of by grpc-go.
	Web Web
}

// Report is what came of a Plan, as the client saw it.
type Report struct {
	Planned    int         `json:"planned"`
	Warm       int         `json:"warm"`
	Operations []Operation `json:"operations"`
	// Wrong says of calls that did not end with the code that they asked for; a deadline or a cancellation asks for its own.
	Wrong []string `json:"wrong,omitempty"`
}

// Operation counts calls of one method that ended with one code.
type Operation struct {
	Method string `json:"method"`
	// Code is the status's name, as in "NOT_FOUND".
	Code  string `json:"code"`
	Count int    `json:"count"`
}

// Run carries p out. It opens the connections and warms them, calls ready if that is not nil, which may block until the
// load is wanted, and then calls.
func Run(ctx context.Context, p Plan, ready func() error) (*Report, error) {
	if p.Target == "" || p.Connections < 1 || p.Streams < 1 || len(p.Calls) == 0 {
		return nil, errors.New("bad plan: a target, connections, streams and calls are needed")
	}
	r := &runner{plan: p, counts: map[Operation]int{}}
	defer r.close()
	for range p.Connections {
		if err := r.open(ctx); err != nil {
			return nil, fmt.Errorf("opening a connection: %w", err)
		}
	}
	if ready != nil {
		if err := ready(); err != nil {
			return nil, fmt.Errorf("waiting for the start: %w", err)
		}
	}
	var wg sync.WaitGroup
	for _, c := range r.conns {
		for range p.Streams {
			wg.Go(func() { r.work(ctx, c) })
		}
	}
	wg.Wait()
	return r.report(), nil
}

// caller makes one call and waits for its end.
type caller interface {
	call(ctx context.Context, c Call) (codes.Code, error)
	close()
}

type runner struct {
	plan  Plan
	conns []caller
	next  atomic.Int64

	mu     sync.Mutex
	counts map[Operation]int
	wrong  []string
}

func (r *runner) close() {
	for _, c := range r.conns {
		c.close()
	}
}

// open opens a connection and warms it.
func (r *runner) open(ctx context.Context) error {
	c := caller(newWebClient(r.plan.Target, r.plan.Web))
	if r.plan.Web == Native {
		var err error
		if c, err = dial(ctx, r.plan.Target); err != nil {
			return err
		}
	}
	r.conns = append(r.conns, c)
	for _, call := range r.plan.Warm {
		if got, err := c.call(ctx, call); got != call.Wanted() {
			return fmt.Errorf("warming with %s: code %s, want %s: %w", call.Method, got, call.Wanted(), err)
		}
	}
	return nil
}

func (r *runner) work(ctx context.Context, c caller) {
	for {
		n := int(r.next.Add(1)) - 1
		if n >= r.plan.Count || ctx.Err() != nil {
			return
		}
		call := r.plan.Calls[n%len(r.plan.Calls)]
		got, err := callWithin(ctx, c, call)
		r.mu.Lock()
		r.counts[Operation{Method: call.Method, Code: Name(got)}]++
		if got != call.Wanted() {
			r.wrong = append(r.wrong, fmt.Sprintf("%s: code %s, want %s: %v", call.Method, got, call.Wanted(), err))
		}
		r.mu.Unlock()
	}
}

// Wanted is how a call shall end.
func (c Call) Wanted() codes.Code {
	switch {
	case c.Deadline > 0:
		return codes.DeadlineExceeded
	case c.Cancel > 0:
		return codes.Canceled
	case !slices.ContainsFunc(methods, func(m method) bool { return m.path() == c.Method }):
		return codes.Unimplemented
	}
	return c.Code
}

// Name is a code's name in gRPC's specification, as in "NOT_FOUND".
func Name(c codes.Code) string {
	if c == codes.Canceled {
		return "CANCELLED"
	}
	var b strings.Builder
	for i, r := range c.String() {
		if i > 0 && r >= 'A' && r <= 'Z' && c != codes.OK {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

func (r *runner) report() *Report {
	report := &Report{Planned: r.plan.Count, Warm: len(r.plan.Warm) * r.plan.Connections, Wrong: r.wrong}
	for op, n := range r.counts {
		op.Count = n
		report.Operations = append(report.Operations, op)
	}
	slices.SortFunc(report.Operations, func(a, b Operation) int {
		return cmp.Or(strings.Compare(a.Method, b.Method), strings.Compare(a.Code, b.Code))
	})
	return report
}

// callWithin makes one call under its deadline, or until it is cancelled.
func callWithin(ctx context.Context, c caller, call Call) (codes.Code, error) {
	if call.Deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, call.Deadline)
		defer cancel()
	}
	if call.Cancel > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		defer time.AfterFunc(call.Cancel, cancel).Stop()
	}
	return c.call(ctx, call)
}
