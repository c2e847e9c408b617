// Command bench measures what Toposcope costs: a closed loop of HTTP requests with and without it, in alternated pairs, so that
// what else changes on the machine meanwhile hits both alike.
//
// It needs root, bin/toposcope, bin/httpload and bin/httpserve (make bench builds them) and writes a table in Markdown.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

func main() {
	var b bench
	flag.IntVar(&b.pairs, "pairs", 20, "pairs of runs, one with and one without Toposcope each")
	flag.DurationVar(&b.duration, "duration", 2*time.Second, "length of a run")
	flag.IntVar(&b.connections, "connections", 16, "connections of the closed loop")
	flag.IntVar(&b.idle, "idle", 100000, "idle connections to measure memory with")
	flag.BoolVar(&b.plain, "plain", false, "a client that writes HTTP by hand, which costs less than net/http's")
	flag.Float64Var(&b.rate, "rate", 10000, "requests per second of the run that compares what was sent with what was counted")
	flag.DurationVar(&b.paced, "paced", 10*time.Second, "length of that run")
	flag.StringVar(&b.method, "method", "auto", "way of capture")
	flag.StringVar(&b.toposcope, "toposcope", "../bin/toposcope", "the program to measure")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one measurement.
type bench struct {
	pairs, connections, idle int
	duration, paced          time.Duration
	rate                     float64
	plain                    bool
	method, toposcope        string

	dir string // for programs and data
}

func (b *bench) run(ctx context.Context, out io.Writer) error {
	if os.Geteuid() != 0 {
		return errors.New("root is needed: sudo make bench")
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	build := exec.CommandContext(ctx, "go", "build", "-o", b.dir+"/", "./load/httpload", "./load/httpserve", "./load/idle")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the load: %w", err)
	}
	without, with, err := b.measurePairs(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d pairs of %s, closed loop, %d connections, %s, %s, %d CPUs, capture by %s\n\n",
		b.pairs, b.duration, b.connections, b.client(), kernel(), runtime.NumCPU(), b.method)
	printCosts(out, without, with)
	programs, requests, err := b.measurePrograms(ctx)
	if err != nil {
		return fmt.Errorf("measuring BPF programs: %w", err)
	}
	printPrograms(out, programs, requests)
	counted, err := b.measureCounted(ctx)
	if err != nil {
		return fmt.Errorf("comparing counts: %w", err)
	}
	fmt.Fprintf(out, "\nAt %g requests/s: %s.\n", b.rate, counted)
	idle, err := b.measureIdle(ctx)
	if err != nil {
		return fmt.Errorf("measuring idle connections: %w", err)
	}
	fmt.Fprintf(out, "\n%s.\n", idle)
	printPeers(out, without, with, perRequest(programs, requests), counted)
	return nil
}

func (b *bench) client() string {
	if b.plain {
		return "net/http server, client by hand"
	}
	return "net/http at both ends"
}

// measurePairs runs every pair; which of the two comes first alternates.
func (b *bench) measurePairs(ctx context.Context) (without, with []trial, err error) {
	for pair := range b.pairs {
		for i := range 2 {
			watched := (pair+i)%2 == 1
			t, err := b.trial(ctx, watched)
			if err != nil {
				return nil, nil, fmt.Errorf("pair %d: %w", pair+1, err)
			}
			if watched {
				with = append(with, t)
			} else {
				without = append(without, t)
			}
			fmt.Fprintf(os.Stderr, "pair %d of %d, %s: %.0f requests/s\n", pair+1, b.pairs,
				map[bool]string{true: "with", false: "without"}[watched], t.perSecond)
		}
	}
	return without, with, nil
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "kernel unknown"
	}
	return "Linux " + string(text[:len(text)-1])
}

func (b *bench) program(name string) string { return filepath.Join(b.dir, name) }
