package probe_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/toposcope/toposcope/collector/event"
)

// pair is a connection whose two ends a test reads and writes.
type pair struct {
	t              *testing.T
	client, server *net.TCPConn
}

func dial(t *testing.T, address string) pair {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return pair{t, client.(*net.TCPConn), server.(*net.TCPConn)}
}

func (p pair) raw(c *net.TCPConn, f func(fd int) error) {
	p.t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		p.t.Fatal(err)
	}
	var result error
	if err := raw.Read(func(fd uintptr) bool {
		result = f(int(fd))
		return !errors.Is(result, unix.EAGAIN)
	}); err != nil {
		p.t.Fatal(err)
	}
	if result != nil {
		p.t.Fatal(result)
	}
}

// read reads n bytes at the server.
func (p pair) read(n int) {
	p.t.Helper()
	if _, err := io.ReadFull(struct{ io.Reader }{p.server}, make([]byte, n)); err != nil {
		p.t.Fatal(err)
	}
}

func (p pair) recv(n, flags int) {
	p.t.Helper()
	p.raw(p.server, func(fd int) error {
		_, _, err := unix.Recvfrom(fd, make([]byte, n), flags)
		return err
	})
}

// call is one way to move bytes from the client to the server: do moves them, want is what capture must have told, by end.
type call struct {
	name string
	do   func(p pair)
	size int
	// data is what must have been copied at the sender and at the receiver; nil where only the length can be known.
	sent, received []byte
}

func calls(t *testing.T) []call {
	text := []byte("GET /one HTTP/1.1\r\nHost: a\r\n\r\n")
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, big[:100_000], 0o600); err != nil {
		t.Fatal(err)
	}
	whole := func(p pair, b []byte, write func()) {
		done := make(chan struct{})
		go func() { defer close(done); write() }()
		p.read(len(b))
		<-done
	}
	return []call{
		{"write", func(p pair) { _, _ = p.client.Write(text); p.read(len(text)) }, len(text), text, text},
		{"write of one byte at a time", func(p pair) {
			for i := range text {
				_, _ = p.client.Write(text[i : i+1])
			}
			p.read(len(text))
		}, len(text), text, text},
		{"write of 1 MiB", func(p pair) { whole(p, big, func() { _, _ = p.client.Write(big) }) }, len(big), big[:16384], big[:16384]},
		{"writev", func(p pair) {
			b := net.Buffers{text[:5], text[5:6], nil, text[6:20], text[20:]}
			_, _ = b.WriteTo(p.client)
			p.read(len(text))
		}, len(text), text, text},
		{"readv in two parts", func(p pair) {
			_, _ = p.client.Write(text)
			p.raw(p.server, func(fd int) error {
				_, err := unix.Readv(fd, [][]byte{make([]byte, 3), make([]byte, 100)})
				return err
			})
		}, len(text), text, text},
		{"sendmsg and recvmsg", func(p pair) {
			p.raw(p.client, func(fd int) error { return unix.Sendmsg(fd, text, nil, nil, 0) })
			p.raw(p.server, func(fd int) error {
				_, _, _, _, err := unix.Recvmsg(fd, make([]byte, 100), nil, 0)
				return err
			})
		}, len(text), text, text},
		{"MSG_PEEK, twice, then read", func(p pair) {
			_, _ = p.client.Write(text)
			p.recv(4, unix.MSG_PEEK)
			p.recv(100, unix.MSG_PEEK)
			p.read(len(text))
		}, len(text), text, text},
		{"MSG_TRUNC throws bytes away", func(p pair) {
			_, _ = p.client.Write(text)
			p.recv(100, unix.MSG_TRUNC)
		}, len(text), text, nil},
		{"sendfile", func(p pair) {
			whole(p, big[:100_000], func() {
				f, err := os.Open(file)
				if err == nil {
					_, _ = p.client.ReadFrom(f)
					f.Close()
				}
			})
		}, 100_000, nil, big[:16384]},
		{"splice from one connection to a pipe", func(p pair) {
			_, _ = p.client.Write(text)
			var fds [2]int
			if err := unix.Pipe(fds[:]); err != nil {
				p.t.Fatal(err)
			}
			p.raw(p.server, func(fd int) error {
				_, err := unix.Splice(fd, nil, fds[1], nil, 100, unix.SPLICE_F_NONBLOCK)
				return err
			})
			unix.Close(fds[0])
			unix.Close(fds[1])
		}, len(text), text, nil},
		{"a reader that waits", func(p pair) {
			done := make(chan struct{})
			go func() { defer close(done); p.read(len(text)) }()
			_, _ = p.client.Write(text)
			<-done
		}, len(text), text, text},
	}
}

// TestCalls moves bytes by every call that can, between two plain bytes, and wants the stream's true lengths and the bytes that
// could be copied, once.
func TestCalls(t *testing.T) {
	for _, method := range []string{"tracepoint", "syscall", "kprobe", "fexit"} {
		t.Run(method, func(t *testing.T) {
			r, _ := capture(t, method)
			for _, c := range calls(t) {
				t.Run(c.name, func(t *testing.T) { testCall(t, r, c) })
			}
		})
	}
}

func testCall(t *testing.T, r *recorder, c call) {
	p := dial(t, "127.0.0.1:0")
	_, _ = p.client.Write([]byte("<"))
	p.read(1)
	c.do(p)
	_, _ = p.server.Write([]byte("=")) // a turn, so that the last byte has its own allowance
	_, _ = io.ReadFull(struct{ io.Reader }{p.client}, make([]byte, 1))
	_, _ = p.client.Write([]byte(">"))
	p.read(1)
	port := p.client.LocalAddr().(*net.TCPAddr).AddrPort().Port()
	p.client.Close()
	p.server.Close()
	eventually(t, func() error {
		client, server := r.find(port, event.RoleClient), r.find(port, event.RoleServer)
		if client == nil || server == nil || client.closed == nil || server.closed == nil {
			return fmt.Errorf("port %d: client %v, server %v", port, client != nil, server != nil)
		}
		return errors.Join(
			checkRun("sent", client, event.Sent, c.size+2, c.sent),
			checkRun("received", server, event.Received, c.size+2, c.received),
		)
	})
}

func checkRun(name string, c *record, d event.Dir, size int, data []byte) error {
	var errs []error
	if c.size[d] != uint64(size) || c.next[d] != uint64(size) {
		errs = append(errs, fmt.Errorf("%s: size %d, end %d, want %d", name, c.size[d], c.next[d], size))
	}
	got := c.sent[d].Bytes()
	want := append(append([]byte("<"), data...), '>')
	if len(data) == 16384 {
		want = append(append([]byte("<"), data[:16383]...), '>') // the first byte took its share of the turn
	}
	if !bytes.Equal(got, want) {
		errs = append(errs, fmt.Errorf("%s: copied %d bytes (%.40q…%.10q), want %d", name, len(got), got, got[max(0, len(got)-10):], len(want)))
	}
	if uint64(len(c.seqs)) != c.closed.Seq {
		errs = append(errs, fmt.Errorf("%s: %d segments, %d numbers", name, len(c.seqs), c.closed.Seq))
	}
	return errors.Join(append(errs, c.errs...)...)
}
