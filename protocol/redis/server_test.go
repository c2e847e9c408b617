package redis_test

import (
	"bufio"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// startServer starts a Redis server of its own on a free loopback port, without a file on disk.
func startServer(t *testing.T, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed")
	}
	var port string
	for range 5 { // another may take the port in between
		port = freePort(t)
		all := append([]string{"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", t.TempDir()}, args...)
		cmd := exec.Command(program, all...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		gone := make(chan struct{})
		go func() {
			cmd.Wait() //nolint:errcheck // it is killed
			close(gone)
		}()
		t.Cleanup(func() {
			cmd.Process.Kill() //nolint:errcheck // it may be gone
			<-gone
		})
		if listens(port, gone) {
			return "127.0.0.1:" + port
		}
	}
	t.Fatal("redis-server does not start")
	return ""
}

// listens waits until something listens on port, and gone is still open.
func listens(port string, gone chan struct{}) bool {
	for range 200 {
		select {
		case <-gone:
			return false
		case <-time.After(25 * time.Millisecond):
		}
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			c.Close() //nolint:errcheck // it was only to see
			return true
		}
	}
	return false
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it is to be free
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// raw is a connection on which a test says what it wants, past recorders and libraries.
type raw struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *raw {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) //nolint:errcheck // it may be closed
	return &raw{t, c, bufio.NewReader(c)}
}

func (r *raw) send(line string) {
	r.t.Helper()
	if _, err := r.c.Write(command(line)); err != nil {
		r.t.Fatal(err)
	}
}

// do sends a command and returns its answer: a line, or a string.
func (r *raw) do(line string) string {
	r.t.Helper()
	r.send(line)
	return r.line()
}

// line reads an answer that is a line or a string.
func (r *raw) line() string {
	r.t.Helper()
	text, err := r.r.ReadString('\n')
	if err != nil {
		r.t.Fatal(err)
	}
	if text = strings.TrimRight(text, "\r\n"); text == "" {
		return ""
	}
	if n, err := strconv.Atoi(text[1:]); err == nil && text[0] == '$' && n >= 0 {
		body := make([]byte, n+2)
		if _, err := io.ReadFull(r.r, body); err != nil {
			r.t.Fatal(err)
		}
		return string(body[:n])
	}
	return text
}

// stats reads a section of INFO whose lines are prefix, a name, and fields; it returns the sums of the fields by name.
func (r *raw) stats(section, prefix string, fields ...string) map[string]int {
	r.t.Helper()
	out := map[string]int{}
	for line := range strings.Lines(r.do("INFO " + section)) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || !strings.HasPrefix(name, prefix) {
			continue
		}
		for _, field := range strings.Split(rest, ",") {
			k, v, _ := strings.Cut(field, "=")
			for _, want := range fields {
				if n, err := strconv.Atoi(v); err == nil && k == want {
					out[strings.TrimPrefix(name, prefix)] += n
				}
			}
		}
	}
	return out
}
