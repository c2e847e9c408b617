// Package resolver looks names up as the programs of a cluster do: with Go's own resolver, from the demo's name server, and through a
// search list. It counts what that took, question by question.
package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/toposcope/toposcope/demo/tally"
)

// Timeout is how long an answer is waited for before Go's resolver asks again; an answer that is later counts as none.
const Timeout = 2 * time.Second

// Resolver looks up names for one service. Its methods may be called from any goroutine.
type Resolver struct {
	// Client and Server are the names of the service that asks and of the name server, for the tally.
	Client, Server string
	// Address is where the name server listens, "ip:port".
	Address string
	// Dial connects to Address; nil is net.Dialer's. Over "udp" it must give a *net.UDPConn.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Search and Dots are the search list and "ndots" as in resolv.conf; the list's names end with a dot.
	Search []string
	Dots   int
	// Book counts questions and lookups.
	Book *tally.Book
}

// Types of records that Lookup knows. IP asks for addresses of both families.
const (
	IP  = "ip"
	SRV = "SRV"
	MX  = "MX"
	TXT = "TXT"
)

// Addresses finds the addresses of name.
func (r *Resolver) Addresses(ctx context.Context, name string) ([]netip.Addr, error) {
	var found []netip.Addr
	err := r.walk(ctx, name, IP, func(std *net.Resolver, full string) (err error) {
		found, err = std.LookupNetIP(ctx, "ip", full)
		return err
	})
	return found, err
}

// Service finds where a service listens, from its SRV records: name is like "_grpc._tcp.stock". Host names end with a dot.
func (r *Resolver) Service(ctx context.Context, name string) (host string, port uint16, err error) {
	err = r.walk(ctx, name, SRV, func(std *net.Resolver, full string) error {
		_, records, err := std.LookupSRV(ctx, "", "", full)
		if err == nil {
			host, port = records[0].Target, records[0].Port
		}
		return err
	})
	return host, port, err
}

// Lookup looks name up for the sake of the traffic.
func (r *Resolver) Lookup(ctx context.Context, kind, name string) error {
	switch kind {
	case IP:
		_, err := r.Addresses(ctx, name)
		return err
	case SRV:
		_, _, err := r.Service(ctx, name)
		return err
	case MX:
		return r.walk(ctx, name, kind, func(std *net.Resolver, full string) error {
			_, err := std.LookupMX(ctx, full)
			return err
		})
	case TXT:
		return r.walk(ctx, name, kind, func(std *net.Resolver, full string) error {
			_, err := std.LookupTXT(ctx, full)
			return err
		})
	}
	return fmt.Errorf("records of type %q are not looked up here", kind)
}

// walk tries the names that name may stand for, in order, until one is found or the name server does not answer well.
func (r *Resolver) walk(ctx context.Context, name, kind string, try func(*net.Resolver, string) error) error {
	outcome := "absent"
	defer func() { r.Book.Lookups.Add(tally.Lookup{Client: r.Client, Name: name, Type: kind, Outcome: outcome}) }()
	var err error
	for _, full := range r.candidates(name) {
		// A new one for each name: it would answer equal questions that are open at the same time by asking only once, and how
		// often that happens does not follow from the seed.
		err = try(&net.Resolver{PreferGo: true, Dial: r.dial}, full)
		var dns *net.DNSError
		switch {
		case err == nil:
			outcome = "found"
			return nil
		case !errors.As(err, &dns) || !dns.IsNotFound:
			outcome = "failed"
			return fmt.Errorf("looking up %s: %w", name, err)
		}
	}
	return fmt.Errorf("looking up %s: %w", name, err)
}

// candidates are the full names that name may stand for, as resolv.conf(5) orders them.
func (r *Resolver) candidates(name string) []string {
	if strings.HasSuffix(name, ".") {
		return []string{name}
	}
	var list []string
	for _, domain := range r.Search {
		list = append(list, name+"."+domain)
	}
	if strings.Count(name, ".") >= r.Dots {
		return append([]string{name + "."}, list...)
	}
	return append(list, name+".")
}

// dial takes the place of what Go's resolver does to reach the servers in /etc/resolv.conf.
func (r *Resolver) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	dial := r.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, network, r.Address)
	if err != nil {
		return nil, err
	}
	w := &watch{resolver: r, transport: "tcp", asked: map[uint16]question{}}
	if udp, ok := conn.(*net.UDPConn); ok {
		w.transport = "udp"
		return &datagrams{UDPConn: udp, watch: w}, nil
	}
	return &stream{Conn: conn, watch: w}, nil
}
