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
	"sync"
	"time"

	"github.com/toposcope/toposcope/demo/dice"
	"github.com/toposcope/toposcope/demo/dns"
	"github.com/toposcope/toposcope/demo/fault"
	"github.com/toposcope/toposcope/demo/mongodb"
	"github.com/toposcope/toposcope/demo/mysql"
	"github.com/toposcope/toposcope/demo/redis"
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
	name    string
	service string // that it is an instance of
	flags   serviceFlags
	parent  *supervisor.Parent
	faults  fault.Switch
	book    tally.Book
}

// runService is one process of the shop: it says Hello to its supervisor, works until ctx ends, and reports.
func runService(ctx context.Context, name string, args []string) error {
	p := &process{name: name, service: name, flags: parseServiceFlags(name, args), parent: supervisor.NewParent()}
	s, ok := shop.ServiceOf(shop.Services(), name)
	if ok {
		p.service = s.Name
		s = s.Version(p.flags.version)
	}
	p.faults.Set(p.flags.faults.At(name, p.service))
	var notSent uint64
	var err error
	switch {
	case name == loadName:
		notSent, err = p.load(ctx)
	case name == shop.NameServer:
		err = p.nameServer(ctx)
	case !ok:
		err = errors.New("the shop has no such service")
	case s.Speaks != "":
		err = p.database(ctx, s)
	default:
		err = p.serveShop(ctx, s)
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
	set, err := fault.Parse(*o.Faults, places())
	if err != nil {
		logf("%s: %v", p.name, err)
		return
	}
	p.faults.Set(set.At(p.name, p.service))
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
		Rate: p.flags.rate, Surge: func() float64 { return p.faults.Now().Surge }, Requests: p.flags.requests, MaxInFlight: 256,
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
	known := map[string]netip.AddrPort{} // by process
	take := func(o supervisor.Order) {
		p.take(o)
		for name, address := range o.Addresses {
			if at, err := netip.ParseAddrPort(address); err == nil {
				known[name] = at
			}
		}
		for _, s := range shop.Services() {
			var all []netip.AddrPort
			for _, name := range s.Processes() {
				if at, ok := known[name]; ok {
					all = append(all, at)
				}
			}
			if len(all) > 0 {
				zone.Put(s.Name, s.Protocol(), all...)
			}
		}
	}
	if err := p.parent.Hello(listener.Addr().String(), take); err != nil {
		return err
	}
	server := dns.Server{Zone: zone, Faults: p.faults.Now, Seed: p.flags.seed}
	return server.Serve(ctx, listener)
}

// serveShop is one of the services in the shop's table.
func (p *process) serveShop(ctx context.Context, s shop.Service) error {
	client := shop.NewClient(p.service, p.flags.from, p.flags.peers, &p.book)
	defer client.Close()
	listener, err := net.Listen("tcp", p.flags.listen)
	if err != nil {
		return err
	}
	if err := p.parent.Hello(listener.Addr().String(), p.take); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var queues sync.WaitGroup
	defer queues.Wait() // after cancel: what serves may have ended by itself
	defer cancel()
	queues.Go(func() { shop.Consume(ctx, s, client, &p.faults) })
	if s.Protocol() == "grpc" {
		return serveRPC(ctx, listener, s, client, &p.faults)
	}
	return serve(ctx, listener, shop.Handler(s, client, &p.faults))
}

// database is one of the shop's databases.
func (p *process) database(ctx context.Context, s shop.Service) error {
	server, address, err := p.newDatabase(ctx, s.Speaks)
	if err != nil {
		return err
	}
	if err := p.parent.Hello(address, p.take); err != nil {
		return err
	}
	return server.Serve(ctx)
}

// newDatabase makes the server that speaks system, and says where it listens.
func (p *process) newDatabase(ctx context.Context, system string) (_ interface{ Serve(context.Context) error }, address string, err error) {
	fates := &fault.Fates{Switch: &p.faults, Name: p.name, Seed: p.flags.seed}
	if system == "redis" { // it makes its listener itself
		server, err := redis.New(p.flags.listen, fates)
		if err != nil {
			return nil, "", err
		}
		return server, server.Addr(), nil
	}
	listener, err := net.Listen("tcp", p.flags.listen)
	if err != nil {
		return nil, "", err
	}
	address = listener.Addr().String()
	if system == "mysql" {
		server, err := mysql.New(listener, fates)
		return server, address, err
	}
	server, err := mongodb.New(ctx, listener, fates)
	return server, address, err
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
