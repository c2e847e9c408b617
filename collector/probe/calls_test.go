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
	// stream is what moved; sent and received say how many bytes from its start must have been copied at either end: none where
	// only the length can be known, and at most a turn's allowance.
	stream         []byte
	sent, received int
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
		{"write", func(p pair) { _, _ = p.client.Write(text); p.read(len(text)) }, text, len(text), len(text)},
		{"write of one byte at a time", func(p pair) {
			for i := range text {
				_, _ = p.client.Write(text[i : i+1])
			}
			p.read(len(text))
		}, text, len(text), len(text)},
		{"write of 1 MiB", func(p pair) { whole(p, big, func() { _, _ = p.client.Write(big) }) }, big, 16383, 16383},
		{"writev", func(p pair) {
			b := net.Buffers{text[:5], text[5:6], nil, text[6:20], text[20:]}
			_, _ = b.WriteTo(p.client)
			p.read(len(text))
		}, text, len(text), len(text)},
		{"readv in two parts", func(p pair) {
			_, _ = p.client.Write(text)
			p.raw(p.server, func(fd int) error {
				_, err := unix.Readv(fd, [][]byte{make([]byte, 3), make([]byte, 100)})
				return err
			})
		}, text, len(text), len(text)},
		{"sendmsg and recvmsg", func(p pair) {
			p.raw(p.client, func(fd int) error { return unix.Sendmsg(fd, text, nil, nil, 0) })
			p.raw(p.server, func(fd int) error {
				_, _, _, _, err := unix.Recvmsg(fd, make([]byte, 100), nil, 0)
				return err
			})
		}, text, len(text), len(text)},
		{"MSG_PEEK, twice, then read", func(p pair) {
			_, _ = p.client.Write(text)
			p.recv(4, unix.MSG_PEEK)
			p.recv(100, unix.MSG_PEEK)
			p.read(len(text))
		}, text, len(text), len(text)},
		{"MSG_PEEK with MSG_TRUNC asks for the length, then read", func(p pair) {
			_, _ = p.client.Write(text)
			p.recv(1<<20, unix.MSG_PEEK|unix.MSG_TRUNC)
			p.read(len(text))
		}, text, len(text), len(text)},
		{"MSG_TRUNC throws bytes away", func(p pair) {
			_, _ = p.client.Write(text)
			p.recv(100, unix.MSG_TRUNC)
		}, text, len(text), 0},
		{"sendfile", func(p pair) {
			whole(p, big[:100_000], func() {
				f, err := os.Open(file)
				if err == nil {
					_, _ = p.client.ReadFrom(f)
					f.Close()
				}
			})
		}, big[:100_000], 0, 16383},
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
		}, text, len(text), 0},
		{"a reader that waits", func(p pair) {
			done := make(chan struct{})
			go func() { defer close(done); p.read(len(text)) }()
			_, _ = p.client.Write(text)
			<-done
		}, text, len(text), len(text)},
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
	stream := append(append([]byte("<"), c.stream...), '>')
	p.client.Close()
	p.server.Close()
	r.both(t, p, func(client, server *record) error {
		if client.closed == nil || server.closed == nil {
			return errors.New("not closed")
		}
		return errors.Join(checkRun("sent", client, event.Sent, stream, c.sent), checkRun("received", server, event.Received, stream, c.received))
	})
}

// checkRun wants the stream's length, every copied byte in its place, and the first ones of it copied without a hole.
func checkRun(name string, c *record, d event.Dir, stream []byte, least int) error {
	errs := c.errs
	if size := uint64(len(stream)); c.size[d] != size || c.next[d] != size {
		errs = append(errs, fmt.Errorf("%s: size %d, end %d, want %d", name, c.size[d], c.next[d], size))
	}
	whole := 0
	for _, p := range c.parts[d] {
		if end := int(p.off) + len(p.data); end > len(stream) || !bytes.Equal(p.data, stream[p.off:end]) {
			errs = append(errs, fmt.Errorf("%s: wrong bytes at %d: %.40q", name, p.off, p.data))
		}
		if int(p.off) <= whole {
			whole = max(whole, int(p.off)+len(p.data))
		}
	}
	if whole < 1+least {
		errs = append(errs, fmt.Errorf("%s: copied without a hole: %d bytes, want %d", name, whole, 1+least))
	}
	if last := c.parts[d]; len(last) == 0 || string(last[len(last)-1].data) != ">" {
		errs = append(errs, fmt.Errorf("%s: the byte after a turn was not copied", name))
	}
	if uint64(len(c.seqs)) != c.closed.Seq {
		errs = append(errs, fmt.Errorf("%s: %d segments, %d numbers", name, len(c.seqs), c.closed.Seq))
	}
	return errors.Join(errs...)
}
