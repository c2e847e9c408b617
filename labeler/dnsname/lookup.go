package dnsname

import "sync/atomic"

// lookup is a name that an address was found by. Who holds the table's lock for reading may change its times alone.
type lookup struct {
	name   *name // nil: free
	pid    uint32
	asked  atomic.Bool  // else it is only what a client called its server
	since  atomic.Int64 // when it was learnt first without having been forgotten since, ns since 1970
	learnt atomic.Int64 // when it was learnt last
	until  atomic.Int64
}

// by is when the name was learnt, as far as somebody could know at a time. Of several times before it only the first is remembered,
// once it has been learnt again.
func (l *lookup) by(at int64) int64 {
	if learnt := l.learnt.Load(); learnt <= at {
		return learnt
	}
	return l.since.Load()
}

// again notes that the name was learnt once more.
func (l *lookup) again(at, until int64) {
	if since := l.since.Load(); at < since || at > l.until.Load() {
		l.since.Store(at)
	}
	raise(&l.learnt, at)
	raise(&l.until, until)
}

// raise makes v at least to.
func raise(v *atomic.Int64, to int64) {
	for {
		old := v.Load()
		if old >= to || v.CompareAndSwap(old, to) {
			return
		}
	}
}
