// Command grpcload makes gRPC calls and reports, as JSON on standard output, how many calls of each method ended with each code.
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

	"github.com/toposcope/toposcope/test/load/rpc"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "grpcload:", err)
		os.Exit(1)
	}
}

func run() error {
	var plan rpc.Plan
	var wait bool
	flag.StringVar(&plan.Target, "target", "", "server, `host:port`")
	flag.IntVar(&plan.Connections, "connections", 1, "connections used side by side")
	flag.IntVar(&plan.Streams, "streams", 1, "calls under way at once on each connection")
	flag.IntVar(&plan.Count, "count", 1, "calls to make")
	flag.StringVar((*string)(&plan.Web), "web", "", "call in gRPC-Web over `http1, http2 or http2-gzip`, or in gRPC by net/http's HTTP/2 (\"grpc\")")
	flag.BoolVar(&wait, "wait", false, "open and warm the connections, print \"ready\", and call when a line comes on standard input")
	calls := func(list *[]rpc.Call) func(string) error {
		return func(s string) error {
			c, err := rpc.ParseCall(s)
			*list = append(*list, c)
			return err
		}
	}
	const form = "`\"SERVICE/METHOD [code=N] [messages=N] [bytes=N] [delay=D] [deadline=D] [cancel=D]\"`; repeat for several, which are "
	flag.Func("call", form+"made in turn", calls(&plan.Calls))
	flag.Func("warm", form+"made on each connection before the start, and not counted", calls(&plan.Warm))
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
	report, err := rpc.Run(ctx, plan, ready)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}
