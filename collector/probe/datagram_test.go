package probe_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/probe"
)

var datagramMethods = []string{"fexit", "kprobe", "cgroup", "packet"}

// datagrams keeps what was told of datagrams.
type datagrams struct {
	mu      sync.Mutex
	sockets map[event.ConnID]*socket
}

type socket struct {
	open   event.Opened
	grams  []gram
	closed bool
	errs   []error
}

type gram struct {
	event.Segment
	text string
}

func (r *datagrams) Tick(time.Time) {}

func (r *datagrams) Handle(ev event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch ev := ev.(type) {
	case *event.Opened:
		if ev.Datagram {
			r.sockets[ev.Conn] = &socket{open: *ev}
		}
	case *event.Segment:
		s := r.sockets[ev.Conn]
		if s == nil {
			return
		}
		if s.closed {
			s.errs = append(s.errs, errors.New("a datagram after the end"))
		}
		if ev.Seq != uint64(len(s.grams)) {
			s.errs = append(s.errs, fmt.Errorf("number %d after %d datagrams", ev.Seq, len(s.grams)))
		}
		s.grams = append(s.grams, gram{*ev, string(ev.Data)})
	case *event.Closed:
		if s := r.sockets[ev.Conn]; s != nil {
			s.closed = true
		}
	}
}

// all returns the datagrams of the sockets of a role in a namespace; 0 is any.
func (r *datagrams) all(role event.Role, netns uint32) (list []gram) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sockets {
		if s.open.Role == role && (netns == 0 || s.open.Flow.NetNS == netns) {
			list = append(list, s.grams...)
		}
	}
	return list
}

func (r *datagrams) errors() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, s := range r.sockets {
		errs = append(errs, s.errs...)
	}
	return errors.Join(errs...)
}

// captureDatagrams runs a probe that captures the datagrams of a port by one way until the test ends.
func captureDatagrams(t *testing.T, port int, opts probe.Options) (*datagrams, *probe.Probe) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("capture needs root")
	}
	want := opts.Datagrams
	opts.DatagramPorts, opts.Self = []uint16{uint16(port)}, 1
	p, err := probe.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	r := &datagrams{sockets: map[event.ConnID]*socket{}}
	handlers := make([]probe.Handler, p.Shards())
	for i := range handlers {
		handlers[i] = r
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, handlers, nobody{}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("running capture: %v", err)
		}
	})
	eventually(t, p.Ready)
	if s := p.Status(); s.Datagrams == "" {
		t.Skipf("datagrams by %s are not possible here: %v", want, s.Failures["datagrams by "+want])
	}
	return r, p
}

