package labeler_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

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

func TestUnknown(t *testing.T) {
	h := newHost(t)
	for _, task := range []event.Task{{}, {PID: 7, Start: 8}} {
		if r := h.Process(task); r.Kind != labeler.KindUnknown || r.Name != "unknown" || h.Watched(task) {
			t.Errorf("%+v is %+v", task, r)
		}
	}
	if h.Process(event.Task{}) != h.Process(event.Task{PID: 7}) {
		t.Error("there are two unknowns")
	}
}

func TestNaming(t *testing.T) {
	h := newHost(t)
	id := strings.Repeat("0123456789abcdef", 4)
	for i, c := range []struct {
		exe, cgroup, environ string
		args                 []string
		name, instance       string
		also                 labeler.Resource // Unit, ContainerName, Namespace
	}{
		{"/srv/cart", "0::/", "", nil, "cart", "cart@web1", labeler.Resource{}},
		{"/usr/bin/python3.11", "0::/", "", []string{"python3", "app.py"}, "python app.py", "python3.11@web1", labeler.Resource{}},
		{"/usr/bin/java", "0::/system.slice/shop-cart.service", "", []string{"java", "-jar", "x.jar"}, "shop-cart", "shop-cart.service@web1", labeler.Resource{Unit: "shop-cart.service"}},
		{"/usr/bin/java", "0::/system.slice/shop-cart.service", "A=b\x00OTEL_SERVICE_NAME=cart\x00OTEL_RESOURCE_ATTRIBUTES=service.namespace=shop", nil, "cart", "shop-cart.service@web1", labeler.Resource{Unit: "shop-cart.service", Namespace: "shop"}},
		{"/usr/bin/curl", "0::/system.slice/cron.service", "", nil, "curl", "curl@web1", labeler.Resource{Unit: "cron.service"}},
		{"/usr/bin/curl", "0::/user.slice/user-0.slice/session-3.scope", "", nil, "curl", "curl@web1", labeler.Resource{}},
		{"/usr/sbin/nginx", "0::/docker/" + id, "", nil, "nginx", "0123456789ab@web1", labeler.Resource{ContainerName: "0123456789ab"}},
		{"/srv/main", "0::/nomad.slice/share.slice/8dbc7e3c-2bd4-4c7e-9f0a-1b2c3d4e5f60.cart.scope", "", nil, "cart", "cart@web1", labeler.Resource{ContainerName: "cart"}},
		{"/srv/main", "0::/lxc.payload.web/system.slice/api.service", "", nil, "api", "api.service@web1", labeler.Resource{Unit: "api.service", ContainerName: "web"}},
		{"/srv/main", "0::/lxc.payload.web", "", nil, "main", "main@web1", labeler.Resource{ContainerName: "web"}},
		{"/srv/main", "0::/system.slice/web.service/libpod-payload-" + id, "", nil, "web", "web.service@web1", labeler.Resource{Unit: "web.service", ContainerName: "0123456789ab"}},
	} {
		r := h.want(h.start(100+i, c.exe, c.cgroup, c.environ, c.args...), c.name, c.instance)
		if r.Kind != labeler.KindService || r.Host != "web1" || r.Unit != c.also.Unit || r.ContainerName != c.also.ContainerName || r.Namespace != c.also.Namespace {
			t.Errorf("%s in %s: %+v, want %+v", c.exe, c.cgroup, r, c.also)
		}
	}
}

func TestPreforkServer(t *testing.T) {
	h := newHost(t)
	master := h.start(10, "/usr/sbin/nginx", "0::/", "")
	before := h.want(master, "nginx", "nginx@web1")
	worker := h.fork(master, 11)
	h.listen(master, "0.0.0.0:8080", true)
	h.listen(worker, "0.0.0.0:9090", true)
	after := h.want(master, "nginx", "web1:8080")
	if after == before || before.InstanceID != "nginx@web1" {
		t.Error("a resource was changed in place")
	}
	if r := h.want(worker, "nginx", "web1:8080"); r.PID != 11 {
		t.Errorf("the worker is %d", r.PID)
	}
	h.listen(worker, "0.0.0.0:8080", true) // the socket it shares, as a scan of sockets would tell it
	h.listen(master, "0.0.0.0:8080", true)
	if h.Process(master) != after {
		t.Error("a listener told again made a new resource")
	}
	h.listen(master, "0.0.0.0:40000", true)
	h.listen(master, "127.0.0.1:80", true)
	h.want(worker, "nginx", "web1:80")
	h.listen(master, "127.0.0.1:80", false)
	h.want(worker, "nginx", "web1:80") // the name stays

	h.end(master)
	r, watched := h.Address(netip.MustParseAddrPort("127.0.0.1:8080"), 1, h.now)
	if !watched || r != h.Process(worker) {
		t.Errorf("after its master's end the port is %+v's, want the worker's", r)
	}
	h.want(master, "nginx", "web1:80")
}

