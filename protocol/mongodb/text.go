package mongodb

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/toposcope/toposcope/protocol"
)

// maxTextDepth is how deep a text goes into documents.
const maxTextDepth = 8

// show sets the text of a request: its body as JSON, in which each value is a question mark but for the collection, and scalars of
// an array that follow one another are one. So is a key that is more likely a value; see fieldName. What drivers add to every command
// is left out.
func (p *parser) show(m *protocol.Message, msg *message, size int) {
	if p.cfg.TextLimit <= 0 || len(msg.payload) <= flagsLen {
		return
	}
	w := p.cfg.writers.Get().(*writer) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	defer p.cfg.writers.Put(w)
	*w = writer{buf: w.buf[:0], limit: p.cfg.TextLimit, values: p.cfg.Values, legacy: msg.op == opQuery}
	if msg.op == opQuery {
		if l, complete, err := readLegacy(opQuery, msg.payload); err == nil && complete && l.docs < len(msg.payload) {
			w.document(msg.payload[l.docs:], 0)
		}
	} else {
		w.sections(msg.payload[flagsLen:], size-flagsLen)
	}
	if text := w.text(); len(text) > 0 {
		m.Attrs.Set(protocol.DBQueryText, text)
	}
}

// writer writes a text of at most limit bytes.
type writer struct {
	buf    []byte
	limit  int
	values bool
	cursor bool // it is a getMore's, which names its collection in a field
	// legacy is set for a command of an old opcode, wrapped within one that stands in a document of its own.
	legacy, wrapped bool
	full            bool // or what it is made of has ended early
}

// text is what was written, without a character that was cut.
func (w *writer) text() []byte {
	if r, size := utf8.DecodeLastRune(w.buf); r == utf8.RuneError && size == 1 {
		for n := len(w.buf) - 1; n >= 0 && n >= len(w.buf)-utf8.UTFMax; n-- {
			if utf8.RuneStart(w.buf[n]) {
				return w.buf[:n]
			}
		}
	}
	return w.buf
}

// put writes a text, unless there is no more to be written.
func (w *writer) put(s string) {
	if w.full {
		return
	}
	if n := w.limit - len(w.buf); len(s) > n {
		s, w.full = s[:n], true
	}
	w.buf = append(w.buf, s...)
}

func (w *writer) bytes(s []byte) {
	if w.full {
		return
	}
	if n := w.limit - len(w.buf); len(s) > n {
		s, w.full = s[:n], true
	}
	w.buf = append(w.buf, s...)
}

