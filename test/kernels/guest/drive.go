package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/toposcope/toposcope/test/kernels"
)

// Where Toposcope listens, and how long its steps may take in emulation.
const (
	listenAddress = "127.0.0.1:7676"
	readyLimit    = 2 * time.Minute
	countLimit    = time.Minute
	stopLimit     = time.Minute
)

// driveInto runs Toposcope with one way of capture between a server and a client and puts into rep what the client sent
// against what Toposcope counted.
func driveInto(ctx context.Context, bin, way string, rep *kernels.Report) error {
	began := time.Now()
	defer func() { rep.Seconds = time.Since(began).Seconds() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server, err := reexec(ctx, serverName, "serve")
	if err != nil {
		return err
	}
	defer server.stop()
	port, err := server.line()
	if err != nil {
		return err
	}
	client, err := reexec(ctx, clientName, "load", port)
	if err != nil {
		return err
	}
	defer client.stop()
	if _, err := client.line(); err != nil { // its old connections are open
		return err
	}
	scope, err := startToposcope(ctx, bin, way)
	if err != nil {
		return err
	}
	defer scope.stop()
	if _, err := io.WriteString(client.in, "go\n"); err != nil {
		return fmt.Errorf("starting the load: %w", err)
	}
	line, err := client.line()
	if err != nil {
		return err
	}
	var sent tally
	if err := json.Unmarshal([]byte(line), &sent); err != nil {
		return fmt.Errorf("reading what the client sent: %w", err)
	}
	if err := compare(ctx, way, sent, rep); err != nil {
		return err
	}
	if err := scope.stop(); err != nil {
		return fmt.Errorf("toposcope's end: %w", err)
	}
	return nil
}

// startToposcope starts the whole pipeline and waits until it says that it is ready.
func startToposcope(ctx context.Context, bin, way string) (*child, error) {
	dir, err := os.MkdirTemp("", "toposcope-")
	if err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	config := filepath.Join(dir, "toposcope.yml")
	if err := os.WriteFile(config, []byte("capture:\n  method: "+way+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("writing the config: %w", err)
	}
	cmd := exec.CommandContext(ctx, bin, "run", "--config.file="+config,
		"--web.listen-address="+listenAddress, "--storage.tsdb.path="+filepath.Join(dir, "data"))
	cmd.Stdout = os.Stderr
	scope, err := start(ctx, cmd)
	if err != nil {
		return nil, err
	}
	scope.cleanup = func() { os.RemoveAll(dir) }
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	last := errors.New("never asked")
	for ctx.Err() == nil {
		if last = get(ctx, "/-/ready", io.Discard); last == nil {
			return scope, nil
		}
		select {
		case <-scope.done:
			return nil, fmt.Errorf("toposcope ended before it was ready: %w", scope.stop())
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil, fmt.Errorf("toposcope is not ready after %v: %w", readyLimit, errors.Join(last, scope.stop()))
}

// get fetches a page of Toposcope's into w. A status other than 200 is an error that carries the page.
func get(ctx context.Context, path string, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listenAddress+path, nil)
	if err != nil {
		return fmt.Errorf("asking for %s: %w", path, err)
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking for %s: %w", path, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		page, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
		return fmt.Errorf("asking for %s: %s: %s", path, res.Status, page)
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("asking for %s: %w", path, err)
	}
	return nil
}

const (
	scrapeEvery = 300 * time.Millisecond
	// settled is how many scrapes in a row must be right: a count that is met may still be passed by a late double.
	settled = 4
	// stuck is how many scrapes in a row may be wrong and all the same before the wait is given up.
	stuck = 40
)

// compare scrapes until the counts are right and stay so, or the wait is vain, and reports the last ones.
func compare(ctx context.Context, way string, sent tally, rep *kernels.Report) error {
	ctx, cancel := context.WithTimeout(ctx, countLimit)
	defer cancel()
	for same := 0; ; {
		var seen scrape
		if err := seen.read(ctx); err != nil {
			return err
		}
		before := rep.Counts
		rep.Counts, rep.Notes = seen.compare(way, sent), seen.notes
		if same++; !slices.Equal(before, rep.Counts) {
			same = 1
		}
		if right := len(rep.Wrong()) == 0; right && same >= settled || same >= stuck {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil // the counts tell
		case <-time.After(scrapeEvery):
		}
	}
}

// child is a process of the drive. Its standard error goes to the console.
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
func reexec(ctx context.Context, name string, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), "OTEL_SERVICE_NAME="+name)
	return start(ctx, cmd)
}

// start starts a child; its standard output is for line unless cmd has a place for it.
func start(ctx context.Context, cmd *exec.Cmd) (*child, error) {
	c := &child{name: filepath.Base(cmd.Path) + " " + cmd.Args[1], cmd: cmd, done: make(chan struct{})}
	cmd.Stderr = os.Stderr
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
	select {
	case <-c.done:
	case <-time.After(stopLimit):
		_ = c.cmd.Process.Kill()
		<-c.done
		return fmt.Errorf("%s did not end within %v of SIGTERM", c.name, stopLimit)
	}
	if c.cleanup != nil {
		c.cleanup()
	}
	if c.err != nil {
		return fmt.Errorf("%s: %w", c.name, c.err)
	}
	return nil
}

func sortedKeys(t tally) []tallyKey { return slices.Sorted(maps.Keys(t)) }
