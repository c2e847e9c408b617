package redis

import (
	"bytes"
	"strconv"

	"github.com/toposcope/toposcope/protocol"
)

// asking is the state of the direction of requests.
type asking struct {
	left   int  // words of the open request that are still to come
	open   bool // a request was begun
	astray bool // words of it were not captured: it goes on until a turn
}

// ask reads a request, or goes on with one.
func (p *parser) ask(c *protocol.Chunk) (int, *protocol.Message, error) {
	d := &p.asking
	if d.astray && c.Turn {
		*d = asking{}
	}
	switch {
	case d.astray:
		return d.pass(c)
	case d.open:
		return p.goOn(c)
	case len(c.Data) == 0:
		return 0, nil, nil
	}
	switch b := c.Data[0]; {
	case b == '*':
		return p.askArray(c)
	case b == '\r' || b == '\n':
		return 1, nil, nil // an empty line is passed over by servers
	case letter(b):
		return p.askInline(c)
	default:
		return 0, nil, protocol.ErrSyntax
	}
}

// askArray reads a request that is an array of strings.
func (p *parser) askArray(c *protocol.Chunk) (int, *protocol.Message, error) {
	n, at, s := length(c.Data, maxCount)
	switch {
	case s == wrong || s == whole && n == streamed:
		return 0, nil, protocol.ErrSyntax
	case s == short:
		return 0, nil, nil
	case n <= 0:
		return at, nil, nil // an empty array is passed over by servers
	}
	q := question{words: n}
	w := words{data: c.Data[at:], left: n}
	if s := p.understand(&q, &w); s != whole {
		return p.unready(s)
	}
	left := n
	took, s := skipWords(c.Data[at:], &left)
	if s == wrong {
		return 0, nil, protocol.ErrSyntax
	}
	return p.question(c, &q, words{data: c.Data[at:], left: n}, at+took, left)
}

// askInline reads a request that is a line.
func (p *parser) askInline(c *protocol.Chunk) (int, *protocol.Message, error) {
	end := bytes.IndexByte(c.Data, '\n')
	switch {
	case end > maxInline || end < 0 && len(c.Data) > maxInline:
		return 0, nil, protocol.ErrSyntax
	case end < 0:
		return 0, nil, nil
	}
	text := bytes.TrimSuffix(c.Data[:end], []byte("\r"))
	if bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' }) {
		return 0, nil, protocol.ErrSyntax
	}
	q := question{words: countWords(text)}
	w := words{data: text, left: q.words, inline: true}
	if s := p.understand(&q, &w); s != whole {
		return p.unready(s)
	}
	return p.question(c, &q, words{data: text, left: q.words, inline: true}, end+1, 0)
}

func (p *parser) unready(s status) (int, *protocol.Message, error) {
	if s == wrong {
		return 0, nil, protocol.ErrSyntax
	}
	return 0, nil, nil
}

// linked says whether data begins as a replica or its master reports and asks for how far it is. Both ends of such a connection
// send commands.
func linked(data []byte) bool {
	const ack, getack = "*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n", "*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n"
	return bytes.HasPrefix(data, []byte(ack)) || bytes.HasPrefix(data, []byte(getack))
}

// question makes the message of a request whose first n bytes are taken, left of its words being still to come. w is at its first
// word.
func (p *parser) question(c *protocol.Chunk, q *question, w words, n, left int) (int, *protocol.Message, error) {
	if q.acks { // nobody answers it
		switch {
		case left == 0:
			return n, nil, nil
		case len(c.Data) < patience:
			return 0, nil, nil
		}
		return 0, nil, protocol.ErrSyntax
	}
	if q.mode == modeOn && !p.silent && c.Request != nil && !p.watched() {
		// What is outstanding was sent while answers were off, since before the connection was seen: forget it.
		return 0, nil, &protocol.Upgrade{To: Name}
	}
	mute := p.mute(q)
	if mute && (left > 0 || n > len(c.Data)) && len(c.Data) < patience && c.Then == protocol.Continues {
		return 0, nil, nil // it ends where the request does, so that should be known
	}
	m := begun(c, protocol.Request)
	if !p.describe(c, q, w, m) {
		return 0, nil, nil
	}
	p.remember(q, m)
	m.NoReply = mute
	p.asking = asking{}
	if left > 0 {
		p.asking.left, p.asking.open = left, true
		m.Part = protocol.PartHead
	}
	return n, m, nil
}

