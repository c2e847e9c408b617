package probe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/privilege"
	"github.com/toposcope/toposcope/collector/probe"
)

// nobodyUID is a user that owns nothing, otherUID another.
const nobodyUID, otherUID = 65534, 65533

// ofAnother starts a process of another user, in a network namespace of its own, and tells its number.
func ofAnother(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Dir, cmd.Env = "/", append(os.Environ(), childVariable+"=obey")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	in, err := cmd.StdinPipe()
	if err == nil {
		err = right{user: otherUID}.start(cmd)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

// right is what a process is started with: a user and capabilities, or all that the test has.
type right struct {
	capabilities privilege.Set
	user         int
	all          bool
}

// start starts a command with no more than the rights given, nor a way to get more.
func (r right) start(cmd *exec.Cmd) error {
	if r.all {
		return cmd.Start()
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	if r.user != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(r.user), Gid: uint32(r.user)}
		for _, c := range r.capabilities.List() {
			cmd.SysProcAttr.AmbientCaps = append(cmd.SysProcAttr.AmbientCaps, uintptr(c))
		}
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		for c := privilege.Capability(0); err == nil && c <= unix.CAP_LAST_CAP; c++ {
			if !r.capabilities.Has(c) {
				if err = unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); errors.Is(err, unix.EINVAL) {
					err = nil // this kernel does not know it
				}
			}
		}
		if err == nil {
			err = cmd.Start()
		}
		started <- err
	}()
	return <-started
}

const (
	// privilegeVariable makes the test binary a process that captures by the way it names.
	privilegeVariable = "TOPOSCOPE_TEST_CAPTURE"
	otherVariable     = "TOPOSCOPE_TEST_OTHER"
	// unchecked before a way's name leaves it to the kernel to refuse.
	unchecked = "unchecked "
	requests  = 100
	clients   = 4
)

// result is what that process says in the end.
type result struct {
	Held   privilege.Held
	Err    string // capture was refused
	Status probe.Status
	// Possible is what the process could do, by what needs ask capabilities for.
	Possible map[string]bool
	// Seen is how often each request was seen, by the side that it was seen at.
	Seen [2]map[int]int
	// Lost is how many events found no room.
	Lost uint64
}

// captureAs has another process capture while HTTP is spoken. other is a process that the process looks at. It captures what the whole
// host says: where that was too much, and so some of it is lost, it is done again.
func captureAs(t *testing.T, method string, r right, other int) (got result) {
	t.Helper()
	for range 3 {
		if got = captureOnce(t, method, r, other); got.Lost == 0 {
			break
		}
		t.Logf("%d events were lost", got.Lost)
	}
	return got
}

func captureOnce(t *testing.T, method string, r right, other int) (got result) {
	t.Helper()
	self, err := os.Open("/proc/self/exe") // the folder of the binary is the owner's
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, fmt.Sprintf("/proc/self/fd/%d", self.Fd()), "-test.run=^TestCaptureAs$")
	cmd.Dir, cmd.Env = "/", append(os.Environ(), privilegeVariable+"="+method, otherVariable+"="+strconv.Itoa(other))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := r.start(cmd); err != nil {
		t.Fatal(err)
	}
	lines := json.NewDecoder(out)
	err = lines.Decode(&got)
	if err == nil && got.Err == "" {
		port := speakHTTP(t)
		if _, err = fmt.Fprintln(in, port); err == nil {
			err = lines.Decode(&got)
		}
	}
	in.Close()
	_, _ = io.Copy(io.Discard, io.MultiReader(lines.Buffered(), out))
	if err := errors.Join(err, cmd.Wait()); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	return got
}

// speakHTTP asks a server for numbered pages, and tells its port.
func speakHTTP(t *testing.T) int {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }))
	defer server.Close()
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}
			defer client.CloseIdleConnections()
			for n := i; n < requests; n += clients {
				answer, err := client.Get(server.URL + "/page/" + strconv.Itoa(n))
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
		})
	}
	all.Wait()
	return server.Listener.Addr().(*net.TCPAddr).Port
}

// check wants every request once at each side, and that to be possible, and only that, which is not said to be missing.
func (r result) check(t *testing.T, method string, given right) {
	t.Helper()
	if r.Err != "" {
		t.Fatal(r.Err)
	}
	if r.Held.Capabilities != given.capabilities {
		t.Errorf("the process had %s, not %s", r.Held.Capabilities, given.capabilities)
	}
	for side, seen := range r.Seen {
		for n := range requests {
			if seen[n] != 1 {
				t.Fatalf("request %d was seen %d times at side %d; %d of %d were seen there", n, seen[n], side, len(seen), requests)
			}
		}
	}
	lacking := map[string]bool{}
	for _, n := range r.Status.Lacking {
		lacking[n.For] = true
	}
	for _, n := range privilege.Needs(method) {
		if n.Required() {
			continue // it captured
		}
		could, known := r.Possible[n.For]
		switch {
		case !known:
			t.Errorf("nobody tries %s", n.For)
		case n.For == enterNamespaces && lacking[findNamespaces]: // who cannot find them cannot enter
		case n.For == readEnvironments && lacking[lookAtProcesses]: // on newer kernels CAP_PERFMON will do for that
		case could == lacking[n.For]:
			t.Errorf("%s %s: possible is %v, said to be missing is %v", n.Capability, n.For, could, lacking[n.For])
		}
	}
}

