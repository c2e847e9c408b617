// Package control is the demo's switchboard: an HTTP handler by which faults are switched on and off while the shop runs.
//
//	GET    /        what can be switched on, in sentences
//	GET    /faults  the faults in force
//	PUT    /faults  puts the faults in the body in force, and no others
//	POST   /faults  changes those services alone that the body names
//	DELETE /faults  takes all away
//
// Bodies are in fault.Syntax, questions and answers alike. An answer tells what is in force after the request.
package control

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/toposcope/toposcope/demo/fault"
)

// maxBody bounds what is read of a request, in bytes.
const maxBody = 4 << 10

// endTimeout is how long taking away a fault whose time is over may take.
const endTimeout = time.Minute

// Config is what a Switchboard is made of.
type Config struct {
	// Places are where faults can be.
	Places fault.Places
	// First are the faults in force already.
	First fault.Set
	// Apply puts others in force, and has done so when it returns.
	Apply func(context.Context, fault.Set) error
	// Help is what GET / answers.
	Help string
	// Logf takes a line where a fault whose time is over cannot be taken away.
	Logf func(format string, args ...any)
}

// Switchboard keeps the faults in force.
type Switchboard struct {
	Config

	mu     sync.Mutex // held while faults are being changed, so that changes come one after another
	inUse  fault.Set
	timers map[string]*time.Timer // by service: what ends its faults
}

// New makes a switchboard. The time of the first faults begins now.
func New(c Config) *Switchboard {
	s := &Switchboard{Config: c, inUse: c.First, timers: map[string]*time.Timer{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setTimers(c.First)
	return s
}

// setTimers has the faults of the services in set end when their time is over, and no others that were to.
func (s *Switchboard) setTimers(set fault.Set) {
	for service, f := range set {
		if before := s.timers[service]; before != nil {
			before.Stop()
			delete(s.timers, service)
		}
		if f.For <= 0 {
			continue
		}
		var timer *time.Timer
		timer = time.AfterFunc(f.For, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.timers[service] == timer {
				s.end(service)
			}
		})
		s.timers[service] = timer
	}
}

// end takes away the faults of service. s.mu is held.
func (s *Switchboard) end(service string) {
	delete(s.timers, service)
	s.inUse = s.inUse.With(fault.Set{service: {}})
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	if err := s.Apply(ctx, s.inUse); err != nil {
		s.Logf("the time of the faults of %s is over, but: %v", service, err)
	}
}

// Close leaves the faults as they are: those whose time is not over do not end any more.
func (s *Switchboard) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for service, timer := range s.timers {
		timer.Stop()
		delete(s.timers, service)
	}
}

// Handler serves the routes above. It refuses changes that a page of another origin makes a browser ask for.
func (s *Switchboard) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, s.Help)
	})
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, r *http.Request) {
		s.change(w, r, func(fault.Set) fault.Set { return nil })
	})
	mux.HandleFunc("PUT /faults", func(w http.ResponseWriter, r *http.Request) {
		if set, ok := s.read(w, r); ok {
			s.change(w, r, func(now fault.Set) fault.Set { return both(off(now), set) })
		}
	})
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) {
		if set, ok := s.read(w, r); ok {
			s.change(w, r, func(fault.Set) fault.Set { return set })
		}
	})
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, r *http.Request) {
		s.change(w, r, off)
	})
	return http.NewCrossOriginProtection().Handler(mux)
}

// off takes away all that is in set.
func off(set fault.Set) fault.Set {
	change := fault.Set{}
	for service := range set {
		change[service] = fault.Fault{}
	}
	return change
}

// read reads the faults in the request's body; where they are none it answers with the reason, and ok is false.
func (s *Switchboard) read(w http.ResponseWriter, r *http.Request) (set fault.Set, ok bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		set, err = fault.Parse(string(body), s.Places)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return set, err == nil
}

// both is a with b's in place of its own.
func both(a, b fault.Set) fault.Set {
	maps.Copy(a, b)
	return a
}

// change makes the change that of says of the faults in force, and answers with what is in force then.
func (s *Switchboard) change(w http.ResponseWriter, r *http.Request, of func(now fault.Set) fault.Set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change := of(s.inUse)
	set := s.inUse.With(change)
	s.setTimers(change)
	if !maps.Equal(set, s.inUse) {
		// Where it fails some services have the new faults, and those that start anew get them.
		s.inUse = set
		if err := s.Apply(r.Context(), set); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, set)
}
