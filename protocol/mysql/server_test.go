package mysql_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// program finds a program of the packages mariadb-server and mariadb-client; the test is skipped where it is missing.
func program(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range []string{"/usr/sbin", "/usr/bin"} {
		if path := filepath.Join(dir, name); exec.Command(path, "--version").Run() == nil {
			return path
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// startServer runs a MariaDB of its own on a free port of the loopback, with a database "shop" and the user root without a
// password, and returns its address.
func startServer(t testing.TB) string {
	t.Helper()
	install, server := program(t, "mariadb-install-db"), program(t, "mariadbd")
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	out, err := exec.CommandContext(ctx, install, "--no-defaults", "--datadir="+dir, "--auth-root-authentication-method=normal",
		"--skip-test-db", "--user="+userName()).CombinedOutput()
	if err != nil {
		t.Fatalf("installing a database: %v\n%s", err, out)
	}
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	if err := os.WriteFile(filepath.Join(dir, "init.sql"), []byte("CREATE DATABASE shop;\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, server, "--no-defaults", "--datadir="+dir, "--port="+port,
		"--bind-address=127.0.0.1", "--user="+userName(),
		"--socket="+filepath.Join(dir, "s"), "--pid-file="+filepath.Join(dir, "pid"), "--init-file="+filepath.Join(dir, "init.sql"),
		"--skip-log-bin", "--local-infile=1", "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=4M", "--max-connections=50")
	cmd.Stderr, cmd.Stdout = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 300 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr
		}
		time.Sleep(100 * time.Millisecond)
	}
	text, _ := os.ReadFile(log.Name())
	t.Fatalf("the server does not come up:\n%s", text)
	return ""
}

func userName() string {
	if os.Geteuid() == 0 {
		return "root"
	}
	return os.Getenv("USER")
}

func freeAddr(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// tape is what went over one connection, as the client's end sees it.
type tape struct {
	mu       sync.Mutex
	segments []*event.Segment
	off      [2]uint64
	turn     uint32
	last     event.Dir
	id       event.ConnID
	closed   *event.Closed
}

func (p *tape) moved(d event.Dir, data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(p.segments) == 0:
		p.turn = uint32(d)
	case d != p.last:
		p.turn++
	}
	p.last = d
	p.segments = append(p.segments, &event.Segment{
		Conn: p.id, Dir: d, Seq: uint64(len(p.segments)), Off: p.off[d], Turn: p.turn, Turns: true, Data: append([]byte(nil), data...),
		Size: len(data), Time: time.Now(), Task: event.Task{PID: 1, TID: 1, Start: 1},
	})
	p.off[d] += uint64(len(data))
}

func (p *tape) ended() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed == nil {
		p.closed = &event.Closed{
			Conn: p.id, Seq: uint64(len(p.segments)), Turn: p.turn, Turns: true, Time: time.Now(),
			Sent: p.off[event.Sent], Received: p.off[event.Received],
		}
	}
}

// proxy stands between clients and a server and records what they say.
type proxy struct {
	addr  string
	mu    sync.Mutex
	tapes []*tape
	wait  sync.WaitGroup
}

func startProxy(t testing.TB, server string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String()}
	p.wait.Add(1)
	go func() {
		defer p.wait.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", server)
			if err != nil {
				c.Close()
				continue
			}
			p.wait.Add(2)
			rec := p.record()
			go p.copy(rec, s, c, event.Sent)
			go p.copy(rec, c, s, event.Received)
		}
	}()
	t.Cleanup(func() { l.Close(); p.wait.Wait() })
	return p
}

func (p *proxy) record() *tape {
	p.mu.Lock()
	defer p.mu.Unlock()
	rec := &tape{id: event.ConnID(len(p.tapes) + 1)}
	p.tapes = append(p.tapes, rec)
	return rec
}

// copy passes on what one end sends.
func (p *proxy) copy(rec *tape, to, from net.Conn, d event.Dir) {
	defer p.wait.Done()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			rec.moved(d, buf[:n])
			if _, werr := to.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			rec.ended()
			to.Close()
			from.Close()
			return
		}
	}
}

// recorded waits until every connection has ended and returns what they carried.
func (p *proxy) recorded(t testing.TB) []*tape {
	t.Helper()
	for range 100 {
		p.mu.Lock()
		open := 0
		for _, rec := range p.tapes {
			rec.mu.Lock()
			if rec.closed == nil {
				open++
			}
			rec.mu.Unlock()
		}
		tapes := p.tapes
		p.mu.Unlock()
		if open == 0 {
			return tapes
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("connections are still open")
	return nil
}
