// Command toposcope shows which services run on this host, who calls whom, how fast and how often it fails: all in one process.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"
	promslogflag "github.com/prometheus/common/promslog/flag"
	"github.com/prometheus/common/version"
)

// Exit codes, as the contract has them.
const (
	exitFailure = 1
	exitUsage   = 2
)

func main() { os.Exit(execute(os.Args[1:])) }

// execute runs the command line and returns the exit code. The only reason for a failure is one line on standard error.
func execute(args []string) int {
	app := kingpin.New("toposcope", "Shows what talks to what on this host, and who is to blame. No program is changed.")
	app.HelpFlag.Short('h')
	app.Version(version.Print("toposcope"))
	app.UsageWriter(os.Stderr)
	logConfig := &promslog.Config{}
	promslogflag.AddFlags(app, logConfig)

	commands := map[string]func(context.Context) error{}
	registerRun(app, logConfig, commands)
	registerDoctor(app, commands)
	registerReplay(app, logConfig, commands)
	registerCheck(app, commands)

	command, err := app.Parse(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "toposcope: %v (see toposcope --help)\n", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := commands[command](ctx); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(os.Stderr, "toposcope: %v\n", err)
		return exitFailure
	}
	return 0
}
