package mysql

import (
	"bytes"
	"slices"

	"github.com/toposcope/toposcope/protocol/sqltext"
)

// Character sets with characters whose second byte may be a backslash: where a literal in them ends cannot be told without knowing all
// of their characters. By their collations' numbers (information_schema.COLLATIONS), and by name.
var (
	doubtfulCollations = [...]uint16{1, 84, 13, 88, 28, 87, 95, 96, 248, 249, 250}
	doubtfulCharsets   = [...]string{"big5", "sjis", "gbk", "cp932", "gb18030"}
)

// charset notes the client's character set, by its collation's number.
func (p *parser) charset(collation uint16) {
	if p.doubtful = slices.Contains(doubtfulCollations[:], collation); p.doubtful {
		p.text.SetEscapes(sqltext.EscapesDoubtful)
	}
}

// setLimit is the longest SET that is looked at for what it sets.
const setLimit = 512

// set takes in a SET, before the server has agreed to it: the character set that it names (SET NAMES gbk, SET
// character_set_client = 'gbk'), and that how texts are read may change (sql_mode), which the server says with its answer.
func (p *parser) set(text []byte) {
	long := len(text) > setLimit
	if long || names(text, "sql_mode") {
		p.unset()
	}
	for _, name := range doubtfulCharsets {
		if long || names(text, name) { // a later one without may be about anything else
			p.doubtful = true
			p.text.SetEscapes(sqltext.EscapesDoubtful)
			return
		}
	}
}

// names reports whether a text holds a word.
func names(text []byte, word string) bool {
	for i := 0; i+len(word) <= len(text); i++ {
		if bytes.EqualFold(text[i:i+len(word)], []byte(word)) {
			return true
		}
	}
	return false
}
