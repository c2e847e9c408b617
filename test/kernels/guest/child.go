package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stopLimit is how long a process may take to end.
const stopLimit = 2 * time.Minute

// child is a process of the drive. Its standard error goes to the console unless cmd has a place for it.
type child struct {
	name    string
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	done    chan struct{} // closed when it has ended, after err is set
	err     error
	cleanup func()
}

// reexec starts this program as another process, under a service name.
func reexec(ctx context.Context, service string, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), serviceName+service)
	return start(ctx, cmd)
}

// serviceName is the variable by which the labeler names a process.
const serviceName = "OTEL_SERVICE_NAME="

// start starts a child; its standard output is for line unless cmd has a place for it.
func start(ctx context.Context, cmd *exec.Cmd) (*child, error) {
	c := &child{name: strings.Join(append([]string{filepath.Base(cmd.Path)}, cmd.Args[1:min(len(cmd.Args), 3)]...), " "), cmd: cmd, done: make(chan struct{})}
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	if cmd.Stdout == nil {
		r, w, err := os.Pipe() // not StdoutPipe: Wait, which runs beside the reader, would close it under him
		if err != nil {
			return nil, fmt.Errorf("starting %s: %w", c.name, err)
		}
		defer w.Close()
		cmd.Stdout, c.out = w, bufio.NewReader(r)
		context.AfterFunc(ctx, func() { r.Close() })
	}
	var err error
	if c.in, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.name, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.name, err)
	}
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// line reads a line of the child's standard output.
func (c *child) line() (string, error) {
	s, err := c.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("reading from %s: %w", c.name, err)
	}
	return strings.TrimSpace(s), nil
}

// stop asks the child to end and waits. It may be called again; the error is that of its exit.
func (c *child) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // fails when it has ended
	return c.wait()
}

// kill ends the child: it has nothing to finish. It may be called again.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // fails when it has ended
	<-c.done
}

func (c *child) wait() error {
	select {
	case <-c.done:
	case <-time.After(stopLimit):
		c.kill()
		return fmt.Errorf("%s did not end within %v", c.name, stopLimit)
	}
	if c.cleanup != nil {
		c.cleanup()
	}
	if c.err != nil {
		return fmt.Errorf("%s: %w", c.name, c.err)
	}
	return nil
}

// status is the exit status of a child that has ended; of one that a signal ended, -1.
func (c *child) status() int {
	var exit *exec.ExitError
	if errors.As(c.err, &exit) {
		return exit.ExitCode()
	}
	return 0
}
