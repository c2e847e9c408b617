// Command toposcope-demo is a small shop of separate processes that talk HTTP to each other under steady traffic: something to look at
// with Toposcope.
//
// Without arguments it runs the shop until SIGINT or SIGTERM. With the name of a service as its first argument it is that
// service; so it starts itself, once for each.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/toposcope/toposcope/demo/shop"
	"github.com/toposcope/toposcope/demo/supervisor"
	"github.com/toposcope/toposcope/demo/tally"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		err = runService(ctx, os.Args[1], os.Args[2:])
	} else {
		err = runShop(ctx, os.Args[1:], os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "toposcope-demo:", err)
		os.Exit(1)
	}
}

type shopFlags struct {
	seed     uint64
	rate     float64
	portBase int
	report   string
	duration time.Duration
}

func parseShopFlags(args []string) shopFlags {
	var f shopFlags
	set := flag.NewFlagSet("toposcope-demo", flag.ExitOnError)
	set.Uint64Var(&f.seed, "seed", 1, "start of the dice that traffic and faults are drawn with")
	set.Float64Var(&f.rate, "rate", 20, "requests per second that customers send to the shop's front, on average")
	set.IntVar(&f.portBase, "port-base", 0, "first of the ports to listen at, on 127.0.0.1; 0 takes free ones")
	set.DurationVar(&f.duration, "duration", 0, "stop after this time; 0 runs until SIGINT or SIGTERM")
	set.StringVar(&f.report, "report", "", "`file` to write at the end, as JSON: how many calls each service made, by route and status")
	_ = set.Parse(args) // ExitOnError
	if set.NArg() > 0 || f.rate <= 0 || f.portBase < 0 || f.portBase > 65000 {
		set.Usage()
		os.Exit(2)
	}
	return f
}

// runShop runs all services until ctx ends.
func runShop(ctx context.Context, args []string, out io.Writer) error {
	f := parseShopFlags(args)
	if f.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.duration)
		defer cancel()
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	services, err := children(f.portBase)
	if err != nil {
		return err
	}
	s := &supervisor.Supervisor{
		Executable: self,
		Args:       []string{fmt.Sprintf("--seed=%d", f.seed), fmt.Sprintf("--rate=%g", f.rate)},
		Services:   services,
		Ready:      func(running []supervisor.Running) { printServices(out, running) },
		Logf:       func(format string, args ...any) { fmt.Fprintf(os.Stderr, "toposcope-demo: "+format+"\n", args...) },
	}
	start := time.Now()
	report, err := s.Run(ctx)
	if err != nil {
		return err
	}
	printLoad(out, report)
	if f.report == "" {
		return nil
	}
	return writeReport(f, start, report)
}

// children are the shop's services in the order of their start, the customers last.
func children(portBase int) ([]supervisor.Service, error) {
	order, err := shop.StartOrder(shop.Services())
	if err != nil {
		return nil, err
	}
	var services []supervisor.Service
	for i, s := range order {
		port := 0
		if portBase > 0 {
			port = portBase + i
		}
		services = append(services, supervisor.Service{
			Name: s.Name, Listen: fmt.Sprintf("127.0.0.1:%d", port), Peers: s.Peers(),
		})
	}
	return append(services, supervisor.Service{Name: loadName, Peers: []string{"web"}}), nil
}

func printServices(out io.Writer, running []supervisor.Running) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SERVICE\tPID\tADDRESS\tCALLS")
	for _, r := range running {
		address := r.Address
		if address == "" {
			address = "-"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", r.Name, r.PID, address, strings.Join(r.Peers, ", "))
	}
	_ = w.Flush() // standard output is gone: nobody reads this
}

// printLoad tells what the customers sent.
func printLoad(out io.Writer, report supervisor.Report) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "METHOD\tROUTE\tSTATUS\tCOUNT")
	for _, r := range report.Calls {
		if r.Client == loadName {
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\n", r.Method, r.Route, r.Status, r.Count)
		}
	}
	_ = w.Flush()
	if report.NotSent > 0 {
		fmt.Fprintf(out, "%d requests were not sent: too many waited for an answer\n", report.NotSent)
	}
}

func writeReport(f shopFlags, start time.Time, report supervisor.Report) error {
	text, err := json.MarshalIndent(struct {
		Seed    uint64      `json:"seed"`
		Rate    float64     `json:"rate"`
		Start   time.Time   `json:"start"`
		End     time.Time   `json:"end"`
		NotSent uint64      `json:"notSent"`
		Calls   []tally.Row `json:"calls"`
	}{f.seed, f.rate, start, time.Now(), report.NotSent, report.Calls}, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	if err := os.WriteFile(f.report, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
