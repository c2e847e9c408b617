package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/toposcope/toposcope/demo/shop"
	"github.com/toposcope/toposcope/demo/tally"
)

// TestMain lets the test's binary stand for toposcope-demo: it is started again with a service's name, or with shopMark.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == shopMark {
		os.Args = append(os.Args[:1], os.Args[2:]...)
		main()
		return
	}
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		main()
		return
	}
	os.Exit(m.Run())
}

const shopMark = "run-the-shop"

// run is a running shop.
type run struct {
	cmd    *exec.Cmd
	report string
	pids   map[string]int // by service
	lines  chan string    // standard error
}

// startShop starts the shop and returns when all of its services listen.
func startShop(t *testing.T) *run {
	t.Helper()
	r := &run{report: filepath.Join(t.TempDir(), "report.json"), pids: map[string]int{}, lines: make(chan string, 100)}
	r.cmd = exec.CommandContext(t.Context(), os.Args[0], shopMark, "--rate=200", "--report="+r.report)
	// Under the race detector every process would linger for a second at its end, and they end one after another.
	r.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := r.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(stderr); s.Scan(); {
			r.lines <- s.Text()
		}
	}()
	table := bufio.NewScanner(stdout)
	for len(r.pids) <= len(shop.Services()) && table.Scan() {
		fields := strings.Fields(table.Text())
		if pid, err := strconv.Atoi(fields[1]); err == nil {
			r.pids[fields[0]] = pid
		}
	}
	if err := table.Err(); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	return r
}

// gone waits until none of the shop's processes is left.
func (r *run) gone(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for name, pid := range r.pids {
		for alive(pid) {
			if ctx.Err() != nil {
				t.Fatalf("%s (process %d) outlives the shop", name, pid)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// alive is false also for a zombie that nobody has waited for.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

func (r *run) waitForLine(t *testing.T, part string) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case line := <-r.lines:
			if strings.Contains(line, part) {
				return
			}
		case <-timeout:
			t.Fatalf("no line with %q", part)
		}
	}
}

// TestShop: every service is a process of its own, one that is killed comes back, SIGTERM stops all, and the report tells
// of every call.
func TestShop(t *testing.T) {
	r := startShop(t)
	if err := syscall.Kill(r.pids["stock"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.waitForLine(t, "stock runs again")
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Fatalf("the shop ended with %v", err)
	}
	r.gone(t)

	text, err := os.ReadFile(r.report)
	if err != nil {
		t.Fatal(err)
	}
	var report struct{ Calls []tally.Row }
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	callers := map[string]bool{}
	for _, c := range report.Calls {
		callers[c.Client] = true
	}
	for _, want := range []string{"load", "web", "catalogue"} {
		if !callers[want] {
			t.Errorf("the report has no call by %s: %s", want, text)
		}
	}
}

// TestNoOrphans: the services go even when the shop is killed and can stop nobody.
func TestNoOrphans(t *testing.T) {
	r := startShop(t)
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := r.cmd.Wait(); !errors.As(err, &exit) {
		t.Fatalf("the shop ended with %v, not by SIGKILL", err)
	}
	r.gone(t)
}
