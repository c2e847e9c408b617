package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/toposcope/toposcope/demo/shop"
	"github.com/toposcope/toposcope/demo/supervisor"
	"github.com/toposcope/toposcope/demo/traffic"
)

// loadName is the name of the process that plays the customers.
const loadName = "load"

type serviceFlags struct {
	seed   uint64
	rate   float64
	listen string
	peers  map[string]string
}

func parseServiceFlags(name string, args []string) serviceFlags {
	f := serviceFlags{peers: map[string]string{}}
	set := flag.NewFlagSet("toposcope-demo "+name, flag.ExitOnError)
	set.Uint64Var(&f.seed, "seed", 1, "start of the dice")
	set.Float64Var(&f.rate, "rate", 20, "requests per second (load only)")
	set.StringVar(&f.listen, "listen", "127.0.0.1:0", "`address` to listen at")
	set.Func("peer", "`service=address` of one that is called; repeatable", func(v string) error {
		peer, address, ok := strings.Cut(v, "=")
		if !ok {
			return errors.New("want service=address")
		}
		f.peers[peer] = address
		return nil
	})
	_ = set.Parse(args) // ExitOnError
	return f
}

// runService is one process of the shop: it says Hello to its supervisor, works until ctx ends, and reports.
func runService(ctx context.Context, name string, args []string) error {
	f := parseServiceFlags(name, args)
	client := shop.NewClient(name, f.peers, f.seed)
	parent := json.NewEncoder(os.NewFile(supervisor.ReportFD, "supervisor"))
	if name == loadName {
		if err := parent.Encode(supervisor.Hello{}); err != nil {
			return fmt.Errorf("a service is started by toposcope-demo, not by hand: %w", err)
		}
		load := traffic.Load{Client: client, Steps: traffic.Steps(), Rate: f.rate, MaxInFlight: 256}
		notSent := load.Run(ctx)
		return parent.Encode(supervisor.Report{Calls: client.Calls(), NotSent: notSent})
	}
	service, ok := shop.Find(shop.Services(), name)
	if !ok {
		return fmt.Errorf("the shop has no service %q", name)
	}
	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	if err := parent.Encode(supervisor.Hello{Address: listener.Addr().String()}); err != nil {
		return fmt.Errorf("a service is started by toposcope-demo, not by hand: %w", err)
	}
	err = serve(ctx, listener, shop.Handler(service, client))
	if err != nil {
		err = fmt.Errorf("serving %s: %w", name, err)
	}
	return errors.Join(err, parent.Encode(supervisor.Report{Calls: client.Calls()}))
}

// serve serves until ctx ends, then lets the requests at hand finish.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		stopped <- server.Shutdown(drain)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