// quoted writes a text of anybody's as JSON has it.
func (w *writer) quoted(s []byte) {
	w.put(`"`)
	for len(s) > 0 && !w.full {
		n := 0
		for n < len(s) && s[n] >= ' ' && s[n] < 0x7f && s[n] != '"' && s[n] != '\\' {
			n++
		}
		if w.bytes(s[:n]); n == len(s) {
			break
		}
		s = s[n:]
		r, size := utf8.DecodeRune(s)
		switch {
		case r == utf8.RuneError && size == 1:
			w.put("\ufffd")
		case r == '"' || r == '\\':
			w.put(`\`)
			w.bytes(s[:1])
		case r < ' ' || r == 0x7f:
			w.put(`\u00`)
			const digits = "0123456789abcdef"
			w.put(digits[r>>4 : r>>4+1])
			w.put(digits[r&0xf : r&0xf+1])
		default:
			w.bytes(s[:size])
		}
		s = s[size:]
	}
	w.put(`"`)
}

// sections writes the body of an OP_MSG, with the sequences of documents that belong to it. They have total bytes; data may be cut.
func (w *writer) sections(data []byte, total int) {
	start, found := 0, false
	for at := 0; at+5 <= len(data) && !found; {
		size := int(int32(binary.LittleEndian.Uint32(data[at+1:])))
		if size < minDocument {
			return
		}
		if found = data[at] == sectionBody; found {
			start = at + 1
		}
		at += 1 + size
	}
	if !found {
		return
	}
	if !w.document(data[start:], 0) {
		return
	}
	w.buf, w.full = w.buf[:len(w.buf)-1], false // the brace at its end
	at := 0
	for at+5 <= len(data) && !w.full {
		size := int(int32(binary.LittleEndian.Uint32(data[at+1:])))
		if size < minDocument {
			break
		}
		if data[at] == sectionSequence {
			w.sequence(data[at+5:min(len(data), at+1+size)], size-4)
		}
		at += 1 + size
	}
	if at >= total && !w.full {
		w.put("}")
	}
}

// sequence writes the first document of a section that holds several.
func (w *writer) sequence(data []byte, size int) {
	name := 0
	for name < len(data) && data[name] != 0 {
		name++
	}
	w.put(",")
	if name == len(data) {
		w.full = true
	}
	w.quoted(data[:name])
	w.put(":[")
	if name+5 > len(data) {
		w.full = true
		return
	}
	if docs := data[name+1:]; w.document(docs, 1) {
		if uint64(binary.LittleEndian.Uint32(docs)) < uint64(size-name-1) {
			w.put(",...")
		}
		w.put("]")
	}
}

// document writes a document, which may be cut. It reports whether it could be written to its end.
func (w *writer) document(data []byte, depth int) bool {
	return w.elements(data, depth, false)
}

// elements writes the elements of a document or an array.
func (w *writer) elements(data []byte, depth int, array bool) bool {
	if len(data) < minDocument {
		w.full = true
		return false
	}
	size := int(int32(binary.LittleEndian.Uint32(data)))
	brackets := "{}"
	if array {
		brackets = "[]"
	}
	w.put(brackets[:1])
	first, scalar := true, false
	for at := 4; at < size-1; {
		if at >= len(data) || w.full {
			w.full = true
			return false
		}
		e, short, err := readElement(data[at:], size-1-at)
		if err != nil || short {
			w.full = true
			return false
		}
		at += e.head + e.size
		if depth == 0 && noise(e.key) || array && scalar && !w.values && !e.nested() {
			continue
		}
		if !first {
			w.put(",")
		}
		if !array {
			w.key(e.key)
			w.put(":")
		}
		w.value(&e, depth, first)
		first, scalar = false, !e.nested()
	}
	w.put(brackets[1:])
	return !w.full
}

// key writes the name of a field.
func (w *writer) key(name []byte) {
	if w.values || fieldName(name) {
		w.quoted(name)
		return
	}
	w.put(`"?"`)
}

// What the name of a field may have at the most, between its dots.
const (
	maxFieldPart   = 48
	maxFieldDigits = 4
)

// fieldName reports whether a key is more likely the name of a field than a value, such as an address, a number or a token, by which
// an application has its documents keyed.
func fieldName(key []byte) bool {
	length, digits := 0, 0
	for i := 0; i < len(key); {
		r, size := utf8.DecodeRune(key[i:])
		i += size
		switch length++; {
		case r == '.':
			length, digits = 0, 0
		case r >= '0' && r <= '9':
			digits++
		case r == '_', r == '-', r == '$', r == '[', r == ']', r == '*', unicode.IsLetter(r):
		default:
			return false
		}
		if length > maxFieldPart || digits > maxFieldDigits {
			return false
		}
	}
	return true
}

// noise reports whether a field of a command is one that drivers add to each.
func noise(key []byte) bool {
	switch string(key) {
	case "lsid", "$clusterTime", "$db", "txnNumber":
		return true
	}
	return false
}

// value writes an element's value. first: the element is the first one of its document.
func (w *writer) value(e *element, depth int, first bool) {
	if depth == 0 {
		w.wrapped = first && w.legacy && e.kind == typeDocument && (string(e.key) == "$query" || string(e.key) == "query")
	}
	if first && (depth == 0 || depth == 1 && w.wrapped) {
		if c := commands[string(e.key)]; c != nil {
			w.values = w.values && c.traits&secret == 0
			w.cursor = c.traits&getMore != 0
			if c.traits&ofCollection != 0 && e.kind == typeString {
				w.shown(e)
				return
			}
		}
	}
	switch {
	case e.nested() && depth >= maxTextDepth:
		w.put("...")
	case e.nested():
		w.elements(e.value, depth+1, e.kind == typeArray)
	case depth == 0 && w.cursor && string(e.key) == "collection" && e.kind == typeString:
		w.shown(e)
	case !w.values:
		w.put("?")
	default:
		w.scalar(e)
	}
}

// shown writes the name of a collection.
func (w *writer) shown(e *element) {
	if !e.whole() {
		w.full = true
		return
	}
	w.quoted(e.value[4 : e.size-1])
}

// scalar writes a value as the relaxed form of MongoDB Extended JSON has it, or as a question mark where it has no short one.
func (w *writer) scalar(e *element) {
	var room [32]byte
	if !e.whole() {
		if e.kind == typeString && len(e.value) > 4 {
			w.quoted(e.value[4:])
		}
		w.full = true
		return
	}
	switch e.kind {
	case typeString, typeSymbol, typeCode:
		w.quoted(e.value[4 : e.size-1])
	case typeInt32:
		w.bytes(strconv.AppendInt(room[:0], int64(int32(binary.LittleEndian.Uint32(e.value))), 10))
	case typeInt64:
		w.bytes(strconv.AppendInt(room[:0], int64(binary.LittleEndian.Uint64(e.value)), 10))
	case typeDouble:
		f := math.Float64frombits(binary.LittleEndian.Uint64(e.value))
		w.bytes(strconv.AppendFloat(room[:0], f, 'g', -1, 64))
	case typeBool:
		w.bytes(strconv.AppendBool(room[:0], e.value[0] != 0))
	case typeNull, typeUndefined:
		w.put("null")
	case typeDate:
		w.put(`{"$date":`)
		w.bytes(strconv.AppendInt(room[:0], int64(binary.LittleEndian.Uint64(e.value)), 10))
		w.put("}")
	case typeObjectID:
		w.put(`{"$oid":"`)
		w.bytes(hex.AppendEncode(room[:0], e.value))
		w.put(`"}`)
	case typeBinary:
		w.put(`{"$binary":"`)
		if len(e.value)-5 <= 16 {
			w.bytes(base64.StdEncoding.AppendEncode(room[:0], e.value[5:]))
		}
		w.put(`"}`)
	default:
		w.put("?")
	}
}
