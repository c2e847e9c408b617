package sqltext

import "github.com/DataDog/go-sqllexer"

// namer finds the verb and the first table of a masked text.
type namer struct {
	dialect    Dialect
	ansiQuotes bool
	cut        bool
	name       []byte // of the table, in memory that is used again

	lex   *sqllexer.Lexer
	next  token // after cur
	cur   token
	upper [16]byte
	known [maxKnown]string // names of the WITH clause, as they are written
	n     int
	under []byte // the first table that a query of the WITH clause reads
	db    bool
	depth int // parentheses that are open
	left  int // tokens that may still be read
}

// Bounds of what is looked at: names of a WITH clause, and words between a verb and what it is about.
const (
	maxKnown = 16
	maxWords = 24
)

// class is what a token can be.
type class uint8

const (
	end class = iota
	word
	quoted
	sign // of one or more characters
)

type token struct {
	class class
	text  string
	last  bool // nothing follows it, not even a blank
	near  bool // no blank lies before it
}

// read returns the verb of masked, "" when it is none of ours, and the first table, or for USE the database. The name's bytes
// are n.name's.
func (n *namer) read(masked []byte) (operation string, name []byte, namespace bool) {
	dbms := sqllexer.DBMSMySQL
	if n.dialect == PostgreSQL || n.ansiQuotes {
		dbms = sqllexer.DBMSPostgres
	}
	n.left = len(masked) + 2
	n.lex = sqllexer.New(string(masked), sqllexer.WithDBMS(dbms))
	n.fetch()
	n.advance()
	for n.is("(") || n.is(";") {
		n.advance()
	}
	v := n.verb()
	if v == nil {
		return "", nil, false
	}
	n.advance()
	found := false
	operation = v.operation
	if v.find == with {
		operation, found = n.with()
	} else {
		found = n.table(v.find)
	}
	if !found {
		return operation, nil, false
	}
	return operation, n.name, n.db
}

// fetch reads the token after the current one.
func (n *namer) fetch() {
	n.next.near = true
	for {
		n.left--
		if n.left < 0 {
			n.next = token{}
			return
		}
		t := n.lex.Scan()
		n.next.text = t.Value
		switch t.Type {
		case sqllexer.EOF:
			n.next = token{}
		case sqllexer.SPACE:
			n.cur.last, n.next.near = false, false
			continue
		case sqllexer.COMMENT, sqllexer.MULTILINE_COMMENT, sqllexer.ERROR:
			n.next.class = sign
		case sqllexer.QUOTED_IDENT:
			n.next.class = quoted
		case sqllexer.IDENT, sqllexer.FUNCTION, sqllexer.COMMAND, sqllexer.KEYWORD, sqllexer.BOOLEAN, sqllexer.NULL,
			sqllexer.PROC_INDICATOR, sqllexer.CTE_INDICATOR, sqllexer.ALIAS_INDICATOR:
			n.next.class = word
		default:
			n.next.class = sign
		}
		return
	}
}

// advance goes on to the next token.
func (n *namer) advance() {
	switch {
	case n.is("("):
		n.depth++
	case n.is(")"):
		n.depth--
	}
	n.cur = n.next
	n.cur.last = true
	n.fetch()
	n.cur.last = n.cur.last && n.next.class == end
	if n.cur.class == word && len(n.cur.text) <= len(n.upper) {
		for i := range len(n.cur.text) {
			c := n.cur.text[i]
			if c >= 'a' && c <= 'z' {
				c -= 'a' - 'A'
			}
			n.upper[i] = c
		}
	}
}

// word is the current token in upper case, "" when it is no word, or may not be the whole of it.
func (n *namer) word() string {
	if n.cur.class != word || len(n.cur.text) > len(n.upper) || n.cut && n.cur.last {
		return ""
	}
	return string(n.upper[:len(n.cur.text)])
}

// is reports whether the current token is the sign s.
func (n *namer) is(s string) bool { return n.cur.class == sign && n.cur.text == s }

// verb is the current token's verb, nil for any other word.
func (n *namer) verb() *verb {
	w := n.word()
	if w == "" {
		return nil
	}
	if v, ok := verbs[w]; ok {
		return &v
	}
	return nil
}

// skip passes over words that are in list, at most maxWords.
func (n *namer) skip(list map[string]bool) {
	for range maxWords {
		if w := n.word(); w == "" || !list[w] || n.next.class == sign && n.next.text == "." {
			return
		}
		n.advance()
	}
}

// parens passes over a group in parentheses, if one begins here.
func (n *namer) parens() {
	if !n.is("(") {
		return
	}
	outside := n.depth
	for n.advance(); n.depth > outside && n.cur.class != end; {
		n.advance()
	}
}