func TestExecIsANewIdentity(t *testing.T) {
	h := newHost(t)
	shell := h.start(10, "/bin/bash", "0::/", "", "bash")
	h.want(shell, "bash", "bash@web1")
	child := h.fork(shell, 12)
	h.want(child, "bash", "bash@web1")
	was := h.Process(child)
	h.Exec(&event.Exec{Task: child, Parent: 10, Comm: "curl", Executable: "/usr/bin/curl", Args: []string{"curl", "http://x"}, Time: h.now})
	h.want(child, "curl", "curl@web1")
	if r := h.ProcessAt(child, h.now.Add(-time.Millisecond)); r != was {
		t.Errorf("before its exec it was %q", r.Name)
	}
	if r := h.ProcessAt(child, h.now); r != h.Process(child) {
		t.Errorf("at its exec it was %q", r.Name)
	}
	if was.Name != "bash" || h.Process(shell).Name != "bash" {
		t.Error("the exec of a child renamed its parent")
	}
	h.end(child)
	h.want(child, "curl", "curl@web1")
	h.now = h.now.Add(2 * time.Minute)
	h.Expire()
	if r := h.Process(child); r.Kind != labeler.KindUnknown {
		t.Errorf("two minutes after its end it still is %q", r.Name)
	}
}

func TestWatchFollowsTheFilter(t *testing.T) {
	h := newHost(t)
	cart := h.start(10, "/srv/cart", "0::/", "")
	web := h.start(11, "/srv/web", "0::/", "")
	h.start(99, "/usr/bin/toposcope", "0::/", "")
	h.SetWatch(&h.watch)
	h.wantWatch("default include, 99 exclude") // before anything was scanned
	if err := h.Scan(); err != nil {
		t.Fatal(err)
	}
	h.wantWatch("default include, 99 exclude")
	if !h.Watched(cart) || !h.Process(event.Task{PID: 99}).Self {
		t.Error("cart is not watched, or our own process not known")
	}
	h.filter(labeler.FilterConfig{DefaultAction: "exclude", Rules: []labeler.FilterRule{{Action: "include", Match: &labeler.Match{Service: "cart"}}}})
	h.wantWatch("default exclude, 10 include, 99 exclude")
	if !h.Watched(cart) || h.Watched(web) {
		t.Error("the filter is not in force")
	}
	worker := h.fork(cart, 20)
	h.fork(web, 21)
	h.wantWatch("default exclude, 10 include, 20 include, 99 exclude")
	h.Exec(&event.Exec{Task: worker, Executable: "/usr/bin/curl", Comm: "curl"})
	h.wantWatch("default exclude, 10 include, 20 exclude, 99 exclude")
	h.end(worker)
	h.wantWatch("default exclude, 10 include, 99 exclude")
	h.filter(labeler.FilterConfig{})
	h.wantWatch("default include, 10 include, 99 exclude")

	// A lost exit: its PID is another's by the time it is told of.
	again := h.start(10, "/srv/other", "0::/", "")
	again.Start += 1e12
	h.Exec(&event.Exec{Task: again, Executable: "/srv/other", Comm: "other"})
	h.watch.forgot = nil
	h.Exit(&event.Exit{Task: cart})
	if h.watch.forgot != nil {
		t.Errorf("forgot %v, which runs", h.watch.forgot)
	}
	h.want(cart, "cart", "cart@web1")
	h.want(again, "other", "other@web1")
}

