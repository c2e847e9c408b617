// Command guest is what the tests of the package kernels run inside a guest: it proves that the kernel offers what
// capture needs, then drives the whole of Toposcope by one way of capture after another and compares what it counted
// with what was sent.
//
// Each finding leaves as one framed line ("@toposcope {"result": …}", see kernels.Marker), the shape being Report.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/toposcope/toposcope/test/kernels"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: guest prove | ways -toposcope FILE -ways fexit,kprobe,syscall | all … | serve | load PORT")
	}
	switch cmd, rest := args[0], args[1:]; cmd {
	case "prove":
		return prove()
	case "ways":
		return ways(ctx, rest)
	case "all":
		return errors.Join(prove(), ways(ctx, rest))
	case "serve":
		return serve(ctx)
	case "load":
		return load(ctx, rest)
	default:
		return fmt.Errorf("unknown command %q", cmd)
	}
}

// ways drives Toposcope by each way in turn.
func ways(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("ways", flag.ContinueOnError)
	bin := fs.String("toposcope", "", "the toposcope to run; without it nothing is driven")
	list := fs.String("ways", "fexit,kprobe,syscall", "values of capture.method, in turn")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *bin == "" {
		return nil
	}
	for way := range strings.SplitSeq(*list, ",") {
		rep := kernels.Report{Name: way}
		if err := driveInto(ctx, *bin, way, &rep); err != nil {
			rep.Error = err.Error()
		}
		if err := send(rep); err != nil {
			return err
		}
	}
	return nil
}

// send writes a report as a framed line.
func send(rep kernels.Report) error {
	b, err := json.Marshal(map[string]kernels.Report{"result": rep})
	if err != nil {
		return fmt.Errorf("encoding a report: %w", err)
	}
	_, err = fmt.Printf("%s%s\n", kernels.Marker, b)
	return err
}
