package sqltext

import "bytes"

// masker rewrites texts without their values.
type masker struct {
	dialect    Dialect
	escapes    Escapes
	ansiQuotes bool

	src   []byte
	at    int
	out   []byte
	cut   bool
	clean bool // nothing was replaced or left out but blanks
	blank bool // blanks, or what counts as such, lie before the next token
	word  int  // where the word begins that out ends with; -1 when it ends with something else
	doubt bool // where a literal ends cannot be told: what follows is not looked at
	inner int  // how many executable comments of MySQL are open
	goes  bool // the token before was a literal with escapes: PostgreSQL's goes on in the next line
}

// run returns text masked, and whether it held neither values nor comments. The result is valid until the next run. cut: the
// end of text is missing.
func (k *masker) run(text []byte, cut bool) (masked []byte, clean bool) {
	*k = masker{
		dialect: k.dialect, escapes: k.escapes, ansiQuotes: k.ansiQuotes,
		src: text, out: k.out[:0], cut: cut, clean: true, word: -1,
	}
	for k.at < len(k.src) && !k.doubt {
		k.token()
	}
	if k.blank && cut && len(k.out) > 0 {
		k.out = append(k.out, ' ') // the last word is whole
	}
	k.src = nil
	return k.out, k.clean
}

// scratchKept is how much memory for a masked text is kept from one to the next: few texts are longer.
const scratchKept = 4 << 10

// trim lets go of memory that a long text took.
func (k *masker) trim() {
	if cap(k.out) > scratchKept {
		k.out = nil
	}
}

// token takes the next token, or blank.
func (k *masker) token() {
	c := k.src[k.at]
	switch {
	case c <= ' ' || c == 0x7f:
		k.at++
		k.blank = true
	case isWordStart(c) || c == '$' && k.dialect == MySQL && !k.dollarQuoted():
		k.copyWord()
	case isDigit(c) || c == '.' && isDigit(k.peek(1)):
		k.number()
	case c == '\'' || c == '"' && k.dialect == MySQL && !k.ansiQuotes:
		k.literal(c)
	case c == '"' || c == '`' && k.dialect == MySQL:
		k.quotedName(c)
	case c == '$':
		k.dollar()
	case c == '/' && k.peek(1) == '*':
		k.comment()
	case c == '*' && k.peek(1) == '/' && k.inner > 0:
		k.inner--
		k.at += 2
		k.blank = true
	case k.lineComment(c):
		k.clean, k.blank = false, true
		k.pass(k.lineEnd())
	default:
		k.space()
		k.out = append(k.out, c)
		k.word = -1
		k.at++
	}
}

func (k *masker) peek(n int) byte {
	if k.at+n < len(k.src) {
		return k.src[k.at+n]
	}
	return 0
}

// lineEnd is where the comment ends that begins here. Besides a line feed a carriage return ends PostgreSQL's, a zero byte MySQL's.
func (k *masker) lineEnd() int {
	also := byte(0)
	if k.dialect == PostgreSQL {
		also = '\r'
	}
	for i := k.at; i < len(k.src); i++ {
		if c := k.src[i]; c == '\n' || c == also {
			return i
		}
	}
	return len(k.src)
}

// pass goes on at i, past a comment or what stands within quotes. Where it holds the end of an executable comment, that is where
// the comment ends for a server that does not execute it: nobody knows which bytes after it are a literal's.
func (k *masker) pass(i int) {
	if k.inner > 0 && bytes.Contains(k.src[k.at:i], []byte("*/")) {
		k.doubt = true
	}
	k.at = i
}

// space writes the blanks before a token.
func (k *masker) space() {
	k.goes = false
	if k.blank && len(k.out) > 0 {
		k.out = append(k.out, ' ')
	}
	if k.blank {
		k.word = -1
	}
	k.blank = false
}

// placeholder stands for a literal that was taken. One that is written with a prefix (N”, x”, _utf8”) takes it along.
func (k *masker) placeholder() {
	k.clean, k.goes = false, false
	if k.word >= 0 && !k.blank && isPrefix(k.out[k.word:]) {
		k.out = k.out[:k.word]
	} else {
		k.space()
	}
	k.out = append(k.out, '?')
	k.word = -1
}

func isPrefix(w []byte) bool {
	if len(w) == 1 {
		return bytes.IndexByte([]byte("nNxXbBeE"), w[0]) >= 0
	}
	return len(w) > 1 && w[0] == '_'
}

func (k *masker) copyWord() {
	k.space()
	end := k.at + 1
	for end < len(k.src) && wordBytes[k.src[end]] != 0 {
		end++
	}
	k.word = len(k.out)
	k.out = append(k.out, k.src[k.at:end]...)
	k.at = end
}

// number takes a number and whatever is written against it: 0x1F, 1e-5, 1_000, 12abc.
func (k *masker) number() {
	end := k.at
	for end < len(k.src) {
		c := k.src[end]
		sign := (c == '+' || c == '-') && end > k.at && (k.src[end-1]|0x20) == 'e' && end+1 < len(k.src) && isDigit(k.src[end+1])
		if !isDigit(c) && !isWordStart(c) && c != '.' && !sign && (c != '$' || k.dialect == PostgreSQL) {
			break
		}
		end++
	}
	k.at = end
	k.word = -1
	k.placeholder()
}

