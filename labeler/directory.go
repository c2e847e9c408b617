package labeler

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler/process"
)

// Directory knows who listens on which address of this host, and which addresses are this host's, by network namespace.
//
// Listeners are kept as spans of time, for a while after their end too, so that a connection is given to the process that
// listened when it was made, whoever has the port now. All methods may be called from any goroutine.
type Directory struct {
	limit int           // spans at most
	keep  time.Duration // how long an ended span is kept

	mu        sync.RWMutex
	spans     map[endpoint][]span // oldest first
	listeners map[uint32][]endpoint
	local     map[uint32]map[netip.Addr]bool
	holders   map[netip.Addr][]uint32 // namespaces that have the address, loopback left out
	count     int
	dropped   uint64
}

// endpoint is where something listens. A wildcard is 0.0.0.0 or ::.
type endpoint struct {
	addr  netip.Addr
	port  uint16
	netns uint32
}

// span is one listener's time. Times are Unix nanoseconds; to is 0 while it lasts.
type span struct {
	task     event.Task
	from, to int64
	// server is who was seen accepting there, when it is not the task that listened; the zero Task otherwise.
	server event.Task
}

func (s *span) covers(at int64) bool { return s.from <= at && (s.to == 0 || at < s.to) }

// maxSharing is how many listeners of one endpoint (SO_REUSEPORT) are told apart.
const maxSharing = 32

// NewDirectory makes a directory of at most limit listeners, of which ended ones are kept as long as keep says.
func NewDirectory(limit int, keep time.Duration) *Directory {
	return &Directory{
		limit: limit, keep: keep,
		spans:     make(map[endpoint][]span),
		listeners: make(map[uint32][]endpoint),
		local:     make(map[uint32]map[netip.Addr]bool),
		holders:   make(map[netip.Addr][]uint32),
	}
}

func endpointOf(a netip.AddrPort, netns uint32) endpoint {
	return endpoint{a.Addr().Unmap().WithZone(""), a.Port(), netns}
}

// Listening takes in that a listener was opened or closed. An open one may be told again, to give its queue.
func (d *Directory) Listening(e *event.Listening) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := endpointOf(e.Local, e.NetNS)
	if e.Open {
		d.open(key, e.Task, e.Time.UnixNano())
	} else {
		d.close(key, e.Task, e.Time.UnixNano())
	}
}

func (d *Directory) open(key endpoint, task event.Task, at int64) {
	list := d.spans[key]
	for i := range list {
		if s := &list[i]; s.to == 0 && (sameTask(s.task, task) || task.PID == 0) {
			return
		} else if s.to == 0 && s.task.PID == 0 {
			s.task = task // now it is known who
			d.listeners[task.PID] = append(d.listeners[task.PID], key)
			return
		}
	}
	if d.count >= d.limit {
		d.expire(at, nil)
		list = d.spans[key]
	}
	if d.count >= d.limit || len(list) >= maxSharing && !dropOldest(&list, &d.count) {
		d.dropped++
		return
	}
	d.spans[key] = append(list, span{task: task, from: at})
	d.count++
	if task.PID != 0 {
		d.listeners[task.PID] = append(d.listeners[task.PID], key)
	}
}

// dropOldest makes room by the first span that has ended.
func dropOldest(list *[]span, count *int) bool {
	i := slices.IndexFunc(*list, func(s span) bool { return s.to != 0 })
	if i < 0 {
		return false
	}
	*list = slices.Delete(*list, i, i+1)
	*count--
	return true
}

func (d *Directory) close(key endpoint, task event.Task, at int64) {
	list, found := d.spans[key], -1
	for i := range list {
		if list[i].to != 0 {
			continue
		}
		if found = i; sameTask(list[i].task, task) {
			break
		}
	}
	if found < 0 {
		return
	}
	s := &list[found]
	s.to = max(at, s.from+1)
	d.unlist(s.task.PID, key)
}

func (d *Directory) unlist(pid uint32, key endpoint) {
	list := d.listeners[pid]
	if i := slices.Index(list, key); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if len(list) == 0 {
		delete(d.listeners, pid)
		return
	}
	d.listeners[pid] = list
}

// sameTask compares processes; a start time of 0 is any.
func sameTask(a, b event.Task) bool {
	return a.PID == b.PID && (a.Start == 0 || b.Start == 0 || process.SameStart(a.Start, b.Start))
}

// Handover says that heir now stands for the listeners of a task that has ended, since they live on with it.
func (d *Directory) Handover(task, heir event.Task) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, key := range slices.Clone(d.listeners[task.PID]) {
		list := d.spans[key]
		for i := range list {
			if list[i].to == 0 && sameTask(list[i].task, task) {
				list[i].task = heir
				d.unlist(task.PID, key)
				d.listeners[heir.PID] = append(d.listeners[heir.PID], key)
				break
			}
		}
	}
}

