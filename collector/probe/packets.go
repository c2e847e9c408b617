package probe

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"

	"github.com/toposcope/toposcope/bpf"
	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/ring"
)

// packets is the part of a Probe that captures packets: connections where nothing else may be loaded, and datagrams. Its fields
// but nets are safe to use from any goroutine.
type packets struct {
	nets    atomic.Pointer[namespaces] // nil unless the socket filter is in use
	filter  atomic.Pointer[filterState]
	version atomic.Uint64 // of the verdicts on processes
	// unwatched counts connections and sockets of which nothing was passed on.
	unwatched atomic.Uint64

	mu   sync.Mutex
	maps map[string]*ebpf.Map // of the programs that not every host needs, by name; shared as those of Probe
}

// filterState is the filter that is in force.
type filterState struct {
	on       bool
	unlisted Action
}

// share gives the map that all programs use under a name, and makes it when it is the first to ask.
func (p *Probe) share(name string, spec *ebpf.MapSpec) (*ebpf.Map, error) {
	if m, ok := p.maps[name]; ok {
		return m, nil
	}
	p.packets.mu.Lock()
	defer p.packets.mu.Unlock()
	if m, ok := p.packets.maps[name]; ok {
		return m, nil
	}
	spec = spec.Copy()
	if name == bpf.UdpMapDatagramScratches {
		spec.MaxEntries *= uint32(ebpf.MustPossibleCPU())
	}
	m, err := ebpf.NewMap(spec)
	if err != nil {
		return nil, fmt.Errorf("making the map %s: %w", name, err)
	}
	if p.packets.maps == nil {
		p.packets.maps = map[string]*ebpf.Map{}
	}
	p.packets.maps[name] = m
	return m, nil
}

// late is a map that share has made; nil before.
func (p *Probe) late(name string) *ebpf.Map {
	p.packets.mu.Lock()
	defer p.packets.mu.Unlock()
	return p.packets.maps[name]
}

func (k *packets) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, m := range k.maps {
		m.Close()
	}
	clear(k.maps)
}

// wantPackets tells the programs what to copy: the ports of datagrams, and what the socket filter passes on.
func (p *Probe) wantPackets(datagrams, streams bool) error {
	s := bpf.PacketPacketSettings{}
	for _, port := range p.opts.DatagramPorts {
		s.Ports[port>>6] |= 1 << (port & 63)
	}
	if datagrams {
		s.Datagrams = 1
	}
	if streams {
		s.Streams = 1
	}
	spec, err := bpf.LoadPacket()
	if err != nil {
		return fmt.Errorf("reading the embedded object: %w", err)
	}
	m, err := p.share(bpf.PacketMapPacketsWanted, spec.Maps[bpf.PacketMapPacketsWanted])
	if err != nil {
		return err
	}
	if err := m.Put(uint32(0), &s); err != nil {
		return fmt.Errorf("writing what packets are wanted: %w", err)
	}
	return nil
}

// openNamespaces puts the socket filter to use. streams: for connections too, so that listeners are told.
func (p *Probe) openNamespaces(streams bool) error {
	spec, err := bpf.LoadPacket()
	if err != nil {
		return fmt.Errorf("reading the embedded object: %w", err)
	}
	m := &namespaces{
		procfs: "/proc", log: p.log, limit: p.opts.MaxNamespaces, watched: p.watched,
		load:    func(inode uint32) (*ebpf.Program, error) { return p.loadFilter(spec, inode) },
		address: p.setAddress,
	}
	if streams {
		teller := &listenerTeller{probe: p, known: map[localEnd]event.Task{}}
		m.told = teller.tell
	}
	if err := m.start(); err != nil {
		return err
	}
	p.packets.nets.Store(m)
	return nil
}

func (p *Probe) closeNamespaces() {
	if m := p.packets.nets.Swap(nil); m != nil {
		m.close()
	}
}

// loadFilter loads the socket filter for a network namespace. It cannot ask the kernel which one it is in.
func (p *Probe) loadFilter(spec *ebpf.CollectionSpec, inode uint32) (*ebpf.Program, error) {
	spec = spec.Copy()
	if err := spec.Variables[bpf.PacketVarNetns].Set(inode); err != nil {
		return nil, fmt.Errorf("setting the filter's namespace: %w", err)
	}
	loaded, err := p.load(spec, nil, bpf.PacketProgPacketFilter)
	if err != nil {
		return nil, err
	}
	return loaded[bpf.PacketProgPacketFilter].prog, nil
}

