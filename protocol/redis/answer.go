package redis

import (
	"bytes"

	"github.com/toposcope/toposcope/protocol"
)

// answer is the state of the direction of answers.
type answer struct {
	walk
	begun  bool // a value was begun
	aside  bool // which answers nothing
	probes bool
	kind   kind  // of the request
	number int32 // of the database that it chooses
	queued bool  // that is for later, if at all
}

// forget makes a as good as new, and keeps its memory.
func (a *answer) forget() {
	a.begun, a.aside = false, false
}

// reply reads an answer, or goes on with one.
func (p *parser) reply(c *protocol.Chunk) (int, *protocol.Message, error) {
	a := &p.answer
	if len(c.Data) == 0 {
		return 0, nil, nil
	}
	fresh := !a.begun
	if fresh {
		switch s := p.begin(c); {
		case s == wrong:
			return 0, nil, protocol.ErrSyntax
		case s == short:
			return 0, nil, nil
		case a.kind == sync && c.Data[0] != '-':
			return p.streams(c)
		}
	}
	n, done, s := a.next(c.Data)
	switch {
	case s == wrong:
		a.forget()
		return 0, nil, protocol.ErrSyntax
	case n == 0:
		return 0, nil, nil
	}
	return p.told(c, n, fresh, done)
}

// told makes the message of an answer of which n bytes are taken.
func (p *parser) told(c *protocol.Chunk, n int, fresh, done bool) (int, *protocol.Message, error) {
	a := &p.answer
	a.begun = !done
	if a.aside {
		return n, begun(c, protocol.Interim), nil // each part of it, so that nobody takes it for a part of an answer
	}
	if !fresh && !done {
		return n, nil, nil
	}
	m := begun(c, protocol.Response)
	switch {
	case !done:
		m.Part = protocol.PartHead
		return n, m, nil
	case !fresh:
		m.Part = protocol.PartEnd
	}
	p.judgeAnswer(m)
	return n, m, nil
}

// judgeAnswer sets what an answer that is over means.
func (p *parser) judgeAnswer(m *protocol.Message) {
	a := &p.answer
	if a.fault != "" {
		m.Error, m.Outcome = a.fault, outcome(a.fault, a.probes)
		if a.fault == otherCode {
			m.Attrs.Set(protocol.DBStatusCode, a.own[:a.ownSize])
		} else {
			m.Attrs.SetString(protocol.DBStatusCode, a.fault)
		}
	}
	switch {
	case a.kind == choose && a.queued:
		p.db, p.before = unknownDB, unknownDB
	case a.kind == choose && a.fault != "":
		p.refused(a.number)
	case a.kind == reset && a.fault == "":
		p.silent, p.db = false, unknownDB
	}
}

// refused notes that the database of that number was not chosen; a later SELECT may have been sent since.
func (p *parser) refused(number int32) {
	if p.before == number {
		p.before = unknownDB
	}
	if p.db == number {
		p.db = p.before
	}
}

// begin finds out what the value at the start of c.Data is: an answer, and to what, or something that comes beside.
func (p *parser) begin(c *protocol.Chunk) status {
	a := &p.answer
	k, probes, count := asked(c.Request)
	a.kind, a.probes, a.aside, a.queued = k, probes, false, false
	depth := 1
	switch k {
	case exec:
		depth = 2
	case choose:
		a.number, count = int32(count)+unknownDB, 1
		if len(c.Data) < 2 {
			return short
		}
		a.queued = c.Data[0] == '+' && c.Data[1] == 'Q'
	}
	switch b := c.Data[0]; {
	case b == '>', b == '*' && (c.Request == nil || subscribed(k) || p.endsAll):
		what, s := message(c.Data)
		if s != whole {
			return s
		}
		switch what {
		case published:
			a.aside = b == '>' || c.Request == nil || subscribed(k)
		case confirmed:
			a.aside = k != subscribe && k != unsubscribe
		default:
			a.aside = b == '>'
		}
	case b == '+':
		switch monitored(c.Data) {
		case protocol.More:
			if bytes.IndexByte(c.Data, '\n') < 0 {
				return short
			}
		case protocol.Yes:
			a.aside = true
		}
	case (b == '\n' || b == '\r') && k == sync:
		return whole
	}
	if c.Request == nil && !a.aside {
		a.aside, p.leaving = p.leaving, false
		p.silent = false // it has been told to speak again
	}
	if a.aside || count == 0 {
		count = 1
	}
	a.walk.begin(count, depth)
	return whole
}

// subscribed says whether k is of the commands that may be sent while subscribed (in RESP2 there are no others). What else comes
// in between is told from its answer by its form.
func subscribed(k kind) bool {
	return k == subscribe || k == unsubscribe || k == ping || k == reset
}

// Kinds of values that may come beside answers.
const (
	otherwise = iota
	published // a message of a subscription
	confirmed // that one was begun or ended
)

// message finds out by its first word what an array or a push is.
func message(data []byte) (what int, s status) {
	n, at, s := length(data, maxCount)
	switch {
	case s != whole:
		return 0, s
	case n != 3 && n != 4 || at < len(data) && data[at] != '$':
		return otherwise, whole
	case at == len(data):
		return 0, short
	}
	size, next, s := length(data[at:], maxString)
	switch {
	case s != whole:
		return 0, s
	case size < len("message") || size > len("punsubscribe"):
		return otherwise, whole
	}
	word := data[at+next:]
	if len(word) < size {
		return 0, short
	}
	switch word = word[:size]; {
	case n == 3 && (string(word) == "message" || string(word) == "smessage"), n == 4 && string(word) == "pmessage":
		return published, whole
	case n == 3 && isConfirmation(word):
		return confirmation(data, at+next+size)
	}
	return otherwise, whole
}

// confirmation tells a confirmation from a list of three strings by what follows the word that ends at at: a channel and a number. A
// push is no list.
func confirmation(data []byte, at int) (what int, s status) {
	rest := words{data: data, pos: at + 2, left: 2}
	_, size, s := rest.next()
	switch {
	case data[0] == '>', s == wrong, size > maxFirstLine:
		return confirmed, whole
	case s == short || rest.pos >= len(data):
		return 0, short
	case data[rest.pos] == '$':
		return otherwise, whole
	}
	return confirmed, whole
}

// isConfirmation says whether word is what a subscription is confirmed, or the end of one, with.
func isConfirmation(word []byte) bool {
	switch string(word) {
	case "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe":
		return true
	}
	return false
}

// streams ends a request for replication. Newlines come before the answer while the server makes its snapshot.
func (p *parser) streams(c *protocol.Chunk) (int, *protocol.Message, error) {
	switch b := c.Data[0]; b {
	case '\n', '\r':
		return 1, begun(c, protocol.Interim), nil
	case '+', '$':
		end := bytes.IndexByte(c.Data, '\n')
		if end < 0 && len(c.Data) <= maxInline {
			return 0, nil, nil
		}
		return end + 1, begun(c, protocol.Response), &protocol.Upgrade{To: replication}
	}
	return 0, nil, protocol.ErrSyntax
}
