// Package packet turns packets into the events of the connections they belong to: TCP streams in order, each byte once, and
// UDP datagrams. It serves capture files (collector/replay) and live packets alike, and knows no kernel.
//
// Headers are taken apart by google/gopacket's layers, each into a struct that is used again, so that nothing is allocated for
// a packet. What those layers lack or refuse is read here: cooked captures of version 2, IPv6 without a length (BIG TCP), MPLS.
//
// Ordering is our own, on top of the layers, because gopacket/reassembly works against what a tracker must know:
//
//   - it learns nothing from acknowledgements. Bytes that the other end has acknowledged and that were not seen were missed by
//     capture, and no retransmission will bring them; bytes that are not acknowledged will be sent again. The first must be
//     told within milliseconds, the second may take seconds. Acknowledgements also tell where, between the bytes of the other
//     direction, a loss happened, without which a request would be paired with the answer of another;
//   - a packet that the snapshot length cut is a gap to it that nothing fills, not bytes of a known number;
//   - it keeps no time for each byte, no numbers for a second connection of the same ports, and flushes by walking them all;
//   - gopacket/ip4defrag has no bound on datagrams that never come to an end, and no IPv6.
//
// # What is emitted
//
// Opened once the handshake is over (or, for a connection whose SYN was not seen, with its first byte and Existing set),
// Segment for each run of new bytes, Closed, ConnectFailed for a SYN that was refused or never answered, and Stats at a Flush.
// Segments have Source SourcePacket. Their Seq is contiguous but for a number that is left out for each run of bytes that was
// missed; the next Segment of that direction then starts at a higher Off. Turns are numbered exactly, across losses too: the
// acknowledgements tell them. Where both directions miss bytes at the same place nobody can tell, and Turns is false from
// there on. Time is the packet's, or that of the packet that filled a hole before it where that came later: before it the
// receiver could not have read the bytes either.
//
// UDP has a connection for each local socket (network namespace, address, port), Datagram set, whose Segments carry the Peer.
package packet

import (
	"cmp"
	"net/netip"
	"sync"
	"time"

	"github.com/google/gopacket/layers"

	"github.com/toposcope/toposcope/collector/event"
)

// LinkType is what a packet begins with, by the numbers of capture files (https://www.tcpdump.org/linktypes.html).
type LinkType uint16

// Link types that are decoded. Packets of others are counted in Counters.UnknownLink.
const (
	LinkNull      LinkType = 0 // BSD loopback: address family in the byte order of the host that captured
	LinkEthernet  LinkType = 1
	LinkRawBSD    LinkType = 12 // raw IP, as LinkRaw
	LinkRawOther  LinkType = 14 // the same, elsewhere
	LinkRaw       LinkType = 101
	LinkLoop      LinkType = 108 // OpenBSD loopback: address family in network byte order
	LinkLinuxSLL  LinkType = 113 // "tcpdump -i any"
	LinkIPv4      LinkType = 228
	LinkIPv6      LinkType = 229
	LinkLinuxSLL2 LinkType = 276
)

// Direction is the way a packet went, as the host that captured it saw it.
type Direction uint8

// Directions.
const (
	DirectionUnknown Direction = iota
	Outgoing
	Incoming
)

// Packet is one packet as it was captured.
type Packet struct {
	Time time.Time
	Link LinkType
	// Data is what was captured from the packet's start; it is not kept.
	Data []byte
	// Length is the packet's true length, at least len(Data).
	Length int
	// NetNS is the inode number of the network namespace, 0 when not known. Connections of different ones are never joined.
	NetNS uint32
	// Direction is needed when Config.PerEnd is set.
	Direction Direction
	// Task is the one that has the local end; zero when not known.
	Task event.Task
}

// Config bounds an Assembler. Zero values stand for the defaults.
type Config struct {
	// PerEnd makes each local end a connection of its own, as sockets are: an Outgoing packet belongs to the end whose address
	// is the source, an Incoming one to the end whose address is the destination, so that on the loopback device, where each
	// packet is seen both ways, both ends get it. Without it a flow is one connection, seen from the client's end: that is who
	// sent the SYN; where none was seen the end with the lower port is taken for the server and Role is RoleUnknown.
	PerEnd bool
	// Local, when not nil, tells whether an address belongs to a namespace; with PerEnd, packets of other hosts' ends (those
	// that are forwarded) are left out.
	Local func(netns uint32, a netip.Addr) bool
	// UDPPorts are the ports of servers whose datagrams are wanted, those from or to them; empty means every port.
	UDPPorts []uint16
	// FirstConn is the number of the first connection; those after it count up. Default 1.
	FirstConn event.ConnID

	// MaxFlows is how many connections are remembered, and how many UDP sockets; past it the longest idle one is ended. A
	// connection takes some 400 bytes. Default 131,072.
	MaxFlows int
	// MaxHeld is how many bytes of memory may wait for others that are missing, of all connections and fragments together,
	// MaxFlowHeld how many of one direction of a connection. Past them what is missing is taken for lost. Defaults 64 MiB and
	// 4 MiB.
	MaxHeld, MaxFlowHeld int
	// AckedWait is for how long bytes that the other end has acknowledged may be late: interfaces and queues of the host are
	// read one after the other. Default 50 ms.
	AckedWait time.Duration
	// ReorderWait is for how long missing bytes are waited for that nobody has acknowledged: they will be sent again, or only
	// one direction is captured. Default 10 s.
	ReorderWait time.Duration
	// ConnectWait is after how long a SYN without an answer has failed. Default 75 s.
	ConnectWait time.Duration
	// TCPIdle and UDPIdle are after how long without a packet a connection or socket is ended. Defaults 2 h, which is when
	// keep-alives begin, and 1 min.
	TCPIdle, UDPIdle time.Duration
	// MaxFragmented is how many datagrams may wait for their fragments. Default 1,024; each at most 30 s.
	MaxFragmented int
}

