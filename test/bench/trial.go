package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/toposcope/toposcope/test/load"
	"github.com/toposcope/toposcope/test/load/servers"
)

// trial is what one run measured.
type trial struct {
	requests   float64
	perSecond  float64
	p50, p99   float64 // seconds
	loadCPU    float64 // seconds, server and client from their start to their end
	ownCPU     float64 // seconds, Toposcope during the load
	memory     memory  // Toposcope after the load
	wakes      float64 // of Toposcope's threads during the load
	events     float64 // from the kernel
	eventsLost float64
}

func (t trial) allCPU() float64 { return t.loadCPU + t.ownCPU }

// trial runs the load once.
func (b *bench) trial(ctx context.Context, watched bool) (trial, error) {
	var top *toposcope
	if watched {
		var err error
		if top, err = b.startToposcope(ctx); err != nil {
			return trial{}, err
		}
		defer top.stop()
	}
	server, generator, err := b.startLoad(ctx, b.connections)
	if err != nil {
		return trial{}, err
	}
	defer server.Kill()
	begin, slept := top.cpu(), top.switches()
	report, err := generator.run()
	if err != nil {
		return trial{}, err
	}
	ownCPU, wakes := top.cpu()-begin, top.switches()-slept
	server.Stop()
	user, system := server.Usage()
	state := generator.cmd.ProcessState
	t := trial{
		requests: float64(report.Completed), perSecond: report.PerSecond,
		p50: report.LatencySeconds.P50, p99: report.LatencySeconds.P99,
		loadCPU: (user + system + state.UserTime() + state.SystemTime()).Seconds(), ownCPU: ownCPU, wakes: wakes,
	}
	if top != nil {
		err = top.readInto(&t)
	}
	if report.Failed > 0 || report.Completed == 0 {
		err = fmt.Errorf("the load failed: %+v", report)
	}
	return t, err
}

// generator is a httpload whose connections are open.
type generator struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
}

// startLoad starts the server and the generator. args come last, and so win.
func (b *bench) startLoad(ctx context.Context, connections int, args ...string) (*servers.Server, *generator, error) {
	server, err := servers.Start(servers.Config{Kind: servers.Go, Name: "bench-server", Program: b.program("httpserve")})
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, b.program("httpload"), append([]string{
		"-wait", "-target", server.Address, "-connections", strconv.Itoa(connections), "-duration", b.duration.String(),
		"-request", "GET /users/{n}?bytes=500", "-net-http=" + strconv.FormatBool(!b.plain),
	}, args...)...)
	cmd.Env = append(os.Environ(), "OTEL_SERVICE_NAME=bench-client")
	cmd.Stderr = os.Stderr
	g := &generator{cmd: cmd}
	g.stdin, err = cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	g.stdout = bufio.NewReader(stdout)
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	if line, err := g.stdout.ReadString('\n'); err != nil || line != "ready\n" {
		server.Kill()
		return nil, nil, fmt.Errorf("the load is not ready: %q, %w", line, errors.Join(err, cmd.Wait()))
	}
	return server, g, nil
}

// run sends the load and waits for its end.
func (g *generator) run() (*load.Report, error) {
	if _, err := io.WriteString(g.stdin, "\n"); err != nil {
		return nil, err
	}
	r := &load.Report{}
	if err := json.NewDecoder(g.stdout).Decode(r); err != nil {
		return nil, fmt.Errorf("reading the report: %w", errors.Join(err, g.cmd.Wait()))
	}
	return r, g.cmd.Wait()
}

// toposcope is the program under measurement. A nil one stands for its absence.
type toposcope struct {
	cmd     *exec.Cmd
	address string
	data    string
}

func (b *bench) startToposcope(ctx context.Context) (*toposcope, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &toposcope{address: l.Addr().String()}
	l.Close()
	if s.data, err = os.MkdirTemp(b.dir, "data-"); err != nil {
		return nil, err
	}
	config := filepath.Join(s.data, "toposcope.yaml")
	if err := os.WriteFile(config, []byte("capture: {method: "+b.method+"}\n"), 0o644); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(s.data, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd = exec.CommandContext(ctx, b.toposcope, "run", "--web.listen-address="+s.address,
		"--storage.tsdb.path="+filepath.Join(s.data, "tsdb"), "--config.file="+config)
	s.cmd.Stderr, s.cmd.Stdout = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err = s.get("/-/ready"); err == nil {
			return s, nil
		}
	}
	s.stop()
	text, _ := os.ReadFile(log.Name())
	return nil, fmt.Errorf("toposcope is not ready: %w\n%s", err, text)
}

func (s *toposcope) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
	_ = os.RemoveAll(s.data) // so is the folder above it, in the end
}

func (s *toposcope) get(path string) (string, error) {
	resp, err := http.Get("http://" + s.address + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(body), err
}

// metric is the sum of all series called name.
func (s *toposcope) metric(name string) (sum float64, err error) {
	text, err := s.get("/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == '{' || rest[0] == ' ') {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' ')+1:]), 64)
			if err != nil {
				return 0, err
			}
			sum += v
		}
	}
	return sum, nil
}

// cpu is what the process has used so far, in seconds: the sum over its threads, which a Go program keeps.
func (s *toposcope) cpu() float64 {
	if s == nil {
		return 0
	}
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	var sum float64
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // a thread that has just ended
		}
		ns, _, _ := strings.Cut(string(text), " ")
		n, _ := strconv.ParseFloat(ns, 64)
		sum += n
	}
	return sum / 1e9
}

func (s *toposcope) switches() float64 {
	if s == nil {
		return 0
	}
	return switches(s.cmd.Process.Pid)
}

// readInto reads what Toposcope says and holds after a load.
func (s *toposcope) readInto(t *trial) (err error) {
	if t.memory, err = readMemory(s.cmd.Process.Pid); err != nil {
		return err
	}
	if t.events, err = s.metric("toposcope_events_total"); err != nil {
		return err
	}
	t.eventsLost, err = s.metric("toposcope_events_lost_total")
	return err
}
