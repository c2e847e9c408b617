package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/toposcope/toposcope/test/kernels"
	"github.com/toposcope/toposcope/test/kernels/guest/traffic"
)

// drive is what the sub-commands that run Toposcope have in common.
type drive struct {
	toposcope
	demo      string
	small     bool
	protocols []traffic.Protocol
}

// flags adds those of the drive to fs.
func (d *drive) flags(fs *flag.FlagSet) {
	fs.StringVar(&d.bin, "toposcope", "", "the toposcope to run; without it nothing is driven")
	fs.StringVar(&d.demo, "demo", "", "the toposcope-demo whose servers are used")
	fs.BoolVar(&d.small, "small", false, "send a small load")
	d.protocols = traffic.All()
	fs.Func("only", "protocols of the load, with commas between (default all)", func(list string) error {
		d.protocols = nil
		for name := range strings.SplitSeq(list, ",") {
			p, ok := traffic.Find(name)
			if !ok {
				return fmt.Errorf("unknown protocol %q", name)
			}
			d.protocols = append(d.protocols, p)
		}
		return nil
	})
}

// ways drives Toposcope by each way in turn, between the same servers and clients.
func ways(ctx context.Context, args []string) error {
	var d drive
	fs := flag.NewFlagSet("ways", flag.ContinueOnError)
	d.flags(fs)
	list := fs.String("ways", "fexit,kprobe,syscall", "values of capture.method, in turn")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if d.bin == "" {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all pairs
	defer func() { all.end() }()
	for way := range strings.SplitSeq(*list, ",") {
		rep := kernels.Report{Name: way}
		began := time.Now()
		var err error
		if all == nil {
			all, err = startServers(ctx, d.protocols, d.demo)
		}
		if err == nil {
			err = d.try(ctx, all, way, &rep)
		}
		if err == nil && rep.Method != way {
			err = fmt.Errorf("capture is by %q instead of %q", rep.Method, way)
		}
		if err != nil {
			rep.Error = err.Error()
			all.end()
			all = nil
		}
		rep.Seconds = time.Since(began).Seconds()
		if err := send(rep); err != nil {
			return err
		}
	}
	return nil
}

// try runs Toposcope with one way of capture while the pairs exchange, and puts into rep what they did against what it counted.
func (d *drive) try(ctx context.Context, all pairs, way string, rep *kernels.Report) error {
	phase := stopwatch()
	if err := all.open(ctx, d.small); err != nil {
		return err
	}
	phase("old connections are open")
	scope, err := d.start(ctx, way)
	if scope != nil {
		defer func() { rep.Run = scope.ended() }()
	}
	if err != nil {
		return err
	}
	phase("toposcope is ready")
	if rep.Programs, err = programsOf(scope.cmd.Process.Pid, way); err != nil {
		return err
	}
	made, err := all.run()
	if err != nil {
		return err
	}
	phase("the load is sent")
	if err := scope.await(ctx, all, made, rep); err != nil {
		return err
	}
	phase("counted")
	if err := scope.stop(); err != nil {
		return fmt.Errorf("toposcope's end: %w", err)
	}
	phase("toposcope has ended")
	return nil
}

// stopwatch returns a function that says on standard error how long ago it was last called.
func stopwatch() func(what string) {
	last := time.Now()
	return func(what string) {
		fmt.Fprintf(os.Stderr, "guest: %s after %.1f s\n", what, time.Since(last).Seconds())
		last = time.Now()
	}
}

const (
	countLimit  = 3 * time.Minute
	scrapeEvery = 300 * time.Millisecond
	// settled is how many scrapes in a row must be right: a count that is met may still be passed by a late double.
	settled = 3
	// stuck is how many scrapes in a row may be wrong and all the same before the wait is given up.
	stuck = 40
)

// await scrapes until the counts are right and stay so, or the wait is vain, and reports the last ones.
func (r *running) await(ctx context.Context, all pairs, made [][]traffic.Operation, rep *kernels.Report) error {
	ctx, cancel := context.WithTimeout(ctx, countLimit)
	defer cancel()
	for same := 0; ; {
		seen, err := r.scrape(ctx)
		if err != nil && ctx.Err() != nil && rep.Counts != nil {
			return nil // the counts tell
		}
		if err != nil {
			return err
		}
		before := rep.Counts
		rep.Counts, rep.Notes, rep.Method = seen.compare(all, made), seen.notes(), seen.methods()
		if same++; !slices.Equal(before, rep.Counts) {
			same = 1
		}
		if right := len(rep.Wrong()) == 0; right && same >= settled || same >= stuck {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(scrapeEvery):
		}
	}
}
