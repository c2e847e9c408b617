package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/toposcope/toposcope/test/subject"
)

// idle is what connections take that do nothing. Each has two ends here, and each end is tracked.
type idle struct {
	ends        float64
	own, kernel float64 // bytes an end: Toposcope's memory, and what the kernel holds for it
	resident    float64 // bytes in all, without ring pages
	kernelInAll float64
	notTracked  float64 // events lost meanwhile
}

// measureIdle opens connections, each of which carries one request, and leaves them alone.
func (b *bench) measureIdle(ctx context.Context) (m idle, err error) {
	top, err := b.startToposcope(ctx)
	if err != nil {
		return m, err
	}
	defer top.Stop()
	own, kernel, err := held(top)
	if err != nil {
		return m, err
	}
	cmd := exec.CommandContext(ctx, b.program("idle"), "-connections", strconv.Itoa(b.idle), "-exchanges", "1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return m, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return m, err
	}
	if err := cmd.Start(); err != nil {
		return m, err
	}
	defer func() { _ = errors.Join(stdin.Close(), cmd.Wait()) }()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		return m, fmt.Errorf("the connections are not open: %q, %w", line, err)
	}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(time.Second) {
		now, err := top.Metrics()
		if err != nil {
			return m, err
		}
		if active := now.Sum("toposcope_tcp_active_connections"); active >= float64(b.idle) {
			m.notTracked = now.Sum("toposcope_events_lost_total")
			break
		} else if time.Now().After(deadline) {
			return m, fmt.Errorf("only %g of %d connections are tracked", active, b.idle)
		}
	}
	m.ends = float64(2 * b.idle)
	ownAfter, kernelAfter, err := held(top)
	m.own, m.kernel = (ownAfter-own)/m.ends, (kernelAfter-kernel)/m.ends
	m.resident, m.kernelInAll = ownAfter, kernelAfter
	return m, err
}

// held is what a Toposcope has of memory, without ring pages, and what the kernel holds for it, in bytes.
func held(top *subject.Subject) (own, kernel float64, err error) {
	memory, err := top.Memory()
	if err != nil {
		return 0, 0, err
	}
	m, err := top.Metrics()
	return memory.WithoutRings(), m.Sum("toposcope_kernel_memory_bytes"), err
}

func (m idle) String() string {
	return fmt.Sprintf("%.0f ends of idle connections: %.0f bytes of Toposcope's memory each, %.0f of the kernel's; "+
		"resident without ring pages %.0f MiB, in the kernel %.0f MiB, events lost %.0f",
		m.ends, m.own, m.kernel, m.resident/mebi, m.kernelInAll/mebi, m.notTracked)
}
