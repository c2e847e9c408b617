package mongodb

import (
	"encoding/binary"

	"github.com/toposcope/toposcope/protocol"
)

// place is where in a message a walk is. Only what has a place is entered; all else goes by at once, by its length, however deeply it
// is nested.
type place uint8

const (
	inSections place = iota // of OP_MSG
	inSingle                // before the first document of an old opcode; what comes after that is of no interest
	inCommand
	inWrapped  // a legacy query that stands in a document of its own, beside its options
	inPipeline // of an aggregate: its first stage tells
	inStage
	inReply
	inCursor
	inErrors // writeErrors, of which the first one counts
	inError
	inConcern // writeConcernError
	inBatch   // firstBatch of a bulkWrite: a document for each write, or each that failed
	inItem
)

// maxDepth is the deepest that a walk goes: sections, reply, cursor, batch, item.
const maxDepth = 5

// scope is what a walk is in: bytes of the payload up to end.
type scope struct {
	end uint32
	at  place
}

// body is a walk over a payload (a message without its header), and what it has found. It may be interrupted wherever an element
// ends and holds nothing of what it has seen.
type body struct {
	off   uint32 // in the payload, of what is looked at next
	depth uint8
	reply bool
	// past is set when the walk has left the window: from then on a request is followed only until its names are known.
	past   bool
	bodies uint8 // sections of that kind
	sum    uint8 // how long the checksum is
	stack  [maxDepth]scope
	ask    ask
	told   answer
}

// begin makes b ready for a payload of size bytes, to be walked from off on.
func (b *body) begin(size, off int, at place, reply bool) {
	*b = body{off: uint32(off), depth: 1, reply: reply}
	b.stack[0] = scope{end: uint32(size), at: at}
}

func (b *body) done() bool { return b.depth == 0 || b.past && !b.reply && b.ask.named() }

// run walks as far as data goes, which begins where the walk is. n is how many bytes it is done with; more than there are when it
// skips what comes.
func (b *body) run(data []byte, m *protocol.Message) (n int, err error) {
	base := b.off
	for moved := true; moved && !b.done(); {
		at := int(b.off - base)
		if at > len(data) {
			break
		}
		if moved, err = b.step(data[at:], m); err != nil {
			return 0, err
		}
	}
	return int(b.off - base), nil
}

// step takes one element, section or end. moved is false when there is too little data for it.
func (b *body) step(data []byte, m *protocol.Message) (moved bool, err error) {
	s := b.stack[b.depth-1]
	left := int(s.end - b.off)
	switch {
	case s.at == inSections:
		return b.section(data, left)
	case s.at == inSingle:
		return b.single(data, left)
	case s.at == inErrors && b.told.wrote || s.at == inBatch && b.told.item:
		b.leave(1)
		return true, nil
	case left == 1:
		if len(data) > 0 && data[0] != 0 {
			return false, protocol.ErrSyntax
		}
		if len(data) > 0 {
			b.leave(1)
		}
		return len(data) > 0, nil
	}
	e, short, err := readElement(data, left-1)
	if err != nil || short || !e.nested() && !e.whole() && e.size <= maxValue {
		return false, err
	}
	if b.enter(&e, b.visit(s.at, &e, m)) {
		return true, nil
	}
	if b.depth > 0 && b.stack[b.depth-1] == s { // else the visit has left it
		b.off += uint32(e.head + e.size)
	}
	return true, nil
}

// leave skips what is left of the innermost levels.
func (b *body) leave(levels uint8) {
	b.depth -= levels
	b.off = b.stack[b.depth].end
}

// enter goes into e's value. It reports whether there is anything to go into.
func (b *body) enter(e *element, at place) bool {
	if at == inSections || !e.nested() || int(b.depth) == maxDepth {
		return false
	}
	b.stack[b.depth] = scope{end: b.off + uint32(e.head+e.size), at: at}
	b.depth++
	b.off += uint32(e.head) + 4
	return true
}

// section enters, or skips, one section of OP_MSG.
func (b *body) section(data []byte, left int) (moved bool, err error) {
	if left == 0 && b.bodies == 1 {
		b.depth--
		return true, nil
	}
	if left < 1+4 {
		return false, protocol.ErrSyntax
	}
	if len(data) < 1+4 {
		return false, nil
	}
	size := int(int32(binary.LittleEndian.Uint32(data[1:])))
	if size < minDocument || size > left-1 || data[0] > sectionSequence {
		return false, protocol.ErrSyntax
	}
	if data[0] == sectionSequence {
		b.off += uint32(1 + size)
		return true, nil
	}
	if b.past && !b.reply && len(data) < min(1+size, window) {
		return false, nil // its names are found in one go
	}
	if b.bodies++; b.bodies > 1 {
		return false, protocol.ErrSyntax
	}
	b.document(1, size)
	return true, nil
}

// document enters the document of size bytes that begins after skip bytes.
func (b *body) document(skip, size int) {
	at := inCommand
	if b.reply {
		at = inReply
	}
	b.stack[b.depth] = scope{end: b.off + uint32(skip+size), at: at}
	b.depth++
	b.off += uint32(skip + 4)
}

// single enters the one document of an old opcode.
func (b *body) single(data []byte, left int) (moved bool, err error) {
	if len(data) < 4 && left >= minDocument {
		return false, nil
	}
	if left < minDocument {
		return false, protocol.ErrSyntax
	}
	size := int(int32(binary.LittleEndian.Uint32(data)))
	if size < minDocument || size > left {
		return false, protocol.ErrSyntax
	}
	b.depth-- // whatever follows it
	b.document(0, size)
	return true, nil
}

// visit takes in an element. It returns the place that its value is, or inSections for one that is not entered.
func (b *body) visit(at place, e *element, m *protocol.Message) place {
	switch at {
	case inCommand, inWrapped:
		return b.ask.visit(at, e, m)
	case inPipeline:
		return inStage
	case inStage:
		if string(e.key) == "$changeStream" {
			b.ask.wait(m, true)
		}
		b.leave(2)
		return inSections
	default:
		return b.told.visit(at, e, m)
	}
}