// watched says whether nothing was missed of the connection since its beginning.
func (p *parser) watched() bool { return p.certain && !p.resynced[0] && !p.resynced[1] }

// patience is how much of a request without an answer is waited for.
const patience = 4 << 10

// mute says whether a request gets no answer.
func (p *parser) mute(q *question) bool {
	switch {
	case q.mode != modeless:
		return q.mode != modeOn
	case q.cmd.kind == leave:
		return true
	default:
		return p.silent || p.skips
	}
}

// remember notes what a request changes for those after it, and for the answer.
func (p *parser) remember(q *question, m *protocol.Message) {
	p.skips = false
	count := 0
	switch q.cmd.kind {
	case subscribe, unsubscribe:
		count = q.words - q.shown
		p.endsAll = p.endsAll || count == 0
	case choose:
		p.before, p.db = p.db, q.number
		count = int(q.number - unknownDB)
	case leave:
		p.leaving = true
	case replies:
		switch q.mode {
		case modeOff:
			p.silent = true
		case modeOn:
			p.silent = false
		case modeSkip:
			p.skips = !p.silent
		}
	}
	m.Form = form(q.cmd, count)
	m.Waiting = q.cmd.is(waits) || q.blocks
	m.Upkeep = q.cmd.is(upkeep)
	if p.db != unknownDB {
		var buf [8]byte
		m.Attrs.Add(protocol.DBNamespace, strconv.AppendInt(buf[:0], int64(p.db), 10))
	}
}

// form packs what the answer must know of its request: the kind, whether it probes, and how many confirmations there will be, or which
// database was chosen, from unknownDB on.
func form(cmd *command, count int) uint64 {
	f := uint64(cmd.kind) | uint64(count)<<16
	if cmd.is(probes) {
		f |= formProbes
	}
	if cmd.is(lists) {
		f |= formLists
	}
	return f
}

// Bits of a form.
const (
	formProbes = 1 << 8
	formLists  = 1 << 9
)

// asked is what a request's form says; plain when the request is not known.
func asked(m *protocol.Message) (k kind, probes bool, count uint64) {
	if m == nil {
		return plain, false, 0
	}
	return kind(m.Form), m.Form&formProbes != 0, m.Form >> 16
}

// skipWords passes over words, of which left are still to come, and returns how many bytes are done with: more than there are
// when the last one goes on beyond them.
func skipWords(data []byte, left *int) (n int, s status) {
	for *left > 0 && n < len(data) {
		if data[n] != '$' {
			return n, wrong
		}
		size, at, s := length(data[n:], maxString)
		switch {
		case s == wrong || s == whole && size < 0:
			return n, wrong
		case s == short:
			return n, whole
		}
		n += at + size
		if n < len(data) && lineEnd(data[n:]) == wrong {
			return n, wrong
		}
		n += 2
		*left--
	}
	return n, whole
}

// goOn goes on with the words of an open request.
func (p *parser) goOn(c *protocol.Chunk) (int, *protocol.Message, error) {
	d := &p.asking
	n, s := skipWords(c.Data, &d.left)
	switch {
	case s == wrong:
		return 0, nil, protocol.ErrSyntax
	case n == 0 && c.Then == protocol.Hole:
		d.astray = true
		return d.pass(c)
	case d.left > 0:
		return n, nil, nil
	}
	*d = asking{}
	m := begun(c, protocol.Request)
	m.Part = protocol.PartEnd
	return n, m, nil
}

// pass passes over bytes of a request whose end cannot be told. When it ended makes no difference to how long it took.
func (d *asking) pass(c *protocol.Chunk) (int, *protocol.Message, error) {
	if c.Then == protocol.Hole {
		return len(c.Data) + int(c.Missing), nil, nil
	}
	return len(c.Data), nil, nil
}
