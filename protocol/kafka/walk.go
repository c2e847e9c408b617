package kafka

import (
	"encoding/binary"
	"math"
)

// maxDepth is how deep arrays are nested, at most, in schema.txt.
const maxDepth = 8

// found is what a walk came upon.
type found uint8

const (
	// nothing: more bytes are needed.
	nothing found = iota
	// done: the end of the message as the schema knows it.
	done
	// wrong: a length that cannot be.
	wrong
	// The others are fields; walk.value or walk.from and walk.to hold it.
	foundTopic
	foundID
	foundError
	foundAcks
	foundWait
	foundSession
	foundEpoch
	foundRecords
	foundMark
)

// walk is a way through a message, which may come in pieces: it takes whole fields only, remembers where it is, and keeps no byte.
type walk struct {
	ops      []op
	version  int8
	flexible bool
	at       uint16
	depth    uint8
	left     [maxDepth]uint32 // elements of the open arrays
	tagged   uint32           // fields still to skip at tags, plus 1; 0 when their number has not been read

	value    int32
	from, to int // of a name or an id, within what step was given
}

// start begins a message behind the client's name, or the correlation id.
func (w *walk) start(a *api, ops []op, version int16) {
	w.ops, w.version, w.flexible = ops, int8(version), a.isFlexible(version)
	w.at, w.depth, w.tagged = 0, 0, 0
}

// step goes on, pos bytes into data, of which rest more belong to the message; data may hold fewer of them, and more. It returns
// the position behind what it has taken, which is behind the end of data where a long field is skipped, and what it found.
func (w *walk) step(data []byte, pos, rest int) (int, found) {
	r := reader{data: data, pos: pos, end: pos + rest}
	for int(w.at) < len(w.ops) {
		o := &w.ops[w.at]
		if w.version < o.first || w.version > o.last {
			if w.at++; o.to > w.at && o.kind != next {
				w.at = o.to
			}
			continue
		}
		if pos = r.pos; pos > len(data) && pos < r.end {
			return pos, nothing // no further ahead than the bytes that are there: a length may claim any number of elements
		}
		switch what := w.take(o, &r); {
		case r.bad:
			return pos, wrong
		case r.short:
			return pos, nothing
		case what != nothing:
			return r.pos, what
		}
	}
	return r.pos, done
}

// take takes one field and moves on to the next.
func (w *walk) take(o *op, r *reader) found {
	switch o.kind {
	case fixed:
		r.skip(int(o.size))
	case text:
		r.skip(max(r.length(w.flexible, 2), 0))
	case blob:
		r.skip(max(r.length(w.flexible, 4), 0))
	case numbers:
		r.skip(max(r.length(w.flexible, 4), 0) * int(o.size))
	case array:
		w.enter(o, r)
		return nothing
	case next:
		if w.left[w.depth-1]--; w.left[w.depth-1] > 0 {
			w.at = o.to
			return nothing
		}
		w.depth--
	case optional:
		if int8(r.number(1)) < 0 && r.ok() {
			w.at = o.to
			return nothing
		}
	case tags:
		return w.tags(r)
	case group:
	default:
		return w.read(o, r)
	}
	if r.ok() {
		w.at++
	}
	return nothing
}

// enter begins an array.
func (w *walk) enter(o *op, r *reader) {
	n := r.length(w.flexible, 4)
	if n > r.end-r.pos || n > 0 && w.depth == maxDepth { // an element has a byte at least
		r.bad = true
	}
	switch {
	case !r.ok():
	case n <= 0:
		w.at = o.to
	default:
		w.left[w.depth] = uint32(n)
		w.depth++
		w.at++
	}
}

// tags skips tagged fields: their number, then for each its tag, its length and so many bytes.
func (w *walk) tags(r *reader) found {
	if !w.flexible {
		w.at++
		return nothing
	}
	switch w.tagged {
	case 0:
		n := r.uvarint()
		r.bad = r.bad || n > uint64(r.end-r.pos)
		if r.ok() {
			w.tagged = uint32(n) + 1
		}
	case 1:
		w.at, w.tagged = w.at+1, 0
	default:
		r.uvarint()
		r.skip(r.size(r.uvarint()))
		if r.ok() {
			w.tagged--
		}
	}
	return nothing
}

// read takes a field that is of interest.
func (w *walk) read(o *op, r *reader) (what found) {
	switch o.kind {
	case topicName:
		n := r.length(w.flexible, 2)
		w.from, w.to = r.pos, r.pos+n
		what = foundTopic
		if n < 0 {
			what = nothing
		}
		if n <= maxTopic {
			r.hold(max(n, 0))
		}
		r.skip(max(n, 0))
	case topicID:
		w.from, w.to = r.pos, r.pos+16
		r.hold(16)
		r.skip(16)
		what = foundID
	case errorCode:
		w.value, what = int32(int16(r.number(2))), foundError
	case acks:
		w.value, what = int32(int16(r.number(2))), foundAcks
	case maxWait:
		w.value, what = int32(r.number(4)), foundWait
	case sessionID:
		w.value, what = int32(r.number(4)), foundSession
	case sessionEpoch:
		w.value, what = int32(r.number(4)), foundEpoch
	case records:
		n := max(r.length(w.flexible, 4), 0)
		w.value, what = int32(n), foundRecords
		r.skip(n)
	default:
		what = foundMark
	}
	if r.ok() {
		w.at++
	}
	return what
}

// reader takes one field out of the bytes at hand.
type reader struct {
	data  []byte
	pos   int
	end   int // of the message
	short bool
	bad   bool
}

func (r *reader) ok() bool { return !r.short && !r.bad }

// hold wants n bytes to be at hand.
func (r *reader) hold(n int) {
	switch {
	case n > r.end-r.pos:
		r.bad = true
	case r.pos > len(r.data) || n > len(r.data)-r.pos:
		r.short = true
	}
}

// skip moves on by n bytes, be they at hand or not.
func (r *reader) skip(n int) {
	switch {
	case !r.ok():
	case n < 0 || n > r.end-r.pos:
		r.bad = true
	default:
		r.pos += n
	}
}

// number reads n bytes.
func (r *reader) number(n int) uint32 {
	if r.hold(n); !r.ok() {
		return 0
	}
	b := r.data[r.pos:]
	r.pos += n
	switch n {
	case 1:
		return uint32(b[0])
	case 2:
		return uint32(binary.BigEndian.Uint16(b))
	default:
		return binary.BigEndian.Uint32(b)
	}
}

// length reads the length of a string, bytes or an array, of width bytes where it is not compact; -1 is that of null.
func (r *reader) length(compact bool, width int) int {
	n := -1
	switch {
	case compact:
		n = r.size(r.uvarint()) - 1
	case width == 2:
		n = int(int16(r.number(2)))
	default:
		n = int(int32(r.number(4)))
	}
	if n < -1 {
		r.bad = r.bad || !r.short
		return -1
	}
	return n
}

// size is n as the length of something within the message.
func (r *reader) size(n uint64) int {
	if n > math.MaxInt32 {
		r.bad = true
		return 0
	}
	return int(n)
}

// uvarint reads a number of seven bits a byte, of 32 bits at most.
func (r *reader) uvarint() uint64 {
	if !r.ok() {
		return 0
	}
	var n uint64
	for i := range 5 {
		if r.hold(1); !r.ok() {
			return 0
		}
		b := r.data[r.pos]
		r.pos++
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return n
		}
	}
	r.bad = true
	return 0
}
