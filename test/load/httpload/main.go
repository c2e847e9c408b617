// Command httpload sends HTTP requests and reports, as JSON on standard output, exactly what it sent and what came of it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/toposcope/toposcope/test/load"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "httpload:", err)
		os.Exit(1)
	}
}

func run() error {
	var plan load.Plan
	var wait bool
	flag.StringVar(&plan.Target, "target", "", "server, `host:port`")
	flag.Float64Var(&plan.Rate, "rate", 0, "requests per second over all connections; 0 is a closed loop")
	flag.IntVar(&plan.Count, "count", 0, "requests to send; 0 is what fits -duration")
	flag.DurationVar(&plan.Duration, "duration", 0, "how long to send")
	flag.IntVar(&plan.Connections, "connections", 1, "connections used side by side")
	flag.BoolVar(&plan.Close, "close", false, "a new connection for every request")
	flag.IntVar(&plan.Pipeline, "pipeline", 1, "requests written at once before their answers are read")
	flag.BoolVar(&plan.NetHTTP, "net-http", false, "send by net/http instead of by hand on plain sockets")
	flag.IntVar(&plan.Warm, "warm", 0, "requests that each connection sends before the start, which are not counted")
	flag.DurationVar(&plan.Timeout, "timeout", 0, "longest wait for an answer; 0 is 30s")
	flag.BoolVar(&wait, "wait", false, "open the connections, print \"ready\", and send when a line comes on standard input")
	flag.Func("request", "`\"METHOD /PATH [body=BYTES] [header=BYTES]\"`; {n} in the path is the request's number; repeat for several, which are sent in turn", func(s string) error {
		r, err := load.ParseRequest(s)
		plan.Requests = append(plan.Requests, r)
		return err
	})
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var ready func() error
	if wait {
		ready = func() error {
			fmt.Println("ready")
			_, err := bufio.NewReader(os.Stdin).ReadString('\n')
			return err
		}
	}
	report, err := load.Run(ctx, plan, ready)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}
