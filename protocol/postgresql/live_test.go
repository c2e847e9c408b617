package postgresql_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// postgres is a server of the test's own.
type postgres struct {
	bin  string // its folder of programs
	port int
}

// password is the superuser's. It must not show anywhere.
const password = "planted-secret"

// start makes a database cluster and runs it until the test ends. The test is skipped where PostgreSQL is not installed.
func start(t *testing.T) *postgres {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		t.Skip("no PostgreSQL: the Debian package postgresql is not installed")
	}
	p := &postgres{bin: filepath.Dir(found[len(found)-1])}
	dir, err := os.MkdirTemp("", "postgresql")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 { // PostgreSQL refuses to run as root
		attr.Credential = owner(t)
		for _, path := range []string{dir, secret} {
			if err := os.Chown(path, int(attr.Credential.Uid), int(attr.Credential.Gid)); err != nil {
				t.Fatal(err)
			}
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(p.bin, "initdb"), "-D", data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", secret,
		"-E", "UTF8", "--locale=C", "-N")
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	p.port = freePort(t)
	server := exec.Command(filepath.Join(p.bin, "postgres"), "-D", data, "-p", strconv.Itoa(p.port), "-h", "127.0.0.1", "-k", "",
		"-c", "fsync=off", "-c", "wal_level=logical", "-c", "max_connections=20", "-c", "autovacuum=off")
	server.SysProcAttr, server.Dir = attr, dir
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT) // ends sessions
		_ = server.Wait()
	})
	p.await(t)
	return p
}

// owner is whom the server runs as.
func owner(t *testing.T) *syscall.Credential {
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Skip("no user postgres: ", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// await returns when the server takes connections.
func (p *postgres) await(t *testing.T) {
	for range 600 {
		ready := exec.Command(filepath.Join(p.bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(p.port))
		if ready.Run() == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the server does not come up")
}

// tape is what moved over one connection, in the order in which it did.
type tape struct {
	mu       sync.Mutex
	segments []*event.Segment
	off      [2]uint64
}

func (tp *tape) note(d event.Dir, data []byte) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.segments = append(tp.segments, &event.Segment{
		Conn: 1, Dir: d, Off: tp.off[d], Data: append([]byte(nil), data...), Size: len(data), Time: time.Now(),
	})
	tp.off[d] += uint64(len(data))
}

// recorder is a proxy in front of the server that records what its clients and the server say.
type recorder struct {
	listener net.Listener
	server   string
	wg       sync.WaitGroup
	mu       sync.Mutex
	tapes    []*tape
}

func record(t *testing.T, p *postgres) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{listener: l, server: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port))}
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			tp := &tape{}
			r.mu.Lock()
			r.tapes = append(r.tapes, tp)
			r.mu.Unlock()
			r.wg.Add(1)
			go r.join(client, tp)
		}
	}()
	return r
}

// port is where clients find the server.
func (r *recorder) port() int { return r.listener.Addr().(*net.TCPAddr).Port }

func (r *recorder) join(client net.Conn, tp *tape) {
	defer r.wg.Done()
	defer client.Close()
	server, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(context.Background(), "tcp", r.server)
	if err != nil {
		return
	}
	defer server.Close()
	done := make(chan struct{}, 2)
	pump := func(from, to net.Conn, d event.Dir) {
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			if n > 0 {
				tp.note(d, buf[:n])
				_, _ = to.Write(buf[:n])
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					_ = to.Close()
				} else if c, ok := to.(*net.TCPConn); ok {
					_ = c.CloseWrite()
				}
				done <- struct{}{}
				return
			}
		}
	}
	go pump(client, server, event.Sent)
	go pump(server, client, event.Received)
	<-done
	<-done
}

// stop ends the recorder once all connections have ended, and returns what was recorded.
func (r *recorder) stop(t *testing.T) []*tape {
	t.Helper()
	_ = r.listener.Close()
	ended := make(chan struct{})
	go func() { r.wg.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("connections stay open")
	}
	return r.tapes
}

// url is how a client finds a database through the recorder.
func (r *recorder) url(database string) string {
	return fmt.Sprintf("postgres://postgres:%s@127.0.0.1:%d/%s?sslmode=prefer", password, r.port(), database)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
