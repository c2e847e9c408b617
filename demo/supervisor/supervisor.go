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
	"slices"
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

// comeBackTries is how often it is tried to start a service that was stopped, restartDelay apart.
const comeBackTries = 5

// Service is a child to run.
type Service struct {
	Name string
	// Of is the name of the service that it is an instance of; "": of that called Name.
	Of string
	// Listen is the address to listen at; port 0 takes a free one, which is kept over restarts. A service may take a list of
	// addresses here, and says in its Hello which one it is. "" serves nobody.
	Listen string
	// From is the address that it calls others from; one that is not valid leaves that to the kernel.
	From netip.Addr
	// Peers are the services it calls. They must come before it.
	Peers []string
	// Directory says that it is told the address of each service that starts.
	Directory bool
	// Version is handed on to it by its flag --version and as service.version; 0 says nothing.
	Version int
	// Down says that it does not run for now.
	Down bool
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
	dead      []*child // ended, and not looked after yet
	report    Report
}

// Running is a service in operation.
type Running struct {
	Service
	PID     int
	Address string
}

// change is a Change on its way to Run.
type change struct {
	Change
	done chan<- error // gets the result
}

// Change is what is to be otherwise from now on.
type Change struct {
	// Faults are those in force, in fault.Syntax.
	Faults string
	// Services are those of the Config, in their order, as they are to be: one that is Down is stopped, one that is not is started,
	// and one of another Version is started anew.
	Services []Service
}

// New makes a Supervisor; its Run is called once.
func New(c Config) *Supervisor {
	return &Supervisor{
		Config: c, changes: make(chan change), ended: make(chan struct{}), faults: c.Faults,
		addresses: map[string]string{}, children: map[string]*child{}, exits: make(chan *child, 2*len(c.Services)),
	}
}

// Apply makes a Change, and waits until it is made. It may be called from any goroutine.
func (s *Supervisor) Apply(ctx context.Context, c Change) error {
	done := make(chan error, 1)
	select {
	case s.changes <- change{c, done}:
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
	// One that is to be down has started all the same, so that others know its address.
	for _, service := range s.Services {
		if service.Down {
			s.halt(service.Name)
		}
	}
	s.Ready(running)
	err := s.watch(ctx)
	s.stop()
	return s.report, err
}

// watch starts again whatever dies and makes changes, until ctx ends or a service that is Last does.
func (s *Supervisor) watch(ctx context.Context) error {
	for {
		if len(s.dead) > 0 {
			c := s.dead[0]
			s.dead = s.dead[1:]
			if c.service.Last && c.err == nil {
				return nil
			}
			if err := s.revive(ctx, c); err != nil || ctx.Err() != nil {
				return err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case c := <-s.changes:
			c.done <- s.apply(ctx, c.Change)
		case c := <-s.exits:
			s.reap(c)
			s.dead = append(s.dead, c)
		}
	}
}

// revive starts the service of c, which has ended, unless it is to be down.
func (s *Supervisor) revive(ctx context.Context, c *child) error {
	service := s.current(c.service.Name)
	if service.Down || s.children[service.Name] != nil {
		return nil
	}
	s.Logf("%s (process %d) ended: %v; starting it again", service.Name, c.cmd.Process.Pid, c.err)
	if !pause(ctx) {
		return nil
	}
	again, err := s.start(ctx, service)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("starting %s again: %w", service.Name, err)
	}
	s.Logf("%s runs again as process %d", service.Name, again.cmd.Process.Pid)
	return nil
}

// pause waits for restartDelay; it is false when ctx ends before.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(restartDelay):
		return true
	}
}

// current is the service called name as it is to be.
func (s *Supervisor) current(name string) Service {
	i := slices.IndexFunc(s.Services, func(service Service) bool { return service.Name == name })
	return s.Services[i]
}

// apply makes a change: first what is to be stopped is, then all are told of the faults, those that start by their flags.
func (s *Supervisor) apply(ctx context.Context, c Change) error {
	s.faults = c.Faults
	var start []Service
	for i, service := range c.Services {
		was := s.Services[i]
		if !service.Down && was.Down || service.Version != was.Version {
			start = append(start, service)
		}
		if service.Down && !was.Down || service.Version != was.Version {
			s.halt(service.Name)
		}
	}
	s.Services = c.Services
	errs := []error{s.tellFaults()}
	for _, service := range start {
		if !service.Down {
			errs = append(errs, s.comeBack(ctx, service))
		}
	}
	return errors.Join(errs...)
}

// comeBack starts a service that was stopped. Somebody may have taken its port for the end of a connection meanwhile; that passes.
func (s *Supervisor) comeBack(ctx context.Context, service Service) error {
	var err error
	for range comeBackTries {
		if s.children[service.Name] != nil {
			return nil
		}
		if _, err = s.start(ctx, service); err == nil {
			return nil
		}
		s.halt(service.Name)
		if !pause(ctx) {
			break
		}
	}
	return fmt.Errorf("starting %s again: %w", service.Name, err)
}

// tellFaults tells all children what is in force.
func (s *Supervisor) tellFaults() error {
	var errs []error
	for _, service := range s.Services {
		c := s.children[service.Name]
		if c == nil {
			continue
		}
		if err := s.tell(c, Order{Faults: &s.faults}); err != nil && !errors.Is(err, errGone) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// halt stops the child of one service and waits until it has ended. What else ends meanwhile is kept for watch.
func (s *Supervisor) halt(name string) {
	c := s.children[name]
	if c == nil {
		return
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // an error says that it has ended already
	deadline := time.NewTimer(stopTimeout)
	defer deadline.Stop()
	for s.children[name] == c {
		select {
		case ended := <-s.exits:
			s.reap(ended)
			if ended != c {
				s.dead = append(s.dead, ended)
			}
		case <-deadline.C:
			s.Logf("%s does not stop; killing it", name)
			_ = c.cmd.Process.Kill() // likewise
		}
	}
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
