package fault

import "sync/atomic"

// Switch holds the faults in force at one service. Its zero value holds none; its methods may be called from any goroutine.
type Switch struct{ current atomic.Pointer[Fault] }

// Set puts f in force for the requests that come from now on.
func (s *Switch) Set(f Fault) { s.current.Store(&f) }

// Now is what is in force.
func (s *Switch) Now() Fault {
	if f := s.current.Load(); f != nil {
		return *f
	}
	return Fault{}
}
