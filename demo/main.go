// Command toposcope-demo is a small shop of separate processes that talk HTTP, gRPC and DNS to each other, and to databases, under
// steady traffic: something to look at with Toposcope.
//
// Without arguments it runs the shop until SIGINT or SIGTERM. With the name of a service as its first argument it is that
// service; so it starts itself, once for each.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/toposcope/toposcope/demo/control"
	"github.com/toposcope/toposcope/demo/fault"
	"github.com/toposcope/toposcope/demo/shop"
	"github.com/toposcope/toposcope/demo/supervisor"
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
		logf("%v", err)
		os.Exit(1)
	}
}

func logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "toposcope-demo: "+format+"\n", args...)
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
	order, err := shop.StartOrder(shop.Services())
	if err != nil {
		return err
	}
	switches, err := net.Listen("tcp", f.control)
	if err != nil {
		return fmt.Errorf("listening for changes of faults: %w", err)
	}
	s := supervisor.New(supervisor.Config{
		Executable: self,
		Args:       []string{fmt.Sprintf("--seed=%d", f.seed), fmt.Sprintf("--rate=%g", f.rate), fmt.Sprintf("--requests=%d", f.requests)},
		Services:   children(f, order, f.faults),
		Faults:     f.faults.String(),
		Ready: func(running []supervisor.Running) {
			printServices(out, running)
			const example = "curl -X PUT -d payments=slow:800ms,mysql=fail:0.2"
			fmt.Fprintf(out, "\nFaults: %s http://%s/faults   (GET shows, DELETE ends them; GET / tells what there is)\n\n",
				example, switches.Addr())
		},
		Logf: logf,
	})
	board := control.New(control.Config{
		Places: places(), First: f.faults, Help: faultHelp(), Logf: logf,
		Apply: func(ctx context.Context, set fault.Set) error {
			return s.Apply(ctx, supervisor.Change{Faults: set.String(), Services: children(f, order, set)})
		},
	})
	defer board.Close()
	defer serveControl(switches, board.Handler())()

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

// serveControl serves until the function that it returns is called.
func serveControl(listener net.Listener, handler http.Handler) (stop func()) {
	server := &http.Server{Handler: handler, ReadTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logf("faults cannot be changed any more: %v", err)
		}
	}()
	return func() { _ = server.Close() }
}

// children are the shop's processes in the order of their start, that of its services, the name server first and the customers last,
// as they are with set in force.
func children(f shopFlags, order []shop.Service, set fault.Set) []supervisor.Service {
	list := []supervisor.Service{{
		Name: shop.NameServer, Listen: strings.Join(f.dns, ","), Directory: true, Down: set.At(shop.NameServer).Down,
	}}
	for _, s := range order {
		version := 1
		if set.At(s.Name).Deploy {
			version = 2
		}
		now := s.Version(version)
		var peers []string
		for _, name := range now.Peers() {
			peer, _ := shop.Find(order, name)
			peers = append(peers, peer.Processes()...)
		}
		if now.LooksUp() || f.first.IsValid() && len(peers) > 0 {
			peers = append(peers, shop.NameServer)
		}
		for _, name := range s.Processes() {
			i := len(list)
			list = append(list, supervisor.Service{
				Name: name, Of: s.Name, Listen: f.listen(i, s.Port), From: f.own(i), Peers: peers,
				Version: version, Down: set.At(name, s.Name).Down,
			})
		}
	}
	return append(list, supervisor.Service{
		Name: loadName, From: f.own(len(list)), Peers: []string{"web", shop.NameServer}, Last: f.requests > 0,
	})
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
