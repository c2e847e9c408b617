package load

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// grace is how long after its plan's end a paced run may still send what it is behind with.
const grace = time.Second

// Run carries p out. It opens the connections and warms them, calls ready if that is not nil, which may block until the
// load is wanted, and then sends. When ctx ends it
// sends nothing more; what was planned is then not sent.
func Run(ctx context.Context, p Plan, ready func() error) (*Report, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("bad plan: %w", err)
	}
	workers := make([]*worker, p.Connections)
	shared := &schedule{plan: &p}
	for i := range workers {
		workers[i] = &worker{plan: &p, schedule: shared, index: i, tally: newTally()}
		if p.NetHTTP {
			workers[i].library = newLibrary(&p)
		}
	}
	if err := prepare(workers); err != nil {
		return nil, err
	}
	if ready != nil {
		if err := ready(); err != nil {
			return nil, fmt.Errorf("waiting for the start: %w", err)
		}
	}
	shared.start = time.Now()
	var wg sync.WaitGroup
	for _, w := range workers {
		wg.Go(func() { w.run(ctx) })
	}
	wg.Wait()
	end := time.Now()
	tallies := make([]*tally, len(workers))
	for i, w := range workers {
		tallies[i] = w.tally
	}
	return report(&p, tallies, shared.start, end), nil
}

func prepare(workers []*worker) error {
	for _, w := range workers {
		if w.plan.Close {
			continue
		}
		if err := w.open(); err != nil {
			return fmt.Errorf("opening connection %d: %w", w.index, err)
		}
		for range w.plan.Warm {
			if err := w.warm(); err != nil {
				return fmt.Errorf("warming connection %d: %w", w.index, err)
			}
			w.tally.warm++
		}
	}
	return nil
}

func (w *worker) warm() error {
	if w.library != nil {
		return w.library.ask(0, newTally())
	}
	_, err := w.exchange([]int{0}, nil)
	return err
}

// schedule hands out request numbers.
type schedule struct {
	plan  *Plan
	start time.Time
	next  atomic.Int64 // of a run without a rate
}

// worker sends on one connection at a time.
type worker struct {
	plan     *Plan
	schedule *schedule
	index    int
	conn     *conn
	library  *library // instead of conn
	tally    *tally
}

func (w *worker) open() (err error) {
	if w.library != nil {
		return w.library.open()
	}
	w.conn, err = dial(w.plan.Target, w.plan.timeout())
	if err == nil {
		w.tally.connections++
	}
	return err
}

func (w *worker) close() {
	if w.conn != nil {
		w.tally.bytesSent += w.conn.sent
		w.tally.bytesReceived += w.conn.received
		w.conn.Close()
		w.conn = nil
	}
}

func (w *worker) run(ctx context.Context) {
	defer w.close()
	if w.library != nil {
		defer w.library.finish(w.tally)
	}
	if w.plan.Rate > 0 {
		w.paced(ctx)
	} else {
		w.closedLoop(ctx)
	}
}

// paced sends this worker's share (every n-th batch) when its time has come.
func (w *worker) paced(ctx context.Context) {
	p := w.plan
	total, size := p.planned(), p.batch()
	deadline := w.schedule.start.Add(at(total, p.Rate) + grace)
	for first := w.index * size; first < total; first += p.Connections * size {
		numbers := span(first, min(size, total-first))
		w.tally.planned += len(numbers)
		if wait := time.Until(w.schedule.start.Add(at(first, p.Rate))); wait > 0 {
			sleep(ctx, wait)
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			w.tally.notSent += len(numbers)
			continue
		}
		w.send(numbers)
	}
}

// at is when request n of a paced run is due, from its start.
func at(n int, rate float64) time.Duration {
	return time.Duration(float64(n) / rate * float64(time.Second))
}

func (w *worker) closedLoop(ctx context.Context) {
	p := w.plan
	size := p.batch()
	var deadline time.Time
	if p.Duration > 0 {
		deadline = w.schedule.start.Add(p.Duration)
	}
	for ctx.Err() == nil && (deadline.IsZero() || time.Now().Before(deadline)) {
		first := int(w.schedule.next.Add(int64(size))) - size
		n := size
		if p.Count > 0 {
			n = min(size, p.Count-first)
		}
		if n <= 0 {
			return
		}
		w.tally.planned += n
		w.send(span(first, n))
	}
}

// send sends the requests with these numbers together and reads their answers. It counts what became of each.
func (w *worker) send(numbers []int) {
	if w.library != nil {
		if err := w.library.ask(numbers[0], w.tally); err != nil {
			w.tally.failure(err)
		}
		return
	}
	if w.conn == nil {
		if err := w.open(); err != nil {
			w.tally.failure(err)
			w.tally.notSent += len(numbers)
			return
		}
	}
	more, err := w.exchange(numbers, w.tally)
	if err != nil {
		w.tally.failure(err)
	}
	if err != nil || !more || w.plan.Close {
		w.close()
	}
}

// exchange writes requests and reads their answers. more is false when the connection is used up. With a nil tally
// nothing is counted.
func (w *worker) exchange(numbers []int, t *tally) (more bool, err error) {
	p := w.plan
	if t == nil {
		t = newTally()
	}
	for i, n := range numbers {
		r := p.Requests[n%len(p.Requests)]
		w.conn.add(r, strings.ReplaceAll(r.Path, "{n}", strconv.Itoa(n)), p.Target, p.Close && i == len(numbers)-1)
	}
	begin := time.Now()
	if err := w.conn.SetDeadline(begin.Add(p.timeout())); err != nil {
		return false, err
	}
	if err := w.conn.flush(); err != nil {
		t.notSent += len(numbers)
		return false, err
	}
	t.sent += len(numbers)
	more = true
	for i, n := range numbers {
		request := n % len(p.Requests)
		var status int
		if !more {
			err = fmt.Errorf("the server closed with %d answers owing", len(numbers)-i)
		} else {
			status, more, err = w.conn.answer(p.Requests[request].Method)
		}
		if err != nil {
			for _, n := range numbers[i:] {
				t.unanswered(n % len(p.Requests))
			}
			return false, err
		}
		t.answered(request, status, time.Since(begin))
	}
	return more, nil
}

func span(first, n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = first + i
	}
	return numbers
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
