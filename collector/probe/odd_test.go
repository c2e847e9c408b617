package probe_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/probe"
)

var methods = []string{"tracepoint", "syscall", "kprobe", "fexit"}

// info is a connection's TCP_INFO, to wait for what its peer did.
func (p pair) info(c *net.TCPConn) (info *unix.TCPInfo) {
	p.t.Helper()
	p.raw(c, func(fd int) (err error) {
		info, err = unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		return err
	})
	return info
}

func (p pair) awaitState(c *net.TCPConn, state uint8) {
	p.t.Helper()
	eventually(p.t, func() error {
		if s := p.info(c).State; s != state {
			return fmt.Errorf("state %d, want %d", s, state)
		}
		return nil
	})
}

const (
	stateClose     = 7
	stateCloseWait = 8
)

// reset ends a connection by a RST.
func (p pair) reset(c *net.TCPConn) {
	p.t.Helper()
	if err := c.SetLinger(0); err != nil {
		p.t.Fatal(err)
	}
	c.Close()
}

// TestSpliceToEnd splices all that was sent together with the FIN, as a proxy does: the FIN is no byte.
func TestSpliceToEnd(t *testing.T) {
	for _, method := range methods {
		t.Run(method, func(t *testing.T) {
			r, _ := capture(t, method)
			p := dial(t, "127.0.0.1:0")
			text := []byte("GET /one HTTP/1.1\r\nHost: a\r\n\r\n")
			_, _ = p.client.Write(text)
			_ = p.client.CloseWrite()
			p.awaitState(p.server, stateCloseWait)
			var fds [2]int
			if err := unix.Pipe(fds[:]); err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fds[0])
			defer unix.Close(fds[1])
			for n := int64(1); n > 0; {
				p.raw(p.server, func(fd int) (err error) {
					n, err = unix.Splice(fd, nil, fds[1], nil, 1000, unix.SPLICE_F_NONBLOCK)
					return err
				})
			}
			p.server.Close()
			p.client.Close()
			r.both(t, p, func(_, server *record) error {
				if server.closed == nil {
					return errors.New("not closed")
				}
				if want := uint64(len(text)); server.size[event.Received] != want || server.closed.Received != want || server.closed.Stats.Received != want {
					return fmt.Errorf("received %d, end %d, total %d, want %d", server.size[event.Received], server.closed.Received, server.closed.Stats.Received, want)
				}
				return nil
			})
		})
	}
}

// TestReadAfterReset reads what had arrived before a reset: the kernel has taken the socket's port away by then.
func TestReadAfterReset(t *testing.T) {
	for _, method := range methods {
		t.Run(method, func(t *testing.T) {
			r, _ := capture(t, method)
			p := dial(t, "127.0.0.1:0")
			p.say("request")
			_, _ = io.WriteString(p.server, "answer")
			p.reset(p.server)
			p.awaitState(p.client, stateClose)
			if _, err := io.ReadFull(struct{ io.Reader }{p.client}, make([]byte, 6)); err != nil {
				t.Fatal(err)
			}
			if _, err := p.client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
				t.Fatal(err)
			}
			p.client.Close()
			r.both(t, p, func(client, _ *record) error {
				if client.closed == nil {
					return errors.New("not closed")
				}
				if client.closed.Reason != event.CloseReset {
					return fmt.Errorf("closed by %v", client.closed.Reason)
				}
				return expect(client.sent[event.Received].String(), "answer")
			})
		})
	}
}

// TestResetBeforeAccept accepts a connection that was reset while it waited, with a request to read: its end must come last.
func TestResetBeforeAccept(t *testing.T) {
	for _, method := range methods {
		for _, text := range []string{"", "request"} {
			t.Run(method+"/"+text, func(t *testing.T) {
				r, _ := capture(t, method)
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				p := pair{t: t, client: c.(*net.TCPConn)}
				_, _ = io.WriteString(c, text)
				p.reset(p.client)
				s, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				p.server = s.(*net.TCPConn)
				p.read(len(text))
				s.Close()
				r.both(t, p, func(_, server *record) error {
					if server.closed == nil {
						return errors.New("not closed")
					}
					if server.accept == nil {
						return errors.New("not accepted")
					}
					if server.closed.Reason != event.CloseReset {
						return fmt.Errorf("closed by %v", server.closed.Reason)
					}
					return errors.Join(append(server.errs, expect(server.sent[event.Received].String(), text))...)
				})
			})
		}
	}
}

// TestTailOfManyParts sends a message in more parts than are walked: what is told of its end must be its end.
func TestTailOfManyParts(t *testing.T) {
	for _, method := range methods {
		t.Run(method, func(t *testing.T) {
			r, pr := capture(t, method)
			p := dial(t, "127.0.0.1:0")
			p.say("undecided")
			r.both(t, p, func(client, _ *record) error { return expect(client.sent[event.Sent].String(), "undecided") })
			from, to := ends(p.client)
			pr.Copy(r.find(from, to, event.RoleClient).open.Conn, 256, 256)
			var all []byte
			var parts [][]byte
			for i := range 18 {
				parts = append(parts, bytes.Repeat([]byte{byte('a' + i)}, 80))
				all = append(all, parts[i]...)
			}
			p.raw(p.client, func(fd int) error { _, err := unix.Writev(fd, parts); return err })
			p.read(len(all))
			p.client.Close()
			p.server.Close()
			r.both(t, p, func(client, _ *record) error {
				if client.closed == nil {
					return errors.New("not closed")
				}
				if !bytes.HasSuffix(all, []byte(client.tail)) {
					return fmt.Errorf("the end is %q", client.tail)
				}
				return nil
			})
		})
	}
}

