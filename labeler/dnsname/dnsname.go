// Package dnsname remembers by which name an address was looked up, so that an address that nobody of ours holds can be shown by
// its name.
//
// It learns from the answers that resolvers get, and knows of an address the name that was asked for, whatever aliases led to it:
// the newest, or rather the newest that the same process asked for. What it knows is bounded, in addresses, in names of an
// address and in distinct names; where names under one domain have no end (buckets, random hosts) they are shown as one, "*." and
// the domain. It imports the standard library alone.
package dnsname

import (
	"cmp"
	"net/netip"
	"sync"
	"time"
)

// Config bounds a Table. Zero values stand for the defaults.
type Config struct {
	// MaxAddresses is how many addresses are known, each in its network namespace; past it the one learnt longest ago of a sample
	// is forgotten. Default 65,536.
	MaxAddresses int
	// MaxNames is how many names, and domains that they are in, are kept; past it further names are not learnt. Default 16,384.
	MaxNames int
	// MaxSiblings is how many names right below one domain are shown each by itself; with one more, all of them are shown as
	// "*." and the domain, and so is what is further below. Default 100.
	MaxSiblings int
	// Floor is for how long an address is known by its name at the least, however short the answer's own time: programs keep
	// addresses for longer than they may. Default 10 minutes.
	Floor time.Duration
	// Keep is for how long at the most after the last answer. An address that is asked for within its time is known for another
	// Floor, but not beyond Keep: servers that resolve a name once, at their start, go on to connect. Default 24 hours.
	Keep time.Duration
	// Linger is for how long a name that is not in use counts among its siblings. Default 1 hour.
	Linger time.Duration
}

func (c Config) withDefaults() Config {
	c.MaxAddresses = cmp.Or(c.MaxAddresses, 1<<16)
	c.MaxNames = cmp.Or(c.MaxNames, 1<<14)
	c.MaxSiblings = cmp.Or(c.MaxSiblings, 100)
	c.Floor = cmp.Or(c.Floor, 10*time.Minute)
	c.Keep = cmp.Or(c.Keep, 24*time.Hour)
	c.Linger = cmp.Or(c.Linger, time.Hour)
	return c
}

// Table is what is known. All methods may be called from any goroutine.
type Table struct {
	cfg Config

	mu        sync.RWMutex
	addresses map[key]*address
	names     map[string]*name
	folded    int
	evicted   uint64
	refused   uint64
}

// key is an address as a network namespace has it. Private addresses are used over and over.
type key struct {
	addr  netip.Addr
	netns uint32
}

// namesPerAddress is by how many names, each with who asked for it, an address is known. Where sites share an address (a CDN,
// a load balancer) the process tells them apart.
const namesPerAddress = 4

type address [namesPerAddress]lookup

// New makes a Table.
func New(c Config) *Table {
	return &Table{cfg: c.withDefaults(), addresses: map[key]*address{}, names: map[string]*name{}}
}

// Answer is what a resolver was told. The bytes belong to the caller.
type Answer struct {
	// NetNS is the network namespace of the one who asked, 0 when not known; PID its process, 0 when not known.
	NetNS, PID uint32
	// Name is the question's, in lower case and without the dot at its end.
	Name []byte
	// Addresses are comma-separated, TTL in seconds in decimal, as an exchange's attributes "dns.answers" and "dns.answers.ttl"
	// have them. Without a TTL it is 0.
	Addresses, TTL []byte
	// At is when the answer was received.
	At time.Time
	// Said is set when nobody asked: a client called the server that it had connected to by that name (TLS's SNI), At being when it
	// connected. That names an address only as long as it is not known by a name that somebody asked for.
	Said bool
}

// Learn takes in an answer. What is no address is passed over, and so are loopback, multicast and the unspecified address: with
// these, filters answer for names that they block. A name that is not a host's is not learnt, nor localhost, which is everywhere.
func (t *Table) Learn(a *Answer) {
	if !isHost(a.Name) || isLocal(a.Name) {
		return
	}
	at := a.At.UnixNano()
	until := at + int64(min(max(parseTTL(a.TTL), t.cfg.Floor), t.cfg.Keep))
	for rest := a.Addresses; len(rest) > 0; {
		var addr netip.Addr
		if addr, rest = nextAddr(rest); usable(addr) {
			t.learn(key{addr.Unmap(), a.NetNS}, a, at, until)
		}
	}
}

func usable(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() && a.Zone() == ""
}

