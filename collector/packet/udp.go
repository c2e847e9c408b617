package packet

import (
	"net/netip"
	"slices"
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// socketKey names a UDP socket.
type socketKey struct {
	addr  [16]byte
	port  uint32
	netns uint32
}

// socket is a local end of UDP.
type socket struct {
	key  socketKey
	id   event.ConnID
	seq  uint64
	last int64

	older, newer *socket
}

// socketList is a list of sockets by time; the head is the latest.
type socketList struct{ head, tail *socket }

func (l *socketList) push(s *socket) {
	s.newer, s.older = nil, l.head
	if l.head != nil {
		l.head.newer = s
	} else {
		l.tail = s
	}
	l.head = s
}

func (l *socketList) remove(s *socket) {
	if s.newer != nil {
		s.newer.older = s.older
	} else {
		l.head = s.older
	}
	if s.older != nil {
		s.older.newer = s.newer
	} else {
		l.tail = s.newer
	}
	s.newer, s.older = nil, nil
}

// udp hands the datagram at hand to its socket.
func (a *Assembler) udp() {
	d := &a.dg
	if !a.wanted(d.sport) && !a.wanted(d.dport) {
		a.count.Filtered++
		return
	}
	if a.dup.seen(d) {
		a.count.Duplicates++
		return
	}
	s, dir := a.socket()
	if s == nil {
		a.count.NotLocal++
		return
	}
	if a.recent.head != s {
		a.recent.remove(s)
		a.recent.push(s)
	}
	s.last = max(s.last, d.at)
	peer := endpoint(d.dst, d.dport)
	if dir == event.Received {
		peer = endpoint(d.src, d.sport)
	}
	a.count.Datagrams++
	e := &a.seg
	*e = event.Segment{
		Conn: s.id, Source: event.SourcePacket, Dir: dir, Seq: s.seq, Datagram: true, Peer: peer, Task: d.task,
		Data: d.data, Size: d.size, Time: time.Unix(0, d.at),
	}
	s.seq++
	a.emit(e)
	e.Data = nil
}

func (a *Assembler) wanted(port uint16) bool {
	return len(a.cfg.UDPPorts) == 0 || slices.Contains(a.cfg.UDPPorts, port)
}

// socket finds or makes the socket that the datagram at hand belongs to; nil when its address is not local. In a file either
// end may be it: the one that is known already, else the client, which is the one whose port nobody asked for, or the higher
// one, or the sender.
func (a *Assembler) socket() (*socket, event.Dir) {
	d := &a.dg
	src, dst := socketKey{d.src, uint32(d.sport), d.netns}, socketKey{d.dst, uint32(d.dport), d.netns}
	key, dir := src, event.Sent
	if a.cfg.PerEnd {
		if d.way == Incoming {
			key, dir = dst, event.Received
		}
		if !a.isLocal(&key.addr) {
			return nil, dir
		}
	} else if a.sockets[src] == nil && (a.sockets[dst] != nil || a.isClient(&dst, &src)) {
		key, dir = dst, event.Received
	}
	s := a.sockets[key]
	if s == nil {
		s = a.newSocket(key)
		a.announceSocket(s, dir)
	}
	return s, dir
}

// isClient says that, of the two ends of a datagram, the receiver is the client.
func (a *Assembler) isClient(receiver, sender *socketKey) bool {
	if netip.AddrFrom16(receiver.addr).Unmap().IsMulticast() {
		return false
	}
	if len(a.cfg.UDPPorts) > 0 {
		s, r := a.wanted(uint16(sender.port)), a.wanted(uint16(receiver.port))
		if s != r {
			return s
		}
	}
	return receiver.port > sender.port
}

func (a *Assembler) newSocket(key socketKey) *socket {
	for len(a.sockets) >= a.cfg.MaxFlows {
		a.count.Evicted++
		a.closeSocket(a.recent.tail)
	}
	a.lastConn++
	s := &socket{key: key, id: a.lastConn, last: a.dg.at}
	a.sockets[key] = s
	a.recent.push(s)
	return s
}

// announceSocket emits Opened. The role is known where one of the two ports is a server's.
func (a *Assembler) announceSocket(s *socket, dir event.Dir) {
	d := &a.dg
	local, remote := d.sport, d.dport
	if dir == event.Received {
		local, remote = remote, local
	}
	o := &event.Opened{
		Conn: s.id, Datagram: true, Owner: d.task, Time: time.Unix(0, d.at),
		Flow: event.Flow{Local: endpoint(s.key.addr, local), NetNS: s.key.netns},
	}
	if len(a.cfg.UDPPorts) > 0 && a.wanted(local) != a.wanted(remote) {
		o.Role = event.RoleClient
		if a.wanted(local) {
			o.Role = event.RoleServer
		}
	}
	a.emit(o)
}

// expireSockets ends the sockets that have been idle for too long.
func (a *Assembler) expireSockets() {
	for s := a.recent.tail; s != nil && a.now-s.last >= int64(a.cfg.UDPIdle); s = a.recent.tail {
		a.closeSocket(s)
	}
}

func (a *Assembler) closeSocket(s *socket) {
	a.recent.remove(s)
	delete(a.sockets, s.key)
	a.emit(&event.Closed{Conn: s.id, Seq: s.seq, Reason: event.CloseNormal, Time: time.Unix(0, s.last)})
}

// isLocal says whether an address belongs to the network namespace of the packet at hand.
func (a *Assembler) isLocal(addr *[16]byte) bool {
	return a.cfg.Local == nil || !a.cfg.PerEnd || a.cfg.Local(a.dg.netns, netip.AddrFrom16(*addr).Unmap())
}