// Served says that task accepted a connection whose own end is local. It matters when another program opened the listener:
// systemd's socket activation, a descriptor passed on, a listener inherited over an exec, or one that nobody told of. same
// tells whether a listener's task runs the same program as task; it is called under the directory's lock.
func (d *Directory) Served(local netip.AddrPort, netns uint32, task event.Task, at time.Time, same func(event.Task) bool) {
	key := endpointOf(local, netns)
	d.mu.RLock()
	known := d.has(key.addr, netns) && d.serves(key, at.UnixNano(), same)
	d.mu.RUnlock()
	if known {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.learn(key.addr, netns)
	if d.serves(key, at.UnixNano(), same) {
		return
	}
	if s := d.pick(key, at.UnixNano(), covering); s != nil {
		s.server = task
		return
	}
	d.open(key, task, at.UnixNano())
}

// serves tells whether one of the listeners that may have taken a connection is the same program's.
func (d *Directory) serves(key endpoint, at int64, same func(event.Task) bool) bool {
	return d.pick(key, at, func(list []span, at int64) *span {
		for i := range list {
			s := &list[i]
			if s.covers(at) && (s.server.PID != 0 && same(s.server) || s.server.PID == 0 && same(s.task)) {
				return s
			}
		}
		return nil
	}) != nil
}

// Lookup finds who listened on a at a time, as seen from a network namespace: give it the time at which the connection was
// made. An exact address goes before a wildcard, a wildcard of the same family before IPv6's, which may take IPv4 too; of
// several that share the address, the one that came first. With nobody at that very time it takes the one that was there
// just before, else just after: connections outlive their listener, and a listener may be told of late.
//
// ok with a zero Task: something listens, it is not known who.
func (d *Directory) Lookup(a netip.AddrPort, netns uint32, at time.Time) (task event.Task, ok bool) {
	key := endpointOf(a, netns)
	d.mu.RLock()
	defer d.mu.RUnlock()
	s := d.seek(key, at.UnixNano())
	if s == nil {
		for _, other := range d.holders[key.addr] {
			if other == netns {
				continue
			}
			key.netns = other
			found := d.seek(key, at.UnixNano())
			if found != nil && s != nil {
				return event.Task{}, false // two namespaces have the address: better none than the wrong one
			}
			if found != nil {
				s = found
			}
		}
	}
	switch {
	case s == nil:
		return event.Task{}, false
	case s.server.PID != 0:
		return s.server, true
	default:
		return s.task, true
	}
}

// choice takes one of an endpoint's spans, nil for none.
type choice func(list []span, at int64) *span

// seek is Lookup within a namespace.
func (d *Directory) seek(key endpoint, at int64) *span {
	for _, choose := range []choice{covering, before, after} {
		if s := d.pick(key, at, choose); s != nil {
			return s
		}
	}
	return nil
}

// covering is the listener that came first of those there at the time.
func covering(list []span, at int64) *span {
	for i := range list {
		if list[i].covers(at) {
			return &list[i]
		}
	}
	return nil
}

// before is the listener that ended last before the time.
func before(list []span, at int64) (latest *span) {
	for i := range list {
		if s := &list[i]; s.to != 0 && s.to <= at && (latest == nil || s.to > latest.to) {
			latest = s
		}
	}
	return latest
}

// after is the listener that came first after the time.
func after(list []span, at int64) (earliest *span) {
	for i := range list {
		if s := &list[i]; s.from > at && (earliest == nil || s.from < earliest.from) {
			earliest = s
		}
	}
	return earliest
}

// pick chooses among the spans of the exact address, then of the wildcards that take it.
func (d *Directory) pick(key endpoint, at int64, choose choice) *span {
	if s := choose(d.spans[key], at); s != nil {
		return s
	}
	if !d.has(key.addr, key.netns) {
		return nil
	}
	if key.addr.Is4() {
		key.addr = netip.IPv4Unspecified()
		if s := choose(d.spans[key], at); s != nil {
			return s
		}
	}
	key.addr = netip.IPv6Unspecified()
	return choose(d.spans[key], at)
}

// opener is who opened the listener that is there now.
func (d *Directory) opener(a netip.AddrPort, netns uint32) (event.Task, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, s := range d.spans[endpointOf(a, netns)] {
		if s.to == 0 {
			return s.task, true
		}
	}
	return event.Task{}, false
}

// Ports are the TCP ports that the task itself opened and has open, sorted.
func (d *Directory) Ports(task event.Task) (ports []uint16) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, key := range d.listeners[task.PID] {
		for i := range d.spans[key] {
			if s := &d.spans[key][i]; s.to == 0 && sameTask(s.task, task) {
				ports = append(ports, key.port)
				break
			}
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// Expire forgets spans that ended longer ago than the directory keeps them, and open ones whose task is not known any more.
func (d *Directory) Expire(now time.Time, known func(event.Task) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire(now.UnixNano(), known)
}

func (d *Directory) expire(now int64, known func(event.Task) bool) {
	limit := now - d.keep.Nanoseconds()
	d.count = 0
	for key, list := range d.spans {
		list = slices.DeleteFunc(list, func(s span) bool {
			if s.to != 0 {
				return s.to < limit
			}
			if known == nil || s.task.PID == 0 || known(s.task) || s.server.PID != 0 && known(s.server) {
				return false
			}
			d.unlist(s.task.PID, key)
			return true
		})
		for i := range list {
			if s := &list[i]; s.server.PID != 0 && known != nil && !known(s.server) {
				s.server = event.Task{}
			}
		}
		d.count += len(list)
		if len(list) == 0 {
			delete(d.spans, key)
		} else {
			d.spans[key] = list
		}
	}
}

// Len is the number of listeners kept, dropped how many found no room.
func (d *Directory) Len() (n int, dropped uint64) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.count, d.dropped
}
