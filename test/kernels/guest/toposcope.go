package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/toposcope/toposcope/test/kernels"
)

// readyLimit is how long Toposcope may take to load and attach its programs, in emulation.
const readyLimit = 5 * time.Minute

// toposcope is how to run Toposcope.
type toposcope struct {
	bin string
	// confine are the arguments of the sub-command that drops privileges; nil: it runs as this program does.
	confine []string
}

// command is one of its commands.
func (t toposcope) command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	if t.confine == nil {
		return exec.CommandContext(ctx, t.bin, args...), nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	all := append(append([]string{"confine"}, t.confine...), "--", t.bin)
	return exec.CommandContext(ctx, self, append(all, args...)...), nil
}

// running is a Toposcope that runs.
type running struct {
	*child
	address string
	said    *tail
}

// errNotReady is the end of Toposcope before it was ready.
var errNotReady = errors.New("toposcope ended before it was ready")

// start starts the whole pipeline and waits until it says that it is ready. Whatever the error, what was started is returned, and has
// ended.
func (t toposcope) start(ctx context.Context, way string) (*running, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "toposcope-")
	if err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	config := filepath.Join(dir, "toposcope.yml")
	err = errors.Join(
		// An emulated processor is all taken by what a real one does in a twentieth of the time: no limit of cores means anything.
		os.WriteFile(config, []byte("capture:\n  method: "+way+"\nlimits: {cpu: 64}\n"), 0o644),
		os.Mkdir(filepath.Join(dir, "data"), 0o777),
		os.Chmod(filepath.Join(dir, "data"), 0o777), // it may run as another user
		os.Chmod(dir, 0o755),
	)
	if err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	cmd, err := t.command(ctx, "run", "--config.file="+config, "--web.listen-address="+address,
		"--storage.tsdb.path="+filepath.Join(dir, "data"))
	if err != nil {
		return nil, err
	}
	cmd.Dir = dir
	r := &running{address: address, said: &tail{}}
	cmd.Stdout = os.Stderr
	cmd.Stderr = io.MultiWriter(os.Stderr, r.said)
	if r.child, err = start(ctx, cmd); err != nil {
		return nil, err
	}
	r.cleanup = func() { os.RemoveAll(dir) }
	return r, r.awaitReady(ctx)
}

func (r *running) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	last := errors.New("never asked")
	for ctx.Err() == nil {
		if last = r.get(ctx, "/-/ready", io.Discard); last == nil {
			return nil
		}
		select {
		case <-r.done:
			return errors.Join(errNotReady, r.stop())
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("toposcope is not ready after %v: %w", readyLimit, errors.Join(last, r.stop()))
}

// ended stops it, if it has not ended, and tells how that went.
func (r *running) ended() *kernels.Ended {
	_ = r.stop() // the status tells
	return &kernels.Ended{Status: r.status(), Stderr: r.said.lines()}
}

// get fetches a page of Toposcope's into w. A status other than 200 is an error that carries the page.
func (r *running) get(ctx context.Context, path string, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.address+path, nil)
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

// freeAddress is one that nobody listens at.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// saidLines is how much is kept of what a process says.
const saidLines = 20

// tail keeps the last lines that are written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	for bytes.Count(t.text, []byte{'\n'}) > saidLines {
		_, t.text, _ = bytes.Cut(t.text, []byte{'\n'})
	}
	return len(b), nil
}

// lines are those that no logger wrote.
func (t *tail) lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(strings.Split(string(t.text), "\n"), func(line string) bool {
		return line == "" || strings.HasPrefix(line, "time=")
	})
}
