package sqltext

import "bytes"

// table finds the table of a statement, past its verb. It reports whether there is one, in n.name.
func (n *namer) table(f find) bool {
	switch f {
	case target:
		n.parens() // VACUUM (FULL) t
		n.skip(beforeName)
		for n.is("(") {
			n.advance()
		}
		if n.word() == "INSTANCE" && n.next.text == "FOR" { // LOCK INSTANCE FOR BACKUP
			return false
		}
		return n.take() && !n.is("=") // ANALYZE FORMAT=JSON SELECT
	case from:
		return n.query()
	case object:
		return n.object()
	case into:
		return n.until("TABLE", nil) && n.take()
	case inner:
		n.skip(afterExplain)
		for n.is("=") || n.cur.class == sign && n.cur.text == "?" {
			n.advance()
			n.skip(afterExplain)
		}
		n.parens()
		if n.verb() == nil {
			return n.take()
		}
		return n.statement()
	case after:
		for range maxWords {
			w := n.word()
			n.advance()
			if w == "AS" || w == "FOR" {
				return n.statement()
			}
		}
	case copying:
		if n.is("(") {
			n.advance()
			return n.statement()
		}
		n.skip(beforeName)
		return n.take()
	case shown:
		return n.shown()
	case database:
		n.db = true
		return n.take()
	}
	return false
}

// statement finds the table of a statement within another.
func (n *namer) statement() bool {
	v := n.verb()
	if v == nil || v.find == inner || v.find == after || v.find == database {
		return false
	}
	n.advance()
	if v.find == with {
		_, ok := n.with()
		return ok
	}
	return n.table(v.find)
}

// with reads the queries of a WITH clause and the statement after them, whose verb it returns.
func (n *namer) with() (operation string, found bool) {
	own := n.word() == "RECURSIVE" // else a query's name is not known within it: there it is a table's
	n.skip(recursive)
	for n.n < maxKnown && (n.cur.class == word || n.cur.class == quoted) {
		n.take()
		name := string(n.name)
		if own {
			n.know(name)
		}
		n.parens() // its columns
		for n.word() == "AS" || n.word() == "NOT" || n.word() == "MATERIALIZED" {
			n.advance()
		}
		if !n.is("(") {
			break
		}
		if !n.body() {
			return "", false
		}
		if !own {
			n.know(name)
		}
		if !n.is(",") {
			break
		}
		n.advance()
	}
	for n.is("(") {
		n.advance()
	}
	v := n.verb()
	if v == nil || v.find != from && v.find != target && v.find != nothing {
		return "", false
	}
	n.advance()
	found = n.table(v.find)
	if !found && n.under != nil {
		n.name, found = n.under, true
	}
	return v.operation, found
}

// know adds a name of the WITH clause.
func (n *namer) know(name string) {
	if n.n < maxKnown {
		n.known[n.n] = name
		n.n++
	}
}

// body passes over a query of a WITH clause, which begins with the parenthesis that is current, and keeps its first table. It
// reports whether the query ends.
func (n *namer) body() bool {
	outside := n.depth
	n.advance()
	if found := n.statement(); found && n.under == nil {
		n.under = bytes.Clone(n.name)
	}
	for n.depth > outside && n.cur.class != end {
		n.advance()
	}
	return n.depth == outside
}

// until passes over words, up to and with w. It reports whether it was there, before any of stop.
func (n *namer) until(w string, stop map[string]bool) bool {
	for range maxWords {
		got := n.word()
		if n.cur.class == end || stop[got] {
			return false
		}
		n.advance()
		if got == w {
			return true
		}
	}
	return false
}

// object finds the table of CREATE, ALTER and DROP.
func (n *namer) object() bool {
	for range maxWords {
		w := n.word()
		if n.cur.class == end || others[w] {
			return false
		}
		n.advance()
		switch w {
		case "TABLE", "VIEW":
			n.skip(beforeName)
			return n.take()
		case "INDEX":
			if !n.until("ON", nil) {
				return false
			}
			n.skip(beforeName)
			return n.take()
		}
	}
	return false
}

// shown finds the table of SHOW COLUMNS FROM t and SHOW CREATE TABLE t.
func (n *namer) shown() bool {
	n.skip(beforeName)
	w := n.word()
	n.advance()
	switch {
	case listed[w]:
		if w := n.word(); w != "FROM" && w != "IN" {
			return false
		}
		n.advance()
		return n.take()
	case w == "CREATE" && (n.word() == "TABLE" || n.word() == "VIEW"):
		n.advance()
		return n.take()
	}
	return false
}
