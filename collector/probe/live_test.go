package probe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/probe"
)

// recorder keeps what each connection said, by the port of the server, and checks the rules of events as they come.
type recorder struct {
	mu     sync.Mutex
	conns  map[event.ConnID]*record
	failed []event.ConnectFailed
	listen []event.Listening
}

type record struct {
	open   event.Opened
	sent   [2]bytes.Buffer // what was copied, put together
	parts  [2][]part
	size   [2]uint64
	next   [2]uint64
	seqs   map[uint64]bool
	turns  map[uint32]bool
	tail   string
	closed *event.Closed
	accept *event.Accepted
	tasks  map[uint32]bool
	errs   []error
}

func (r *recorder) Tick(time.Time) {}

func (r *recorder) Handle(ev event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch ev := ev.(type) {
	case *event.Opened:
		r.conns[ev.Conn] = &record{open: *ev, seqs: map[uint64]bool{}, turns: map[uint32]bool{}, tasks: map[uint32]bool{}}
	case *event.Accepted:
		if c := r.conns[ev.Conn]; c != nil {
			c.after("accepted")
			a := *ev
			c.accept = &a
		}
	case *event.Listening:
		r.listen = append(r.listen, *ev)
	case *event.ConnectFailed:
		r.failed = append(r.failed, *ev)
	case *event.Closed:
		if c := r.conns[ev.Conn]; c != nil {
			e := *ev
			c.closed = &e
		}
	case *event.Segment:
		c := r.conns[ev.Conn]
		if c == nil {
			return
		}
		c.after("a segment")
		if c.seqs[ev.Seq] {
			c.errs = append(c.errs, fmt.Errorf("number %d came twice", ev.Seq))
		}
		c.seqs[ev.Seq] = true
		c.turns[ev.Turn] = true
		c.tasks[ev.Task.PID] = true
		c.sent[ev.Dir].Write(ev.Data)
		c.tail += string(ev.Tail)
		if len(ev.Data) > 0 {
			c.parts[ev.Dir] = append(c.parts[ev.Dir], part{ev.Off, ev.Size, bytes.Clone(ev.Data), len(ev.Tail)})
		}
		c.size[ev.Dir] += uint64(ev.Size)
		if ev.Size > 0 {
			c.next[ev.Dir] = max(c.next[ev.Dir], ev.Off+uint64(ev.Size))
		}
	}
}

// after notes what comes when the connection was said to have ended.
func (c *record) after(what string) {
	if c.closed != nil {
		c.errs = append(c.errs, fmt.Errorf("%s after the end", what))
	}
}

// capture runs a probe by one way until the test ends. The test's own traffic is watched.
func capture(t *testing.T, method string) (*recorder, *probe.Probe) {
	t.Helper()
	return captureWith(t, probe.Options{Method: method})
}

func captureWith(t *testing.T, opts probe.Options) (*recorder, *probe.Probe) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("capture needs root")
	}
	opts.Self, opts.Shards = 1, 1
	p, err := probe.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{conns: map[event.ConnID]*record{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, []probe.Handler{r}, nobody{}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !t.Skipped() {
			t.Errorf("running capture: %v", err)
		}
	})
	eventually(t, func() error {
		select {
		case err := <-done:
			done <- err
			if err == nil {
				err = errors.New("ended")
			}
			t.Skipf("this way is not possible here: %v", err)
		default:
		}
		return p.Ready()
	})
	return r, p
}

// part is what was copied of a call.
type part struct {
	off  uint64
	size int
	data []byte
	tail int // bytes
}

type nobody struct{}

func (nobody) Exec(*event.Exec) {}
func (nobody) Fork(*event.Fork) {}
func (nobody) Exit(*event.Exit) {}

func eventually(t *testing.T, f func() error) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestEcho sends known bytes both ways and wants each once, in order, with the right roles, sizes and tasks.
func TestEcho(t *testing.T) {
	for _, method := range []string{"tracepoint", "syscall", "kprobe", "fexit"} {
		for _, network := range []string{"127.0.0.1:0", "[::1]:0"} {
			t.Run(method+"/"+network, func(t *testing.T) { testEcho(t, method, network) })
		}
	}
}

func testEcho(t *testing.T, method, address string) {
	r, _ := capture(t, method)
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
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
	var want bytes.Buffer
	for i := range 100 {
		line := fmt.Sprintf("line %d of the echo\n", i)
		want.WriteString(line)
		if _, err := io.WriteString(c, line); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, len(line))); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	r.ofConn(t, c, func(client, server *record) error {
		return errors.Join(check("client", client, want.Bytes()), check("server", server, want.Bytes()))
	})
}

// find returns an end of the connection that goes from one address to another.
func (r *recorder) find(from, to netip.AddrPort, role event.Role) *record {
	if role == event.RoleServer {
		from, to = to, from
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		if c.open.Role == role && c.open.Flow.Local == from && c.open.Flow.Remote == to {
			return c
		}
	}
	return nil
}

// ends are a connection's addresses, the client's first.
func ends(client net.Conn) (from, to netip.AddrPort) {
	return client.LocalAddr().(*net.TCPAddr).AddrPort(), client.RemoteAddr().(*net.TCPAddr).AddrPort()
}

// ofConn waits until both ends of a connection satisfy f.
func (r *recorder) ofConn(t *testing.T, client net.Conn, f func(client, server *record) error) {
	t.Helper()
	from, to := ends(client)
	eventually(t, func() error {
		client, server := r.find(from, to, event.RoleClient), r.find(from, to, event.RoleServer)
		if client == nil || server == nil {
			return fmt.Errorf("from %v to %v: client %v, server %v", from, to, client != nil, server != nil)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		return f(client, server)
	})
}

func check(name string, c *record, want []byte) error {
	var errs []error
	for d := range 2 {
		if got := c.sent[d].Bytes(); !bytes.Equal(got, want) {
			errs = append(errs, fmt.Errorf("%s %s: %d bytes, want %d", name, event.Dir(d), len(got), len(want)))
		}
		if c.size[d] != uint64(len(want)) || c.next[d] != uint64(len(want)) {
			errs = append(errs, fmt.Errorf("%s %s: size %d, end %d, want %d", name, event.Dir(d), c.size[d], c.next[d], len(want)))
		}
	}
	if c.closed == nil {
		return errors.Join(append(errs, fmt.Errorf("%s: not closed", name))...)
	}
	if uint64(len(c.seqs)) != c.closed.Seq {
		errs = append(errs, fmt.Errorf("%s: %d segments, %d numbers", name, len(c.seqs), c.closed.Seq))
	}
	if len(c.tasks) != 1 || !c.tasks[uint32(os.Getpid())] {
		errs = append(errs, fmt.Errorf("%s: tasks %v", name, c.tasks))
	}
	if c.open.Role == event.RoleServer && (c.accept == nil || c.accept.Task.PID != uint32(os.Getpid())) {
		errs = append(errs, fmt.Errorf("%s: accepted by %+v", name, c.accept))
	}
	return errors.Join(append(errs, c.errs...)...)
}