const (
	findNamespaces  = "to find the owners of sockets, and the network namespaces of processes"
	enterNamespaces = "to enter other network namespaces"

	lookAtProcesses  = "to look at the processes of others"
	readEnvironments = "to read the environment of the processes of others"
)

// TestCaptureAs is the process that captures.
func TestCaptureAs(t *testing.T) {
	method, leave := strings.CutPrefix(os.Getenv(privilegeVariable), unchecked)
	if method == "" {
		t.Skip("started by TestPrivileges")
	}
	say := json.NewEncoder(os.Stdout)
	var got result
	must(t, func() (err error) { got.Held, err = privilege.Read(); return err }())
	hand := &pages{conns: map[event.ConnID]*sides{}}
	opts := probe.Options{Method: method, Shards: 1, DatagramPorts: []uint16{53}}
	if leave {
		opts = opts.Unchecked()
	}
	p, err := probe.New(opts)
	if err != nil {
		got.Err = err.Error()
		must(t, say.Encode(got))
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, []probe.Handler{hand}, nobody{}) }()
	for p.Ready() != nil && got.Err == "" {
		select {
		case err := <-done:
			got.Err = fmt.Sprint(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	got.Status = p.Status()
	got.Possible = possible(got.Status)
	must(t, say.Encode(got))
	var port uint16
	if _, err := fmt.Scan(&port); err != nil {
		return // it was refused
	}
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline) && hand.total(port) < 2*requests; {
		time.Sleep(10 * time.Millisecond)
	}
	lost, err := p.Counters()
	must(t, err)
	for _, n := range lost.Lost {
		got.Lost += n
	}
	cancel()
	must(t, <-done)
	got.Seen = hand.at(port)
	must(t, say.Encode(got))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// possible tries what each need is for that capture can do without.
func possible(s probe.Status) map[string]bool {
	other := "/proc/" + os.Getenv(otherVariable)
	_, executable := os.Readlink(other + "/exe")
	_, environment := os.ReadFile(other + "/environ")
	_, descriptors := os.ReadDir(other + "/fd")
	_, namespace := os.Readlink(other + "/ns/net")
	return map[string]bool{
		"to attach to the root cgroup":                   s.Programs["datagram_sent"],
		"to follow the starts and ends of processes":     s.Programs["process_exec"],
		"to list the sockets of the processes of others": descriptors == nil,
		lookAtProcesses:  executable == nil,
		readEnvironments: environment == nil,
		findNamespaces:   namespace == nil,
		enterNamespaces:  s.Namespaces > 1,
	}
}

// pages keeps what each connection said. A server may read a request's first byte by itself.
type pages struct {
	mu    sync.Mutex
	conns map[event.ConnID]*sides
}

// sides are the bytes of one connection, by direction and offset.
type sides struct {
	port uint16 // of the server
	data [2]map[uint64]string
}

func (*pages) Tick(time.Time) {}

func (h *pages) Handle(ev event.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch ev := ev.(type) {
	case *event.Opened:
		c := &sides{port: ev.Flow.Remote.Port(), data: [2]map[uint64]string{{}, {}}}
		if ev.Role == event.RoleServer {
			c.port = ev.Flow.Local.Port()
		}
		h.conns[ev.Conn] = c
	case *event.Segment:
		if c := h.conns[ev.Conn]; c != nil && ev.Off < 64<<10 { // others on this host say more
			c.data[ev.Dir][ev.Off] += string(ev.Data)
		}
	}
}

var pageRequest = regexp.MustCompile(`GET /page/(\d+) HTTP/1\.1\r\n`)

// at counts the requests to a server, as sent and as received.
func (h *pages) at(port uint16) (seen [2]map[int]int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen = [2]map[int]int{{}, {}}
	for _, c := range h.conns {
		if c.port != port {
			continue
		}
		for side, data := range c.data {
			var stream strings.Builder
			for _, off := range slices.Sorted(maps.Keys(data)) {
				stream.WriteString(data[off])
			}
			for _, m := range pageRequest.FindAllStringSubmatch(stream.String(), -1) {
				n, _ := strconv.Atoi(m[1])
				seen[side][n]++
			}
		}
	}
	return seen
}

func (h *pages) total(port uint16) (n int) {
	for _, side := range h.at(port) {
		for _, times := range side {
			n += times
		}
	}
	return n
}
