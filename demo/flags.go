package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/toposcope/toposcope/demo/dns"
	"github.com/toposcope/toposcope/demo/fault"
)

// maxPort is the highest --port-base.
const maxPort = 65000

// ownPort is where services listen that have addresses of their own.
const ownPort = 8080

type shopFlags struct {
	seed     uint64
	rate     float64
	requests uint64
	portBase int
	first    netip.Addr // that of the name server, where each process has its own; invalid: all are at 127.0.0.1
	control  string
	dns      []string // addresses for the name server, the best first
	faults   fault.Set
	report   string
	duration time.Duration
}

// dnsAddresses are where the name server is best: at port 53, by which DNS is known, on addresses that nothing else uses. There are
// several in case another shop runs.
func dnsAddresses() []string {
	var list []string
	for last := 53; last < 61; last++ {
		list = append(list, fmt.Sprintf("127.0.53.%d:%d", last, dns.Port))
	}
	return list
}

func parseShopFlags(args []string) shopFlags {
	var f shopFlags
	set := flag.NewFlagSet("toposcope-demo", flag.ExitOnError)
	set.Uint64Var(&f.seed, "seed", 1, "start of the dice that traffic and faults are drawn with: the same seed gives the same traffic")
	set.Float64Var(&f.rate, "rate", 20, "requests per second that customers send to the shop's front, on average")
	set.Uint64Var(&f.requests, "requests", 0, "stop after this many requests of customers; 0 runs on")
	set.IntVar(&f.portBase, "port-base", 0, "first of the ports to listen at, on 127.0.0.1; 0 takes free ones")
	set.TextVar(&f.first, "address-base", netip.Addr{}, "first of the `addresses` of this host that the shop may use: each process has one of\n"+
		"its own then, at which it listens and from which it calls others: the name server this one, port 53, the others\n"+
		"those that follow, services all at port 8080 or --port-base and databases at\n"+
		"their own; they find each other by name")
	set.DurationVar(&f.duration, "duration", 0, "stop after this time; 0 runs until SIGINT or SIGTERM")
	set.StringVar(&f.report, "report", "", "`file` to write at the end, as JSON: how many calls each service made,\n"+
		"HTTP by route and status, gRPC by method and code, DNS by type and code, databases by operation, collection and code")
	set.StringVar(&f.control, "control-address", "", "`address` at which faults are switched on and off by HTTP, as the shop says\n"+
		"when it starts (default a free port of 127.0.0.1)")
	set.Func("dns-address", "`address` of the shop's name server, UDP and TCP (default 127.0.53.53:53; where port 53 is taken or\n"+
		"not allowed to this user, a free port of 127.0.0.1, and a line says so: Toposcope knows DNS by its port)", func(v string) error {
		_, err := netip.ParseAddrPort(v)
		f.dns = []string{v}
		return err
	})
	set.Func("fault", "`faults` to start with: payments=slow:800ms,stock=fail:0.2; repeatable.\n"+faultHelp(), func(v string) error {
		faults, err := fault.Parse(v, places())
		f.faults = f.faults.With(faults)
		return err
	})
	_ = set.Parse(args) // ExitOnError
	if set.NArg() > 0 || f.rate <= 0 || f.portBase < 0 || f.portBase > maxPort {
		set.Usage()
		os.Exit(2)
	}
	afterAll := len(processes())
	if f.first.IsValid() && !f.own(afterAll+1).IsValid() {
		logf("no %d addresses begin with %s", afterAll+2, f.first)
		os.Exit(2)
	}
	switch {
	case f.dns != nil:
	case f.first.IsValid():
		f.dns = []string{netip.AddrPortFrom(f.first, dns.Port).String(), netip.AddrPortFrom(f.first, 0).String()}
	default:
		f.dns = append(dnsAddresses(), f.address(afterAll))
	}
	if f.control == "" {
		f.control = f.address(afterAll + 1)
	}
	return f
}

// address is where the ith of what listens does so.
func (f shopFlags) address(i int) string {
	if f.portBase == 0 {
		return "127.0.0.1:0"
	}
	return fmt.Sprintf("127.0.0.1:%d", f.portBase+i)
}

// own is the address that the ith process has for itself, the name server being the 0th; invalid: none has.
func (f shopFlags) own(i int) netip.Addr {
	address := f.first
	for range i {
		if !address.IsValid() {
			break
		}
		address = address.Next()
	}
	return address
}

// listen is where the ith process listens, the name server being the 0th. known is the port by which its protocol is known, 0 for none.
func (f shopFlags) listen(i, known int) string {
	if !f.first.IsValid() {
		return f.address(i - 1)
	}
	return netip.AddrPortFrom(f.own(i), cmp.Or(uint16(known), uint16(f.portBase), ownPort)).String()
}

type serviceFlags struct {
	seed     uint64
	rate     float64
	requests uint64
	listen   string
	from     netip.Addr
	version  int
	faults   fault.Set
	peers    map[string]string
}

func parseServiceFlags(name string, args []string) serviceFlags {
	f := serviceFlags{peers: map[string]string{}}
	set := flag.NewFlagSet("toposcope-demo "+name, flag.ExitOnError)
	set.Uint64Var(&f.seed, "seed", 1, "start of the dice")
	set.Float64Var(&f.rate, "rate", 20, "requests per second (load only)")
	set.Uint64Var(&f.requests, "requests", 0, "end after this many requests; 0 goes on (load only)")
	set.StringVar(&f.listen, "listen", "127.0.0.1:0", "`address` to listen at; for the name server a list, of which it takes the first it can")
	set.TextVar(&f.from, "from", netip.Addr{}, "`address` to call others from (default what the kernel takes)")
	set.IntVar(&f.version, "version", 0, "version of the service; 2 is the next one where there is one")
	set.Func("fault", "`faults` to start with", func(v string) (err error) {
		f.faults, err = fault.Parse(v, places())
		return err
	})
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
