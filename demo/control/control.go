// Package control is the demo's switchboard: an HTTP handler by which faults are switched on and off while the shop runs.
//
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

	"github.com/toposcope/toposcope/demo/fault"
)

// maxBody bounds what is read of a request, in bytes.
const maxBody = 4 << 10

// Switchboard keeps the faults in force.
type Switchboard struct {
	services []string
	apply    func(context.Context, fault.Set) error

	mu    sync.Mutex // held while faults are being changed, so that changes come one after another
	inUse fault.Set
}

// New makes a switchboard for services. first are the faults in force already; apply puts others in force, and has done so
// when it returns.
func New(services []string, first fault.Set, apply func(context.Context, fault.Set) error) *Switchboard {
	return &Switchboard{services: services, apply: apply, inUse: first}
}

// Handler serves the routes above. It refuses changes that a page of another origin makes a browser ask for.
func (s *Switchboard) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, r *http.Request) {
		s.change(w, r, func(now fault.Set) fault.Set { return now })
	})
	mux.HandleFunc("PUT /faults", func(w http.ResponseWriter, r *http.Request) {
		if set, ok := s.read(w, r); ok {
			s.change(w, r, func(fault.Set) fault.Set { return fault.Set{}.With(set) })
		}
	})
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) {
		if set, ok := s.read(w, r); ok {
			s.change(w, r, func(now fault.Set) fault.Set { return now.With(set) })
		}
	})
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, r *http.Request) {
		s.change(w, r, func(fault.Set) fault.Set { return fault.Set{} })
	})
	return http.NewCrossOriginProtection().Handler(mux)
}

// read reads the faults in the request's body; where they are none it answers with the reason, and ok is false.
func (s *Switchboard) read(w http.ResponseWriter, r *http.Request) (set fault.Set, ok bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		set, err = fault.Parse(string(body), s.services)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return set, err == nil
}

// change puts what to makes of the faults in force in their place, and answers with what is in force then.
func (s *Switchboard) change(w http.ResponseWriter, r *http.Request, to func(fault.Set) fault.Set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := to(s.inUse)
	if !maps.Equal(set, s.inUse) {
		// Where it fails some services have the new faults, and those that start anew get them.
		s.inUse = set
		if err := s.apply(r.Context(), set); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, set)
}
