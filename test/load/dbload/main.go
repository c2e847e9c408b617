// Command dbload is a client of a database, a cache or a queue, and reports, as JSON on standard output, what it made of which
// operations: see package db.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/toposcope/toposcope/test/load/db"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "dbload:", err)
		os.Exit(1)
	}
}

func run() error {
	var plan db.Plan
	drivers := strings.Join(slices.Sorted(maps.Keys(db.Drivers)), ", ")
	flag.StringVar(&plan.Driver, "driver", "", "the client: `"+drivers+"`")
	flag.StringVar(&plan.Target, "target", "", "server, `host:port`")
	flag.IntVar(&plan.Connections, "connections", 1, "connections used side by side")
	flag.IntVar(&plan.Count, "count", 1, "operations to make, at least")
	flag.StringVar(&plan.Value, "value", "it's a value; -- or so", "`text` to write and to look for")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	report, err := db.Run(ctx, plan, func() error {
		fmt.Println("ready")
		_, err := bufio.NewReader(os.Stdin).ReadString('\n')
		return err
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}
