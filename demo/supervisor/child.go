package supervisor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// child is a process that runs, or has run, a service.
type child struct {
	service Service
	cmd     *exec.Cmd
	orders  io.WriteCloser // its standard input
	hello   chan Hello     // closed when it ends
	taken   chan uint64    // the number of the order that it has taken
	gone    chan struct{}  // closed when it says nothing more
	deaf    bool           // it did not take an order
	report  Report         // valid after the child came out of exits
	err     error          // likewise
}

// start starts service and waits for its Hello.
func (s *Supervisor) start(ctx context.Context, service Service) (*child, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c := &child{
		service: service, cmd: s.command(service),
		hello: make(chan Hello, 1), taken: make(chan uint64, 1), gone: make(chan struct{}),
	}
	c.cmd.ExtraFiles = []*os.File{write} // becomes reportFD
	if c.orders, err = c.cmd.StdinPipe(); err == nil {
		err = c.cmd.Start()
	}
	write.Close() // the child's alone now: when it ends, there is nothing more to read
	if err != nil {
		read.Close()
		return nil, err
	}
	s.children[service.Name] = c
	go func() {
		c.listen(read)
		c.err = c.cmd.Wait()
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
		return c, s.introduce(c)
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
	if service.From.IsValid() {
		args = append(args, "--from="+service.From.String())
	}
	for _, p := range service.Peers {
		args = append(args, "--peer="+p+"="+s.addresses[p])
	}
	if s.faults != "" {
		args = append(args, "--fault="+s.faults)
	}
	of := cmp.Or(service.Of, service.Name)
	env := append(os.Environ(), "OTEL_SERVICE_NAME="+of)
	if service.Version != 0 {
		args = append(args, fmt.Sprintf("--version=%d", service.Version))
		env = append(env, "OTEL_RESOURCE_ATTRIBUTES="+attributes(service.Version))
	}
	cmd := exec.Command(s.Executable, append(args, s.Args...)...)
	cmd.Args[0] = "toposcope-demo"
	cmd.Env = env
	cmd.Stderr = os.Stderr
	// A group of its own, so that Ctrl-C reaches the parent alone, which stops the children in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// introduce tells the services that keep a directory of c, and c of all others if it keeps one.
func (s *Supervisor) introduce(c *child) error {
	for _, other := range s.children {
		addresses := map[string]string{c.service.Name: s.addresses[c.service.Name]}
		if other == c {
			addresses = s.addresses
		}
		if !other.service.Directory {
			continue
		}
		if err := s.tell(other, Order{Addresses: addresses}); err != nil && other == c {
			return err
		} else if err != nil {
			s.Logf("%v; it will learn of %s when it runs again", err, c.service.Name)
		}
	}
	return nil
}

// errGone says that a child took no order because it has ended.
var errGone = errors.New("it has ended")

// tell gives c an order and waits until it has taken it. To one that did not take an order it does not speak again: that one may read
// nothing, and its pipe would fill.
func (s *Supervisor) tell(c *child, o Order) error {
	late := fmt.Errorf("telling %s: it took no order within %s", c.service.Name, orderTimeout)
	if c.deaf {
		return late
	}
	s.orders++
	o.Number = s.orders
	line, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("telling %s: %w", c.service.Name, err)
	}
	if _, err := c.orders.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("telling %s: %w", c.service.Name, errGone)
	}
	timeout := time.NewTimer(orderTimeout)
	defer timeout.Stop()
	select {
	case <-c.taken:
		return nil
	case <-c.gone:
		return fmt.Errorf("telling %s: %w", c.service.Name, errGone)
	case <-timeout.C:
		c.deaf = true
		return late
	}
}

// listen reads what the child says until it ends.
func (c *child) listen(from io.ReadCloser) {
	defer from.Close()
	defer close(c.gone)
	defer close(c.hello)
	for lines := json.NewDecoder(from); ; {
		var w word
		// A child that was killed leaves no report: what it did is then not known.
		if lines.Decode(&w) != nil {
			return
		}
		switch {
		case w.Hello != nil:
			select {
			case c.hello <- *w.Hello:
			default: // it says so once; more is not waited for
			}
		case w.Taken != 0:
			select {
			case c.taken <- w.Taken:
			default: // nobody waits for it any more
			}
		case w.Report != nil:
			c.report = *w.Report
		}
	}
}

// attributes are the resource attributes of a child: those that the shop was given, and the version.
func attributes(version int) string {
	own := fmt.Sprintf("service.version=%d", version)
	if given := os.Getenv("OTEL_RESOURCE_ATTRIBUTES"); given != "" {
		return given + "," + own
	}
	return own
}
