package labeler_test

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/labeler/all"
)

const tick = 10_000_000 // ns

// host is a labeler on a made-up /proc.
type host struct {
	*labeler.Labeler
	t     testing.TB
	root  string
	now   time.Time
	watch watch
}

// watch records what the kernel would know: pid → action, fork and exec apart.
type watch struct {
	standard labeler.Action
	pids     map[uint32]labeler.Action
	forgot   []uint32
}

func (w *watch) SetDefault(a labeler.Action)         { w.standard = a }
func (w *watch) SetPID(pid uint32, a labeler.Action) { w.pids[pid] = a }
func (w *watch) Forget(pid uint32)                   { delete(w.pids, pid); w.forgot = append(w.forgot, pid) }

func (w *watch) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "default %v", w.standard)
	for _, pid := range slices.Sorted(maps.Keys(w.pids)) {
		fmt.Fprintf(&b, ", %d %v", pid, w.pids[pid])
	}
	return b.String()
}

func newHost(t testing.TB) *host {
	h := &host{t: t, root: t.TempDir(), now: time.Unix(1_700_000_000, 0), watch: watch{pids: map[uint32]labeler.Action{}}}
	h.Labeler = labeler.New(labeler.Options{
		Host: "web1", ProcFS: h.root, SelfPID: 99, Sources: all.Sources(), MaxExternal: 2, Now: func() time.Time { return h.now },
	})
	return h
}

// start writes /proc/PID; the process begins at pid seconds after boot.
func (h *host) start(pid int, exe, cgroup, environ string, args ...string) event.Task {
	h.t.Helper()
	dir := filepath.Join(h.root, fmt.Sprint(pid))
	comm := filepath.Base(exe)
	files := map[string]string{
		"stat":    fmt.Sprintf("%d (%s) S 1 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0", pid, comm[:min(15, len(comm))], pid*100),
		"cgroup":  cgroup + "\n",
		"environ": environ,
		"cmdline": strings.Join(args, "\x00"),
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		h.t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			h.t.Fatal(err)
		}
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, "exe")), os.Symlink(exe, filepath.Join(dir, "exe"))); err != nil {
		h.t.Fatal(err)
	}
	return event.Task{PID: uint32(pid), Start: uint64(pid)*100*tick + 123}
}

func (h *host) end(task event.Task) {
	h.t.Helper()
	if err := os.RemoveAll(filepath.Join(h.root, fmt.Sprint(task.PID))); err != nil {
		h.t.Fatal(err)
	}
	h.Exit(&event.Exit{Task: task})
}

func (h *host) fork(parent event.Task, pid uint32) event.Task {
	child := event.Task{PID: pid, Start: parent.Start + uint64(pid)*1e9}
	h.Fork(&event.Fork{Parent: parent, Child: child})
	return child
}

func (h *host) listen(task event.Task, addr string, open bool) {
	h.Listening(&event.Listening{Local: netip.MustParseAddrPort(addr), NetNS: 1, Task: task, Open: open, Time: h.now})
}

func (h *host) filter(c labeler.FilterConfig) {
	h.t.Helper()
	f, err := labeler.NewFilter(c)
	if err != nil {
		h.t.Fatal(err)
	}
	h.SetFilter(f)
}

func (h *host) want(task event.Task, name, instance string) *labeler.Resource {
	h.t.Helper()
	r := h.Process(task)
	if r.Name != name || r.InstanceID != instance {
		h.t.Errorf("process %d is %q, instance %q; want %q, %q", task.PID, r.Name, r.InstanceID, name, instance)
	}
	return r
}

func (h *host) wantWatch(want string) {
	h.t.Helper()
	if got := h.watch.String(); got != want {
		h.t.Errorf("the kernel was told: %s\nwant: %s", got, want)
	}
}
