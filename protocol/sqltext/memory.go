package sqltext

import (
	"bytes"
	"hash/maphash"
)

// Bounds of a Reader's memory: statements, in how many places one may be, the bytes of their texts, and the longest one.
const (
	memorySlots = 32
	memoryWays  = 4
	memoryBytes = 32 << 10
	keyLimit    = 4 << 10
)

// entry is what is known of one text.
type entry struct {
	key         []byte // the text as it came, or masked
	shown       []byte // as much of it, masked, as may be shown; of a masked key the key itself
	own         []byte // shown's memory where it is none of key's
	collection  []byte
	operation   string
	held        int  // bytes that it counts for
	isNamespace bool // collection is a database
	moves       bool // a later statement changes the database
}

// show keeps what may be shown of masked, of which limit bytes will be. isKey: the key is masked.
func (e *entry) show(masked []byte, limit int, isKey bool) {
	switch masked = masked[:min(len(masked), limit+1)]; { // clip looks at the byte after the last one
	case limit == 0:
		e.shown = nil
	case isKey:
		e.shown = e.key[:len(masked)]
	default:
		e.own = append(e.own[:0], masked...)
		e.shown = e.own
	}
}

// memory keeps the statements that were read of late. A text may be in memoryWays places, which its hash tells and which it shares
// with others; where it is found it is compared in full.
type memory struct {
	seed  maphash.Seed
	slots []*entry // nil where there was none yet
	bytes int
	next  uint // the place that is given to another text next, of those that it may be in
}

// slot is the i-th place of a text of that hash.
func (m *memory) slot(hash uint64, i uint) **entry {
	return &m.slots[(uint(hash)+i%memoryWays)%memorySlots]
}

// find returns what is known of a text, nil when it is not known.
func (m *memory) find(key []byte) *entry {
	if m.slots == nil || len(key) > keyLimit || len(key) == 0 {
		return nil
	}
	hash := maphash.Bytes(m.seed, key)
	for i := range uint(memoryWays) {
		if e := *m.slot(hash, i); e != nil && bytes.Equal(e.key, key) {
			return e
		}
	}
	return nil
}

// take makes room for a text that is not known and returns its place, to be filled in.
func (m *memory) take(key []byte) *entry {
	switch {
	case m.slots == nil:
		m.slots, m.seed = make([]*entry, memorySlots), maphash.MakeSeed()
	case m.bytes+2*len(key) > memoryBytes:
		m.forget()
	}
	hash := maphash.Bytes(m.seed, key)
	at := m.slot(hash, m.next)
	for i := range uint(memoryWays) {
		if free := m.slot(hash, i); *free == nil {
			at = free
			break
		}
	}
	m.next++
	if *at == nil {
		*at = &entry{}
	}
	e := *at
	e.key = append(e.key[:0], key...)
	m.bytes -= e.held
	e.held = 2 * max(cap(e.key), e.held/2) // what is shown is no longer than the text was
	m.bytes += e.held
	return e
}

// forget empties the memory.
func (m *memory) forget() {
	clear(m.slots)
	m.bytes = 0
}
