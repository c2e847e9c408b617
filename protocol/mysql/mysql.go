// Package mysql decodes the protocol of MySQL and MariaDB: the handshake, commands and their answers, from any point of a
// connection.
//
// What an answer looks like depends on what both ends have agreed on in the handshake. Where that was not seen it is taken from the
// bytes: a column count of two bytes tells of cached metadata (and by its form whether MySQL's or MariaDB's), the packet after the
// last column definition tells whether EOF packets are in use. Compressed connections are recognised and not decoded.
//
// The rows of a result are passed over by their lengths; nothing of them is kept. Of an ERR packet the code and the SQLSTATE
// are taken, never its text, which quotes values.
//
// Sources: MySQL 9.x source documentation, "Client/Server Protocol"; MariaDB knowledge base, "Client/Server Protocol".
package mysql

import (
	"strconv"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/sqltext"
)

// SQLState is the attribute of a response that holds an error's SQLSTATE, five characters.
const SQLState protocol.Key = "db.mysql.sqlstate"

// Compressed is what the Upgrade of a connection asks for that goes on compressed: nothing speaks it, so the connection counts
// as undecoded.
const Compressed = "mysql-compressed"

// other is the operation of a text whose verb is none of those known.
const other = "_OTHER"

// Spec describes MySQL and MariaDB. o says what is kept of the statements' texts.
func Spec(o protocol.Options) *protocol.Spec {
	return &protocol.Spec{
		Name:    "mysql",
		System:  protocol.SystemDB,
		Ports:   []uint16{3306},
		Sniff:   sniff,
		New:     func() protocol.Parser { return newParser(o) },
		Pairing: protocol.InOrder,
		// Rows can only be passed over by their lengths, which lie between them.
		Capture: protocol.Capture{Whole: true},
	}
}

// parser decodes one connection.
type parser struct {
	text   *sqltext.Reader
	server event.Dir
	knows  bool // server is known
	keeps  bool // texts are kept

	greeted   bool // the server's greeting was seen
	shaken    bool // the client has answered it, or commands were seen
	mariadb   bool
	agreed    uint32 // capabilities of both ends; of what is set only when capable
	capable   bool
	eof       eofMode
	doubtful  bool // the character set has characters that hold a backslash
	uploading bool // the client sends a file (LOAD DATA LOCAL)
	logging   bool // the client is within an authentication

	schema, before []byte // the current database, and the one that the last change left
	inSchema, was  bool   // schema is known, before was
	moving         bool   // the server has not yet said that it agrees to the change
	client         clientState
	answer         answer
	statements     statements
	last           statement // prepared last, which id -1 stands for
	hasLast        bool
	operations     []string // of PREPAREs, by the number in their form
	codes          []code
	asked          *protocol.Message // during a call: the request that is being answered
}

// eofMode says whether EOF packets end the column definitions (CLIENT_DEPRECATE_EOF).
type eofMode uint8

const (
	eofUnknown eofMode = iota
	eofUsed
	eofDeprecated
)

// code is an error's code as text.
type code struct {
	number uint16
	text   string
}

// maxCodes bounds the codes whose text is kept.
const maxCodes = 64

func newParser(o protocol.Options) *parser {
	return &parser{text: sqltext.NewReader(sqltext.MySQL, o), keeps: o.TextLimit > 0}
}

var _ protocol.Parser = (*parser)(nil)

// Next implements protocol.Parser.
func (p *parser) Next(c *protocol.Chunk) (int, *protocol.Message, error) {
	c = c.WithMessage()
	if !p.knows && !p.learn(c.Dir, c.Data) {
		if len(c.Data) <= headerSize {
			return 0, nil, nil
		}
		return 0, nil, protocol.ErrSyntax
	}
	if c.Dir == p.server {
		return p.serverNext(c)
	}
	return p.clientNext(c)
}