// TestSlowConnect has connects answered late, while totals are read all the time: a connection that was not there when the kernel
// was asked must not be taken for one whose end was missed.
func TestSlowConnect(t *testing.T) {
	r, _ := captureWith(t, probe.Options{StatsInterval: time.Millisecond})
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	results := make(chan net.Conn, 40)
	for range cap(results) {
		go func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
			}
			results <- c
		}()
	}
	first := <-results // the queue is full: the others' SYN is dropped and sent again after a second
	defer first.Close()
	dial(t, "127.0.0.1:0").say("a newer one")
	if err := unix.Listen(fd, cap(results)); err != nil {
		t.Fatal(err)
	}
	for range cap(results) - 1 {
		c := <-results
		if c == nil {
			continue
		}
		defer c.Close()
		r.ofConn(t, c, func(client, server *record) error { return nil })
		from, to := ends(c)
		client := r.find(from, to, event.RoleClient)
		r.mu.Lock()
		if client.closed != nil {
			t.Errorf("%v is said to be closed: %+v", from, client.closed)
		}
		r.mu.Unlock()
	}
}

// TestSwitchUnderTraffic switches capture off and on while both ends of each connection read and write in threads of their own:
// a connection must be found once, and every copied byte be in its place.
func TestSwitchUnderTraffic(t *testing.T) {
	r, pr := capture(t, "auto")
	var work sync.WaitGroup
	var stop atomic.Bool
	for range 4 {
		p := dial(t, "127.0.0.1:0")
		for _, c := range []*net.TCPConn{p.client, p.server} {
			work.Go(func() {
				line := append([]byte("LINE"), make([]byte, 60)...)
				for i := uint64(0); !stop.Load(); i++ {
					binary.BigEndian.PutUint64(line[4:], i)
					if _, err := c.Write(line); err != nil {
						break
					}
				}
				_ = c.CloseWrite()
			})
			work.Go(func() {
				defer c.Close()
				for line := make([]byte, 64); ; {
					if _, err := io.ReadFull(struct{ io.Reader }{c}, line); err != nil {
						return
					}
				}
			})
		}
	}
	defer work.Wait()
	defer stop.Store(true)
	for range 2 {
		if err := pr.SetEnabled(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		r.mu.Lock()
		clear(r.conns)
		r.mu.Unlock()
		if err := pr.SetEnabled(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error { return r.steady(8) })
	}
}

// steady wants so many connections with traffic, each found once, and checks that the lines' numbers go with their offsets.
func (r *recorder) steady(conns int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	type end struct{ local, remote netip.AddrPort }
	found := map[end]int{}
	var errs []error
	for id, c := range r.conns {
		if len(c.parts[0]) < 10 || len(c.parts[1]) < 10 || c.closed != nil {
			continue // of the time before: it was still in the ring
		}
		found[end{c.open.Flow.Local, c.open.Flow.Remote}]++
		for d := range 2 {
			first := int64(-1)
			for _, p := range c.parts[d] {
				if len(p.data) < 12 || string(p.data[:4]) != "LINE" {
					continue // a run may begin within a line
				}
				from := int64(p.off) - 64*int64(binary.BigEndian.Uint64(p.data[4:]))
				if first == -1 {
					first = from
				}
				if from != first {
					errs = append(errs, fmt.Errorf("%v %v at %d: line 0 was at %d, and is at %d", id, event.Dir(d), p.off, first, from))
					break
				}
			}
		}
	}
	for e, n := range found {
		if n != 1 {
			errs = append(errs, fmt.Errorf("%v found %d times", e, n))
		}
	}
	if len(found) < conns {
		errs = append(errs, fmt.Errorf("%d connections of %d", len(found), conns))
	}
	return errors.Join(errs...)
}

// TestReusedPID forks a process whose number has an entry of one that is gone: the entry must not speak for it.
func TestReusedPID(t *testing.T) {
	r, pr := capture(t, "auto")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(pr.WatchBy(probe.Include))
	to := l.Addr().(*net.TCPAddr)
	shell := exec.Command("bash", "-c", fmt.Sprintf("echo ready; read; (exec 3<>/dev/tcp/127.0.0.1/%d; printf hello >&3; read); true", to.Port))
	in, err := shell.StdinPipe()
	must(err)
	out, err := shell.StdoutPipe()
	must(err)
	if err := shell.Start(); err != nil {
		t.Skipf("this needs bash: %v", err)
	}
	_, err = io.ReadFull(out, make([]byte, len("ready\n"))) // its exec is behind it
	must(err)
	must(pr.ForgetPID(uint32(shell.Process.Pid)))
	for pid := range uint32(4096) {
		must(pr.WatchPID(uint32(shell.Process.Pid)+1+pid, probe.Exclude))
	}
	_, err = io.WriteString(in, "\n")
	must(err)
	c, err := l.Accept()
	must(err)
	defer c.Close()
	_, err = io.ReadFull(c, make([]byte, 5))
	must(err)
	in.Close()
	must(shell.Wait())
	eventually(t, func() error {
		client := r.find(c.RemoteAddr().(*net.TCPAddr).AddrPort(), to.AddrPort(), event.RoleClient)
		if client == nil {
			return errors.New("not found")
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		return expect(client.sent[event.Sent].String(), "hello")
	})
}
