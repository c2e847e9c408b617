package labeler_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/labeler/all"
)

func TestRealProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no proc file system here")
	}
	l := labeler.New(labeler.Options{Sources: all.Sources(), SelfPID: uint32(os.Getpid())})
	if err := l.Scan(); err != nil {
		t.Fatal(err)
	}
	if !l.Process(event.Task{PID: uint32(os.Getpid())}).Self {
		t.Error("this process is not its own")
	}
	cmd := exec.Command("sleep", "1000")
	cmd.Env = append(os.Environ(), "OTEL_SERVICE_NAME=sleeper")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	// Start returns when the kernel closes what exec closes, a moment before the new environment is in place.
	for environ := ""; environ == ""; {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		environ = string(b)
	}
	task := event.Task{PID: uint32(cmd.Process.Pid)}
	r := l.Process(task)
	task.Start = r.Start
	if r.Name != "sleeper" || r.Executable == "" || r.Host == "" || !l.Watched(task) {
		t.Errorf("sleep is %+v", r)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := l.Scan(); err != nil { // stands in for the exit that no probe tells of here
		t.Fatal(err)
	}
	if l.Process(task) != r {
		t.Error("a killed process lost its name")
	}
}

func TestRun(t *testing.T) {
	defer goleak.VerifyNone(t)
	h := newHost(t)
	h.start(10, "/srv/cart", "0::/", "")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := h.Instances(); len(got) != 1 {
		t.Errorf("%d instances after a run, want 1", len(got))
	}
	if err := labeler.New(labeler.Options{ProcFS: h.root + "/nowhere"}).Run(t.Context()); err == nil {
		t.Error("no proc file system is no error")
	}
}

func TestConcurrentUse(t *testing.T) {
	h := newHost(t)
	parent := h.start(10, "/srv/cart", "0::/", "")
	h.SetWatch(&h.watch)
	var wg sync.WaitGroup
	for g := range uint32(4) {
		wg.Go(func() {
			for i := range uint32(200) {
				child := event.Task{PID: 100 + g*50 + i%50, Start: uint64(i+1) * 1e9}
				h.Fork(&event.Fork{Parent: parent, Child: child})
				h.Process(child)
				h.listen(child, fmt.Sprintf("127.0.0.1:%d", 1000+g*50+i%50), true)
				if r, _ := h.Address(netip.MustParseAddrPort(fmt.Sprintf("127.0.0.1:%d", 1000+i%200)), 1, h.now); r.Name == "" {
					t.Error("a resource without a name")
				}
				if i%50 == 0 {
					h.SetFilter(&labeler.Filter{})
					h.Expire()
				}
				h.Exit(&event.Exit{Task: child})
				if r := h.Process(child); r.Name != "cart" {
					t.Errorf("an ended child is %q", r.Name)
				}
			}
		})
	}
	wg.Wait()
}

func TestHitPathDoesNotAllocate(t *testing.T) {
	h := newHost(t)
	cart := h.start(10, "/srv/cart", "0::/", "")
	h.listen(cart, "0.0.0.0:80", true)
	addr := netip.MustParseAddrPort("127.0.0.1:80")
	private := netip.MustParseAddrPort("10.1.1.1:80")
	for name, f := range map[string]func(){
		"Process":  func() { h.Process(cart) },
		"Watched":  func() { h.Watched(cart) },
		"Address":  func() { h.Address(addr, 1, h.now); h.Address(private, 1, h.now) },
		"Accepted": func() { h.Accepted(addr, 1, cart, h.now) },
	} {
		f()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkProcess(b *testing.B) {
	h := newHost(b)
	cart := h.start(10, "/srv/cart", "0::/", "")
	b.ReportAllocs()
	for b.Loop() {
		h.Process(cart)
	}
}

func BenchmarkAddress(b *testing.B) {
	h := newHost(b)
	h.listen(h.start(10, "/srv/cart", "0::/", ""), "0.0.0.0:80", true)
	addr := netip.MustParseAddrPort("127.0.0.1:80")
	b.ReportAllocs()
	for b.Loop() {
		h.Address(addr, 1, h.now)
	}
}

func BenchmarkForkExit(b *testing.B) {
	h := newHost(b)
	h.SetWatch(&h.watch)
	parent := h.start(10, "/srv/cart", "0::/", "")
	b.ReportAllocs()
	i := uint64(0)
	for b.Loop() {
		i++
		child := event.Task{PID: uint32(100 + i%30000), Start: i * 1e9}
		h.Fork(&event.Fork{Parent: parent, Child: child})
		h.Exit(&event.Exit{Task: child})
	}
}
