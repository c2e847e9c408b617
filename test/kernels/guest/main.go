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
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/toposcope/toposcope/test/kernels"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		if errors.Is(err, errConfine) {
			os.Exit(statusConfine)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: guest prove | ways … | all … | programs … | try … (the rest is for itself)")
	}
	switch cmd, rest := args[0], args[1:]; cmd {
	case "prove":
		return prove()
	case "ways":
		return ways(ctx, rest)
	case "all":
		return errors.Join(prove(), ways(ctx, rest))
	case "programs":
		return programs(rest)
	case "try":
		return try(ctx, rest)
	case "confine":
		return confine(rest)
	case "serve":
		return serve(ctx, rest)
	case "load":
		return load(ctx, rest)
	default:
		return fmt.Errorf("unknown command %q", cmd)
	}
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
