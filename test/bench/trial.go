package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"

	"github.com/toposcope/toposcope/test/load"
	"github.com/toposcope/toposcope/test/load/servers"
	"github.com/toposcope/toposcope/test/subject"
)

// trial is what one run measured.
type trial struct {
	requests   float64
	perSecond  float64
	p50, p99   float64        // seconds
	loadCPU    float64        // seconds, server and client from their start to their end
	ownCPU     float64        // seconds, Toposcope during the load
	memory     subject.Memory // Toposcope after the load
	wakes      float64        // of Toposcope's threads during the load
	events     float64        // from the kernel
	eventsLost float64
}

func (t trial) allCPU() float64 { return t.loadCPU + t.ownCPU }

// trial runs the load once.
func (b *bench) trial(ctx context.Context, watched bool) (trial, error) {
	var top *subject.Subject
	usage := func() (cpu, wakes float64) { return 0, 0 }
	if watched {
		var err error
		if top, err = b.startToposcope(ctx); err != nil {
			return trial{}, err
		}
		defer top.Stop()
		usage = func() (cpu, wakes float64) { return top.CPU(), top.Wakes() }
	}
	server, generator, err := b.startLoad(ctx, b.connections)
	if err != nil {
		return trial{}, err
	}
	defer server.Kill()
	cpu, wakes := usage()
	report, err := generator.run()
	if err != nil {
		return trial{}, err
	}
	cpuAfter, wakesAfter := usage()
	server.Stop()
	user, system := server.Usage()
	state := generator.cmd.ProcessState
	t := trial{
		requests: float64(report.Completed), perSecond: report.PerSecond,
		p50: report.LatencySeconds.P50, p99: report.LatencySeconds.P99,
		loadCPU: (user + system + state.UserTime() + state.SystemTime()).Seconds(), ownCPU: cpuAfter - cpu, wakes: wakesAfter - wakes,
	}
	if top != nil {
		err = t.read(top)
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

// startToposcope starts the program under measurement.
func (b *bench) startToposcope(ctx context.Context) (*subject.Subject, error) {
	dir, err := os.MkdirTemp(b.dir, "data-")
	if err != nil {
		return nil, err
	}
	settings := "capture: {method: " + b.method + "}\nlimits: {cpu: 64}\n" // what is shed for the limit's sake would cost nothing
	return subject.Start(ctx, subject.Config{Program: b.toposcope, Dir: dir, Settings: settings})
}

// read takes down what Toposcope says and holds after a load.
func (t *trial) read(top *subject.Subject) (err error) {
	if t.memory, err = top.Memory(); err != nil {
		return err
	}
	m, err := top.Metrics()
	t.events, t.eventsLost = m.Sum("toposcope_events_total"), m.Sum("toposcope_events_lost_total")
	return err
}
