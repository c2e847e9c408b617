package redis

import "bytes"

// maxInline bounds a command that is a line (PROTO_INLINE_MAX_SIZE in Redis).
const maxInline = 64 << 10

// words goes along the words of a request: of an array of strings, from the first string's length on, or of a line.
type words struct {
	data   []byte // of a line: without its end
	pos    int    // of the next word
	left   int
	inline bool
}

// next returns the next word and its size. A word of which not all is there is short, and its size says, when it is known, how
// long it is; what is there of it is returned. It must not be called when none is left.
func (w *words) next() (word []byte, size int, s status) {
	if w.inline {
		return w.nextInline()
	}
	w.pos = min(w.pos, len(w.data))
	rest := w.data[w.pos:]
	if len(rest) == 0 {
		return nil, -1, short
	}
	if rest[0] != '$' {
		return nil, 0, wrong
	}
	size, at, s := length(rest, maxString)
	switch {
	case s != whole:
		return nil, -1, s
	case size < 0:
		return nil, 0, wrong
	case len(rest) < at+size+2:
		return rest[at:min(len(rest), at+size)], size, short
	}
	w.left--
	w.pos += at + size + 2
	return rest[at : at+size], size, lineEnd(rest[at+size:])
}

// nextInline returns the next word of a line, without its quotes: what is escaped in it stays so.
func (w *words) nextInline() ([]byte, int, status) {
	for w.pos < len(w.data) && blank(w.data[w.pos]) {
		w.pos++
	}
	from := w.pos
	quote := byte(0)
	for ; w.pos < len(w.data); w.pos++ {
		b := w.data[w.pos]
		switch {
		case quote == '"' && b == '\\':
			w.pos++
		case quote != 0 && b == quote:
			quote = 0
		case quote != 0:
		case b == '"' || b == '\'':
			quote = b
		}
		if quote == 0 && blank(b) {
			break
		}
	}
	w.pos = min(w.pos, len(w.data))
	w.left--
	word := bytes.Trim(w.data[from:w.pos], `"'`)
	return word, len(word), whole
}

// countWords is how many words a line has.
func countWords(text []byte) (n int) {
	for w := (words{data: text, inline: true}); ; n++ {
		for w.pos < len(text) && blank(text[w.pos]) {
			w.pos++
		}
		if w.pos == len(text) {
			return n
		}
		w.nextInline() //nolint:errcheck // a line's words are whole
	}
}

func blank(b byte) bool { return b == ' ' || b == '\t' }
