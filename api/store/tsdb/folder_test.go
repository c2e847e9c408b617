package tsdb_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/goleak"

	"github.com/toposcope/toposcope/api/store/tsdb"
)

// childDir, in the environment, makes the test binary a process that writes to that folder until it is killed.
const childDir = "TOPOSCOPE_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// child writes a counter again and again and prints what is committed.
func child(dir string) {
	store, err := tsdb.Open(tsdb.Options{Dir: dir, MinFreeBytes: 1})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "calls_total"})
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	w := tsdb.NewWriter(store, tsdb.WriterOptions{Gatherer: reg})
	for i := 1; ; i++ {
		c.Inc()
		for before := time.Now().UnixMilli(); time.Now().UnixMilli() == before; { // one sample a millisecond
			time.Sleep(100 * time.Microsecond)
		}
		if err := w.Write(context.Background()); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(i)
	}
}

// startChild returns its printed lines; it is killed at the end of the test at the latest.
func startChild(t *testing.T, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	})
	return cmd, bufio.NewScanner(out)
}

// TestKill checks that what was committed before a SIGKILL is there after it.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	cmd, lines := startChild(t, dir)
	committed := 0
	for lines.Scan() {
		if _, err := fmt.Sscan(lines.Text(), &committed); err != nil {
			t.Fatalf("the child says: %s", lines.Text())
		}
		if committed == 50 {
			break
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // what it committed until the signal came
		if _, err := fmt.Sscan(lines.Text(), &committed); err != nil {
			t.Fatalf("the child says: %s", lines.Text())
		}
	}
	_ = cmd.Wait()

	b := newBench(t, tsdb.Options{Dir: dir})
	got := b.samples()[`{__name__="calls_total"}`]
	if len(got) < committed+1 || committed < 50 { // with the zero sample
		t.Fatalf("%d samples after %d commits", len(got), committed)
	}
	if last := got[committed]; !strings.HasSuffix(last, fmt.Sprintf(":%d", committed)) {
		t.Errorf("sample %d is %s", committed, last)
	}
}

func TestLockedByAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	cmd, lines := startChild(t, dir)
	if !lines.Scan() || lines.Text() != "1" {
		t.Fatalf("the child says: %s", lines.Text())
	}
	_, err := tsdb.Open(tsdb.Options{Dir: dir, MinFreeBytes: 1})
	wantError(t, err, "data folder "+dir+" is in use by another process: stop that one or choose another folder with --storage.tsdb.path")

	_ = cmd.Process.Kill()
	for lines.Scan() {
	}
	_ = cmd.Wait()
	newBench(t, tsdb.Options{Dir: dir}) // the lock of a killed process is no lock
}

func TestOpenErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := tsdb.Open(tsdb.Options{Dir: file})
	wantError(t, err, "data folder "+file+" is not a folder: choose another with --storage.tsdb.path")

	_, err = tsdb.Open(tsdb.Options{Dir: t.TempDir(), MinFreeBytes: 1 << 62})
	if err == nil || !strings.Contains(err.Error(), "make room there or choose another folder with --storage.tsdb.path") {
		t.Errorf("with too little room: %v", err)
	}
}

func TestReadOnly(t *testing.T) {
	dir := mount(t)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, err := tsdb.Open(tsdb.Options{Dir: dir})
	wantError(t, err, "data folder "+dir+" cannot be written (read-only file system): make it writable or choose another folder with --storage.tsdb.path")
}

// TestFullAtStart checks that a store on a full disk is refused, and is whole when there is room again.
func TestFullAtStart(t *testing.T) {
	dir := filepath.Join(mount(t), "data")
	opts := tsdb.Options{Dir: dir, MinFreeBytes: 1 << 20}
	b := newBench(t, opts)
	b.write(10, gauge("g", 1))
	if err := b.store.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	empty := fill(t, filepath.Dir(dir), 0)
	_, err := tsdb.Open(opts)
	wantError(t, err, "disk full: data folder "+dir+" has 0.0 MiB free and needs 1.0 MiB: make room there or choose another folder with --storage.tsdb.path")
	empty()
	again := newBench(t, opts)
	again.now = b.now
	if got := again.samples()[`{__name__="g"}`]; !slices.Equal(got, []string{"10:1"}) {
		t.Errorf("after the disk was full the store holds %v", got)
	}
}

