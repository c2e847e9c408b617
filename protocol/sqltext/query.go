package sqltext

import (
	"bytes"
	"strings"
)

// maxDepth is how deep parentheses are followed.
const maxDepth = 64

// query finds the first table of a SELECT or DELETE: that of its own FROM, else that of a query within it. A FROM within the
// parentheses of a function (EXTRACT(YEAR FROM d), TRIM(BOTH ? FROM s)) is none.
func (n *namer) query() bool {
	var nested []byte
	queries := uint64(1) // bit d: the parentheses at depth d hold a query
	outside, final := n.depth, false
	want := false     // a table may come next
	distinct := false // the word before was: IS DISTINCT FROM
	for n.cur.class != end {
		depth := n.depth - outside
		here := queries&(1<<depth) != 0
		switch w := n.word(); {
		case depth >= maxDepth-1 || depth == 0 && (n.is(";") || n.is(")")):
			return n.settle(nested)
		case n.is("("):
			n.advance()
			queries &^= 1 << (depth + 1)
			if isQuery := derived[n.word()]; isQuery || want { // else FROM (a JOIN b)
				queries |= 1 << (depth + 1)
				want = want && !isQuery
			}
			continue
		case w == "FROM" && !distinct && here, (w == "JOIN" || w == "STRAIGHT_JOIN") && here:
			want = true
			final = final || depth == 0
			n.advance()
			n.skip(beforeName)
			continue
		case want && w == "ROWS" && strings.EqualFold(n.next.text, "FROM"): // ROWS FROM (f(), g())
			want = false
		case want && (n.cur.class == word || n.cur.class == quoted):
			want = false
			switch ok := n.take() && !n.is("("); {
			case !ok: // a function
			case n.isKnown() && n.under == nil:
			case n.isKnown() && final:
				return n.settle(n.under)
			case final:
				return true
			case nested == nil && !n.isKnown():
				nested = bytes.Clone(n.name)
			}
			continue
		default:
			want = false // a literal where a name should be, or an end
			distinct = w == "DISTINCT"
		}
		n.advance()
	}
	return n.settle(nested)
}

// settle ends a search with what was found on the way.
func (n *namer) settle(name []byte) bool {
	n.name = append(n.name[:0], name...)
	return len(name) > 0
}

// isKnown reports whether the name taken last is one of the WITH clause's.
func (n *namer) isKnown() bool {
	for _, k := range n.known[:n.n] {
		if len(k) == len(n.name) && bytes.EqualFold([]byte(k), n.name) {
			return true
		}
	}
	return false
}

// take reads a name, of one part or more, into n.name without its quotes, and passes over it. It reports whether it is one that
// can be trusted: whole, and not the name of a function.
func (n *namer) take() bool {
	n.name = n.name[:0]
	if n.cur.class == word && noName[n.word()] {
		return false
	}
	ok := true
	for part := 0; part < 4; part++ {
		if n.cur.class != word && n.cur.class != quoted {
			return false
		}
		dotted := n.cur.text[len(n.cur.text)-1] == '.' && n.cur.class == word
		ok = n.unquote(n.cur.text) && ok && !(n.cut && n.cur.last)
		n.advance()
		if n.cur.class == quoted && n.cur.near && !dotted {
			return false // a quote within the name: the lexer takes it for two
		}
		if !dotted {
			if !n.is(".") {
				break
			}
			n.name = append(n.name, '.')
			n.advance()
		}
	}
	return ok && len(n.name) > 0 && len(n.name) <= nameLimit && !n.is("&") // U&"d\0061t"
}

// unquote adds a name as it is written to n.name. It reports whether it is well formed.
func (n *namer) unquote(s string) bool {
	fold := n.dialect == PostgreSQL
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"' || c == '`':
			j := i + 1
			for ; j < len(s); j++ {
				if s[j] == c {
					if j+1 == len(s) || s[j+1] != c {
						break
					}
					j++
				}
				if s[j] < ' ' || s[j] == 0x7f {
					return false
				}
				n.name = append(n.name, s[j])
			}
			if j >= len(s) {
				return false
			}
			i = j
		case c == '.' || c == '$' || isDigit(c) || isWordStart(c):
			if fold && c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			n.name = append(n.name, c)
		default:
			return false
		}
	}
	return true
}
