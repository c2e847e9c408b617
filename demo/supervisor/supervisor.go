// Package supervisor runs the services of the demo as processes of their own: it starts them in order, starts again one that dies,
// tells them what changes, and stops them all.
//
// Parent and child talk in JSON lines. On its file descriptor 3 a child says Hello when it listens, the number of each order
// that it has taken, and its Report when it ends; on its standard input it gets its orders. It gets its place by flags (--listen,
// --from, --fault, and --peer once for each service that it calls) and its name in OTEL_SERVICE_NAME. No child outlives its parent,
// whatever ends that one.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"time"
)

// How long a child may take to listen, to take an order, to stop, and to be started again after it died.
const (
	startTimeout = 10 * time.Second
	orderTimeout = 5 * time.Second
	stopTimeout  = 15 * time.Second
	restartDelay = time.Second
)

// Service is a child to run.
type Service struct {
	Name string
	// Listen is the address to listen at; port 0 takes a free one, which is kept over restarts. A service may take a list of
	// addresses here, and says in its Hello which one it is. "" serves nobody.
	Listen string
	// From is the address that it calls others from; one that is not valid leaves that to the kernel.
	From netip.Addr
	// Peers are the services it calls. They must come before it.
	Peers []string
	// Directory says that it is told the address of each service that starts.
	Directory bool
	// Last says that all is over when this service ends well.
	Last bool
}

// Config is what a Supervisor runs.
type Config struct {
	// Executable is the program of every child, Args its further arguments.
	Executable string
	Args       []string
	Services   []Service
	// Faults are those that children start with, in fault.Syntax.
	Faults string
	// Ready is called once, when all services listen.
	Ready func(running []Running)
	// Logf takes one line on each death and restart.
	Logf func(format string, args ...any)
}

// Supervisor runs the services of its Config.
type Supervisor struct {
	Config
	changes chan change
	ended   chan struct{} // closed when Run returns

	// What follows is Run's own.
	faults    string
	orders    uint64 // given so far
	addresses map[string]string
	children  map[string]*child
	exits     chan *child
	report    Report
}

// Running is a service in operation.
type Running struct {
	Service
	PID     int
	Address string
}

// change puts other faults in force; done gets the result.
type change struct {
	faults string
	done   chan<- error
}

// New makes a Supervisor; its Run is called once.
func New(c Config) *Supervisor {
	return &Supervisor{
		Config: c, changes: make(chan change), ended: make(chan struct{}), faults: c.Faults,
		addresses: map[string]string{}, children: map[string]*child{}, exits: make(chan *child, len(c.Services)),
	}
}

// SetFaults puts faults, in fault.Syntax, in force at all services, and waits until they are. It may be called from any goroutine.
func (s *Supervisor) SetFaults(ctx context.Context, faults string) error {
	done := make(chan error, 1)
	select {
	case s.changes <- change{faults, done}:
		return <-done
	case <-s.ended:
		return errors.New("the shop is closing")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run starts all services and keeps them running until ctx ends, then stops them, the last started first. It returns
// the sum of their reports, also with an error.
func (s *Supervisor) Run(ctx context.Context) (Report, error) {
	// The kernel ends children when the thread that started them ends, so all are started from this one, which stays.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(s.ended)
	defer s.stop()

	running := make([]Running, 0, len(s.Services))
	for _, service := range s.Services {
		c, err := s.start(ctx, service)
		if err != nil {
			return s.report, fmt.Errorf("starting %s: %w", service.Name, err)
		}
		running = append(running, Running{service, c.cmd.Process.Pid, s.addresses[service.Name]})
	}
	s.Ready(running)
	err := s.watch(ctx)
	s.stop()
	return s.report, err
}

// watch starts again whatever dies and passes on changes, until ctx ends or a service that is Last does.
func (s *Supervisor) watch(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case c := <-s.changes:
			c.done <- s.setFaults(c.faults)
		case c := <-s.exits:
			s.reap(c)
			if c.service.Last && c.err == nil {
				return nil
			}
			s.Logf("%s (process %d) ended: %v; starting it again", c.service.Name, c.cmd.Process.Pid, c.err)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(restartDelay):
			}
			again, err := s.start(ctx, c.service)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return fmt.Errorf("starting %s again: %w", c.service.Name, err)
			}
			s.Logf("%s runs again as process %d", c.service.Name, again.cmd.Process.Pid)
		}
	}
}

// setFaults tells all children, and those that start later by their flags.
func (s *Supervisor) setFaults(faults string) error {
	s.faults = faults
	var errs []error
	for _, service := range s.Services {
		c := s.children[service.Name]
		if c == nil {
			continue
		}
		if err := s.tell(c, Order{Faults: &faults}); err != nil && !errors.Is(err, errGone) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// reap takes over what an ended child reported.
func (s *Supervisor) reap(c *child) {
	if s.children[c.service.Name] == c {
		delete(s.children, c.service.Name)
	}
	s.report.Pages = s.report.With(c.report.Pages)
	s.report.NotSent += c.report.NotSent
}

// stop ends all children, callers before those they call, so that no call fails for it.
func (s *Supervisor) stop() {
	deadline := time.NewTimer(stopTimeout)
	defer deadline.Stop()
	for i := len(s.Services) - 1; i >= 0; i-- {
		name := s.Services[i].Name
		if c := s.children[name]; c != nil {
			// An error says that it has ended already.
			_ = c.cmd.Process.Signal(syscall.SIGTERM)
		}
		for s.children[name] != nil {
			select {
			case c := <-s.exits:
				s.reap(c)
			case <-deadline.C:
				s.Logf("%s does not stop; killing what is left", name)
				for _, c := range s.children {
					_ = c.cmd.Process.Kill()
				}
			}
		}
	}
}
