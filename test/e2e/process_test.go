package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/toposcope/toposcope/test/load"
	"github.com/toposcope/toposcope/test/load/servers"
)

// process is a program of a test, named for Toposcope by OTEL_SERVICE_NAME.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string // standard output
}

// startProcess starts a program that is killed at the end of t.
func startProcess(t *testing.T, name, program string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(program, args...), lines: make(chan string, 1000)}
	p.cmd.Env = append(os.Environ(), "OTEL_SERVICE_NAME="+name)
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", program, err)
	}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		p.kill()
		_ = p.cmd.Wait() // its status does not matter: it was killed, or the test has waited
	})
	return p
}

// kill ends the process and its children at once.
func (p *process) kill() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }

// line returns what follows prefix on the next line of standard output that has it.
func (p *process) line(t *testing.T, prefix string) string {
	t.Helper()
	timeout := time.After(60 * time.Second)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				t.Fatalf("%s ended without a line %q", p.cmd.Path, prefix)
			}
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return rest
			}
		case <-timeout:
			t.Fatalf("%s prints no line %q", p.cmd.Path, prefix)
		}
	}
}

// generator is a running httpload.
type generator struct{ *process }

// startLoad starts httpload with its connections open and its requests waiting for report.
func startLoad(t *testing.T, name, target string, requests []string, args ...string) *generator {
	t.Helper()
	args = append([]string{"-wait", "-target", target}, args...)
	for _, r := range requests {
		args = append(args, "-request", r)
	}
	g := &generator{startProcess(t, name, filepath.Join(tools, "httpload"), args...)}
	g.line(t, "ready")
	return g
}

// start lets the generator send.
func (g *generator) start(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(g.stdin, "\n"); err != nil {
		t.Fatal(err)
	}
}

// report waits for the generator's end.
func (g *generator) report(t *testing.T) *load.Report {
	t.Helper()
	r := &load.Report{}
	if err := json.Unmarshal([]byte("{"+g.line(t, "{")), r); err != nil {
		t.Fatalf("reading the report: %v", err)
	}
	return r
}

// startServer starts a server that ends with t.
func startServer(t *testing.T, c servers.Config) *servers.Server {
	t.Helper()
	c.Dir = t.TempDir()
	switch c.Kind {
	case servers.GRPC, servers.GRPCWeb:
		c.Program = filepath.Join(tools, "grpcserve")
	case servers.GRPCNode:
		c.Program = nodeScript("grpc.mjs")
	case servers.CoreDNS:
		c.Program = filepath.Join(tools, "coredns")
	case servers.Mongo:
		c.Program = filepath.Join(tools, "mongoserve")
	case servers.Kafka:
		c.Program = filepath.Join(tools, "kafkaserve")
	default:
		c.Program = filepath.Join(tools, "httpserve")
	}
	s, err := servers.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}
