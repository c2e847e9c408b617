// Package db loads databases, caches and queues through the drivers that applications use, and reports what that was on the wire:
// operations, each with its table, collection or topic and the code of its error.
//
// What a client does is written as steps. Each says which operations it makes, and fails unless it ends as it says, so that the
// report follows from what the server did.
package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Operation is a kind of request, named as Toposcope shall name it.
type Operation struct {
	Name       string `json:"operation"`
	Collection string `json:"collection,omitempty"`
	// Any is set where the client does not know which collection it is for.
	Any bool `json:"any,omitempty"`
	// Code is that of the error with which it is answered; "": there is none.
	Code string `json:"code,omitempty"`
	// Rejected is set where the error is the client's own.
	Rejected bool `json:"rejected,omitempty"`
	// Prepared is set where the request says no more than the number of a statement that was sent before.
	Prepared bool `json:"prepared,omitempty"`
	// Upkeep is set for what the driver does on its own, Waiting for what may wait for something to happen.
	Upkeep  bool `json:"upkeep,omitempty"`
	Waiting bool `json:"waiting,omitempty"`
	Count   int  `json:"count"`
}

// Report is what a run made.
type Report struct {
	// Before is what was made by opening and warming the connections, Operations what came then.
	Before     []Operation `json:"before"`
	Operations []Operation `json:"operations"`
}

// timeout bounds the opening of a connection, and all that comes when those are open.
const timeout = time.Minute

// Plan says what to do.
type Plan struct {
	// Driver is a key of Drivers.
	Driver string
	// Target is the server, host:port.
	Target string
	// Connections work side by side; of Count operations each makes its share, and more where that is not the end of a round.
	Connections, Count int
	// Value is what is written, looked for, and sent as a literal, a value or a record.
	Value string
}

// step is something that a client does on its connection.
type step struct {
	name string
	do   func(ctx context.Context) error
	// made is what it is on the wire.
	made []Operation
}

// session is a connection of a client.
type session struct {
	*tally
	value string // Plan.Value
	steps []step
	// close ends it; it may make operations.
	close func(ctx context.Context) error
}

// worker is the number of a session, from 1: a row of its own, for those who write.
type worker int

// driver opens a connection and tells s what that makes.
type driver func(ctx context.Context, target string, w worker, s *session) error

// tally counts operations.
type tally struct {
	mu    sync.Mutex
	total int
	all   map[Operation]int
}

func (t *tally) add(operations ...Operation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, op := range operations {
		n := max(op.Count, 1)
		op.Count = 0
		t.all[op] += n
		t.total += n
	}
}

// take returns what has been counted, and counts anew.
func (t *tally) take() []Operation {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Operation, 0, len(t.all))
	for op, n := range t.all {
		op.Count = n
		out = append(out, op)
	}
	slices.SortFunc(out, func(a, b Operation) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	clear(t.all)
	t.total = 0
	return out
}

func (t *tally) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total
}

// Run opens the connections and does every step once on each, calls ready, makes the operations and closes the connections.
func Run(ctx context.Context, p Plan, ready func() error) (*Report, error) {
	open := Drivers[p.Driver]
	if open == nil {
		return nil, fmt.Errorf("unknown driver %q", p.Driver)
	}
	all := &tally{all: map[Operation]int{}}
	sessions := make([]*session, p.Connections)
	for i := range sessions {
		sessions[i] = &session{tally: all, value: p.Value}
		if err := sessions[i].begin(ctx, open, p.Target, worker(i+1)); err != nil {
			return nil, fmt.Errorf("opening a connection: %w", err)
		}
	}
	r := &Report{Before: all.take()}
	if err := ready(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	errs := make([]error, len(sessions))
	var working sync.WaitGroup
	for i, s := range sessions {
		working.Go(func() {
			for errs[i] == nil && all.count() < p.Count {
				errs[i] = s.round(ctx)
			}
			errs[i] = errors.Join(errs[i], s.close(ctx))
		})
	}
	working.Wait()
	r.Operations = all.take()
	return r, errors.Join(errs...)
}

// begin opens a connection and does every step once.
func (s *session) begin(ctx context.Context, open driver, target string, w worker) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := open(ctx, target, w, s); err != nil {
		return err
	}
	return s.round(ctx)
}

// round does every step once.
func (s *session) round(ctx context.Context) error {
	for _, step := range s.steps {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		s.add(step.made...)
	}
	return nil
}

// Drivers are the clients, by the names of their servers' kinds and of what they do.
var Drivers = map[string]driver{
	"mariadb-text":        mysqlText(""),
	"mariadb-tls":         mysqlText("&tls=skip-verify"),
	"mariadb-compressed":  mysqlText("&compress=true"),
	"mariadb-prepared":    mysqlPrepared,
	"postgresql-simple":   postgresSimple,
	"postgresql-prepared": postgresPrepared,
	"redis":               redisCommands,
	"mongo":               mongoCommands,
	"kafka":               kafkaRequests,
	"kafka-group":         kafkaGroup,
}