func (t *Table) learn(k key, a *Answer, at, until int64) {
	t.mu.RLock()
	known := a.Said && t.addresses[k].askedFor(at) || t.refresh(k, a, at, until)
	t.mu.RUnlock()
	if known {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.Said && t.addresses[k].askedFor(at) || t.refresh(k, a, at, until) {
		return
	}
	x := t.addresses[k]
	if a.Said && t.crowded(a, x) {
		t.refused++
		return
	}
	n := t.nameOf(a.Name, at)
	if n == nil {
		t.refused++
		return
	}
	if x == nil {
		if len(t.addresses) >= t.cfg.MaxAddresses {
			t.evict()
		}
		x = &address{}
		t.addresses[k] = x
	}
	x.set(n, a, at, until)
}

// crowded says whether there is no room for what was only said: it has half of the table, so that a program which calls whomever it
// meets by some name does not take the room of names that somebody asked for.
func (t *Table) crowded(a *Answer, x *address) bool {
	return x == nil && 2*len(t.addresses) >= t.cfg.MaxAddresses || 2*len(t.names) >= t.cfg.MaxNames && t.find(a.Name) == nil
}

// askedFor says whether an address, nil for one that is not known, is known at a time by a name that somebody asked for.
func (x *address) askedFor(at int64) bool {
	if x == nil {
		return false
	}
	for i := range x {
		if l := &x[i]; l.name != nil && l.asked.Load() && l.until.Load() >= at {
			return true
		}
	}
	return false
}

// refresh moves the times on of an answer that is known. It needs the lock for reading.
func (t *Table) refresh(k key, a *Answer, at, until int64) bool {
	x := t.addresses[k]
	if x == nil {
		return false
	}
	n := t.find(a.Name)
	if n == nil {
		return false
	}
	for i := range x {
		if l := &x[i]; l.name == n && l.pid == a.PID {
			l.again(at, until)
			raise(&n.seen, at)
			if !a.Said {
				l.asked.Store(true)
			}
			return true
		}
	}
	return false
}

// set notes a name, in place of the one that was learnt first when there is no room.
func (x *address) set(n *name, a *Answer, at, until int64) {
	free := &x[0]
	for i := range x {
		l := &x[i]
		if l.name == nil {
			free = l
			break
		}
		if l.learnt.Load() < free.learnt.Load() {
			free = l
		}
	}
	if free.name != nil {
		free.name.uses--
	}
	n.uses++
	free.name, free.pid = n, a.PID
	free.asked.Store(!a.Said)
	free.since.Store(at)
	free.learnt.Store(at)
	free.until.Store(until)
}

// latest is when an address was learnt last.
func (x *address) latest() (at int64) {
	for i := range x {
		if x[i].name != nil {
			at = max(at, x[i].learnt.Load())
		}
	}
	return at
}

// evict forgets the address that was learnt longest ago of a few; the map's random order makes the sample.
func (t *Table) evict() {
	const sample = 8
	var oldest key
	var least int64
	n := 0
	for k, x := range t.addresses {
		if at := x.latest(); n == 0 || at < least {
			oldest, least = k, at
		}
		if n++; n == sample {
			break
		}
	}
	t.drop(oldest)
	t.evicted++
}

func (t *Table) drop(k key) {
	x := t.addresses[k]
	for i := range x {
		if n := x[i].name; n != nil {
			n.uses--
		}
	}
	delete(t.addresses, k)
}

// Name is how to show an address that a process (0: not known) of a network namespace (0: not known) connected to at a time:
// the newest name that this process had looked it up by, else the newest that anybody there had. A connection that is older than
// all that is known gets the first name that was learnt after it.
func (t *Table) Name(a netip.Addr, netns, pid uint32, at time.Time) (string, bool) {
	now := at.UnixNano()
	t.mu.RLock()
	defer t.mu.RUnlock()
	x := t.addresses[key{a.Unmap().WithZone(""), netns}]
	if x == nil {
		return "", false
	}
	l := x.choose(pid, now)
	if l == nil {
		return "", false
	}
	if until := now + int64(t.cfg.Floor); until > l.until.Load() && now >= l.learnt.Load() {
		raise(&l.until, min(until, l.learnt.Load()+int64(t.cfg.Keep)))
	}
	return l.name.shown(), true
}

// choose finds the name for a connection made at a time.
func (x *address) choose(pid uint32, at int64) *lookup {
	var newest, own, first *lookup
	older := false // something was known then
	for i := range x {
		l := &x[i]
		if l.name == nil {
			break
		}
		learnt := l.by(at)
		switch {
		case learnt > at:
			if first == nil || learnt < first.since.Load() {
				first = l
			}
			continue
		case l.until.Load() < at:
			older = true
			continue
		}
		if newest == nil || learnt >= newest.by(at) {
			newest = l
		}
		if pid != 0 && l.pid == pid && (own == nil || learnt >= own.by(at)) {
			own = l
		}
	}
	switch {
	case own != nil:
		return own
	case newest != nil:
		return newest
	case older:
		return nil
	default:
		return first
	}
}

// Expire forgets what has not been known for long enough. It is to be called about once a minute, with the time of day or in
// replay that of the events.
func (t *Table) Expire(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := now.UnixNano()
	for k, x := range t.addresses {
		live := 0
		for i := range x {
			l := &x[i]
			switch {
			case l.name == nil:
			case l.until.Load() < at:
				l.name.uses--
				l.name = nil
			default:
				x.move(live, i)
				live++
			}
		}
		if live == 0 {
			delete(t.addresses, k)
		}
	}
	t.expireNames(at - int64(t.cfg.Linger))
}

// move puts the lookup at from in the place of the one at to, which is free or the same: free places come last.
func (x *address) move(to, from int) {
	if to == from {
		return
	}
	a, b := &x[to], &x[from]
	a.name, a.pid = b.name, b.pid
	a.asked.Store(b.asked.Load())
	a.since.Store(b.since.Load())
	a.learnt.Store(b.learnt.Load())
	a.until.Store(b.until.Load())
	b.name = nil
}

// Stats count what a Table holds, and what it could not hold.
type Stats struct {
	// Addresses and Names (with the domains that they are in) are known now; Folded of the domains stand for what is below them.
	Addresses, Names, Folded int
	// Evicted addresses were forgotten, and Refused ones not learnt, for want of room.
	Evicted, Refused uint64
}

// Stats tells how full the table is.
func (t *Table) Stats() Stats {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return Stats{Addresses: len(t.addresses), Names: len(t.names), Folded: t.folded, Evicted: t.evicted, Refused: t.refused}
}
