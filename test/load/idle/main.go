// Command idle opens many TCP connections over loopback and leaves them alone: to measure what a connection costs who watches it.
// It prints "ready" when all are open and keeps them until its standard input ends. The ends are in processes of their own, as many of
// them as the limit of open descriptors asks for.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	request = "GET /idle HTTP/1.1\r\nHost: idle\r\n\r\n"
	answer  = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	// perAddress is how many connections one address opens to one port: fewer than the kernel's range of ports.
	perAddress = 20_000
)

func main() {
	connections := flag.Int("connections", 1000, "connections to open")
	exchanges := flag.Int("exchanges", 0, "HTTP requests that each one carries before it is left alone")
	role := flag.String("role", "", "what this process does: dial, accept; by default it starts those that do")
	flag.Parse()
	roles := map[string]func(int, int) error{"": start, "dial": dial, "accept": accept}
	run := roles[*role]
	if run == nil {
		fmt.Fprintf(os.Stderr, "idle: unknown role %q\n", *role)
		os.Exit(2)
	}
	if err := run(*connections, *exchanges); err != nil {
		fmt.Fprintln(os.Stderr, "idle:", err)
		os.Exit(1)
	}
}

// start has other processes open the connections.
func start(n, exchanges int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	const spare = 100 // for what else a process has open
	share := min(perAddress, int(limit.Max)-spare)
	var all []*child
	for open := 0; open < n; open += share {
		c, _, err := spawn("dial", "idle-client", min(share, n-open), exchanges)
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	for _, c := range all {
		err = errors.Join(err, c.stop())
	}
	return err
}

// child is a process that this one started; it ends when its standard input does.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

func (c *child) stop() error { return errors.Join(c.stdin.Close(), c.cmd.Wait()) }

// spawn starts this program in a role and returns the line that it prints when it is ready.
func spawn(role, service string, n, exchanges int) (*child, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	cmd := exec.Command(self, "-role", role, "-connections", strconv.Itoa(n), "-exchanges", strconv.Itoa(exchanges))
	cmd.Env = append(os.Environ(), "OTEL_SERVICE_NAME="+service)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, "", err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, "", errors.Join(err, stdin.Close(), cmd.Wait())
	}
	return &child{cmd, stdin}, strings.TrimSpace(line), nil
}

func dial(n, exchanges int) error {
	server, line, err := spawn("accept", "idle-server", n, exchanges)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(line)
	if err != nil {
		return err
	}
	for range n {
		if err := open(port, exchanges); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, server.stop())
}

// open opens a connection; its descriptor is left to the process's end.
func open(port, exchanges int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 2}}); err != nil {
		return err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	b := make([]byte, len(answer))
	for range exchanges {
		if _, err := unix.Write(fd, []byte(request)); err != nil {
			return err
		}
		if n, err := unix.Read(fd, b); err != nil || n != len(answer) {
			return fmt.Errorf("an answer of %d bytes: %w", n, err)
		}
	}
	return nil
}

func accept(n, exchanges int) error {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	if err := unix.Listen(l, 1024); err != nil {
		return err
	}
	name, err := unix.Getsockname(l)
	if err != nil {
		return err
	}
	fmt.Println(name.(*unix.SockaddrInet4).Port)
	b := make([]byte, len(request))
	for range n {
		fd, _, err := unix.Accept(l)
		if err != nil {
			return err
		}
		for range exchanges {
			if n, err := unix.Read(fd, b); err != nil || n != len(request) {
				return fmt.Errorf("a request of %d bytes: %w", n, err)
			}
			if _, err := unix.Write(fd, []byte(answer)); err != nil {
				return err
			}
		}
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
