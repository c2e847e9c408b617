package process

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// fakeProc writes the files of /proc/PID that the package reads.
type fakeProc struct {
	t    *testing.T
	root string
}

type fakeProcess struct {
	pid, parent uint32
	comm, exe   string
	cmdline     string // "\x00" between arguments
	environ     string
	flags       uint64
	start       uint64 // ticks
}

func (f fakeProc) write(p fakeProcess) {
	f.t.Helper()
	dir := filepath.Join(f.root, strconv.Itoa(int(p.pid)))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		f.t.Fatal(err)
	}
	stat := strings.Join([]string{
		strconv.Itoa(int(p.pid)), "(" + p.comm + ")", "S", strconv.Itoa(int(p.parent)), "0 0 0 0", strconv.FormatUint(p.flags, 10),
		"0 0 0 0 0 0 0 0 20 0 1 0", strconv.FormatUint(p.start, 10), "0 0 0",
	}, " ")
	for name, text := range map[string]string{"stat": stat, "cmdline": p.cmdline, "environ": p.environ, "cgroup": "0::/x\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			f.t.Fatal(err)
		}
	}
	os.Remove(filepath.Join(dir, "exe"))
	if p.exe == "" {
		return
	}
	if err := os.Symlink(p.exe, filepath.Join(dir, "exe")); err != nil {
		f.t.Fatal(err)
	}
}

func (f fakeProc) remove(pid uint32) {
	f.t.Helper()
	if err := os.RemoveAll(filepath.Join(f.root, strconv.Itoa(int(pid)))); err != nil {
		f.t.Fatal(err)
	}
}

type clock struct{ now time.Time }

func newFake(t *testing.T, cfg Config) (*Table[int], fakeProc, *clock) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	cfg.ProcFS, cfg.Now = t.TempDir(), func() time.Time { return c.now }
	return NewTable[int](cfg), fakeProc{t, cfg.ProcFS}, c
}

func task(pid uint32, start uint64) event.Task { return event.Task{PID: pid, Start: start} }

func wantName(t *testing.T, p *Process[int], want string) {
	t.Helper()
	switch {
	case p == nil && want != "":
		t.Errorf("process not found, want %q", want)
	case p != nil && p.Program().Name != want:
		t.Errorf("process %d is %q, want %q", p.PID, p.Program().Name, want)
	}
}

