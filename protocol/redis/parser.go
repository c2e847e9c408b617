package redis

import (
	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// parser decodes one connection.
//
// Who asks shows in what is said: requests are arrays of strings, and answers may be, too. On a connection that is seen from its
// beginning the client speaks first. On an older one who sends a known command is presumed to be the client, until the other
// end answers with what is no command; when what was presumed cannot be, all that was understood is forgotten. Two things cannot be
// told of an older connection: that answers were off (CLIENT REPLY OFF) before it was seen, unless they are switched on again; and
// that an array that was seen first, and is a command that is answered with such an array, was an answer.
type parser struct {
	table   table
	options protocol.Options

	known, certain bool // who asks is presumed; is certain
	reqDir         event.Dir
	resynced       [2]bool

	asking asking
	answer answer

	db, before int32 // database, and that before the last SELECT; unknownDB
	silent     bool  // CLIENT REPLY OFF
	skips      bool  // CLIENT REPLY SKIP: the next command gets no answer
	leaving    bool  // QUIT was sent, and its answer may come
	endsAll    bool  // UNSUBSCRIBE without a channel was sent: nobody knows how many confirmations come
	text       []byte
}

// unknownDB is the database of a connection of which no SELECT was seen.
const unknownDB = -1

var _ protocol.Parser = (*parser)(nil)

// Next implements protocol.Parser.
func (p *parser) Next(c *protocol.Chunk) (int, *protocol.Message, error) {
	c = c.WithMessage()
	if !p.certain {
		if ready, err := p.learn(c); !ready || err != nil {
			return 0, nil, err
		}
	}
	if c.Dir&1 == p.reqDir {
		return p.ask(c)
	}
	return p.reply(c)
}

// learn finds out who asks, as far as c.Data tells; ready is false when more of it is needed. The error is an Upgrade when all that
// was understood so far is wrong.
func (p *parser) learn(c *protocol.Chunk) (ready bool, err error) {
	d := c.Dir & 1
	asker := p.known && d == p.reqDir
	if asker && p.asking.open || p.known && !asker && p.answer.begun {
		return true, nil // within a message
	}
	found := p.table.judge(c.Data)
	switch {
	case linked(c.Data):
		return false, &protocol.Upgrade{To: replication}
	case found == undecided && (asker || !p.known || p.resynced[d]):
		return asker && len(c.Data) > 0 && letter(c.Data[0]), nil
	case !p.known && found == neither:
		return false, protocol.ErrSyntax
	case !p.known:
		p.known, p.reqDir, p.certain = true, d, found != asks
		if p.certain {
			p.reqDir = d.Reverse()
		}
	case asker && found == answers:
		return false, &protocol.Upgrade{To: Name} // it was the server that was taken for the client
	case asker:
	case !p.resynced[d], found == answers, found == either:
		p.certain = true // both were seen from their beginning; or, it is no command that was answered with
	case found == asks && c.Request != nil && c.Request.Form&formLists == 0:
		return false, &protocol.Upgrade{To: Name} // nor is it what that command is answered with
	}
	return true, nil
}

// Resync implements protocol.Parser: a message begins a turn, or it is not looked for. In the middle of one it may be part of a
// value, and in front of it there may be others that were lost.
func (p *parser) Resync(c *protocol.Chunk) (int, bool) {
	d := c.Dir & 1
	p.resynced[d] = true
	asker := !p.known || d == p.reqDir
	if p.known && asker {
		p.asking = asking{}
		p.skips, p.db, p.before = false, unknownDB, unknownDB
	} else {
		p.answer.forget()
	}
	if !c.Turn {
		return len(c.Data), false
	}
	ok := false
	switch p.table.judge(c.Data) {
	case undecided:
		return 0, false
	case asks:
		ok = true
	case answers:
		ok = !asker || !p.certain
	case either:
		ok = p.known && (!asker || p.certain)
	}
	if !ok {
		return len(c.Data), false
	}
	return 0, true
}

// begun returns c's message, empty.
func begun(c *protocol.Chunk, k protocol.Kind) *protocol.Message {
	m := c.Message
	m.Reset()
	m.Kind = k
	return m
}
