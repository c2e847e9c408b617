// Package servers starts the servers that Toposcope is tested against, each a process of its own: HTTP servers of Go, Python, Node
// and nginx, HTTP/2 servers of nghttp2, gRPC servers of Go and Node, the name servers dnsmasq, unbound and CoreDNS, the databases
// MariaDB, PostgreSQL, Redis and FerretDB, and a Kafka broker.
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

//go:embed server.py server.js *.tmpl *.sql
var files embed.FS

// Kind is a program that serves.
type Kind string

// Kinds.
const (
	Go     Kind = "go"
	Python Kind = "python"
	Node   Kind = "node"
	Nginx  Kind = "nginx"

	// Nghttpx is a proxy that takes HTTP/1.1, HTTP/2 with prior knowledge, and the upgrade from one to the other.
	Nghttpx Kind = "nghttpx"
	// Nghttpd serves files over HTTP/2 with prior knowledge; it pads, pushes and adds trailers.
	Nghttpd Kind = "nghttpd"
	// GRPC is grpcserve, GRPCWeb the same with -web, GRPCNode grpc.mjs: all serve what package rpc says.
	GRPC     Kind = "grpc"
	GRPCWeb  Kind = "grpc-web"
	GRPCNode Kind = "grpc-node"
	// Dnsmasq, Unbound and CoreDNS serve the names that nameserver.go lists.
	Dnsmasq Kind = "dnsmasq"
	Unbound Kind = "unbound"
	CoreDNS Kind = "coredns"
	// MariaDB, PostgreSQL and Redis are Debian's, Mongo is mongoserve, and Kafka kafkaserve; database.go says what is in them.
	MariaDB    Kind = "mariadb"
	PostgreSQL Kind = "postgresql"
	Redis      Kind = "redis"
	Mongo      Kind = "mongo"
	Kafka      Kind = "kafka"
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
	// Listen is the address; "" is a free port of 127.0.0.1. A name server needs one.
	Listen string
	// Backend is the host:port of the server behind nginx, nghttpx (which may have parameters after it) or dnsmasq.
	Backend string
	// Dir is an empty folder for the server's files.
	Dir string
	// Program is the path of httpserve for Kind Go, of grpcserve for GRPC and GRPCWeb, of grpc.mjs for GRPCNode, of coredns for
	// CoreDNS, of mongoserve for Mongo, of kafkaserve for Kafka.
	Program string
	// Args are further arguments, for Nghttpx and Nghttpd.
	Args []string
	// Inside, if any, is a command that runs the command that follows it, as "ip netns exec NAME" does.
	Inside []string
}

// Server is a running server.
type Server struct {
	Address string
	Dir     string // Config.Dir
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
	if len(c.Inside) > 0 {
		dir := cmd.Dir
		cmd = exec.Command(c.Inside[0], append(c.Inside[1:len(c.Inside):len(c.Inside)], cmd.Args...)...)
		cmd.Dir = dir
	}
	// A group of its own, so that Stop reaches the workers also.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Env = environment(&c)
	cmd.Stderr = os.Stderr
	s := &Server{Dir: c.Dir, cmd: cmd, exited: make(chan struct{})}
	switch c.Kind {
	case Nginx:
		s.Address = c.Listen
		err = s.startNoting(filepath.Join(c.Dir, "nginx.pid"), "\n")
	case PostgreSQL:
		s.Address = c.Listen
		err = s.startNoting(filepath.Join(c.Dir, dataDir, "postmaster.pid"), "ready")
	case Nghttpx, Nghttpd, MariaDB, Redis:
		s.Address = c.Listen
		err = s.startSilent("tcp")
	case Dnsmasq, Unbound, CoreDNS:
		s.Address = c.Listen
		err = s.startSilent("udp", "tcp")
	default:
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
	case Nghttpx, Nghttpd:
		return nghttp2(c)
	case GRPC:
		return exec.Command(c.Program, "-listen", c.Listen), nil
	case GRPCWeb:
		return exec.Command(c.Program, "-listen", c.Listen, "-web"), nil
	case GRPCNode:
		return exec.Command("node", c.Program, "serve", c.Listen), nil
	case Dnsmasq, Unbound, CoreDNS:
		return nameServer(c)
	case MariaDB, PostgreSQL, Redis:
		return database(c)
	case Mongo:
		return exec.Command(c.Program, "-listen", c.Listen, "-dir", c.Dir), nil
	case Kafka:
		return exec.Command(c.Program, "-listen", c.Listen, "-topics", strings.Join(Topics, ",")), nil
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
	if err := c.choosePort(); err != nil {
		return nil, err
	}
	if c.Backend == "" {
		c.Backend = "127.0.0.1:1"
	}
	conf, err := write(filepath.Join(c.Dir, "nginx.conf"), c)
	if err != nil {
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
	return exec.Command(program, "-p", c.Dir, "-c", conf, "-e", filepath.Join(c.Dir, "error.log")), nil
}

// write makes a file of a server's from the template of its name.
func write(path string, values any) (string, error) {
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return path, template.Must(template.ParseFS(files, filepath.Base(path)+".tmpl")).Execute(f, values)
}

// choosePort puts a free port in the place of port 0, for servers that do not tell which they took.
func (c *Config) choosePort() error {
	if !strings.HasSuffix(c.Listen, ":0") {
		return nil
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	c.Listen = l.Addr().String()
	return nil
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

// startNoting starts a server that writes a file once it is ready, and in it what is to be read there.
func (s *Server) startNoting(file, ready string) error {
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), ready) {
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
