package topology

import (
	"net/netip"
	"sync"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/protocol"
)

// datagrams are the datagram sockets of this host by their own address. Unlike the two ends of a connection they have no one
// other end, and the peers of one may belong to any shard.
type datagrams struct {
	mu   sync.RWMutex
	ends map[datagramKey]datagramEnd
}

// datagramKey is an address within a network namespace; namespace 0 is as it looks from another.
type datagramKey struct {
	addr  netip.AddrPort
	netns uint32
}

type datagramEnd struct {
	conn event.ConnID
	task event.Task
}

// set notes who has the socket c.
func (d *datagrams) set(c *conn) {
	end := datagramEnd{c.id, c.task}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ends == nil {
		d.ends = map[datagramKey]datagramEnd{}
	}
	d.ends[datagramKey{c.flow.Local, c.flow.NetNS}] = end
	if k, ok := seenFromAfar(c.flow.Local, c.flow.NetNS); ok {
		d.ends[k] = end
	}
}

// remove forgets the socket c, unless its address is another's by now.
func (d *datagrams) remove(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := datagramKey{c.flow.Local, c.flow.NetNS}
	if d.ends[k].conn == c.id {
		delete(d.ends, k)
	}
	if k, ok := seenFromAfar(c.flow.Local, c.flow.NetNS); ok && d.ends[k].conn == c.id {
		delete(d.ends, k)
	}
}

// find is who has the socket at addr, as seen from a network namespace: one that is bound to it, or to its port on any address.
func (d *datagrams) find(addr netip.AddrPort, netns uint32) (event.Task, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, a := range [...]netip.Addr{addr.Addr(), netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		if end, ok := d.ends[datagramKey{netip.AddrPortFrom(a, addr.Port()), netns}]; ok {
			return end.task, true
		}
	}
	if k, ok := seenFromAfar(addr, netns); ok {
		if end, ok := d.ends[k]; ok {
			return end.task, true
		}
	}
	return event.Task{}, false
}

// seenFromAfar is the key of an address that other network namespaces can reach.
func seenFromAfar(addr netip.AddrPort, netns uint32) (datagramKey, bool) {
	a := addr.Addr()
	return datagramKey{addr, 0}, netns != 0 && a.IsValid() && !a.IsLoopback() && !a.IsUnspecified()
}

// peer is who the other end of an exchange over datagrams is, and whether it is watched.
func (s *Shard) peer(c *conn, x *protocol.Exchange) (*labeler.Resource, bool) {
	addr := x.Peer
	if !addr.IsValid() {
		addr = c.flow.Remote
	}
	t, captured := s.t.datagrams.find(addr, c.flow.NetNS)
	if captured && t.PID == 0 {
		return s.unknown, true // its own exchange counts, under the same name
	}
	if captured {
		if r := s.t.resolver.Process(t); known(r) {
			return r, s.isWatched(t)
		}
	}
	if r, watched := s.t.resolver.Address(addr, c.flow.NetNS, x.Start()); r != nil {
		return r, watched
	}
	return s.unknown, false
}

// ends is who is at c's own and at its other end at the time of x, and whether the other is watched.
func (s *Shard) ends(c *conn, x *protocol.Exchange, at time.Time) (local, remote *labeler.Resource, watched bool) {
	local = s.local(c, x.Task, at)
	if x.Task.PID != 0 && x.Task != c.task {
		c.task = x.Task
		if c.datagram {
			s.t.datagrams.set(c)
		}
	}
	if c.datagram {
		remote, watched = s.peer(c, x)
	} else {
		remote, watched = s.remote(c, at)
	}
	return local, remote, watched
}

// Resolution is what a program waited for when it asked for a name: one DNS lookup, or those of a walk through a search list.
type Resolution struct {
	Task event.Task
	// Name is the name as the program gave it, Type and Code are the question's type and the last answer's response code, by
	// their IANA names. Code is "" and Error "unanswered" when there was no answer; Error is "" for success.
	Name, Type, Code, Error string
	Start, End              time.Time
}

// Resolved counts r at the program that asked. A program that is not known has no one to count it for.
func (s *Shard) Resolved(r *Resolution) {
	local := s.processAt(r.Task, r.End)
	if !known(local) || local.Self {
		return
	}
	k := operationRefKey{resource: local, metric: DNSResolution}
	for i, f := range schemaOf(DNSResolution) {
		switch f.key {
		case protocol.DNSQuestionType:
			k.values[i] = r.Type
		case protocol.DNSResponseCode:
			k.values[i] = r.Code
		case protocol.DNSQuestionName:
			k.values[i] = r.Name
		default:
			k.values[i] = r.Error
		}
	}
	s.observe(&k, max(r.End.Sub(r.Start), 0), r.End)
}
