package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/toposcope/toposcope/demo/dice"
	"github.com/toposcope/toposcope/demo/dns"
	"github.com/toposcope/toposcope/demo/fault"
	"github.com/toposcope/toposcope/demo/shop"
	"github.com/toposcope/toposcope/demo/supervisor"
	"github.com/toposcope/toposcope/demo/tally"
	"github.com/toposcope/toposcope/demo/traffic"
)

// loadName is the name of the process that plays the customers.
const loadName = "load"

// drainTimeout is how long requests at hand may take to finish when a service ends.
const drainTimeout = 5 * time.Second

// process is one process of the shop.
type process struct {
	name   string
	flags  serviceFlags
	parent *supervisor.Parent
	faults fault.Switch
	book   tally.Book
}

// runService is one process of the shop: it says Hello to its supervisor, works until ctx ends, and reports.
func runService(ctx context.Context, name string, args []string) error {
	p := &process{name: name, flags: parseServiceFlags(name, args), parent: supervisor.NewParent()}
	p.faults.Set(p.flags.faults[name])
	var notSent uint64
	var err error
	switch name {
	case loadName:
		notSent, err = p.load(ctx)
	case shop.NameServer:
		err = p.nameServer(ctx)
	default:
		err = p.service(ctx)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	told := p.parent.Report(supervisor.Report{Pages: p.book.Pages(), NotSent: notSent})
	return cmp.Or(err, told)
}

// take puts the faults of an order in force.
func (p *process) take(o supervisor.Order) {
	if o.Faults == nil {
		return
	}
	// The supervisor has read them before; an error here is a mistake of ours.
	set, err := fault.Parse(*o.Faults, servers())
	if err != nil {
		logf("%s: %v", p.name, err)
		return
	}
	p.faults.Set(set[p.name])
}

// load is the shop's customers.
func (p *process) load(ctx context.Context) (notSent uint64, err error) {
	client := shop.NewClient(p.name, p.flags.from, p.flags.peers, &p.book)
	defer client.Close()
	if err := p.parent.Hello("", p.take); err != nil {
		return 0, err
	}
	load := traffic.Load{
		Name: p.name, Client: client, Dice: dice.New(p.flags.seed, p.name), Steps: traffic.Steps(),
		Rate: p.flags.rate, Requests: p.flags.requests, MaxInFlight: 256,
	}
	return load.Run(ctx), nil
}

// nameServer answers for the services that the supervisor tells of.
func (p *process) nameServer(ctx context.Context) error {
	listener, err := dns.Listen(strings.Split(p.flags.listen, ","))
	if err != nil {
		return err
	}
	if listener.Refused != nil && listener.Addr().Port() != dns.Port {
		logf("the name server listens at %s, where Toposcope does not look for DNS: %v", listener.Addr(), listener.Refused)
	}
	zone := dns.NewZone()
	zone.Put(p.name, "dns", listener.Addr())
	take := func(o supervisor.Order) {
		p.take(o)
		for name, address := range o.Addresses {
			s, ok := shop.Find(shop.Services(), name)
			if at, err := netip.ParseAddrPort(address); ok && err == nil {
				zone.Put(name, s.Protocol(), at)
			}
		}
	}
	if err := p.parent.Hello(listener.Addr().String(), take); err != nil {
		return err
	}
	server := dns.Server{Zone: zone, Faults: p.faults.Now, Seed: p.flags.seed}
	return server.Serve(ctx, listener)
}

// service is one of those in the shop's table.
func (p *process) service(ctx context.Context) error {
	s, ok := shop.Find(shop.Services(), p.name)
	if !ok {
		return errors.New("the shop has no such service")
	}
	client := shop.NewClient(p.name, p.flags.from, p.flags.peers, &p.book)
	defer client.Close()
	listener, err := net.Listen("tcp", p.flags.listen)
	if err != nil {
		return err
	}
	if err := p.parent.Hello(listener.Addr().String(), p.take); err != nil {
		return err
	}
	if s.Protocol() == "grpc" {
		return serveRPC(ctx, listener, s, client, &p.faults)
	}
	return serve(ctx, listener, shop.Handler(s, client, &p.faults))
}

// serve serves until ctx ends, then lets the requests at hand finish.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
		defer cancel()
		stopped <- server.Shutdown(drain)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// serveRPC is serve for gRPC.
func serveRPC(ctx context.Context, listener net.Listener, s shop.Service, client *shop.Client, faults *fault.Switch) error {
	server := shop.RPCServer(s, client, faults)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		late := time.AfterFunc(drainTimeout, server.Stop)
		defer late.Stop()
		server.GracefulStop()
	}()
	if err := server.Serve(listener); err != nil {
		return err
	}
	<-stopped
	return nil
}
