// Package sqltext reads the text of SQL statements for the protocols that carry them: what a statement does, to which table, and
// how it reads without the values in it. A text may be cut anywhere, and whatever is in it, no literal's value shows in the result.
//
// A text is read in two steps. The first one masks it: every literal becomes "?", comments vanish, blanks shrink to one. It is a
// scanner of our own, because it must never be wrong: go-sqllexer takes `_utf8"secret"` for a name, `5--'a\n secret'` for a
// comment up to the line's end, and ends a nested comment of PostgreSQL at its first "*/", each of which shows what must not
// be shown. The second step names what is left by the tokens of DataDog/go-sqllexer. It costs more, and is done once for each
// masked text: a Reader remembers what it has named.
package sqltext

import (
	"bytes"
	"unicode/utf8"

	"github.com/toposcope/toposcope/protocol"
)

// Dialect is the SQL that a text is written in: what is a comment, a literal or a name differs.
type Dialect uint8

// Dialects.
const (
	// MySQL is that of MySQL and MariaDB, with their default sql_mode: "a" is a literal, `a` a name.
	MySQL Dialect = iota
	// PostgreSQL is that of PostgreSQL: "a" is a name, $$a$$ a literal. Names without quotes are in lower case, as the server
	// has them.
	PostgreSQL
)

// Escapes says whether a backslash in a literal takes the next byte's meaning away. It is a setting of the server, and which one
// decides where a literal ends.
type Escapes uint8

// Escapes.
const (
	// EscapesUnknown: where it makes a difference the text ends.
	EscapesUnknown Escapes = iota
	// EscapesOn: it does (MySQL's default; PostgreSQL with standard_conforming_strings off).
	EscapesOn
	// EscapesOff: it does not (MySQL with NO_BACKSLASH_ESCAPES; PostgreSQL's default, except in E'').
	EscapesOff
	// EscapesDoubtful: characters may hold a backslash as their second byte (GBK, Big5, Shift-JIS): a text ends at the first
	// backslash.
	EscapesDoubtful
)

// scanLimit is how many bytes of a text are looked at: what follows is many rows of an INSERT. nameLimit bounds a collection's
// name: two names of 64 characters each, the most that either server allows.
const (
	scanLimit = 16 << 10
	nameLimit = 2*64*4 + 1
)

// Statement is what a text says. It is valid until the Reader's next Read.
type Statement struct {
	// Operation is the first statement's verb in upper case, of a closed set ("SELECT", "INSERT"); "" when it cannot be told.
	Operation string
	// Collection is the first table it names, without quotes, as schema.table where it is written so; nil for none.
	Collection []byte
	// Namespace is the database that a USE names; nil for other statements.
	Namespace []byte
	// Text is the text with "?" for each literal and without comments, at most Options.TextLimit bytes; with Options.Values the text as
	// it came, but for blanks at its end. nil when the limit is 0.
	Text []byte
	// Moves is set when a statement after the first one is a USE.
	Moves bool
}

// Reader reads the statements of one connection. It holds at most about 40 KiB: memoryBytes of statements that it has read of
// late, with their list, and a masked text of scratchKept. One that has read nothing holds nothing.
type Reader struct {
	mask   masker
	limit  int
	values bool
	memory memory
	// passing is the text that was read last and is not remembered.
	passing entry
	out     Statement
}

// NewReader returns a Reader for texts in d that keeps of a text what o says.
func NewReader(d Dialect, o protocol.Options) *Reader {
	return &Reader{mask: masker{dialect: d}, limit: o.TextLimit, values: o.Values}
}

// SetEscapes tells what the server has said of backslashes. It holds for the texts that follow.
func (r *Reader) SetEscapes(e Escapes) {
	if r.mask.escapes != e {
		r.mask.escapes = e
		r.memory.forget()
	}
}

// SetANSIQuotes tells that MySQL's server reads "a" as a name (sql_mode ANSI_QUOTES).
func (r *Reader) SetANSIQuotes(on bool) {
	if r.mask.ansiQuotes != on {
		r.mask.ansiQuotes = on
		r.memory.forget()
	}
}

// Read reads a text. cut: its end is missing. It does not allocate for a text that was read of late, values apart.
func (r *Reader) Read(text []byte, cut bool) *Statement {
	whole := text
	if len(text) > scanLimit {
		text, cut = text[:scanLimit], true
	}
	if !cut {
		if e := r.memory.find(text); e != nil {
			return r.statement(e, whole)
		}
	}
	masked, clean := r.mask.run(text, cut)
	cut = cut || r.mask.doubt
	if !cut {
		if e := r.memory.find(masked); e != nil {
			return r.statement(e, whole)
		}
	}
	e := &r.passing
	isKey := !cut && len(text) <= keyLimit && len(masked) > 0
	if isKey {
		key := masked
		if isKey = !clean; clean { // a text without values or comments comes again as it is
			key = text
		}
		e = r.memory.take(key)
	}
	limit := r.limit
	if r.values {
		limit = 0 // the text is shown as it came
	}
	e.show(masked, limit, isKey)
	n := namer{dialect: r.mask.dialect, ansiQuotes: r.mask.ansiQuotes, cut: cut, name: e.collection[:0]}
	e.operation, e.collection, e.isNamespace = n.read(masked)
	e.moves = movesLater(masked)
	r.mask.trim()
	return r.statement(e, whole)
}

func (r *Reader) statement(e *entry, text []byte) *Statement {
	s := &r.out
	*s = Statement{Operation: e.operation, Moves: e.moves}
	switch {
	case len(e.collection) == 0:
	case e.isNamespace:
		s.Namespace = e.collection
	default:
		s.Collection = e.collection
	}
	if r.limit > 0 {
		if s.Text = e.shown; r.values {
			s.Text = text
		}
		s.Text = clip(s.Text, r.limit)
	}
	return s
}

// movesLater reports whether a statement after the first one of masked is a USE.
func movesLater(masked []byte) bool {
	if bytes.IndexByte(masked, ';') < 0 {
		return false
	}
	named := false // within the quotes of a name
	for i, c := range masked {
		switch c {
		case '`':
			named = !named
		case ';':
			rest := bytes.TrimLeft(masked[i+1:], " ")
			if !named && len(rest) > 3 && bytes.EqualFold(rest[:3], []byte("USE")) && wordBytes[rest[3]] == 0 {
				return true
			}
		}
	}
	return false
}

// clip returns at most n bytes of b, cut between characters.
func clip(b []byte, n int) []byte {
	if len(b) > n {
		for n > 0 && !utf8.RuneStart(b[n]) {
			n--
		}
		b = b[:n]
	}
	return bytes.TrimRight(b, " ")
}