func TestParseStat(t *testing.T) {
	got, err := parseStat([]byte("42 (a) b (c) R 7 1 1 0 -1 4194368 1 0 0 0 0 0 0 0 20 0 1 0 170089 3133440\n"))
	want := stat{comm: "a) b (c", state: 'R', parent: 7, flags: 4194368, start: 1_700_890_000_000}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", "42", "42 (x", "42 (x) R 1", "42 (x) R 1 1 1 0 -1 x 1 0 0 0 0 0 0 0 20 0 1 0 1 2"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestStartTimes(t *testing.T) {
	table, proc, _ := newFake(t, Config{})
	proc.write(fakeProcess{pid: 10, comm: "a", exe: "/bin/a", start: 100})
	if p := table.Find(task(10, 1_500_000_000)); p != nil {
		t.Errorf("found a process that began half a second before the one asked for")
	}
	const exact = 100*tick + 3_456_789
	first := table.Find(task(10, exact))
	wantName(t, first, "a")
	if first.Start != exact {
		t.Errorf("start %d, want %d as asked for", first.Start, exact)
	}
	if table.Find(task(10, exact)) != first || table.Find(task(10, 0)) != first {
		t.Error("the same process was found twice")
	}
	if _, err := table.Scan(); err != nil || table.Lookup(task(10, 0)) != first {
		t.Errorf("a scan (%v) took the process for another, for /proc cuts its start time", err)
	}
}

func TestReusedPID(t *testing.T) {
	table, proc, clock := newFake(t, Config{KeepEnded: time.Minute})
	proc.write(fakeProcess{pid: 10, comm: "old", exe: "/bin/old", start: 100})
	before := table.Find(task(10, 0))
	proc.write(fakeProcess{pid: 10, comm: "new", exe: "/bin/new", start: 900})
	wantName(t, table.Find(task(10, 900*tick+1)), "new") // the end of the old one was never told
	wantName(t, table.Find(task(10, 100*tick)), "old")
	wantName(t, table.Find(task(10, 0)), "new")
	if s := table.Stats(); s.Recycled != 1 || s.Running != 1 || s.Ended != 1 {
		t.Errorf("stats %+v", s)
	}
	clock.now = clock.now.Add(61 * time.Second)
	table.Expire()
	if p := table.Lookup(task(10, before.Start)); p != nil {
		t.Error("the old process outlived its time")
	}
	wantName(t, table.Find(task(10, 900*tick+1)), "new")
}

func TestForkExecExit(t *testing.T) {
	table, proc, _ := newFake(t, Config{})
	proc.write(fakeProcess{pid: 10, comm: "nginx", exe: "/sbin/nginx", start: 100})
	master := task(10, 100*tick)
	worker := table.Fork(&event.Fork{Parent: master, Child: task(11, 200*tick+7)})
	wantName(t, worker, "nginx")
	if worker.Program() != table.Lookup(master).Program() {
		t.Error("master and worker are not one program")
	}
	// It ends before /proc is read: the event and the family say what it was.
	table.Exec(&event.Exec{Task: task(11, 200*tick+7), Parent: 10, Comm: "x.py", Executable: "./x.py", Args: []string{"/usr/bin/python3", "./x.py", "secret"}})
	wantName(t, worker, "python x.py")
	if got := worker.Program(); got.Executable != "/usr/bin/python3" || got.Cgroup() != "0::/x\n" {
		t.Errorf("facts %+v in %q", got.Facts, got.Cgroup())
	}
	if p, heir := table.Exit(&event.Exit{Task: master}); p == nil || heir != nil {
		t.Errorf("exit: %v, heir %v; want no heir", p, heir)
	}
	wantName(t, table.Find(master), "nginx")
	if p, _ := table.Exit(&event.Exit{Task: master}); p != nil {
		t.Error("ended twice")
	}
}

// A process that ends while it is read has an executable and, an instant later, no environment.
func TestExecOfProcessThatEndsMeanwhile(t *testing.T) {
	table, proc, _ := newFake(t, Config{})
	proc.write(fakeProcess{pid: 10, comm: "getent", exe: "/usr/bin/getent", start: 100})
	environ := filepath.Join(proc.root, "10", "environ")
	if err := errors.Join(os.Remove(environ), syscall.Mkfifo(environ, 0o600)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		f, err := os.OpenFile(environ, os.O_WRONLY, 0) // waits for the reader
		ended <- errors.Join(err, os.Remove(filepath.Join(proc.root, "10", "exe")), f.Close())
	}()
	p := table.Exec(&event.Exec{
		Task: task(10, 100*tick), Comm: "getent", Executable: "/usr/bin/getent", Environ: []string{"OTEL_SERVICE_NAME=lookup"},
	})
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := p.Program(); got.ServiceName != "lookup" || got.Name != "getent" {
		t.Errorf("facts %+v", got.Facts)
	}
}

func TestHeirIsTheOldest(t *testing.T) {
	table, proc, _ := newFake(t, Config{})
	proc.write(fakeProcess{pid: 10, comm: "a", exe: "/bin/a", start: 100})
	for pid := uint32(11); pid < 14; pid++ {
		table.Fork(&event.Fork{Parent: task(10, 100*tick), Child: task(pid, uint64(pid)*1e9)})
	}
	table.Exit(&event.Exit{Task: task(11, 11e9)})
	if _, heir := table.Exit(&event.Exit{Task: task(10, 100*tick)}); heir == nil || heir.PID != 12 {
		t.Errorf("heir %v, want 12", heir)
	}
}

func TestScanJoinsForkedProcesses(t *testing.T) {
	table, proc, _ := newFake(t, Config{})
	proc.write(fakeProcess{pid: 1, comm: "init", exe: "/sbin/init", start: 1})
	proc.write(fakeProcess{pid: 10, parent: 1, comm: "gunicorn", exe: "/usr/bin/python3.11", start: 100, cmdline: "python3\x00/usr/bin/gunicorn\x00shop:app"})
	proc.write(fakeProcess{pid: 9, parent: 10, comm: "gunicorn", exe: "/usr/bin/python3.11", start: 200, flags: flagForkNoExec, cmdline: "gunicorn: worker"})
	proc.write(fakeProcess{pid: 12, parent: 10, comm: "python3", exe: "/usr/bin/python3.11", start: 200, cmdline: "python3\x00other.py"})
	proc.write(fakeProcess{pid: 13, parent: 1, comm: "orphan", exe: "/bin/orphan", start: 200, flags: flagForkNoExec})
	proc.write(fakeProcess{pid: 14, parent: 1, comm: "kworker", exe: "", start: 200, flags: flagKernelThread})
	if lost, err := table.Scan(); err != nil || lost != nil {
		t.Fatalf("scan: %v, %v", lost, err)
	}
	for pid, want := range map[uint32]string{9: "gunicorn shop:app", 12: "python other.py", 13: "orphan", 14: ""} {
		wantName(t, table.Lookup(task(pid, 0)), want)
	}
	proc.remove(12)
	lost, err := table.Scan()
	if err != nil || len(lost) != 1 || lost[0].Task.PID != 12 {
		t.Errorf("second scan: %v, %v; want 12 lost", lost, err)
	}
}

func TestTableIsBounded(t *testing.T) {
	table, proc, _ := newFake(t, Config{MaxRunning: 8, MaxEnded: 4})
	proc.write(fakeProcess{pid: 1, comm: "a", exe: "/bin/a", start: 1})
	asked := task(1, 1*tick)
	for pid := uint32(2); pid < 100; pid++ {
		table.Fork(&event.Fork{Parent: asked, Child: task(pid, uint64(pid)*1e9)})
	}
	s := table.Stats()
	if s.Running != 8 || s.Evicted != 99-8 {
		t.Errorf("after 98 forks: %+v, want 8 running and 91 evicted", s)
	}
	for pid := uint32(2); pid < 100; pid++ {
		table.Fork(&event.Fork{Parent: asked, Child: task(pid, uint64(pid)*1e10)})
		table.Exit(&event.Exit{Task: task(pid, uint64(pid)*1e10)})
	}
	if s := table.Stats(); s.Running > 8 || s.Ended > 4 || len(table.byPID) > 12 {
		t.Errorf("after 98 exits: %+v and %d PIDs, want 8 and 4 at most", s, len(table.byPID))
	}
}

// startReal starts a command and returns its task as the kernel's events would give it.
func startReal(t *testing.T, table *Table[int], name string, args ...string) (*exec.Cmd, event.Task) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no %s here", name)
	}
	cmd := exec.Command(path, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil { // stays open, and the command waits on it
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "OTEL_RESOURCE_ATTRIBUTES=service.name=real,service.namespace=shop")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil { // it prints a line when it runs
		t.Fatal(err)
	}
	s, err := table.proc.stat(uint32(cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return cmd, task(uint32(cmd.Process.Pid), s.start+1234)
}

func TestRealProcesses(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no proc file system here")
	}
	script := filepath.Join(t.TempDir(), "wait.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho up\nread x\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want, name string
		args       []string
	}{
		{"sh wait.sh", script, nil},
		{"sh", "sh", []string{"-c", "echo up; read x; true secret"}},
		{"perl", "perl", []string{"-e", "$| = 1; print qq(up\n); sleep 100"}},
		{"node", "node", []string{"-e", "console.log('up'); setInterval(() => {}, 1000)"}},
	} {
		t.Run(c.want, func(t *testing.T) {
			table := NewTable[int](Config{})
			cmd, task := startReal(t, table, c.name, c.args...)
			p := table.Find(task)
			wantName(t, p, c.want)
			if p == nil {
				return
			}
			if f := p.Program(); f.ServiceName != "real" || f.ServiceNamespace != "shop" || f.Cgroup() == "" {
				t.Errorf("facts %+v, cgroup %q", f.Facts, f.Cgroup())
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			lost, err := table.Scan()
			if err != nil || len(lost) != 1 {
				t.Fatalf("scan after SIGKILL: %v, %v; want one lost", lost, err)
			}
			table.Exit(&lost[0])
			wantName(t, table.Find(task), c.want)
			if table.Lookup(event.Task{PID: task.PID}) != nil {
				t.Error("an ended process is found as the one that has the PID now")
			}
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	table, proc, _ := newFake(t, Config{MaxRunning: 64, MaxEnded: 16})
	proc.write(fakeProcess{pid: 1, comm: "a", exe: "/bin/a", start: 1})
	parent := task(1, tick)
	var wg sync.WaitGroup
	for g := range uint32(4) {
		wg.Go(func() {
			for i := range uint32(500) {
				child := task(1000+i%200+g*7, uint64(i+1)*1e9)
				table.Fork(&event.Fork{Parent: parent, Child: child})
				table.Lookup(child)
				if i%3 == 0 {
					table.Exec(&event.Exec{Task: child, Executable: "/bin/b", Comm: "b"})
				}
				table.Exit(&event.Exit{Task: child})
				table.Lookup(child)
				table.Expire()
			}
		})
	}
	wg.Wait()
	if s := table.Stats(); s.Running > 64 || s.Ended > 16 {
		t.Errorf("stats %+v", s)
	}
}

func BenchmarkLookup(b *testing.B) {
	table := NewTable[int](Config{})
	self := task(uint32(os.Getpid()), 0)
	self.Start = table.Find(self).Start
	b.ReportAllocs()
	for b.Loop() {
		if table.Lookup(self) == nil {
			b.Fatal("not found")
		}
	}
}

func BenchmarkExec(b *testing.B) {
	table := NewTable[int](Config{})
	self := table.Find(task(uint32(os.Getpid()), 0))
	e := &event.Exec{Task: task(self.PID, self.Start)}
	b.ReportAllocs()
	for b.Loop() {
		table.Exec(e)
	}
}
