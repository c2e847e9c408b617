package labeler

import (
	"maps"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// externalIdle is how long an address that nobody talks to keeps its name.
const externalIdle = time.Hour

// Names knows by which name an address was asked for: what DNS answered. See labeler/dnsname.
type Names interface {
	// Name is the name of addr as a process (0: any) of a network namespace knew it at a time; ok false: nobody asked.
	Name(addr netip.Addr, netns, pid uint32, at time.Time) (name string, ok bool)
}

// externals names addresses that nobody of ours holds: by the name they were asked for; else those of private networks by
// their IP, which an operator knows; as many as the bound allows. The rest of the world is "external", for its clients have no
// end.
type externals struct {
	limit int
	other *Resource

	mu       sync.RWMutex
	byAddr   map[netip.Addr]*external
	byName   map[string]*external
	overflow atomic.Uint64
}

type external struct {
	resource Resource
	last     atomic.Int64 // Unix seconds
}

func (e *externals) init(limit int) {
	e.limit = limit
	e.other = &Resource{Name: "external", InstanceID: "external", Kind: KindExternal}
	e.byAddr = make(map[netip.Addr]*external)
	e.byName = make(map[string]*external)
}

// shared is the address space of carrier-grade NAT (RFC 6598), which clouds use as a private one.
var shared = netip.MustParsePrefix("100.64.0.0/10")

func private(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLinkLocalUnicast() || shared.Contains(a)
}

func (e *externals) name(a netip.Addr, now func() time.Time) *Resource {
	if !private(a) {
		return e.other
	}
	return find(e, e.byAddr, a, netip.Addr.String, now)
}

func (e *externals) named(name string, now func() time.Time) *Resource {
	return find(e, e.byName, name, strings.Clone, now)
}

// find finds or makes the resource of k in one of e's maps; the one for all others when there are too many.
func find[K comparable](e *externals, in map[K]*external, k K, nameOf func(K) string, now func() time.Time) *Resource {
	e.mu.RLock()
	x := in[k]
	e.mu.RUnlock()
	if x == nil {
		if x = add(e, in, k, nameOf(k)); x == nil {
			e.overflow.Add(1)
			return e.other
		}
	}
	if seconds := now().Unix(); x.last.Load() != seconds {
		x.last.Store(seconds)
	}
	return &x.resource
}

func add[K comparable](e *externals, to map[K]*external, k K, name string) *external {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := to[k]; x != nil {
		return x
	}
	if len(e.byAddr)+len(e.byName) >= e.limit {
		return nil
	}
	x := &external{resource: Resource{Name: name, InstanceID: name, Kind: KindExternal}}
	to[k] = x
	return x
}

// expire forgets the addresses that nobody has talked to for an hour.
func (e *externals) expire(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	limit := now.Add(-externalIdle).Unix()
	idle := func(x *external) bool { last := x.last.Load(); return last != 0 && last < limit }
	maps.DeleteFunc(e.byAddr, func(_ netip.Addr, x *external) bool { return idle(x) })
	maps.DeleteFunc(e.byName, func(_ string, x *external) bool { return idle(x) })
}

func (e *externals) len() int {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return len(e.byAddr) + len(e.byName)
}
