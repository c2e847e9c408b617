package probe_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/toposcope/toposcope/collector/event"
)

// blocking is a copy of c's descriptor, and makes calls on both wait.
func blocking(t *testing.T, c *net.TCPConn) int {
	t.Helper()
	f, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func closeBoth(p pair, fd int) {
	unix.Close(fd)
	p.client.Close()
	p.server.Close()
}

// TestThreadsThatSend has several threads in a send on one connection at once, more than its socket has room for: every byte is told
// once, and every call.
func TestThreadsThatSend(t *testing.T) {
	for _, method := range []string{"tracepoint", "syscall", "kprobe", "fexit"} {
		t.Run(method, func(t *testing.T) {
			const threads, each, size = 4, 8, 1 << 16
			r, pr := capture(t, method)
			p := dial(t, "127.0.0.1:0")
			fd := blocking(t, p.client)
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<13); err != nil {
				t.Fatal(err)
			}
			var senders sync.WaitGroup
			for range threads {
				senders.Go(func() {
					for range each {
						if n, err := unix.Write(fd, make([]byte, size)); n != size {
							t.Errorf("sent %d of %d bytes: %v", n, size, err)
						}
					}
				})
			}
			p.read(threads * each * size)
			senders.Wait()
			closeBoth(p, fd)
			r.both(t, p, func(client, server *record) error {
				if client.closed == nil || server.closed == nil {
					return errors.New("not closed")
				}
				errs := append(client.errs, server.errs...)
				if client.size[event.Sent] != threads*each*size || len(client.seqs) != threads*each {
					errs = append(errs, fmt.Errorf("%d bytes in %d calls, want %d in %d", client.size[event.Sent], len(client.seqs), threads*each*size, threads*each))
				}
				if server.size[event.Received] != threads*each*size {
					errs = append(errs, fmt.Errorf("%d bytes received, want %d", server.size[event.Received], threads*each*size))
				}
				return errors.Join(errs...)
			})
			if lost := counters(t, pr).Lost["calls"]; lost > 0 {
				t.Errorf("%d calls were not noted", lost)
			}
		})
	}
}

// TestThreadsThatReceive has two threads wait in a receive on one connection: what either gets is told once, in its place.
func TestThreadsThatReceive(t *testing.T) {
	for _, method := range []string{"tracepoint", "syscall", "kprobe", "fexit"} {
		t.Run(method, func(t *testing.T) {
			const messages = 40
			r, pr := capture(t, method)
			p := dial(t, "127.0.0.1:0")
			fd := blocking(t, p.server)
			var readers sync.WaitGroup
			read := make(chan int)
			for range 2 {
				readers.Go(func() {
					b := make([]byte, 64)
					for {
						n, err := unix.Read(fd, b)
						if err != nil || n == 0 {
							return
						}
						read <- n
					}
				})
			}
			var want bytes.Buffer
			for i := range messages {
				text := fmt.Sprintf("message %d;", i)
				want.WriteString(text)
				_, _ = p.client.Write([]byte(text))
				if n := <-read; n != len(text) {
					t.Fatalf("read %d bytes of %d", n, len(text))
				}
			}
			p.client.Close() // the readers read the end
			readers.Wait()
			closeBoth(p, fd)
			r.both(t, p, func(_, server *record) error {
				if server.closed == nil {
					return errors.New("not closed")
				}
				errs := server.errs
				if got := server.sent[event.Received].Bytes(); !bytes.Equal(got, want.Bytes()) {
					errs = append(errs, fmt.Errorf("received %q, want %q", got, want.Bytes()))
				}
				if len(server.seqs) != messages || server.closed.Seq != messages {
					errs = append(errs, fmt.Errorf("%d calls told of %d, want %d; lost: %v", len(server.seqs), server.closed.Seq, messages, counters(t, pr).Lost))
				}
				return errors.Join(errs...)
			})
		})
	}
}