// TestFullWhileRunning checks both ways in which a full disk shows, by asking and by failing: the store is read on, the
// failures are counted, and all series are there after there is room again and after the next start.
func TestFullWhileRunning(t *testing.T) {
	for name, minFree := range map[string]uint64{"noticed before writing": 1 << 20, "noticed by writing": 1} {
		leave := map[uint64]int64{1 << 20: 0, 1: 8 << 10}[minFree]
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(mount(t), "data")
			opts := tsdb.Options{Dir: dir, MinFreeBytes: minFree}
			b := newBench(t, opts)
			b.write(10, counter("calls_total", 1, b.at(5)))

			empty := fill(t, filepath.Dir(dir), leave)
			failures := 0
			var ms []prometheus.Metric
			for i := range 2000 { // more than fits into what is left of a block
				ms = append(ms, counter("calls_total", 2, b.at(15), "series", strings.Repeat("x", 100)+fmt.Sprint(i)))
			}
			ms = append(ms, counter("calls_total", 2, b.at(5)))
			for _, at := range []float64{25, 40} {
				start := b.now
				b.now = b.at(at)
				b.col.metrics = ms
				if err := b.writer.Write(t.Context()); err != nil {
					failures++
				}
				b.now = start
			}
			if failures != 2 {
				t.Fatalf("%d of 2 writes to a full disk failed", failures)
			}
			reason := map[uint64]string{1 << 20: "disk_full", 1: "error"}[minFree]
			if got := b.metric("toposcope_store_write_failures_total", reason); got == 0 {
				t.Errorf("no failure for reason %s was counted", reason)
			}
			if minFree > 1 {
				if got := b.samples()[`{__name__="calls_total"}`]; !slices.Equal(got, []string{"5:0", "10:1"}) {
					t.Errorf("while full the store shows %v", got)
				}
			}

			empty()
			b.write(55, ms...)
			wantAfterFull(b)
			if err := b.store.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			again := newBench(t, opts)
			again.now = b.now
			wantAfterFull(again)
		})
	}
}

// wantAfterFull checks what TestFullWhileRunning leaves: the write before, none while the disk was full, the one after.
func wantAfterFull(b *bench) {
	b.Helper()
	got := b.samples()
	if len(got) != 2001 {
		b.Errorf("%d series, want 2001", len(got))
	}
	for name, samples := range got {
		want := []string{"15:0", "55:2"}
		if name == `{__name__="calls_total"}` {
			want = []string{"5:0", "10:1", "55:2"}
		}
		if !slices.Equal(samples, want) {
			b.Fatalf("%s: %v, want %v", name, samples, want)
		}
	}
}

// TestReopenWaits checks that a query under way keeps the store open, and that Close gives up when it is told to.
func TestReopenWaits(t *testing.T) {
	b := newBench(t, tsdb.Options{})
	b.write(10, gauge("g", 1))
	q, err := b.store.Querier(0, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.store.Close(over); !errors.Is(err, context.Canceled) {
		t.Fatalf("closing under a query: %v", err)
	}
	closed := make(chan error)
	go func() { closed <- b.store.Close(t.Context()) }()
	for b.store.Ready() == nil { // until Close has taken the store out of use
		time.Sleep(time.Millisecond)
	}
	if _, err := b.store.Querier(0, 1); !errors.Is(err, tsdb.ErrNotReady) {
		t.Errorf("a query while closing: %v", err)
	}
	set := q.Select(t.Context(), false, nil, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "g"))
	if !set.Next() {
		t.Error("the query that was under way finds nothing")
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// TestRun checks that a running writer writes at its start and at its end.
func TestRun(t *testing.T) {
	b := newBench(t, tsdb.Options{})
	value, gathered := 0.0, make(chan bool)
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "g"}, func() float64 {
		value++
		gathered <- true
		return value
	}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	w := tsdb.NewWriter(b.store, tsdb.WriterOptions{Gatherer: reg, Interval: time.Hour, Now: func() time.Time {
		b.now = b.now.Add(time.Second)
		return b.now
	}})
	go func() { done <- w.Run(ctx) }()
	<-gathered
	cancel()
	<-gathered
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := b.samples()[`{__name__="g"}`]; len(got) != 2 || !strings.HasSuffix(got[1], ":2") {
		t.Errorf("got %v, want two samples", got)
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// mount makes a small file system of its own for the test.
func mount(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("toposcope-test", dir, "tmpfs", 0, "size=16m"); err != nil {
		if errors.Is(err, syscall.EPERM) {
			t.Skip("mounting needs root")
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes all room but what it shall leave, until the returned function is called.
func fill(t *testing.T, dir string, leave int64) func() {
	t.Helper()
	name := filepath.Join(dir, "filler")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 64<<10); len(block) > 0; {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size - leave); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}
