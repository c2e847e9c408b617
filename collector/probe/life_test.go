package probe_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/probe"
)

// say sends a line from the client and reads it at the server.
func (p pair) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.client, line); err != nil {
		p.t.Fatal(err)
	}
	p.read(len(line))
}

func (r *recorder) both(t *testing.T, p pair, f func(client, server *record) error) {
	t.Helper()
	r.ofConn(t, p.client, f)
}

// TestExisting wants connections older than capture with their roles and owners, before any byte of theirs.
func TestExisting(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			p := dial(t, address)
			p.say("before")
			r, _ := capture(t, "auto")
			r.both(t, p, func(client, server *record) error {
				for name, c := range map[string]*record{"client": client, "server": server} {
					if !c.open.Existing || c.open.Owner.PID != uint32(os.Getpid()) {
						return fmt.Errorf("%s: %+v", name, c.open)
					}
				}
				return nil
			})
			p.say("after")
			r.both(t, p, func(client, server *record) error {
				if a, b := client.sent[event.Sent].String(), server.sent[event.Received].String(); a != "after" || b != "after" {
					return fmt.Errorf("sent %q, received %q", a, b)
				}
				return nil
			})
		})
	}
}

// TestWaiting has a thread wait in a receive before capture begins.
func TestWaiting(t *testing.T) {
	for _, method := range []string{"tracepoint", "syscall"} {
		t.Run(method, func(t *testing.T) {
			p := dial(t, "127.0.0.1:0")
			raw, err := p.server.File() // blocking, unlike the original
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			if err := unix.SetNonblock(int(raw.Fd()), false); err != nil {
				t.Fatal(err)
			}
			got := make(chan string)
			go func() {
				b := make([]byte, 100)
				n, _ := unix.Read(int(raw.Fd()), b)
				got <- string(b[:max(n, 0)])
			}()
			r, _ := capture(t, method)
			if _, err := io.WriteString(p.client, "at last"); err != nil {
				t.Fatal(err)
			}
			if err := expect(<-got, "at last"); err != nil {
				t.Fatal(err)
			}
			r.both(t, p, func(_, server *record) error { return expect(server.sent[event.Received].String(), "at last") })
		})
	}
}

// TestSwitch detaches and attaches again: nothing in between is told, and what is open then is known again.
func TestSwitch(t *testing.T) {
	r, pr := capture(t, "auto")
	p := dial(t, "127.0.0.1:0")
	p.say("one")
	r.both(t, p, func(client, _ *record) error { return expect(client.sent[event.Sent].String(), "one") })
	if err := pr.SetEnabled(context.Background(), false); err != nil {
		t.Fatal(err)
	}
	r.both(t, p, func(client, server *record) error {
		if client.closed == nil || server.closed == nil {
			return fmt.Errorf("not forgotten")
		}
		return nil
	})
	if pr.Ready() == nil {
		t.Error("ready while switched off")
	}
	p.say("two")
	r.mu.Lock()
	clear(r.conns)
	r.mu.Unlock()
	if err := pr.SetEnabled(context.Background(), true); err != nil {
		t.Fatal(err)
	}
	p.say("three")
	r.both(t, p, func(client, server *record) error {
		if err := expect(server.sent[event.Received].String(), "three"); err != nil {
			return err
		}
		return expect(client.sent[event.Sent].String(), "three")
	})
}

func expect(got, want string) error {
	if got != want {
		return fmt.Errorf("got %q, want %q", got, want)
	}
	return nil
}

// TestWatch excludes this process, includes it again and leaves it to be judged: no byte of it may be copied meanwhile.
func TestWatch(t *testing.T) {
	r, pr := capture(t, "auto")
	self := uint32(os.Getpid())
	p := dial(t, "127.0.0.1:0")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(pr.WatchBy(probe.Include))
	p.say("included ")
	must(pr.WatchPID(self, probe.Exclude))
	before := counters(t, pr)
	p.say("excluded ")
	must(pr.WatchPID(self, probe.Pending))
	p.say("pending ")
	after := counters(t, pr)
	must(pr.ForgetPID(self))
	p.say("again ")
	r.both(t, p, func(client, server *record) error {
		if err := expect(server.sent[event.Received].String(), "included again "); err != nil {
			return err
		}
		return expect(client.sent[event.Sent].String(), "included again ")
	})
	if after.Unwatched-before.Unwatched < 2 || after.Pending-before.Pending < 2 {
		t.Errorf("unwatched %d to %d, pending %d to %d", before.Unwatched, after.Unwatched, before.Pending, after.Pending)
	}
}

func counters(t *testing.T, pr *probe.Probe) probe.Counters {
	t.Helper()
	c, err := pr.Counters()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestVerdict limits one connection and refuses another.
func TestVerdict(t *testing.T) {
	r, pr := capture(t, "auto")
	p := dial(t, "127.0.0.1:0")
	p.say("undecided")
	r.both(t, p, func(client, server *record) error { return expect(client.sent[event.Sent].String(), "undecided") })
	from, to := ends(p.client)
	limited, refused := r.find(from, to, event.RoleClient), r.find(from, to, event.RoleServer)
	pr.Copy(limited.open.Conn, 300, 2) // the turn has used 9 of them
	pr.Refuse(refused.open.Conn)
	p.say(strings.Repeat("x", 500) + "yz")
	r.both(t, p, func(client, server *record) error {
		if err := expect(client.sent[event.Sent].String()+"|"+client.tail, "undecided"+strings.Repeat("x", 291)+"|yz"); err != nil {
			return err
		}
		return expect(server.sent[event.Received].String(), "undecided")
	})
}

// TestAcceptWait leaves a connection on the accept queue and wants the wait, and the queue's length.
func TestAcceptWait(t *testing.T) {
	r, _ := capture(t, "auto")
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 5); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	start := time.Now()
	for time.Since(start) < 300*time.Millisecond {
		time.Sleep(10 * time.Millisecond)
	}
	accepted, _, err := unix.Accept(fd)
	waited := time.Since(start)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(accepted)
	r.ofConn(t, c, func(_, server *record) error {
		if server.accept == nil || server.accept.Wait < 300*time.Millisecond || server.accept.Wait > waited+50*time.Millisecond {
			return fmt.Errorf("accepted %+v, waited %v", server.accept, waited)
		}
		return nil
	})
}

// TestListening wants the listeners there are, those that come, and those that go.
func TestListening(t *testing.T) {
	before, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	r, _ := capture(t, "auto")
	after, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	await := func(l net.Listener, open bool) {
		t.Helper()
		eventually(t, func() error {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, e := range r.listen {
				if e.Local == l.Addr().(*net.TCPAddr).AddrPort() && e.Open == open && e.Task.PID == uint32(os.Getpid()) {
					return nil
				}
			}
			return fmt.Errorf("no listener %v, open %v, in %+v", l.Addr(), open, r.listen)
		})
	}
	await(before, true)
	await(after, true)
	after.Close()
	await(after, false)
}

// TestRefused wants a failed connect with its error and its task.
func TestRefused(t *testing.T) {
	r, _ := capture(t, "auto")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).AddrPort().Port()
	l.Close()
	if _, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
		t.Fatal("connected to a closed port")
	}
	eventually(t, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, f := range r.failed {
			if f.Flow.Remote.Port() == port && f.Errno == int(unix.ECONNREFUSED) && f.Task.PID == uint32(os.Getpid()) {
				return nil
			}
		}
		return fmt.Errorf("no refused connect to %d in %+v", port, r.failed)
	})
}
