package redis

import (
	"bytes"
	"strconv"
)

// question is what the words of a request say.
type question struct {
	cmd    *command
	words  int
	shown  int   // how many words the operation is
	number int32 // of the database that SELECT chooses
	mode   mode  // of CLIENT REPLY
	blocks bool
	acks   bool // REPLCONF ACK or GETACK
}

// mode is what CLIENT REPLY asks for.
type mode uint8

const (
	modeless mode = iota // nothing that there is, which is refused
	modeOn
	modeOff
	modeSkip
)

// understand reads as many words as tell what is asked.
func (p *parser) understand(q *question, w *words) status {
	q.cmd, q.shown = p.table.unknown(), 0
	name, size, s := w.next()
	switch {
	case s == short && size > maxName:
		return whole // no command's, so it needs not be read
	case s != whole:
		return s
	}
	cmd := p.table.find("", name)
	if cmd == nil {
		return whole
	}
	q.cmd, q.shown = cmd, 1
	if cmd.is(divided) && w.left > 0 {
		sub, size, s := w.next()
		switch {
		case s == short && size > maxName:
			return whole
		case s != whole:
			return s
		}
		if cmd := p.table.find(q.cmd.name, sub); cmd != nil {
			q.cmd, q.shown = cmd, 2
		}
	}
	return q.details(w)
}

// details reads the arguments that change how the answer is to be read.
func (q *question) details(w *words) status {
	switch q.cmd.kind {
	case choose, replies, acks:
	case read:
		return q.readOptions(w)
	default:
		return whole
	}
	if w.left == 0 {
		return whole
	}
	arg, size, s := w.next()
	switch {
	case s == short && size > maxName:
		return whole
	case s != whole:
		return s
	}
	switch q.cmd.kind {
	case choose:
		q.number = unknownDB
		if n, err := strconv.ParseUint(string(arg), 10, 16); err == nil {
			q.number = int32(n)
		}
	case replies:
		q.mode = modeOf(arg, q.words)
	case acks: // the others come in pairs
		q.acks = q.words%2 == 1 && (bytes.EqualFold(arg, []byte("ACK")) || bytes.EqualFold(arg, []byte("GETACK")))
	}
	return whole
}

// modeOf is the mode that CLIENT REPLY, of so many words, asks for by arg.
func modeOf(arg []byte, words int) mode {
	switch {
	case words != 3:
		return modeless
	case bytes.EqualFold(arg, []byte("ON")):
		return modeOn
	case bytes.EqualFold(arg, []byte("OFF")):
		return modeOff
	case bytes.EqualFold(arg, []byte("SKIP")):
		return modeSkip
	}
	return modeless
}

// maxOptions bounds the words before STREAMS that are looked at: GROUP, COUNT, BLOCK and what belongs to them, NOACK, CLAIM.
const maxOptions = 16

// readOptions looks for BLOCK before the streams of XREAD and XREADGROUP.
func (q *question) readOptions(w *words) status {
	values := 0 // still to come of an option: they may be called as options are
	for range maxOptions {
		if w.left == 0 {
			break
		}
		arg, size, s := w.next()
		switch {
		case s == short && size > 4<<10:
			return whole // the name of a group, if anything
		case s != whole:
			return s
		case values > 0:
			values--
		case bytes.EqualFold(arg, []byte("GROUP")):
			values = 2
		case bytes.EqualFold(arg, []byte("COUNT")), bytes.EqualFold(arg, []byte("CLAIM")):
			values = 1
		case bytes.EqualFold(arg, []byte("BLOCK")):
			q.blocks = true
			return whole
		case bytes.EqualFold(arg, []byte("STREAMS")):
			return whole
		}
	}
	return whole
}
