package mongodb

import "sync/atomic"

// cursors remember which open cursors wait for documents (tailable ones, change streams), and which do not. A driver reads a cursor on
// whichever connection is free, so they are of all connections. What they hold is bounded: a cursor takes the place of an older one.
type cursors struct {
	slots [4096]atomic.Uint64 // a key, and the lowest bit for waiting
}

// cursorKey stands for a cursor's ID in 56 bits; 0 for no cursor.
func cursorKey(id int64) uint64 {
	if id == 0 {
		return 0
	}
	return max(1, uint64(id)*0x9e3779b97f4a7c15>>8)
}

// add notes a cursor that is open.
func (c *cursors) add(key uint64, waits bool) {
	if key == 0 {
		return
	}
	v := key << 1
	if waits {
		v |= 1
	}
	if slot := &c.slots[key%uint64(len(c.slots))]; slot.Load() != v {
		slot.Store(v)
	}
}

// waits reports whether a cursor waits; known is false when it was not seen to be opened, or too long ago.
func (c *cursors) waits(key uint64) (waits, known bool) {
	v := c.slots[key%uint64(len(c.slots))].Load()
	known = key != 0 && v>>1 == key // else the place is another one's
	return known && v&1 != 0, known
}
