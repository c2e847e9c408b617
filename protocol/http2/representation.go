package http2

// What a field of a header block may be (RFC 7541 section 6).
const (
	indexed  uint8 = iota // refers to an entry
	inserted              // a literal that becomes an entry
	plain                 // a literal that does not
	resized               // no field: the table's size changes
)

// text is a string of a header block as it is written down.
type text struct {
	raw     []byte
	huffman bool
}

// representation is one field of a header block.
type representation struct {
	form  uint8
	index uint64 // of the entry; of a literal, that of its name, 0 when the name is given; the size when resized
	name  text
	value text
}

// read reads the representation at the start of b and returns its length; ok is false when b is none, or ends within it.
func (r *representation) read(b []byte) (n int, ok bool) {
	bits := uint(4)
	switch first := b[0]; {
	case first&0x80 != 0:
		r.form, bits = indexed, 7
	case first&0x40 != 0:
		r.form, bits = inserted, 6
	case first&0x20 != 0:
		r.form, bits = resized, 5
	default:
		r.form = plain
	}
	if r.index, n, ok = integer(b, bits); !ok || r.form == indexed && r.index == 0 {
		return 0, false
	}
	if r.form == indexed || r.form == resized {
		return n, true
	}
	if r.index == 0 {
		var m int
		if r.name, m, ok = literal(b[n:]); !ok {
			return 0, false
		}
		n += m
	}
	v, m, ok := literal(b[n:])
	r.value = v
	return n + m, ok
}

// maxInteger is more than any number that makes sense in a block: lengths, indices and table sizes.
const maxInteger = 1 << 31

// integer reads a number that starts in the low bits of b[0] (RFC 7541 section 5.1).
func integer(b []byte, bits uint) (v uint64, n int, ok bool) {
	if len(b) == 0 {
		return 0, 0, false
	}
	mask := byte(1<<bits - 1)
	v = uint64(b[0] & mask)
	if byte(v) != mask {
		return v, 1, true
	}
	for shift, i := uint(0), 1; i < len(b) && shift < 35; shift, i = shift+7, i+1 {
		v += uint64(b[i]&0x7f) << shift
		if b[i]&0x80 == 0 {
			return v, i + 1, v < maxInteger
		}
	}
	return 0, 0, false
}

// literal reads a string (RFC 7541 section 5.2).
func literal(b []byte) (t text, n int, ok bool) {
	size, n, ok := integer(b, 7)
	if !ok || size > uint64(len(b)-n) {
		return t, 0, false
	}
	end := n + int(size)
	return text{raw: b[n:end:end], huffman: b[0]&0x80 != 0}, end, true
}
