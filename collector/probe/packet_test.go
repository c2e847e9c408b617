package probe_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/probe"
)

// TestPacketEcho sends known bytes both ways, in lines and in bulk, and wants each once, in its place, at both ends.
func TestPacketEcho(t *testing.T) {
	for _, network := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(network, func(t *testing.T) {
			r, _ := captureWith(t, probe.Options{Method: "packet", RingBytes: 64 << 20})
			c, s := echoing(t, network)
			var want bytes.Buffer
			for i := range 100 {
				want.WriteString(fmt.Sprintf("line %d of the echo\n", i))
				echo(t, c, want.Bytes()[want.Len()-len(fmt.Sprintf("line %d of the echo\n", i)):])
			}
			bulk := make([]byte, 4<<20)
			_, _ = rand.Read(bulk)
			want.Write(bulk)
			echo(t, c, bulk)
			c.Close()
			r.ofConn(t, c, func(client, server *record) error {
				return errors.Join(checkPacket("client", client, want.Bytes()), checkPacket("server", server, want.Bytes()))
			})
			_ = s
		})
	}
}

// echoing connects to a server that echoes.
func echoing(t *testing.T, network string) (net.Conn, net.Listener) {
	t.Helper()
	l, err := net.Listen("tcp", network)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}) }()
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, l
}

func echo(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write(b)
		wrote <- err
	}()
	got := make([]byte, len(b))
	_, err := io.ReadFull(c, got)
	if err := errors.Join(err, <-wrote); err != nil {
		t.Fatal(err)
	}
}

func checkPacket(name string, c *record, want []byte) error {
	errs := c.errs
	for d := range 2 {
		if got := c.sent[d].Bytes(); !bytes.Equal(got, want) {
			errs = append(errs, fmt.Errorf("%s %s: %d bytes, want %d", name, event.Dir(d), len(got), len(want)))
		}
		if c.size[d] != uint64(len(want)) || c.next[d] != uint64(len(want)) {
			errs = append(errs, fmt.Errorf("%s %s: size %d, end %d, want %d", name, event.Dir(d), c.size[d], c.next[d], len(want)))
		}
	}
	switch {
	case c.closed == nil:
		errs = append(errs, fmt.Errorf("%s: not closed", name))
	case uint64(len(c.seqs)) != c.closed.Seq:
		errs = append(errs, fmt.Errorf("%s: %d segments, %d numbers", name, len(c.seqs), c.closed.Seq))
	}
	return errors.Join(errs...)
}

// TestPacketHTTP sends requests over connections that are kept alive and over one each, and wants every one at both ends.
func TestPacketHTTP(t *testing.T) {
	r, _ := captureWith(t, probe.Options{Method: "packet"})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 2000)) })}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	const n = 500
	for _, keep := range []bool{true, false} {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: !keep}, Timeout: 10 * time.Second}
		for i := range n {
			answer, err := client.Get(fmt.Sprintf("http://%s/%v/%d", l.Addr(), keep, i))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
		client.CloseIdleConnections()
	}
	port := l.Addr().(*net.TCPAddr).AddrPort().Port()
	eventually(t, func() error {
		var errs []error
		for _, role := range []event.Role{event.RoleClient, event.RoleServer} {
			asked, answered, conns := r.requests(role, port)
			if asked != 2*n || answered != 2*n || conns != n+1 {
				errs = append(errs, fmt.Errorf("%s: %d requests and %d answers on %d connections, want %d on %d", role, asked, answered, conns, 2*n, n+1))
			}
		}
		return errors.Join(errs...)
	})
}

// requests counts what the ends of a role at connections to a port said.
func (r *recorder) requests(role event.Role, port uint16) (asked, answered, conns int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		to, request := c.open.Flow.Remote, event.Sent
		if role == event.RoleServer {
			to, request = c.open.Flow.Local, event.Received
		}
		if c.open.Role != role || to.Port() != port || c.closed == nil {
			continue
		}
		conns++
		asked += bytes.Count(c.sent[request].Bytes(), []byte("GET /"))
		answered += bytes.Count(c.sent[request.Reverse()].Bytes(), []byte("HTTP/1.1 200 OK\r\n"))
	}
	return asked, answered, conns
}