func TestFilterByPortAndPID(t *testing.T) {
	h := newHost(t)
	h.SetWatch(&h.watch)
	h.filter(labeler.FilterConfig{DefaultAction: "exclude", Rules: []labeler.FilterRule{
		{Action: "include", Match: &labeler.Match{Port: []int{8080}}},
		{Action: "include", Match: &labeler.Match{PID: []int{11}}},
	}})
	server, other := h.start(10, "/srv/server", "0::/", ""), h.start(11, "/srv/other", "0::/", "")
	if err := h.Scan(); err != nil {
		t.Fatal(err)
	}
	h.wantWatch("default exclude, 11 include")
	worker, child := h.fork(server, 12), h.fork(other, 13)
	h.listen(server, "[::]:8080", true)
	h.wantWatch("default exclude, 10 include, 11 include, 12 include, 13 include")
	h.listen(server, "[::]:8080", false)
	h.wantWatch("default exclude, 10 exclude, 11 include, 12 exclude, 13 include")
	if h.Watched(worker) || !h.Watched(child) {
		t.Error("the workers are not judged like their masters")
	}
	var selected []string
	f, err := labeler.NewFilter(labeler.FilterConfig{Rules: []labeler.FilterRule{{Action: "exclude", Match: &labeler.Match{Process: "s*"}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range h.Select(f) {
		selected = append(selected, fmt.Sprint(i.Resource.PID, i.Action, i.Rule))
	}
	if got := fmt.Sprint(selected); got != "[10exclude0 11include-1 12exclude0 13include-1]" && got != "[10 exclude 0 11 include -1 12 exclude 0 13 include -1]" {
		t.Errorf("a filter that is only tried selects %s", got)
	}
	if got := h.Instances(); len(got) != 4 || got[1].Rule != 1 || got[1].Action != labeler.Include {
		t.Errorf("instances %+v", got)
	}
}

func TestBusinessLabels(t *testing.T) {
	h := newHost(t)
	cart, web := h.start(10, "/srv/cart", "0::/", ""), h.start(11, "/srv/web", "0::/", "")
	before := []*labeler.Resource{h.Process(cart), h.Process(web)}
	err := h.SetLabels([]labeler.LabelRule{{Match: &labeler.Match{Service: "cart"}, Set: map[string]string{"team": "payments"}}})
	if err != nil {
		t.Fatal(err)
	}
	if r := h.Process(cart); r == before[0] || !reflect.DeepEqual(r.Labels, []labeler.Label{{Name: "team", Value: "payments"}}) {
		t.Errorf("cart's labels are %v", r.Labels)
	}
	if h.Process(web) != before[1] {
		t.Error("web has a new resource, though nothing about it changed")
	}
	if err := h.SetLabels([]labeler.LabelRule{{}}); err == nil || h.Process(cart).Labels == nil {
		t.Errorf("bad rules: %v; the ones in force must stay", err)
	}
}

func TestAddress(t *testing.T) {
	h := newHost(t)
	cart := h.start(10, "/srv/cart", "0::/", "")
	systemd := h.start(1, "/usr/lib/systemd/systemd", "0::/init.scope", "")
	h.listen(cart, "0.0.0.0:80", true)
	h.listen(systemd, "0.0.0.0:81", true)
	h.listen(event.Task{}, "0.0.0.0:82", true)
	ask := func(addr string) (*labeler.Resource, bool) { return h.Address(netip.MustParseAddrPort(addr), 1, h.now) }
	for _, c := range []struct {
		addr, name string
		kind       labeler.Kind
		watched    bool
	}{
		{"127.0.0.1:80", "cart", labeler.KindService, true},
		{"[::ffff:127.0.0.1]:80", "cart", labeler.KindService, true},
		{"127.0.0.1:81", "systemd", labeler.KindService, true},
		{"127.0.0.1:82", "web1", labeler.KindHost, false},
		{"127.0.0.1:83", "web1", labeler.KindHost, false},
		{"10.0.0.1:80", "10.0.0.1", labeler.KindExternal, false},
		{"10.0.0.1:81", "10.0.0.1", labeler.KindExternal, false},
		{"8.8.8.8:53", "external", labeler.KindExternal, false},
		{"[fd00::1]:80", "fd00::1", labeler.KindExternal, false},
		{"10.0.0.2:80", "external", labeler.KindExternal, false}, // past the bound of two
		{"10.0.0.1:82", "10.0.0.1", labeler.KindExternal, false},
	} {
		r, watched := ask(c.addr)
		if r.Name != c.name || r.Kind != c.kind || watched != c.watched || r.InstanceID == "" {
			t.Errorf("%s is %+v, watched %v; want %s, %s, %v", c.addr, r, watched, c.name, c.kind, c.watched)
		}
	}
	if s := h.Stats(); s.Externals != 2 || s.ExternalOverflow != 1 || s.Listeners != 3 {
		t.Errorf("stats %+v", s)
	}
	// systemd listened for the service that accepts.
	h.Accepted(netip.MustParseAddrPort("127.0.0.1:81"), 1, cart, h.now)
	if r, _ := ask("127.0.0.1:81"); r != h.Process(cart) {
		t.Errorf("the activated socket is %s's, want cart's", r.Name)
	}
	worker := h.fork(cart, 20)
	h.Accepted(netip.MustParseAddrPort("127.0.0.1:80"), 1, worker, h.now)
	if r, _ := ask("127.0.0.1:80"); r != h.Process(cart) {
		t.Error("a worker that accepts took its master's address")
	}
	h.now = h.now.Add(2 * time.Hour)
	h.Expire()
	if r, _ := ask("10.0.0.3:80"); r.Name != "10.0.0.3" {
		t.Errorf("after two idle hours there is no room for another address: %s", r.Name)
	}
}

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
