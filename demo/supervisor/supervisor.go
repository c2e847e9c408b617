// Package supervisor runs the services of the demo as processes of their own: it starts them in order, starts again one that dies, and
// stops them all.
//
// A child tells its parent two things, as JSON lines on file descriptor 3: a Hello when it listens, and a Report when it
// ends. It gets its place by flags (--listen, and --peer once for each service that it calls) and its name in
// OTEL_SERVICE_NAME. No child outlives its parent, whatever ends that one.
package supervisor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/toposcope/toposcope/demo/tally"
)

// ReportFD is the file descriptor on which a child writes its Hello and its Report.
const ReportFD = 3

// How long a child may take to listen, to stop, and to be started again after it died.
const (
	startTimeout = 10 * time.Second
	stopTimeout  = 15 * time.Second
	restartDelay = time.Second
)

// Hello is a child's first line.
type Hello struct {
	// Address is where it listens, "" if it serves nobody.
	Address string `json:"address"`
}

// Report is a child's last line.
type Report struct {
	Calls   []tally.Row `json:"calls"`
	NotSent uint64      `json:"notSent"`
}

// Service is a child to run.
type Service struct {
	Name string
	// Listen is the address to listen at; port 0 takes a free one, which is kept over restarts. "" serves nobody.
	Listen string
	// Peers are the services it calls. They must come before it.
	Peers []string
}

// Supervisor runs Services.
type Supervisor struct {
	// Executable is the program of every child, Args its further arguments.
	Executable string
	Args       []string
	Services   []Service
	// Ready is called once, when all services listen.
	Ready func(running []Running)
	// Logf takes one line on each death and restart.
	Logf func(format string, args ...any)

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

type child struct {
	service Service
	cmd     *exec.Cmd
	hello   chan Hello
	report  Report // valid after the child came out of exits
	err     error  // likewise
}

// Run starts all services and keeps them running until ctx ends, then stops them, the last started first. It returns
// the sum of their reports, also with an error.
func (s *Supervisor) Run(ctx context.Context) (Report, error) {
	// The kernel ends children when the thread that started them ends, so all are started from this one, which stays.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s.addresses = map[string]string{}
	s.children = map[string]*child{}
	s.exits = make(chan *child, len(s.Services))
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
	s.report.Calls = tally.Merge(s.report.Calls)
	return s.report, err
}

// watch starts again whatever dies, until ctx ends.
func (s *Supervisor) watch(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case c := <-s.exits:
			s.reap(c)
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

// start starts service and waits for its Hello.
func (s *Supervisor) start(ctx context.Context, service Service) (*child, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := s.command(service)
	cmd.ExtraFiles = []*os.File{write} // becomes ReportFD
	err = cmd.Start()
	write.Close()
	if err != nil {
		read.Close()
		return nil, err
	}
	c := &child{service: service, cmd: cmd, hello: make(chan Hello, 1)}
	s.children[service.Name] = c
	go func() {
		c.listen(read)
		c.err = cmd.Wait()
		s.exits <- c
	}()
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case hello, ok := <-c.hello:
		if !ok {
			return nil, errors.New("it ended before it listened")
		}
		s.addresses[service.Name] = hello.Address
		return c, nil
	case <-timeout.C:
		return nil, fmt.Errorf("it does not listen after %s", startTimeout)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Supervisor) command(service Service) *exec.Cmd {
	args := []string{service.Name}
	if service.Listen != "" {
		listen := service.Listen
		if known := s.addresses[service.Name]; known != "" {
			listen = known
		}
		args = append(args, "--listen="+listen)
	}
	for _, p := range service.Peers {
		args = append(args, "--peer="+p+"="+s.addresses[p])
	}
	cmd := exec.Command(s.Executable, append(args, s.Args...)...)
	cmd.Args[0] = "toposcope-demo"
	cmd.Env = append(os.Environ(), "OTEL_SERVICE_NAME="+service.Name)
	cmd.Stderr = os.Stderr
	// A group of its own, so that Ctrl-C reaches the parent alone, which stops the children in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// listen reads what the child says until it ends.
func (c *child) listen(from io.ReadCloser) {
	defer from.Close()
	defer close(c.hello)
	lines := bufio.NewReader(from)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return
	}
	var hello Hello
	if json.Unmarshal(line, &hello) != nil {
		return
	}
	c.hello <- hello
	// A child that was killed leaves no report: what it did is then not known.
	_ = json.NewDecoder(lines).Decode(&c.report)
}

// reap takes over what an ended child reported.
func (s *Supervisor) reap(c *child) {
	if s.children[c.service.Name] == c {
		delete(s.children, c.service.Name)
	}
	s.report.Calls = append(s.report.Calls, c.report.Calls...)
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
