package probe_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/toposcope/toposcope/collector/event"
)

// wholeMax is what is copied of one call on a connection that is wanted whole, wholeTail what is asked for of its end beyond that.
const (
	wholeMax  = 256 << 10
	wholeTail = 200
)

// writer sends all of b on a blocking socket by calls of one kind and returns what each of them took.
type writer func(fd int, b []byte) (took []int, err error)

// by returns a writer whose calls are offered n bytes each.
func by(n int, send func(fd int, b []byte) (int, error)) writer {
	return func(fd int, b []byte) (took []int, err error) {
		for len(b) > 0 {
			n, err := send(fd, b[:min(n, len(b))])
			if errors.Is(err, unix.EAGAIN) {
				_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
				continue
			}
			if err != nil {
				return took, err
			}
			took, b = append(took, n), b[n:]
		}
		return took, nil
	}
}

// cut divides b into parts of the sizes that are given, in turn.
func cut(b []byte, sizes ...int) (parts [][]byte) {
	for i := 0; len(b) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(b))
		parts, b = append(parts, b[:n]), b[n:]
	}
	return parts
}

func sendVector(sizes ...int) func(fd int, b []byte) (int, error) {
	return func(fd int, b []byte) (int, error) { return unix.Writev(fd, cut(b, sizes...)) }
}

func sendMessage(sizes ...int) func(fd int, b []byte) (int, error) {
	return func(fd int, b []byte) (int, error) { return unix.SendmsgBuffers(fd, cut(b, sizes...), nil, nil, 0) }
}

// sendSome offers more than the socket has room for, and does not wait.
func sendSome(fd int, b []byte) (int, error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 32<<10); err != nil {
		return 0, err
	}
	return unix.SendmsgN(fd, b, nil, nil, unix.MSG_DONTWAIT)
}

func receiveVector(sizes ...int) func(fd int, b []byte) (int, error) {
	return func(fd int, b []byte) (int, error) { return unix.Readv(fd, cut(b, sizes...)) }
}

// TestWhole sends 1 MiB by large calls over a connection that is wanted whole: each byte of a call up to the limit must come, in
// its place, and each call have its number.
func TestWhole(t *testing.T) {
	for _, method := range methods {
		t.Run(method, func(t *testing.T) {
			r, pr := capture(t, method)
			for _, c := range []struct {
				name    string
				write   writer
				receive func(fd int, b []byte) (int, error)
				buffer  int
			}{
				{"calls of 64 KiB", by(64<<10, unix.Write), unix.Read, 64 << 10},
				{"calls of 256 KiB", by(256<<10, unix.Write), unix.Read, 256 << 10},
				{"a call past the limit", by(1<<20, unix.Write), unix.Read, 1 << 20},
				{"a message of 256 KiB", by(256<<10, sendMessage(9, 16<<10)), unix.Read, 100_000},
				{"256 parts", by(1<<18, sendVector(1<<10)), receiveVector(9, 1<<10), 64 << 10},
				{"parts larger than a step", by(1<<18, sendVector(1, 50_001, 16<<10, 3, 120_000)), receiveVector(5, 33_000, 1), 256 << 10},
				{"partial sends", by(1<<18, sendSome), unix.Read, 10_000},
			} {
				t.Run(c.name, func(t *testing.T) {
					p := wanted(t, r, func(c event.ConnID) { pr.CopyAll(c, wholeTail) })
					stream := noise(1 << 20)
					took := p.transfer(c.write, c.receive, c.buffer, stream)
					p.ended(r, func(client, server *record) error {
						return errors.Join(checkCalls(client, took), checkWhole(client, event.Sent, stream),
							checkWhole(server, event.Received, stream))
					})
				})
			}
		})
	}
}

// TestWholeThreads has several connections send large calls of odd sizes both ways at once, each end and direction by a thread.
func TestWholeThreads(t *testing.T) {
	for _, method := range methods {
		t.Run(method, func(t *testing.T) {
			r, pr := capture(t, method)
			var pairs []pair
			var all sync.WaitGroup
			there, back := noise(600_000), noise(700_000)
			for range 3 {
				p := wanted(t, r, func(c event.ConnID) { pr.CopyAll(c, wholeTail) })
				pairs = append(pairs, p)
				all.Go(func() { p.transfer(by(70_001, unix.Write), unix.Read, 200_000, there) })
				mirror := pair{t, p.server, p.client}
				all.Go(func() { mirror.transfer(by(120_000, unix.Write), unix.Read, 50_000, back) })
			}
			all.Wait()
			for _, p := range pairs {
				p.ended(r, func(client, server *record) error {
					return errors.Join(checkWhole(client, event.Sent, there), checkWhole(server, event.Received, there),
						checkWhole(server, event.Sent, back), checkWhole(client, event.Received, back))
				})
			}
		})
	}
}

