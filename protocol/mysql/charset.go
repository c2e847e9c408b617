package mysql

import (
	"bytes"

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
	p.doubtful = false
	for _, n := range doubtfulCollations {
		p.doubtful = p.doubtful || n == collation
	}
	if p.doubtful {
		p.text.SetEscapes(sqltext.EscapesDoubtful)
	}
}

// setLimit is the longest SET that is looked at for a character set.
const setLimit = 512

// setCharset notes the character set that a SET names (SET NAMES gbk, SET character_set_client = 'gbk').
func (p *parser) setCharset(text []byte) {
	names := len(text) > setLimit
	for i := 0; i < len(text) && !names; i++ {
		for _, name := range doubtfulCharsets {
			names = names || len(text)-i >= len(name) && bytes.EqualFold(text[i:i+len(name)], []byte(name))
		}
	}
	if names { // a later one without may be about anything else
		p.doubtful = true
		p.text.SetEscapes(sqltext.EscapesDoubtful)
	}
}
