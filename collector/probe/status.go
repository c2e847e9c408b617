package probe

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/toposcope/toposcope/bpf"
	"github.com/toposcope/toposcope/collector/privilege"
)

// Counters are what the kernel programs counted since New.
type Counters struct {
	// Events are runs of bytes that reached a ring, Bytes what was copied of them.
	Events, Bytes uint64
	// Lost is by stage: the label of toposcope_events_lost_total.
	Lost map[string]uint64
	// Unwatched, Pending and Refused are calls of which nothing was copied: excluded by the filter, not judged yet, on a
	// connection of no interest. Unwatched counts too the connections and sockets whose packets were copied before it was known
	// whose they are, and dropped then.
	Unwatched, Pending, Refused uint64
	// Foreign are packets that the socket filter let be because they are forwarded, Copies those that it had seen on another
	// interface.
	Foreign, Copies uint64
}

// Counters reads the kernel's counters.
func (p *Probe) Counters() (Counters, error) {
	var c Counters
	var err error
	read := func(what bpf.SocketsCounter) (sum uint64) {
		var perCPU []uint64
		if e := p.maps[bpf.SocketsMapCounters].Lookup(uint32(what), &perCPU); e != nil && err == nil {
			err = fmt.Errorf("reading the kernel's counters: %w", e)
		}
		for _, n := range perCPU {
			sum += n
		}
		return sum
	}
	c.Events = read(bpf.SocketsCounterCOUNT_EVENTS)
	c.Bytes = read(bpf.SocketsCounterCOUNT_BYTES)
	c.Lost = map[string]uint64{
		"ring":        read(bpf.SocketsCounterCOUNT_LOST_RING),
		"calls":       read(bpf.SocketsCounterCOUNT_LOST_STASH),
		"connections": read(bpf.SocketsCounterCOUNT_LOST_CONNS),
		"processes":   read(bpf.SocketsCounterCOUNT_LOST_PROCESS),
		"shed":        read(bpf.SocketsCounterCOUNT_SHED),
	}
	c.Unwatched = read(bpf.SocketsCounterCOUNT_UNWATCHED) + p.packets.unwatched.Load()
	c.Pending = read(bpf.SocketsCounterCOUNT_PENDING)
	c.Refused = read(bpf.SocketsCounterCOUNT_REFUSED)
	c.Foreign = read(bpf.SocketsCounterCOUNT_FOREIGN)
	c.Copies = read(bpf.SocketsCounterCOUNT_COPIES)
	return c, err
}

// KernelMemory is how much memory the kernel holds for the maps and rings, in bytes, as far as it tells. It grows with the connections
// that are open.
func (p *Probe) KernelMemory() uint64 {
	var sum uint64
	add := func(m *ebpf.Map) {
		if info, err := m.Info(); err == nil {
			n, _ := info.Memlock()
			sum += n
		}
	}
	for _, m := range p.maps {
		add(m)
	}
	for _, r := range p.rings {
		add(r)
	}
	p.packets.mu.Lock()
	defer p.packets.mu.Unlock()
	for _, m := range p.packets.maps {
		add(m)
	}
	return sum
}

// Status is what capture is doing.
type Status struct {
	Enabled bool
	// Method is the way in force, "" when none is; Datagrams the way that datagrams are captured by.
	Method, Datagrams string
	// Namespaces are the network namespaces that packets are captured in, where that takes a socket in each; NamespacesLeftOut
	// those with watched processes that have none.
	Namespaces, NamespacesLeftOut int
	// Programs says of each program whether it is attached; Failures why not.
	Programs map[string]bool
	Failures map[string]string
	// Lacking says what the way in force does not see for want of a capability.
	Lacking []privilege.Need
}

// Status reports on capture.
func (p *Probe) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{Enabled: p.enabled, Method: p.method, Datagrams: p.datagrams, Programs: map[string]bool{}, Failures: map[string]string{}}
	s.Lacking = p.held.Lacking(p.method)
	for name, err := range p.failures {
		s.Programs[name] = false
		s.Failures[name] = err.Error()
	}
	for _, pr := range p.programs {
		s.Programs[pr.name] = true
	}
	if m := p.packets.nets.Load(); m != nil {
		s.Namespaces, s.NamespacesLeftOut = m.counts()
		s.Programs[bpf.PacketProgPacketFilter] = s.Namespaces > 0
	}
	return s
}
