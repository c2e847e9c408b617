package http2

import (
	"golang.org/x/net/http2/hpack"

	"github.com/toposcope/toposcope/protocol/semantics"
)

// statics are the entries of the static table as a configuration's fields number them.
type statics [staticLen + 1]struct {
	field semantics.Field
	value []byte
}

func newStatics(f *semantics.Fields) *statics {
	var s statics
	for i := range s {
		s[i].field, s[i].value = f.Number([]byte(static[i][0])), []byte(static[i][1])
	}
	return &s
}

// decode reads a whole header block into h and takes in what it inserts. It reports whether the block follows the rules. What
// refers to entries that were not seen is noted in h; so is what refers to entries that never were.
func (t *table) decode(block []byte, fields *semantics.Fields, s *statics, h *semantics.Header) bool {
	t.begin()
	var r representation
	for len(block) > 0 {
		n, ok := r.read(block)
		if !ok {
			return false
		}
		block = block[n:]
		switch {
		case r.form == resized:
			t.resize(r.index)
		case r.form != indexed:
			if !t.literal(&r, fields, s, h) {
				return false
			}
		case r.index <= staticLen:
			h.Set(s[r.index].field, s[r.index].value)
		default:
			t.refer(r.index-staticLen, h)
		}
	}
	return true
}

// refer adds the field of a dynamic index to h.
func (t *table) refer(i uint64, h *semantics.Header) {
	loose := semantics.Loose{Ref: t.ref(i), NameRef: noRef}
	if i <= uint64(t.n) {
		e := t.at(int(i))
		if e.field != semantics.Unnamed {
			h.Set(e.field, t.value(e))
			return
		}
		loose.Value = t.value(e)
	} else if f := t.alias(loose.Ref); f != semantics.Unnamed {
		h.Lost(f)
		return
	}
	t.torn = true
	h.AddLoose(loose)
}

// literal adds a literal field to h and, if it says so, to the table.
func (t *table) literal(r *representation, fields *semantics.Fields, s *statics, h *semantics.Header) bool {
	field, nameSize, nameRef, ok := t.name(r, fields, s)
	if !ok {
		return false
	}
	insert := r.form == inserted
	value, size := r.value.raw, len(r.value.raw)
	switch {
	case r.value.huffman && (insert || field != semantics.None):
		t.store = field != semantics.None
		start := len(t.buf)
		if _, err := hpack.HuffmanDecode(t, r.value.raw); err != nil {
			return false
		}
		value, size = t.buf[start:len(t.buf):len(t.buf)], t.wrote
	case insert && field != semantics.None:
		start := len(t.buf)
		t.buf = append(t.buf, value[:min(size, maxValue)]...)
		value = t.buf[start:len(t.buf):len(t.buf)]
	default:
		value = value[:min(size, maxValue)]
	}
	if insert {
		t.insert(field, value, nameSize, size)
	}
	if field == semantics.Unnamed {
		loose := semantics.Loose{Value: value, Ref: noRef, NameRef: nameRef}
		if insert {
			loose.Ref = t.ref(1)
		}
		h.AddLoose(loose)
		return true
	}
	h.Set(field, value)
	return true
}

// name finds the field of a literal's name, and how long the name is. Of a name that was not seen the length is not known
// either; an entry that is taken for shorter than it is stays longer than the encoder refers to it, which does no harm.
func (t *table) name(r *representation, fields *semantics.Fields, s *statics) (f semantics.Field, size int, ref int64, ok bool) {
	switch i := r.index; {
	case i == 0:
		name := r.name.raw
		if r.name.huffman {
			t.store = true
			start := len(t.buf)
			if _, err := hpack.HuffmanDecode(t, name); err != nil {
				return 0, 0, 0, false
			}
			f, size = fields.Number(t.buf[start:]), t.wrote
			t.buf = t.buf[:start]
			return f, size, noRef, true
		}
		return fields.Number(name), len(name), noRef, true
	case i <= staticLen:
		return s[i].field, len(static[i][0]), noRef, true
	case i-staticLen <= uint64(t.n):
		e := t.at(int(i - staticLen))
		return e.field, int(e.name), t.ref(i - staticLen), true
	default:
		ref = t.ref(i - staticLen)
		if f = t.alias(ref); f == semantics.Unnamed {
			t.torn = true
		}
		return f, 0, ref, true
	}
}
