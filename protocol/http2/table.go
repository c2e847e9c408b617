package http2

import (
	"slices"

	"github.com/toposcope/toposcope/protocol/semantics"
)

// Bounds of a table. Encoders use 4,096 bytes unless they are told that they may use more and want to; what is in the part of a
// larger table that is not kept counts as not seen. A longer value is cut.
const (
	initialTable = 4 << 10
	maxTable     = 64 << 10
	maxValue     = 4 << 10
	entryExtra   = 32 // RFC 7541 section 4.1
)

// Memory that a table may have besides what it keeps, in bytes: before what is no longer kept is thrown out of the middle of the
// buffer, and after a block of long values.
const (
	slack = 1 << 10
	spare = 16 << 10
)

// entry is a field of the dynamic table. Of a field that nobody reads only the size is kept.
type entry struct {
	at    uint32 // of the value in the table's buf
	size  uint32 // as RFC 7541 counts
	n     uint16 // length of the value as it is kept
	name  uint16 // length of the name
	field semantics.Field
}

// alias is the name, found out since, of an entry that is older than what is known of the table.
type alias struct {
	ref   int64
	field semantics.Field
}

// maxAliases bounds the names that are found out.
const maxAliases = 16

// table is a direction's dynamic table (RFC 7541 section 2.3.2) as far as it was seen. An index counts back from the newest
// entry, so that what was inserted since a loss can be referred to whatever was before; what is older is torn off.
//
// Its memory does not move while a block is read: the values in a header stay valid until the next block.
type table struct {
	entries  []entry // a ring; its length is a power of two
	newest   int     // the position of the entry with index 1
	n        int
	inserted int64 // since the connection began, or since the loss
	buf      []byte
	used     int // the end in buf of the last value that was kept
	kept     int // bytes of buf that entries refer to
	size     uint32
	max      uint32 // as the encoder has it, at most maxTable
	clipped  bool   // the encoder's is larger, or is not known
	sized    bool   // the encoder has announced a size
	torn     bool   // there may be entries that were not seen
	aliases  []alias

	wrote int  // what was written to the table as an io.Writer, in full
	store bool // into buf
}

// begins makes t, of which nothing was missed so far, the table of a connection that begins here.
func (t *table) begins() {
	if !t.sized {
		t.resize(initialTable)
		t.sized = false
	}
	t.torn = false
}

// tear forgets all entries: an unknown number of others came between.
func (t *table) tear() {
	t.n, t.used, t.kept, t.size, t.inserted = 0, 0, 0, 0, 0
	t.buf, t.aliases = t.buf[:0], t.aliases[:0]
	t.max, t.clipped, t.sized, t.torn = maxTable, true, false, true
}

// begin makes room for a block. The values of the block before are gone.
func (t *table) begin() {
	if t.kept == 0 {
		t.used = 0
	}
	t.buf = t.buf[:t.used]
	if t.used > 2*t.kept+slack {
		t.compact()
	}
	if cap(t.buf) > 4*t.used+spare {
		t.buf = slices.Clone(t.buf)
	}
}

// compact moves the values together.
func (t *table) compact() {
	moved := t.buf[:0]
	for i := t.n; i >= 1; i-- {
		e := t.at(i)
		v := t.buf[e.at : e.at+uint32(e.n)]
		e.at = uint32(len(moved))
		moved = append(moved, v...) // never past what is still to be moved: order stays
	}
	t.buf, t.used = moved, len(moved)
}

// at is the entry of that dynamic index, which is 1 to t.n.
func (t *table) at(i int) *entry { return &t.entries[(t.newest-(i-1))&(len(t.entries)-1)] }

// value is the value of e, as far as it is kept.
func (t *table) value(e *entry) []byte { return t.buf[e.at : e.at+uint32(e.n) : e.at+uint32(e.n)] }

// ref is a mark for the entry of that dynamic index that stays the same when others come.
func (t *table) ref(i uint64) int64 { return t.inserted - int64(i) }

// alias is what has been found out about the name of an entry that was not seen.
func (t *table) alias(ref int64) semantics.Field {
	for _, a := range t.aliases {
		if a.ref == ref {
			return a.field
		}
	}
	return semantics.Unnamed
}

// insert adds an entry whose name and value have so many bytes. The value lies at the end of buf, if it is to be kept.
func (t *table) insert(f semantics.Field, value []byte, nameSize, valueSize int) {
	e := entry{size: uint32(nameSize + valueSize + entryExtra), name: uint16(min(nameSize, 1<<16-1)), field: f}
	t.inserted++
	for t.n > 0 && t.size+e.size > t.max {
		t.evict()
	}
	if e.size > t.max {
		t.torn = t.torn || t.clipped
		return // it empties the table and is not put in
	}
	if f != semantics.None && len(value) > 0 {
		e.n, e.at, t.used = uint16(len(value)), uint32(len(t.buf)-len(value)), len(t.buf)
	}
	if t.n == len(t.entries) {
		t.grow()
	}
	t.newest = (t.newest + 1) & (len(t.entries) - 1)
	t.entries[t.newest] = e
	t.n, t.size, t.kept = t.n+1, t.size+e.size, t.kept+int(e.n)
}

// evict drops the oldest entry. Where the bound is the encoder's own, all that is older is gone from its table, too.
func (t *table) evict() {
	e := t.at(t.n)
	t.n, t.size, t.kept = t.n-1, t.size-e.size, t.kept-int(e.n)
	if t.torn = t.clipped; !t.torn {
		t.aliases = t.aliases[:0]
	}
}

func (t *table) grow() {
	larger := make([]entry, max(2*len(t.entries), 16))
	for i := 1; i <= t.n; i++ {
		larger[t.n-i] = *t.at(i)
	}
	t.entries, t.newest = larger, t.n-1
}

// resize takes a size that the encoder announces.
func (t *table) resize(to uint64) {
	t.max, t.clipped, t.sized = uint32(min(to, maxTable)), to > maxTable, true
	for t.n > 0 && t.size > t.max {
		t.evict()
	}
	if t.max < entryExtra {
		t.torn, t.aliases = false, t.aliases[:0]
	}
}

// learn takes names that have been found out for the entry ref, or for one of its name.
func (t *table) learn(ref int64, f semantics.Field) {
	i := t.inserted - ref
	switch {
	case ref == noRef || i < 1:
	case i <= int64(t.n):
		if e := t.at(int(i)); e.field == semantics.Unnamed {
			e.field = f
		}
	case len(t.aliases) < maxAliases && t.torn && !slices.Contains(t.aliases, alias{ref, f}):
		t.aliases = append(t.aliases, alias{ref, f})
	}
}

// noRef refers to no entry.
const noRef = -1 << 62

// Write implements io.Writer for the Huffman decoder: it adds to buf, when that is wanted, as much as is kept of a value.
func (t *table) Write(p []byte) (int, error) {
	t.wrote = len(p)
	if t.store {
		t.buf = append(t.buf, p[:min(len(p), maxValue)]...)
	}
	return len(p), nil
}
