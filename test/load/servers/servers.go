// Package servers starts the HTTP servers that Toposcope is tested against: Go, Python, Node and nginx, each a process of its own on a free
// port.
package servers

import (
	"bufio"
	"embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/template"
	"time"
)

//go:embed server.py server.js nginx.conf.tmpl
var files embed.FS

// Kind is a program that serves.
type Kind string

// Kinds.
const (
	Go     Kind = "go"
	Python Kind = "python"
	Node   Kind = "node"
	Nginx  Kind = "nginx"
)

// StaticPath is where nginx serves a file of 1 MiB.
const StaticPath = "/static/file"

// startTimeout bounds the wait for a server to listen.
const startTimeout = 15 * time.Second

// Config says what to start.
type Config struct {
	Kind Kind
	// Name is set as OTEL_SERVICE_NAME, except for nginx, which is always "nginx".
	Name string
	// Listen is the address; "" is a free port of 127.0.0.1.
	Listen string
	// Backend is the host:port of the server behind nginx.
	Backend string
	// Dir is an empty folder for the server's files.
	Dir string
	// Program is the path of httpserve, for Kind Go.
	Program string
}

// Server is a running server.
type Server struct {
	Address string
	cmd     *exec.Cmd
	exited  chan struct{}
}

// Start starts a server and returns when it listens.
func Start(c Config) (*Server, error) {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	cmd, err := command(&c)
	if err != nil {
		return nil, fmt.Errorf("preparing %s: %w", c.Kind, err)
	}
	// A group of its own, so that Stop reaches the workers also.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Env = environment(&c)
	cmd.Stderr = os.Stderr
	s := &Server{cmd: cmd, exited: make(chan struct{})}
	if c.Kind == Nginx {
		s.Address = c.Listen
		err = s.startNginx(filepath.Join(c.Dir, "nginx.pid"))
	} else {
		err = s.startTalking()
	}
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Kind, err)
	}
	return s, nil
}

// environment names the server. What nginx's processes were named is only known of those whose start was seen: they
// overwrite their environment with their title. So that all have one name, it gets none.
func environment(c *Config) []string {
	env := os.Environ()
	if c.Kind == Nginx {
		return slices.DeleteFunc(env, func(e string) bool { return strings.HasPrefix(e, "OTEL_") })
	}
	if c.Name != "" {
		env = append(env, "OTEL_SERVICE_NAME="+c.Name)
	}
	return env
}

func command(c *Config) (*exec.Cmd, error) {
	switch c.Kind {
	case Go:
		return exec.Command(c.Program, "-listen", c.Listen), nil
	case Python:
		script, err := unpack(c.Dir, "server.py")
		return exec.Command("python3", script, c.Listen), err
	case Node:
		script, err := unpack(c.Dir, "server.js")
		return exec.Command("node", "--max-http-header-size=131072", script, c.Listen), err
	case Nginx:
		return nginx(c)
	}
	return nil, fmt.Errorf("unknown kind %q", c.Kind)
}

func unpack(dir, name string) (string, error) {
	text, err := files.ReadFile(name)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, text, 0o644)
}

func nginx(c *Config) (*exec.Cmd, error) {
	if strings.HasSuffix(c.Listen, ":0") {
		address, err := freeAddress(c.Listen)
		if err != nil {
			return nil, err
		}
		c.Listen = address
	}
	if c.Backend == "" {
		c.Backend = "127.0.0.1:1"
	}
	conf, err := os.Create(filepath.Join(c.Dir, "nginx.conf"))
	if err != nil {
		return nil, err
	}
	defer conf.Close()
	if err := template.Must(template.ParseFS(files, "nginx.conf.tmpl")).Execute(conf, c); err != nil {
		return nil, err
	}
	static := filepath.Join(c.Dir, StaticPath)
	if err := os.Mkdir(filepath.Dir(static), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(static, make([]byte, 1<<20), 0o644); err != nil {
		return nil, err
	}
	program := "nginx"
	if _, err := exec.LookPath(program); err != nil {
		program = "/usr/sbin/nginx"
	}
	return exec.Command(program, "-p", c.Dir, "-c", conf.Name(), "-e", filepath.Join(c.Dir, "error.log")), nil
}

func freeAddress(listen string) (string, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// startTalking starts a server that prints "listening ADDRESS".
func (s *Server) startTalking() error {
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	line := make(chan string, 1)
	go func() {
		first, _ := bufio.NewReader(stdout).ReadString('\n')
		line <- first
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case first := <-line:
		address, ok := strings.CutPrefix(strings.TrimSpace(first), "listening ")
		if !ok {
			return errors.New("it ended before it listened")
		}
		s.Address = bracket(address)
		return nil
	case <-timeout.C:
		s.Kill()
		return errors.New("it does not listen")
	}
}

// bracket puts the brackets around an IPv6 address that scripts leave out.
func bracket(address string) string {
	at := strings.LastIndexByte(address, ':')
	if host := address[:at]; strings.Contains(host, ":") && host[0] != '[' {
		return "[" + host + "]" + address[at:]
	}
	return address
}

// startNginx starts nginx, which writes its pid file once it listens.
func (s *Server) startNginx(pidFile string) error {
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if text, err := os.ReadFile(pidFile); err == nil && len(text) > 0 {
			return nil
		}
		select {
		case <-s.exited:
			return errors.New("it ended before it listened")
		default:
		}
	}
	s.Kill()
	return errors.New("it does not listen")
}

// PID is the server's process, nginx's master.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Signal sends sig to the server and its workers.
func (s *Server) Signal(sig syscall.Signal) error { return syscall.Kill(-s.PID(), sig) }

// Kill ends the server at once and waits for its end.
func (s *Server) Kill() {
	_ = s.Signal(syscall.SIGKILL) // an error says that it has ended
	<-s.exited
}

// Stop asks the server to end and waits for it.
func (s *Server) Stop() {
	_ = s.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(5 * time.Second):
		s.Kill()
	}
}

// Usage is what the server and its waited-for children used, valid after its end.
func (s *Server) Usage() (user, system time.Duration) {
	return s.cmd.ProcessState.UserTime(), s.cmd.ProcessState.SystemTime()
}
