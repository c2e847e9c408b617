package redis

import "bytes"

// maxDepth bounds how deep aggregates lie in one another; clients and servers stop far earlier.
const maxDepth = 64

// endless is what a streamed aggregate has still to come: its end is a mark.
const endless = ^uint64(0)

// walk goes along values without keeping anything of them but the first error that counts.
type walk struct {
	open     []uint64  // values still to come: at the top, and in each open aggregate, innermost last
	room     [4]uint64 // for them, as a rule
	inLine   bool      // within a line
	inChunks bool      // within a streamed string
	depth    int       // of values whose errors count: at the top 1, in an array there 2
	fault    string    // the code of the first error; "" for none
	own      [maxCode]byte
	ownSize  uint8 // of fault as it reads, in own, when it is otherCode
}

// begin makes w expect n values.
func (w *walk) begin(n uint64, depth int) {
	if w.open == nil {
		w.open = w.room[:0]
	}
	w.open = append(w.open[:0], n)
	w.inLine, w.inChunks, w.depth, w.fault = false, false, depth, ""
}

// next goes along data and returns how many bytes it is done with, which may be more than there are; done when the values are
// over.
func (w *walk) next(data []byte) (n int, done bool, s status) {
	for {
		switch {
		case len(w.open) == 0:
			return n, true, whole
		case n >= len(data):
			return n, false, whole
		case w.inLine:
			end := bytes.IndexByte(data[n:], '\n')
			if end < 0 {
				return len(data), false, whole
			}
			n += end + 1
			w.inLine = false
			w.count()
			continue
		}
		took, s := w.value(data[n:])
		switch s {
		case wrong:
			return n, false, wrong
		case short:
			return n, false, whole
		}
		n += took
	}
}

// count notes that a value is over.
func (w *walk) count() {
	w.begun()
	w.settle()
}

// begun takes one value off those that are to come where w is.
func (w *walk) begun() {
	if last := len(w.open) - 1; w.open[last] != endless {
		w.open[last]--
	}
}

// settle leaves the aggregates that are over.
func (w *walk) settle() {
	for len(w.open) > 0 && w.open[len(w.open)-1] == 0 {
		w.open = w.open[:len(w.open)-1]
	}
}

// value passes over the value at the start of data, over the header of an aggregate, or over the mark of a line.
func (w *walk) value(data []byte) (n int, s status) {
	if w.inChunks {
		return w.chunk(data)
	}
	switch b := data[0]; b {
	case '+', '(', '-':
		if b == '-' && !w.failed(data[1:]) {
			return 0, short
		}
		if b != '(' && len(w.open) == 1 {
			w.open[0] = 1 // what was to be confirmed n times is refused, or queued
		}
		w.inLine = true
		return 1, whole
	case ':', '_', '#', ',':
		text, n, s := line(data)
		if s == whole && !scalar(b, text) {
			s = wrong
		}
		if s == whole {
			w.count()
		}
		return n, s
	case '$', '=', '!':
		return w.text(b, data)
	case '*', '~', '>', '%', '|':
		return w.aggregate(b, data)
	case '.':
		return w.end(data)
	default:
		return 0, wrong
	}
}

// text passes over a string, an error or a text with a format, which have a length, or begins a streamed string.
func (w *walk) text(b byte, data []byte) (int, status) {
	size, n, s := length(data, maxString)
	if s != whole {
		return 0, s
	}
	switch {
	case size == streamed:
		w.inChunks = true
		return n, whole
	case size == null:
		w.count()
		return n, whole
	}
	rest := data[n:]
	if len(rest) > size {
		if lineEnd(rest[size:]) == wrong {
			return 0, wrong
		}
		rest = rest[:size]
	}
	if b == '!' {
		if len(rest) < min(size, maxCode+1) {
			return 0, short
		}
		w.fail(rest)
	}
	w.count()
	return n + size + 2, whole
}

// chunk passes over a part of a streamed string.
func (w *walk) chunk(data []byte) (int, status) {
	if data[0] != ';' {
		return 0, wrong
	}
	size, n, s := length(data, maxString)
	switch {
	case s != whole:
		return 0, s
	case size < 0:
		return 0, wrong
	case size == 0:
		w.inChunks = false
		w.count()
		return n, whole
	case len(data) > n+size && lineEnd(data[n+size:]) == wrong:
		return 0, wrong
	}
	return n + size + 2, whole
}

// aggregate goes into an aggregate. Attributes come in front of a value and are none themselves.
func (w *walk) aggregate(b byte, data []byte) (int, status) {
	size, n, s := length(data, maxCount)
	if s != whole {
		return 0, s
	}
	if b != '|' {
		w.begun()
	}
	values := uint64(max(size, 0))
	switch {
	case size == streamed && b == '|', len(w.open) == maxDepth:
		return 0, wrong
	case size == streamed:
		values = endless
	case b == '%' || b == '|':
		values *= 2
	}
	if values > 0 {
		w.open = append(w.open, values)
	}
	w.settle()
	return n, whole
}

// end leaves a streamed aggregate.
func (w *walk) end(data []byte) (int, status) {
	last := len(w.open) - 1
	if w.open[last] != endless {
		return 0, wrong
	}
	if s := lineEnd(data[1:]); s != whole {
		return 0, s
	}
	w.open[last] = 0
	w.settle()
	return 3, whole
}

// failed notes the error at the start of data. It reports false when its code is not all there.
func (w *walk) failed(data []byte) bool {
	if len(data) <= maxCode && bytes.IndexByte(data, '\n') < 0 {
		return false
	}
	w.fail(data)
	return true
}

// fail notes an error, if it counts.
func (w *walk) fail(text []byte) {
	if w.fault == "" && len(w.open) <= w.depth {
		var own []byte
		w.fault, own = code(text)
		w.ownSize = uint8(copy(w.own[:], own))
	}
}
