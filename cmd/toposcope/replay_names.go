package main

import (
	"net/netip"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/topology"
)

// maxAddresses is how many addresses of a capture are told apart; further ones are "other".
const maxAddresses = 1 << 14

// addresses names the ends of a capture's connections. Nothing is known of processes: an address is a node of its own, by the
// name it was asked for where the capture shows that. Only where both ends have the same address, as on the loopback device,
// the server's port is part of the name, or all would be one node that talks to itself.
//
// Like the shard that asks, it is used from one goroutine.
type addresses struct {
	named   labeler.Names // nil: nobody asked for names
	byAddr  map[place]*labeler.Resource
	servers map[netip.AddrPort]bool // those whose port is part of the name
	tasks   map[netip.AddrPort]event.Task
	byTask  map[event.Task]netip.AddrPort
	other   *labeler.Resource
}

// place is what a node stands for: an address, or one port of it, and its name.
type place struct {
	addr netip.Addr
	port uint16
	name string
}

var _ topology.Resolver = (*addresses)(nil)

func newAddresses() *addresses {
	return &addresses{
		byAddr: map[place]*labeler.Resource{}, servers: map[netip.AddrPort]bool{},
		tasks: map[netip.AddrPort]event.Task{}, byTask: map[event.Task]netip.AddrPort{},
		other: &labeler.Resource{Name: topology.Other, InstanceID: topology.Other, Kind: labeler.KindExternal},
	}
}

// opened looks at a new connection's ends. A UDP socket has no other end by which the topology could tell whose it is, and its
// port may be another's soon: it gets a task of its own, which stands for its address.
func (a *addresses) opened(e *event.Opened) {
	switch local, remote := e.Flow.Local, e.Flow.Remote; {
	case e.Datagram:
		e.Owner = a.task(local)
	case local.Addr() == remote.Addr() && len(a.servers) < maxAddresses:
		a.servers[remote] = true
	}
}

// task is the one that stands for an address.
func (a *addresses) task(local netip.AddrPort) event.Task {
	key := netip.AddrPortFrom(local.Addr(), 0)
	if t, ok := a.tasks[key]; ok || len(a.tasks) >= maxAddresses {
		return t
	}
	t := event.Task{PID: uint32(len(a.tasks) + 1)}
	a.tasks[key], a.byTask[t] = t, key
	return t
}

// Process implements topology.Resolver.
func (a *addresses) Process(t event.Task) *labeler.Resource {
	end, ok := a.byTask[t]
	if !ok {
		return nil
	}
	return a.node(end, time.Time{})
}

// Address implements topology.Resolver. No end is watched: what is seen of a connection is seen from its client's end.
func (a *addresses) Address(end netip.AddrPort, _ uint32, at time.Time) (*labeler.Resource, bool) {
	return a.node(end, at), false
}

func (a *addresses) node(end netip.AddrPort, at time.Time) *labeler.Resource {
	p := place{addr: end.Addr()}
	if a.servers[end] {
		p.port = end.Port()
	}
	if a.named != nil {
		p.name, _ = a.named.Name(p.addr, 0, 0, at)
	}
	if r := a.byAddr[p]; r != nil {
		return r
	}
	if len(a.byAddr) >= maxAddresses {
		return a.other
	}
	r := &labeler.Resource{Name: p.addr.String(), Kind: labeler.KindExternal}
	if p.port != 0 {
		r.Name = netip.AddrPortFrom(p.addr, p.port).String()
	}
	r.InstanceID = r.Name
	if p.name != "" {
		r.Name = p.name
	}
	if ip := p.addr; ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
		r.Kind, r.Host = labeler.KindHost, p.addr.String()
	}
	a.byAddr[p] = r
	return r
}