// Resync implements protocol.Parser. A client's command begins with a call, a server's answer with a turn.
func (p *parser) Resync(c *protocol.Chunk) (int, bool) {
	if !p.knows && !p.learn(c.Dir, c.Data) {
		return p.wait(c, c.Turn)
	}
	if c.Dir != p.server {
		p.client, p.uploading, p.logging, p.hasLast = clientState{}, false, false, false
		p.inSchema, p.was = false, false // what was lost may have changed it
		if !c.Call {
			return len(c.Data), false
		}
		return p.found(c, resumes(c.Data))
	}
	p.answer = answer{}
	p.unmoved()
	p.unset()
	if !c.Turn || c.Request == nil && p.shaken {
		return len(c.Data), false
	}
	return p.found(c, p.begins(c.Request, c.Data))
}

// found is what Resync answers by the opinion on c's beginning.
func (p *parser) found(c *protocol.Chunk, o protocol.Sniffed) (int, bool) {
	if o == protocol.Yes {
		return 0, true
	}
	return p.wait(c, o == protocol.More)
}

// wait keeps what may be the beginning of a message while there may be more of it.
func (p *parser) wait(c *protocol.Chunk, may bool) (int, bool) {
	if may && c.Then == protocol.Continues && len(c.Data) < sniffBytes {
		return 0, false
	}
	return len(c.Data), false
}

// learn finds out from the beginning of a message who is the server.
func (p *parser) learn(d event.Dir, data []byte) bool {
	switch {
	case sniffServer(data) == protocol.Yes:
		p.server, p.knows = d, true
	case sniffClient(data) == protocol.Yes:
		p.server, p.knows = d.Reverse(), true
	}
	return p.knows
}

// system is the value of db.system.name: what the greeting says, else the protocol's own name.
func (p *parser) system() string {
	if p.mariadb {
		return "mariadb"
	}
	return "mysql"
}

// has reports whether both ends have agreed on a capability; unknown is the answer when that was not seen.
func (p *parser) has(capability uint32, unknown bool) bool {
	if !p.capable {
		return unknown
	}
	return p.agreed&capability != 0
}

// maxName bounds a name, in bytes: 64 characters are the most that a server allows.
const maxName = 64 * 4

// move changes the current database, until an error takes it back. What is no name leaves it unknown, and so does a change that does
// not wait for the answer to the last one.
func (p *parser) move(schema []byte) {
	if p.moving {
		p.inSchema, p.was = false, false
		return
	}
	p.was, p.inSchema = p.inSchema, len(schema) <= maxName && printable(schema)
	if !p.inSchema {
		schema = nil
	}
	p.before, p.schema, p.moving = p.schema, append(p.before[:0], schema...), true
}

// moved ends a change of the database, as the server wants it.
func (p *parser) moved(agreed bool) {
	if p.moving && !agreed {
		p.schema, p.before, p.inSchema = p.before, p.schema, p.was
	}
	p.moving = false
}

// unmoved gives up a change of the database whose answer is not seen.
func (p *parser) unmoved() {
	if p.moving {
		p.inSchema, p.was, p.moving = false, false, false
	}
}

// unset forgets how the server reads texts: it may have said otherwise in what was lost.
func (p *parser) unset() {
	p.text.SetANSIQuotes(false)
	if !p.doubtful {
		p.text.SetEscapes(sqltext.EscapesUnknown)
	}
}

// moves reports whether a command changes the database.
func (c command) moves() bool { return c == comInitDB || c == comChangeUser }

// codeText is an error's code in decimal.
func (p *parser) codeText(n uint16) string {
	for i := range p.codes {
		if p.codes[i].number == n {
			return p.codes[i].text
		}
	}
	text := strconv.Itoa(int(n))
	if len(p.codes) < maxCodes {
		p.codes = append(p.codes, code{n, text})
	}
	return text
}

// operation is the number of an operation's name, for a request's form.
func (p *parser) operation(name string) int {
	for i, o := range p.operations {
		if o == name {
			return i
		}
	}
	p.operations = append(p.operations, name) // of sqltext's closed set
	return len(p.operations) - 1
}