// literal takes a string within quotes.
func (k *masker) literal(quote byte) {
	escapes := k.escapes
	goes := k.dialect == PostgreSQL && escapes != EscapesDoubtful && (k.goes || k.after('e'))
	if goes {
		escapes = EscapesOn
	}
	i := k.at + 1
	for i < len(k.src) {
		c := k.src[i]
		switch {
		case c == '\\' && escapes == EscapesOn:
			i++ // and the byte after it
		case c == '\\' && (escapes == EscapesDoubtful || escapes == EscapesUnknown && k.src[i-1] >= 0x80):
			k.doubt = true
		case c == '\\' && escapes == EscapesUnknown && i+1 < len(k.src):
			switch k.src[i+1] {
			case quote:
				k.doubt = true
			case '\\':
				i++
			}
		case c != quote:
		case i+1 < len(k.src) && k.src[i+1] == quote:
			i++
		default:
			k.pass(i + 1)
			k.placeholder()
			k.goes = goes
			return
		}
		i++
	}
	k.at = len(k.src)
	k.placeholder()
}

// after reports whether the current token is written against a word of one letter, in lower case c (E”).
func (k *masker) after(c byte) bool {
	return k.word >= 0 && !k.blank && len(k.out)-k.word == 1 && k.out[k.word]|0x20 == c
}

// quotedName copies a name within quotes. One without an end may be anything.
func (k *masker) quotedName(quote byte) {
	for i := k.at + 1; i < len(k.src); i++ {
		if k.src[i] != quote {
			continue
		}
		if i+1 < len(k.src) && k.src[i+1] == quote {
			i++
			continue
		}
		start := k.at
		if k.pass(i + 1); k.doubt {
			break
		}
		k.space()
		k.out = append(k.out, k.src[start:k.at]...)
		k.word = -1
		return
	}
	k.at = len(k.src)
	k.word = -1
	k.placeholder()
}

// tag is the length of the dollar quote's beginning at the current position ("$$", "$body$"), 0 when there is none.
func (k *masker) tag() int {
	for i := k.at + 1; i < len(k.src); i++ {
		c := k.src[i]
		if c == '$' {
			return i + 1 - k.at
		}
		if !isWordStart(c) && (!isDigit(c) || i == k.at+1) {
			return 0
		}
	}
	return 0
}

// dollarQuoted reports whether a literal in dollars begins here, or may, were the text not cut.
func (k *masker) dollarQuoted() bool { return k.tag() > 0 }

// dollar takes what begins with a dollar sign: a parameter ($1), or a literal ($$a$$, $tag$a$tag$).
func (k *masker) dollar() {
	n := k.tag()
	if n == 0 {
		end := k.at + 1
		for end < len(k.src) && isDigit(k.src[end]) {
			end++
		}
		k.space()
		k.out = append(k.out, k.src[k.at:end]...)
		k.word = -1
		if k.at = end; end < len(k.src) && isWordStart(k.src[end]) { // a tag without its end
			k.at = len(k.src)
			k.placeholder()
		}
		return
	}
	tag := k.src[k.at : k.at+n]
	end := bytes.Index(k.src[k.at+n:], tag)
	switch {
	case end >= 0 && k.dialect == PostgreSQL:
		k.at += n + end + n
	default: // MySQL's servers before 9.0 take it for a name
		k.at, k.doubt = len(k.src), k.dialect == MySQL
	}
	k.word = -1
	k.placeholder()
}

// comment takes a comment. PostgreSQL's nest; in MySQL's of the form /*!50001 … */ and /*M! … */ is text that the server reads.
func (k *masker) comment() {
	k.clean, k.blank = false, true
	start := k.at
	k.at += 2
	if k.dialect == MySQL && (k.peek(0) == '!' || k.peek(0) == 'M' && k.peek(1) == '!') {
		if k.peek(0) == 'M' {
			k.at++
		}
		k.at++
		for n := 0; n < 6 && isDigit(k.peek(0)); n++ {
			k.at++
		}
		k.inner++
		return
	}
	for depth := 1; depth > 0; {
		end := bytes.IndexByte(k.src[k.at:], '/')
		if end < 0 {
			k.at = len(k.src)
			return
		}
		k.at += end
		switch {
		case k.at > start+2 && k.src[k.at-1] == '*':
			depth--
			k.at++
			start = k.at - 2 // "*/*" ends a comment and begins none
		case k.dialect == PostgreSQL && k.peek(1) == '*':
			depth++
			start = k.at
			k.at += 2
		default:
			k.at++
		}
	}
}

// lineComment reports whether a comment up to the line's end begins with c. MySQL wants a blank after the dashes.
func (k *masker) lineComment(c byte) bool {
	switch {
	case c == '#':
		return k.dialect == MySQL
	case c != '-' || k.peek(1) != '-':
		return false
	case k.dialect == PostgreSQL:
		return true
	default:
		return k.peek(2) <= ' ' || k.peek(2) == 0x7f
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// wordBytes are those that a word may begin with, wordBytes and digits and the dollar those it goes on with.
var wordBytes = func() (t [256]uint8) {
	for i := range t {
		c := byte(i)
		switch {
		case c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80:
			t[i] = 2
		case isDigit(c) || c == '$':
			t[i] = 1
		}
	}
	return t
}()

func isWordStart(c byte) bool { return wordBytes[c] == 2 }