// answerer answers each datagram to a port of a host with its text, spelt out as an answer, until the test ends.
func answerer(t *testing.T, host string) *net.UDPAddr {
	t.Helper()
	s, err := net.ListenPacket("udp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	go answer(s)
	return s.LocalAddr().(*net.UDPAddr)
}

func answer(s net.PacketConn) {
	b := make([]byte, 64<<10)
	for {
		n, from, err := s.ReadFrom(b)
		if err != nil {
			return
		}
		_, _ = s.WriteTo(append([]byte("answer to "), b[:n]...), from)
	}
}

// ask asks from a socket of its own, as resolvers do, and returns that socket's address.
func ask(t *testing.T, server net.Addr, text string) netip.AddrPort {
	t.Helper()
	c, err := net.Dial("udp", server.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64<<10)
	n, err := c.Read(b)
	if err != nil {
		t.Fatalf("no answer to %.20q: %v", text, err)
	}
	if got := string(b[:n]); got != "answer to "+text {
		t.Fatalf("got %.60q", got)
	}
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// TestDatagrams asks and answers over IPv4 and IPv6 and wants each datagram once at either end, with its task and its peer.
func TestDatagrams(t *testing.T) {
	for _, method := range datagramMethods {
		for _, listen := range []string{"127.0.0.1", "[::1]", ""} {
			t.Run(method+"/"+listen, func(t *testing.T) {
				to := answerer(t, listen)
				r, p := captureDatagrams(t, to.Port, probe.Options{Datagrams: method})
				if listen == "" {
					to = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: to.Port}
				}
				const n = 20
				tasked := method != "packet" || p.Status().Programs["datagram_sender"] // the kernel may lack its place (before 6.3)
				var asked []netip.AddrPort
				for i := range n {
					asked = append(asked, ask(t, to, fmt.Sprintf("question %d", i)))
				}
				eventually(t, func() error {
					return errors.Join(
						exchanged(r.all(event.RoleClient, 0), event.Sent, n, tasked, to.AddrPort()),
						exchanged(r.all(event.RoleServer, 0), event.Received, n, true, asked...),
						served(r, method),
						r.errors())
				})
			})
		}
	}
}

// served wants the task of what servers received, too, where it is known when it comes.
func served(r *datagrams, method string) error {
	for _, g := range r.all(event.RoleServer, 0) {
		if method != "packet" && g.Task.PID != uint32(os.Getpid()) {
			return fmt.Errorf("server %s %q: task %+v", g.Dir, g.text, g.Task)
		}
	}
	return nil
}

// exchanged wants n questions and n answers, the questions in direction d, with the peers given and, if tasked, this process as the
// task of what was sent.
func exchanged(got []gram, d event.Dir, n int, tasked bool, peers ...netip.AddrPort) error {
	var errs []error
	var count [2]int
	seen := map[string]bool{}
	for _, g := range got {
		count[g.Dir]++
		question := strings.HasPrefix(g.text, "question")
		found := false
		for _, p := range peers {
			found = found || g.Peer == netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
		}
		switch {
		case question != (g.Dir == d) || !g.Datagram || g.Size != len(g.text):
			errs = append(errs, fmt.Errorf("%s %q, size %d", g.Dir, g.text, g.Size))
		case !found:
			errs = append(errs, fmt.Errorf("%s: peer %v is none of %v", g.Dir, g.Peer, peers))
		case seen[g.text]:
			errs = append(errs, fmt.Errorf("%s %q came twice", g.Dir, g.text))
		case tasked && g.Dir == event.Sent && g.Task.PID != uint32(os.Getpid()):
			errs = append(errs, fmt.Errorf("%s %q: task %+v", g.Dir, g.text, g.Task))
		}
		seen[g.text] = true
	}
	if count != [2]int{n, n} {
		errs = append(errs, fmt.Errorf("%d sent, %d received, want %d each", count[0], count[1], n))
	}
	return errors.Join(errs...)
}

// TestManyDatagrams asks 5,000 questions from eight threads and wants all of them.
func TestManyDatagrams(t *testing.T) {
	for _, method := range datagramMethods {
		t.Run(method, func(t *testing.T) {
			s := answerer(t, "127.0.0.1")
			r, p := captureDatagrams(t, s.Port, probe.Options{Datagrams: method})
			const threads, each = 8, 625
			var work sync.WaitGroup
			for i := range threads {
				work.Go(func() {
					for j := range each {
						ask(t, s, fmt.Sprintf("question %d of %d", j, i))
					}
				})
			}
			work.Wait()
			eventually(t, func() error {
				client, server := r.all(event.RoleClient, 0), r.all(event.RoleServer, 0)
				if len(client) != 2*threads*each || len(server) != 2*threads*each {
					return fmt.Errorf("%d at clients, %d at servers, want %d; %+v", len(client), len(server), 2*threads*each, counters(t, p))
				}
				return r.errors()
			})
		})
	}
}

// TestDatagramTask has another process ask, and end at once.
func TestDatagramTask(t *testing.T) {
	for _, method := range datagramMethods {
		t.Run(method, func(t *testing.T) {
			s := answerer(t, "127.0.0.1")
			r, p := captureDatagrams(t, s.Port, probe.Options{Datagrams: method})
			shell := exec.Command("bash", "-c", fmt.Sprintf("exec 3<>/dev/udp/127.0.0.1/%d; printf 'question of the shell' >&3; read -N 10 -u 3", s.Port))
			if err := shell.Run(); err != nil {
				t.Skipf("this needs bash: %v", err)
			}
			needSenders(t, p)
			eventually(t, func() error {
				for _, g := range r.all(event.RoleClient, 0) {
					if g.Dir == event.Sent && g.text == "question of the shell" && g.Task.PID == uint32(shell.Process.Pid) {
						return nil
					}
				}
				return fmt.Errorf("not found in %+v", r.all(event.RoleClient, 0))
			})
		})
	}
}

// needSenders skips a test of what takes the sender of a packet, which kernels before 6.3 do not tell.
func needSenders(t *testing.T, p *probe.Probe) {
	t.Helper()
	if s := p.Status(); s.Datagrams == "packet" && !s.Programs["datagram_sender"] {
		t.Skip("this kernel does not tell who sent a packet")
	}
}

// TestLargeDatagram sends more than the path's unit on its way, and what no record holds.
func TestLargeDatagram(t *testing.T) {
	for _, method := range datagramMethods {
		t.Run(method, func(t *testing.T) {
			s := answerer(t, "127.0.0.1")
			r, _ := captureDatagrams(t, s.Port, probe.Options{Datagrams: method})
			for _, size := range []int{1200, 4000, 30000} {
				text := strings.Repeat("x", size-4) + string(binary.BigEndian.AppendUint32(nil, uint32(size)))
				ask(t, s, text)
				eventually(t, func() error {
					for _, g := range r.all(event.RoleServer, 0) {
						if g.Dir != event.Received || g.Size != size {
							continue
						}
						if len(g.text) < min(size, 4096) || !strings.HasPrefix(text, g.text) {
							return fmt.Errorf("%d bytes of %d", len(g.text), size)
						}
						return nil
					}
					return fmt.Errorf("%d bytes did not come", size)
				})
			}
		})
	}
}
