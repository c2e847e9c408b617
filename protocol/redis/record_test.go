package redis_test

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// recorder stands between real clients and a real server and writes down what moves, as the client's socket sees it.
type recorder struct {
	listener net.Listener
	to       string
	wg       sync.WaitGroup
	mu       sync.Mutex
	conns    []*recorded
}

// recorded is one connection.
type recorded struct {
	mu       sync.Mutex
	segments []event.Segment
	off      [2]uint64
}

// newRecorder listens on a free loopback port for what goes on to the server at to.
func newRecorder(t *testing.T, to string) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{listener: l, to: to}
	r.wg.Go(r.accept)
	t.Cleanup(r.stop)
	return r
}

func (r *recorder) addr() string { return r.listener.Addr().String() }

// stop waits until all clients are gone.
func (r *recorder) stop() {
	r.listener.Close() //nolint:errcheck // it may be closed already
	r.wg.Wait()
}

func (r *recorder) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", r.to)
		if err != nil {
			client.Close() //nolint:errcheck // there is nobody to talk to
			continue
		}
		c := &recorded{}
		r.mu.Lock()
		r.conns = append(r.conns, c)
		r.mu.Unlock()
		r.wg.Go(func() { c.copy(server, client, event.Sent) })
		r.wg.Go(func() { c.copy(client, server, event.Received) })
	}
}

// copy moves bytes in direction d and writes them down before they go on, so that no answer comes before its request.
func (c *recorded) copy(to, from net.Conn, d event.Dir) {
	defer to.Close() //nolint:errcheck // either end ends both
	buf := make([]byte, 256<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			c.moved(d, buf[:n])
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (c *recorded) moved(d event.Dir, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := event.Segment{
		Conn: 1, Dir: d, Seq: uint64(len(c.segments)), Off: c.off[d], Data: append([]byte(nil), data...), Size: len(data),
		Time: time.Now(), Turns: true, Turn: uint32(d), Task: event.Task{PID: 1, TID: 1, Start: 1},
	}
	if n := len(c.segments); n > 0 {
		last := &c.segments[n-1]
		if s.Turn = last.Turn; last.Dir != d {
			s.Turn++
		}
	}
	c.segments = append(c.segments, s)
	c.off[d] += uint64(len(data))
}

// replay has a Tracker read the connection from segment from on, as one that is older than capture unless from is 0.
func (c *recorded) replay(spec *protocol.Spec, from int) *found {
	f := &found{}
	t := protocol.NewTracker([]*protocol.Spec{spec}, protocol.Config{MaxPipelined: 1 << 14}, f, f)
	if len(c.segments) == 0 {
		return f
	}
	at := c.segments[from].Time
	t.Handle(&event.Opened{Conn: 1, Role: event.RoleClient, Existing: from > 0, Time: at, LastActive: at.Add(-time.Second)})
	var base [2]uint64
	var seen [2]bool
	for i := range c.segments[from:] {
		s := c.segments[from+i]
		if !seen[s.Dir] {
			seen[s.Dir], base[s.Dir] = true, s.Off
		}
		s.Seq, s.Off, at = uint64(i), s.Off-base[s.Dir], s.Time
		t.Tick(at)
		t.Handle(&s)
	}
	end := &event.Closed{Conn: 1, Seq: uint64(len(c.segments) - from), Turn: c.segments[len(c.segments)-1].Turn, Turns: true, Time: at}
	for d := range base {
		if seen[d] {
			*[]*uint64{event.Sent: &end.Sent, event.Received: &end.Received}[d] = c.off[d] - base[d]
		}
	}
	t.Tick(at.Add(time.Second))
	t.Handle(end)
	t.Tick(at.Add(time.Hour))
	return f
}
