package mongodb

import (
	"bytes"
	"encoding/binary"

	"github.com/toposcope/toposcope/protocol"
)

// request reads what the window holds of a request. walked is how much of the payload that is, less than 0 when its beginning is not
// all there.
func (p *parser) request(c *protocol.Chunk, f *flow, msg *message) (walked int, err error) {
	m := c.Message
	if msg.op != opMsg || msg.responseTo == 0 {
		p.learn(c.Dir.Reverse())
	}
	m.Attrs.SetString(protocol.DBSystem, Name)
	if msg.compressor != "" {
		m.Attrs.SetString(Compressor, msg.compressor)
	}
	switch {
	case msg.unread:
		return 0, nil
	case msg.op != opMsg:
		return p.oldRequest(f, msg, m)
	}
	flags, size, err := msg.flags()
	if err != nil || size < 0 {
		return size, err
	}
	msg.noReply = flags&flagMore != 0
	f.body.begin(size, flagsLen, inSections, false)
	walked, err = f.body.run(msg.payload[flagsLen:min(len(msg.payload), size)], m)
	p.show(m, msg, size)
	return flagsLen + walked, err
}

// flags are those of an OP_MSG, and the size of its payload without the checksum; size is less than 0 when there are no flags.
func (msg *message) flags() (flags uint32, size int, err error) {
	if len(msg.payload) < flagsLen {
		return 0, -1, nil
	}
	flags, size = binary.LittleEndian.Uint32(msg.payload), msg.size
	if flags&requiredUnknown != 0 {
		return 0, 0, protocol.ErrSyntax
	}
	if flags&flagChecksum != 0 {
		size -= checksumLen
	}
	if size < flagsLen+1+minDocument {
		return 0, 0, protocol.ErrSyntax
	}
	return flags, size, nil
}

// oldRequest reads a request of an old opcode.
func (p *parser) oldRequest(f *flow, msg *message, m *protocol.Message) (walked int, err error) {
	l, complete, err := readLegacy(msg.op, msg.payload)
	switch {
	case err != nil:
		return 0, err
	case !complete:
		return -1, nil
	case l.docs > msg.size:
		return 0, protocol.ErrSyntax
	}
	f.body.begin(msg.size, l.docs, inSingle, false)
	a := &f.body.ask
	a.legacy = true
	name, takes := "", true
	switch msg.op {
	case opQuery:
		if string(l.collection) == "$cmd" {
			a.spaced = true
			setName(m, protocol.DBNamespace, l.db)
			walked, err = f.body.run(msg.payload[min(l.docs, len(msg.payload)):], m)
			p.show(m, msg, msg.size)
			return l.docs + walked, err
		}
		name = "find"
		a.documents = true
		a.wait(m, binary.LittleEndian.Uint32(msg.payload)&(queryTailable|queryAwaitData) != 0)
	case opGetMore:
		name = "getMore"
		a.documents, a.cursor = true, cursorKey(l.cursor)
	case opInsert:
		name, msg.noReply = "insert", true
	case opUpdate:
		name, msg.noReply = "update", true
	case opDelete:
		name, msg.noReply = "delete", true
	case opKillCursors:
		name, msg.noReply, takes = "killCursors", true, false
	}
	m.Attrs.SetString(protocol.DBOperation, name)
	a.command, msg.settled = commands[name], true
	if takes {
		setName(m, protocol.DBCollection, l.collection)
		setName(m, protocol.DBNamespace, l.db)
	}
	return l.docs, nil
}

// Flags of OP_QUERY.
const (
	queryTailable  = 1 << 1
	queryAwaitData = 1 << 5
)

// codeCursorNotFound is the code of what OP_REPLY has a flag for.
const codeCursorNotFound = 43

// reply reads what the window holds of an answer; see request.
func (p *parser) reply(c *protocol.Chunk, f *flow, msg *message) (walked int, err error) {
	asked := c.Asked(uint64(msg.responseTo))
	var form uint64
	if asked != nil {
		p.learn(c.Dir)
		form = asked.Form
	}
	switch {
	case msg.unread:
		f.body.reply, f.body.told.form, f.body.told.asked = true, form, asked != nil
		return 0, nil
	case msg.op == opReply:
		return p.oldReply(f, msg, asked, c.Message)
	}
	_, size, err := msg.flags()
	if err != nil || size < 0 {
		return size, err
	}
	f.body.begin(size, flagsLen, inSections, true)
	f.body.told.form, f.body.told.asked, f.body.sum = form, asked != nil, uint8(msg.size-size)
	walked, err = f.body.run(msg.payload[flagsLen:min(len(msg.payload), size)], c.Message)
	return flagsLen + walked, err
}

// oldReply reads an OP_REPLY.
func (p *parser) oldReply(f *flow, msg *message, asked *protocol.Message, m *protocol.Message) (walked int, err error) {
	if len(msg.payload) < replyLen {
		return -1, nil
	}
	flags := binary.LittleEndian.Uint32(msg.payload)
	docs := binary.LittleEndian.Uint32(msg.payload[16:])
	f.body.begin(msg.size, replyLen, inSingle, true)
	told := &f.body.told
	if asked != nil {
		told.form, told.asked = asked.Form, true
	}
	told.cursor = int64(binary.LittleEndian.Uint64(msg.payload[4:]))
	switch {
	case flags&replyCursorNotFound != 0:
		told.said, told.coded, told.code, msg.settled = true, true, codeCursorNotFound, true
		return replyLen, nil
	case flags&replyQueryFailure != 0:
		told.said = true
	case told.form&formDocuments != 0, docs == 0:
		told.said, told.ok, msg.settled = true, true, true
		return replyLen, nil
	}
	walked, err = f.body.run(msg.payload[replyLen:], m)
	return replyLen + walked, err
}

// okKey is how the key of the outcome ends.
var okKey = []byte("ok\x00")

// find looks for the outcome in data, which a reply ends with. It is an element called ok from which the reply's own elements lead
// exactly to its end, as they do from no other place but by a strange coincidence.
func (b *body) find(data []byte, m *protocol.Message) {
	end := len(data) - int(b.sum)
	form := b.told.form
	for at := 1; at < end; at++ {
		next := bytes.Index(data[at:end], okKey)
		if next < 0 {
			return
		}
		at += next
		if !known(data[at-1]) {
			continue
		}
		try := body{depth: 1, reply: true, past: true}
		try.stack[0] = scope{end: uint32(end - (at - 1)), at: inReply}
		try.told.form = form
		if _, err := try.run(data[at-1:end], m); err == nil && try.depth == 0 && try.told.said {
			b.told.merge(&try.told)
			return
		}
	}
}