func (c Config) withDefaults() Config {
	c.FirstConn = cmp.Or(c.FirstConn, 1)
	c.MaxFlows = cmp.Or(c.MaxFlows, 1<<17)
	c.MaxHeld = cmp.Or(c.MaxHeld, 64<<20)
	c.MaxFlowHeld = cmp.Or(c.MaxFlowHeld, 4<<20)
	c.AckedWait = cmp.Or(c.AckedWait, 50*time.Millisecond)
	c.ReorderWait = cmp.Or(c.ReorderWait, 10*time.Second)
	c.ConnectWait = cmp.Or(c.ConnectWait, 75*time.Second)
	c.TCPIdle = cmp.Or(c.TCPIdle, 2*time.Hour)
	c.UDPIdle = cmp.Or(c.UDPIdle, time.Minute)
	c.MaxFragmented = cmp.Or(c.MaxFragmented, 1024)
	return c
}

// Assembler turns packets into events. All methods but Counters are called from one goroutine.
type Assembler struct {
	cfg  Config
	emit func(event.Event)

	flows   map[flowKey]*flow
	opening flowList // by SYN, the latest first
	open    flowList // by last packet, the latest first
	ended   flowList // by end, the latest first: stragglers of a closed connection are no new one
	waiting []*flow  // with held pieces; may name one that has none any more
	sockets map[socketKey]*socket
	recent  socketList // by last datagram, the latest first

	fragments fragments
	lastConn  event.ConnID
	held      int   // bytes that wait
	started   int64 // time of the first packet, Unix nanoseconds
	now       int64 // the latest time seen
	evicted   bool  // connections were forgotten that may still be there

	layers struct {
		eth  layers.Ethernet
		vlan layers.Dot1Q
		sll  layers.LinuxSLL
		loop layers.Loopback
		ip4  layers.IPv4
		tcp  layers.TCP
		udp  layers.UDP
	}
	dg  datagram      // of the packet at hand
	seg event.Segment // handed to emit
	dup duplicates

	freeFlows  *flow
	freePieces *piece
	nFree      int

	count     Counters
	mu        sync.Mutex // guards published
	published Counters
}

// New makes an Assembler that hands events to emit, which must not keep them nor what they point to.
func New(cfg Config, emit func(event.Event)) *Assembler {
	a := &Assembler{
		cfg: cfg.withDefaults(), emit: emit,
		flows: map[flowKey]*flow{}, sockets: map[socketKey]*socket{},
	}
	a.lastConn = a.cfg.FirstConn - 1
	a.dup.init()
	a.fragments.init()
	return a
}

// Packet takes one packet and emits what it makes known. Nothing of p is kept.
func (a *Assembler) Packet(p *Packet) {
	at := p.Time.UnixNano()
	if a.count.Packets == 0 {
		a.started, a.now = at, at
	}
	a.now = max(a.now, at)
	a.count.Packets++
	a.count.Bytes += uint64(max(p.Length, len(p.Data)))
	if a.cfg.PerEnd && p.Direction == DirectionUnknown {
		a.count.Undirected++
		return
	}
	a.dg = datagram{at: at, netns: p.NetNS, task: p.Task}
	if a.cfg.PerEnd {
		a.dg.way = p.Direction
	}
	a.link(p.Link, p.Data, max(p.Length, len(p.Data)))
}

// Tick gives up on what has been missing for too long and ends what has been idle. It is called with the time of day, or in
// replay with that of the packets, about every 50 ms.
func (a *Assembler) Tick(now time.Time) {
	a.now = max(a.now, now.UnixNano())
	a.releaseWaiting()
	a.expireFlows()
	a.expireSockets()
	a.fragments.expire(a, a.now)
	a.publish()
}

// Flush gives up on all that is missing, so that nothing is held back any more, and tells the totals of every connection. None
// is closed: that a capture ends says nothing of its connections.
func (a *Assembler) Flush(now time.Time) {
	a.now = max(a.now, now.UnixNano())
	for _, f := range a.waiting {
		a.giveUp(f)
		a.settle(f)
		f.waiting = false
	}
	clear(a.waiting)
	a.waiting = a.waiting[:0]
	a.fragments.drop(a)
	for f := a.open.tail; f != nil; f = f.newer {
		if f.announced {
			st := f.stats(a.cfg.PerEnd)
			st.Time = time.Unix(0, a.now)
			a.emit(&st)
		}
	}
	a.publish()
}