func (p *Probe) setAddress(inode uint32, a netip.Addr, has bool) error {
	m := p.late(bpf.PacketMapLocalAddresses)
	key := bpf.PacketLocalAddress{Address: ring.Words(a), Netns: inode}
	var err error
	if has {
		err = m.Put(&key, uint8(1))
	} else {
		err = ignoreMissing(m.Delete(&key))
	}
	if err != nil {
		return fmt.Errorf("writing the addresses of a network namespace: %w", err)
	}
	return nil
}

var _ host = (*Probe)(nil)

// senderLasts is for how long the task that last sent from a port is taken for the one that has it.
const senderLasts = 5 * time.Second

// owner is part of host.
func (p *Probe) owner(f event.Flow, datagram bool, asked uint64, now time.Time) (event.Task, uint64) {
	if datagram {
		if t := p.sender(f); !t.IsZero() {
			return t, asked
		}
	}
	m := p.packets.nets.Load()
	if m == nil {
		return event.Task{}, asked
	}
	table := m.table.Load()
	if table.version == asked {
		m.want()
		return event.Task{}, asked
	}
	t := table.owner(f, datagram)
	if t.IsZero() {
		m.want()
	}
	return t, table.version
}

// sender finds who sent last from a UDP port.
func (p *Probe) sender(f event.Flow) event.Task {
	m := p.late(bpf.PacketMapSenders)
	if m == nil {
		return event.Task{}
	}
	var s bpf.PacketSender
	if m.Lookup(&bpf.PacketPortKey{Netns: f.NetNS, Port: f.Local.Port()}, &s) != nil || ring.Now()-s.Time > uint64(senderLasts) {
		return event.Task{}
	}
	return event.Task{PID: s.Task.Pid, TID: s.Task.Tid, Start: s.Task.Start}
}

// listens is part of host.
func (p *Probe) listens(f event.Flow) bool {
	m := p.packets.nets.Load()
	return m != nil && m.table.Load().listens(f)
}

// watched is part of host. It asks what the kernel asks, in the same order; a cgroup it does not know.
func (p *Probe) watched(t event.Task) bool {
	if t.PID == uint32(p.opts.Self) {
		return false
	}
	f := p.packets.filter.Load()
	if f == nil || !f.on {
		return true
	}
	if t.PID == 0 {
		return false // it may be an excluded one: its packets wait until it is known
	}
	action := uint8(f.unlisted)
	_ = p.maps[bpf.SocketsMapWatchedPids].Lookup(t.PID, &action) // unlisted, if it is not there
	return Action(action) == Include
}

// dropped is part of host.
func (p *Probe) dropped() { p.packets.unwatched.Add(1) }

// verdictsVersion is part of host.
func (p *Probe) verdictsVersion() uint64 { return p.packets.version.Load() }

// refuseFlow is part of host.
func (p *Probe) refuseFlow(f event.Flow, on bool) {
	m := p.late(bpf.PacketMapRefusedFlows)
	if m == nil {
		return
	}
	key := bpf.SocketsFlow{
		Local: ring.Words(f.Local.Addr()), Remote: ring.Words(f.Remote.Addr()),
		LocalPort: f.Local.Port(), RemotePort: f.Remote.Port(), Netns: f.NetNS,
	}
	var err error
	if on {
		err = m.Put(&key, uint8(1))
	} else {
		err = ignoreMissing(m.Delete(&key))
	}
	if err != nil {
		p.log.Debug("A connection of no interest goes on being copied", "err", err)
	}
}

// listenerTeller tells the handlers which listeners have come and gone, by tables of sockets.
type listenerTeller struct {
	probe *Probe
	known map[localEnd]event.Task
}

func (l *listenerTeller) tell(t *socketTable) {
	at := time.Now()
	var events []event.Listening
	for end, task := range l.known {
		if now, ok := t.listeners[end]; !ok || now != task {
			events = append(events, event.Listening{Local: end.addr, NetNS: end.netns, Task: task, Time: at})
		}
	}
	for end, task := range t.listeners {
		if known, ok := l.known[end]; !ok || known != task {
			events = append(events, event.Listening{Local: end.addr, NetNS: end.netns, Task: task, Open: true, Time: at})
		}
	}
	posted := l.probe.shards[0].post(func(s *shard) {
		for i := range events {
			s.handler.Handle(&events[i])
		}
	})
	if posted { // else the next table tells
		l.known = t.listeners
	}
}

// newcomers hands process events on, and has the network namespace looked at that a new program may have been started in.
type newcomers struct {
	ring.Processes
	probe *Probe
}

func (n newcomers) Exec(e *event.Exec) {
	n.Processes.Exec(e)
	if m := n.probe.packets.nets.Load(); m != nil {
		m.hint(e.Task.PID)
	}
}
