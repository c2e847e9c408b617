package labeler

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// externalIdle is how long an address that nobody talks to keeps its name.
const externalIdle = time.Hour

// externals names addresses that nobody of ours holds: those of private networks by their IP, which an operator knows, as
// many as the bound allows; the world's are all "external", for its clients have no end.
type externals struct {
	limit int
	other *Resource

	mu       sync.RWMutex
	byAddr   map[netip.Addr]*external
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
	e.mu.RLock()
	x := e.byAddr[a]
	e.mu.RUnlock()
	seconds := now().Unix()
	if x == nil {
		if x = e.add(a); x == nil {
			e.overflow.Add(1)
			return e.other
		}
	}
	if x.last.Load() != seconds {
		x.last.Store(seconds)
	}
	return &x.resource
}

func (e *externals) add(a netip.Addr) *external {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.byAddr[a]; x != nil {
		return x
	}
	if len(e.byAddr) >= e.limit {
		return nil
	}
	name := a.String()
	x := &external{resource: Resource{Name: name, InstanceID: name, Kind: KindExternal}}
	e.byAddr[a] = x
	return x
}

// expire forgets the addresses that nobody has talked to for an hour.
func (e *externals) expire(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	limit := now.Add(-externalIdle).Unix()
	for a, x := range e.byAddr {
		if last := x.last.Load(); last != 0 && last < limit {
			delete(e.byAddr, a)
		}
	}
}

func (e *externals) len() int {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return len(e.byAddr)
}