// TestPacketOwners wants the listeners, the owners and the roles of what is older than capture and of what comes then.
func TestPacketOwners(t *testing.T) {
	self := uint32(os.Getpid())
	before, old := echoing(t, "127.0.0.1:0")
	echo(t, before, []byte("before"))
	r, _ := captureWith(t, probe.Options{Method: "packet"})
	after, young := echoing(t, "[::1]:0")
	for _, l := range []net.Listener{old, young} {
		eventually(t, func() error { return r.listening(l.Addr().(*net.TCPAddr).AddrPort(), true, self) })
	}
	for _, c := range []net.Conn{before, after} {
		eventually(t, func() error {
			echo(t, c, []byte("more"))
			from, to := ends(c)
			client, server := r.find(from, to, event.RoleClient), r.find(from, to, event.RoleServer)
			if client == nil || server == nil {
				return fmt.Errorf("client %v, server %v", client, server)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if !client.tasks[self] || !server.tasks[self] || client.open.Existing != (c == before) {
				return fmt.Errorf("tasks %v and %v, existing %v", client.tasks, server.tasks, client.open.Existing)
			}
			return nil
		})
	}
	young.Close()
	eventually(t, func() error { return r.listening(young.Addr().(*net.TCPAddr).AddrPort(), false, self) })
}

func (r *recorder) listening(at netip.AddrPort, open bool, pid uint32) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.listen {
		if e.Local == at && e.Open == open && e.Task.PID == pid {
			return nil
		}
	}
	return fmt.Errorf("no listener %v, open %v, in %+v", at, open, r.listen)
}

// TestPacketSwitch switches capture off and on: connections end, and are found again.
func TestPacketSwitch(t *testing.T) {
	r, p := captureWith(t, probe.Options{Method: "packet"})
	c, _ := echoing(t, "127.0.0.1:0")
	echo(t, c, []byte("one"))
	said := func(text string) func(client, server *record) error {
		return func(client, server *record) error {
			return errors.Join(expect(client.sent[event.Sent].String(), text), expect(server.sent[event.Received].String(), text))
		}
	}
	r.ofConn(t, c, said("one"))
	if err := p.SetEnabled(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	echo(t, c, []byte("two"))
	r.ofConn(t, c, func(client, server *record) error {
		if client.closed == nil || server.closed == nil {
			return errors.New("not forgotten")
		}
		return nil
	})
	r.mu.Lock()
	clear(r.conns)
	r.mu.Unlock()
	if err := p.SetEnabled(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	echo(t, c, []byte("three"))
	r.ofConn(t, c, said("three"))
}

// dropCapabilities becomes a process that may load socket filters and nothing else.
func dropCapabilities() {
	runtime.LockOSThread()
	for _, c := range []uintptr{unix.CAP_PERFMON, unix.CAP_SYS_ADMIN} {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			panic(err)
		}
	}
	if err := os.Setenv(childVariable, "fallen"); err != nil {
		panic(err)
	}
	panic(syscall.Exec("/proc/self/exe", os.Args, os.Environ()))
}

// TestFallback wants packets where everything else is refused, found by itself.
func TestFallback(t *testing.T) {
	if os.Getenv(childVariable) != "fallen" {
		if os.Geteuid() != 0 {
			t.Skip("capture needs root")
		}
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestFallback$")
		cmd.Env = append(os.Environ(), childVariable+"=refused")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	r, p := captureWith(t, probe.Options{DatagramPorts: []uint16{53}})
	s := p.Status()
	if s.Method != "packet" || s.Datagrams != "packet" || s.Failures["process_exec"] == "" {
		t.Fatalf("%+v", s)
	}
	c, _ := echoing(t, "127.0.0.1:0")
	echo(t, c, []byte("a line"))
	c.Close()
	r.ofConn(t, c, func(client, server *record) error {
		return errors.Join(checkPacket("client", client, []byte("a line")), checkPacket("server", server, []byte("a line")))
	})
}