// TestAllowance wants of other connections exactly what is left of the turn's allowance, 256 bytes at least, and the tail; all of the
// beginning of one that is undecided; of a
// call in parts what lies in the first 16.
func TestAllowance(t *testing.T) {
	for _, method := range methods {
		t.Run(method, func(t *testing.T) {
			r, pr := capture(t, method)
			for _, c := range []struct {
				name       string
				set        func(event.ConnID)
				head, tail int
				write      writer
				reach      int
			}{
				{"undecided, at first", func(event.ConnID) {}, 100_000, 0, by(20_000, unix.Write), 20_000},
				{"undecided again", func(c event.ConnID) { pr.Copy(c, 300, 2); pr.Undecide(c) }, 100_000, 0, by(20_000, unix.Write), 20_000},
				{"small", func(c event.ConnID) { pr.Copy(c, 3000, 100) }, 3000, 100, by(20_000, unix.Write), 20_000},
				{"largest", func(c event.ConnID) { pr.Copy(c, 1<<30, 1<<10) }, 16 << 10, 256, by(20_000, unix.Write), 20_000},
				{"in parts", func(c event.ConnID) { pr.Copy(c, 3000, 100) }, 3000, 100, by(20_000, sendVector(100)), 1600},
			} {
				t.Run(c.name, func(t *testing.T) {
					p := wanted(t, r, c.set)
					p.transfer(c.write, unix.Read, 30_000, noise(100_000))
					p.ended(r, func(client, server *record) error {
						return errors.Join(checkAllowance(client, event.Sent, c.head, c.tail, c.reach),
							checkAllowance(server, event.Received, c.head, c.tail, 1<<20))
					})
				})
			}
		})
	}
}

func noise(n int) []byte {
	b, random := make([]byte, n), rand.NewChaCha8([32]byte{byte(n >> 12)})
	_, _ = random.Read(b)
	return b
}

// wanted opens a connection and sets how much of its two ends is copied.
func wanted(t *testing.T, r *recorder, set func(event.ConnID)) pair {
	t.Helper()
	p := dial(t, "127.0.0.1:0")
	r.both(t, p, func(client, server *record) error {
		set(client.open.Conn)
		set(server.open.Conn)
		return nil
	})
	return p
}

// blocking is a descriptor of c's socket, which blocks.
func (p pair) blocking(c *net.TCPConn) (fd int, done func()) {
	p.t.Helper()
	f, err := c.File()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := unix.SetNonblock(int(f.Fd()), false); err != nil {
		p.t.Fatal(err)
	}
	return int(f.Fd()), func() { f.Close() }
}

// transfer sends the stream from the client to the server and returns what each send took.
func (p pair) transfer(write writer, receive func(fd int, b []byte) (int, error), buffer int, stream []byte) (took []int) {
	from, closeFrom := p.blocking(p.client)
	defer closeFrom()
	to, closeTo := p.blocking(p.server)
	defer closeTo()
	done := make(chan error, 1)
	go func() {
		var err error
		took, err = write(from, stream)
		done <- err
	}()
	b := make([]byte, buffer)
	for read := 0; read < len(stream); {
		n, err := receive(to, b)
		if err != nil || n == 0 {
			p.t.Errorf("reading: %d bytes, %v", n, err)
			break
		}
		read += n
	}
	if err := <-done; err != nil {
		p.t.Errorf("writing: %v", err)
	}
	return took
}

// ended closes the connection and wants f of its two ends, and no number of a segment that never came.
func (p pair) ended(r *recorder, f func(client, server *record) error) {
	p.t.Helper()
	p.client.Close()
	p.server.Close()
	r.both(p.t, p, func(client, server *record) error {
		for _, c := range []*record{client, server} {
			if c.closed == nil {
				return errors.New("not closed")
			}
			if uint64(len(c.seqs)) != c.closed.Seq {
				return fmt.Errorf("%d segments, %d numbers", len(c.seqs), c.closed.Seq)
			}
		}
		return errors.Join(errors.Join(client.errs...), errors.Join(server.errs...), f(client, server))
	})
}

// checkCalls wants a segment for each send that took something.
func checkCalls(c *record, took []int) error {
	if len(c.parts[event.Sent]) != len(took) {
		return fmt.Errorf("%d segments for %d calls", len(c.parts[event.Sent]), len(took))
	}
	for i, p := range c.parts[event.Sent] {
		if p.size != took[i] {
			return fmt.Errorf("segment %d has %d bytes, the call took %d", i, p.size, took[i])
		}
	}
	return nil
}

// checkWhole wants every byte of each call up to the limit.
func checkWhole(c *record, d event.Dir, stream []byte) error {
	next := 0
	for _, p := range c.parts[d] {
		if int(p.off) != next {
			return fmt.Errorf("%s: a segment at %d, want %d", d, p.off, next)
		}
		if len(p.data) != min(p.size, wholeMax) {
			return fmt.Errorf("%s: %d bytes of %d at %d", d, len(p.data), p.size, p.off)
		}
		if p.tail != min(wholeTail, p.size-len(p.data)) {
			return fmt.Errorf("%s: a tail of %d bytes behind %d of %d", d, p.tail, len(p.data), p.size)
		}
		if !bytes.Equal(p.data, stream[next:next+len(p.data)]) {
			return fmt.Errorf("%s: other bytes at %d", d, p.off)
		}
		next += p.size
	}
	if next != len(stream) {
		return fmt.Errorf("%s: %d bytes, want %d", d, next, len(stream))
	}
	return nil
}

// checkAllowance wants of the segments what the kernel was told, to the byte. reach is how far into a call it looks.
func checkAllowance(c *record, d event.Dir, head, tail, reach int) error {
	var want, got []string
	used := 0 // of the one turn that there is
	for _, p := range c.parts[d] {
		n := min(max(head-used, 256), p.size)
		used += n
		end := min(tail, p.size-n)
		if p.size > reach {
			n, end = min(n, reach), 0
		}
		want = append(want, fmt.Sprintf("%d+%d", n, end))
		got = append(got, fmt.Sprintf("%d+%d", len(p.data), p.tail))
	}
	return expect(fmt.Sprint(got), fmt.Sprint(want))
}
