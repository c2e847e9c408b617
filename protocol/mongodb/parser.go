package mongodb

import (
	"encoding/binary"
	"sync"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// window is how many bytes of a message are read in one go; most messages are shorter. What stands after them is read as it comes,
// element by element.
const window = 4 << 10

// lastBytes is where at the end of a reply, of which bytes before were missing, its outcome is looked for.
const lastBytes = captureTail

// config is what all connections share.
type config struct {
	protocol.Options
	inflate *inflaters
	writers sync.Pool // of *writer
	// messages are those that are longer than the window, while they are under way.
	messages sync.Pool
	cursors  cursors
}

type parser struct {
	cfg   *config
	flows [2]flow
	// server is the direction of answers, once that is known: of a message that answers nothing, or what is outstanding.
	server event.Dir
	known  bool
}

// flow is one direction.
type flow struct {
	// left is how many bytes of the message under way are still to come, 0 between messages. blind: some that were needed are missing.
	left  uint32
	blind bool
	// held is that message as far as it is known, or the one that was returned last.
	held *protocol.Message
	body body
	// streams is set after an answer to which the server adds more, last is that one's ID.
	streams bool
	last    uint32
}

var _ protocol.Parser = (*parser)(nil)

// message is one that begins.
type message struct {
	header
	op      uint32 // of what was compressed
	payload []byte // what is there, within the window
	size    int    // of the whole payload
	packed  bool   // decompressed: there will be no more of it
	unread  bool   // it could not be decompressed
	short   bool   // there is less than the window holds
	reply   bool
	noReply bool
	settled bool // the walk need not go on: an old opcode's answer

	compressor string
}

// Next implements protocol.Parser.
func (p *parser) Next(c *protocol.Chunk) (int, *protocol.Message, error) {
	for i := range p.flows { // what was returned is of use no more
		if f := &p.flows[i]; f.left == 0 {
			p.release(f)
		}
	}
	f := &p.flows[c.Dir&1]
	if f.left > 0 {
		return p.proceed(c, f)
	}
	if len(c.Data) < headerLen {
		return 0, nil, nil
	}
	h, ok := readHeader(c.Data)
	if !ok {
		return 0, nil, protocol.ErrSyntax
	}
	most := window
	if h.op == opCompressed {
		most = captureHead
	}
	most = min(most, h.length)
	if len(c.Data) < most && c.Then != protocol.Hole {
		return 0, nil, nil
	}
	msg := message{header: h, op: h.op, payload: c.Data[headerLen:min(len(c.Data), most)], short: len(c.Data) < most}
	return p.begin(c.WithMessage(), f, &msg)
}

// begin reads the beginning of a message, or all of it.
func (p *parser) begin(c *protocol.Chunk, f *flow, msg *message) (int, *protocol.Message, error) {
	msg.size = msg.length - headerLen
	if msg.op == opCompressed {
		buf, err := p.decompress(msg)
		if err != nil {
			return 0, nil, err
		}
		defer p.cfg.inflate.put(buf)
	}
	m := c.Message
	m.Reset()
	var walked int
	var err error
	f.body = body{}
	if msg.reply = p.replies(c.Dir, msg); msg.reply {
		walked, err = p.reply(c, f, msg)
	} else {
		walked, err = p.request(c, f, msg)
	}
	switch {
	case err != nil:
		return 0, nil, err
	case walked < 0 && msg.short && !msg.packed:
		return 0, nil, nil // what comes before the first document was not captured
	case walked < 0:
		return 0, nil, protocol.ErrSyntax
	}
	return p.first(c, f, msg, walked)
}

// replies reports whether a message is an answer. Of OP_MSG, which both ends send, responseTo tells, until the direction is known.
func (p *parser) replies(d event.Dir, msg *message) bool {
	switch {
	case msg.op != opMsg:
		return msg.op == opReply
	case p.known:
		return d == p.server
	default:
		return msg.responseTo != 0
	}
}

// learn notes the direction of answers, once.
func (p *parser) learn(server event.Dir) {
	if !p.known {
		p.known, p.server = true, server
	}
}

// first returns the message that begins here, if the walk, which is done with walked bytes of the payload, has found all that is of
// interest. Else it keeps what it has.
func (p *parser) first(c *protocol.Chunk, f *flow, msg *message, walked int) (int, *protocol.Message, error) {
	m := c.Message
	m.ID, m.NoReply = uint64(msg.id), msg.noReply
	if msg.reply {
		m.Kind, m.ID = protocol.Response, uint64(msg.responseTo)
		if p.streamed(c, f, msg) {
			return msg.length, nil, nil
		}
	}
	finished := msg.unread || msg.settled || f.body.done() || !msg.reply && f.body.ask.named()
	if finished || msg.packed {
		p.conclude(f, m, !finished || msg.unread || msg.short)
		return msg.length, m, nil
	}
	f.body.past = true
	if f.left = uint32(msg.length - headerLen - walked); f.left == 0 {
		return 0, nil, protocol.ErrSyntax // it ends without a body
	}
	f.held = p.cfg.messages.Get().(*protocol.Message) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	f.held.Reset()
	f.held.Kind, f.held.ID, f.held.NoReply, f.held.Form = m.Kind, m.ID, m.NoReply, m.Form
	f.held.Waiting, f.held.Upkeep, f.held.Unresolved, f.held.Truncated = m.Waiting, m.Upkeep, m.Unresolved, msg.short
	f.held.Start, f.held.Size = c.First, int64(msg.length)
	f.held.Attrs.CopyFrom(&m.Attrs)
	return headerLen + walked, nil, nil
}

// streamed reports whether an answer is one that nobody asked for: the server's continuation of the one before.
func (p *parser) streamed(c *protocol.Chunk, f *flow, msg *message) bool {
	more := msg.reply && msg.op == opMsg && len(msg.payload) >= flagsLen && binary.LittleEndian.Uint32(msg.payload)&flagMore != 0
	continues := f.streams && (msg.responseTo == f.last || c.Asked(uint64(msg.responseTo)) == nil)
	f.streams, f.last = more, msg.id
	return continues
}

// conclude completes m, all of which has been said. cut: not all of the message was seen.
func (p *parser) conclude(f *flow, m *protocol.Message, cut bool) {
	m.Truncated = m.Truncated || cut
	if m.Kind == protocol.Response {
		f.body.told.judge(m, &p.cfg.cursors)
		return
	}
	if f.body.ask.command == nil {
		m.Attrs.SetString(protocol.DBOperation, protocol.Unknown)
		m.Unresolved = true
	}
	m.Unresolved = m.Unresolved || m.Truncated && f.body.ask.unsure()
	m.Form = f.body.ask.form()
}

// proceed takes what comes of a message that is longer than the window.
func (p *parser) proceed(c *protocol.Chunk, f *flow) (int, *protocol.Message, error) {
	if f.blind {
		return p.seek(c, f)
	}
	n, err := f.body.run(c.Data, f.held)
	left := int(f.left)
	switch {
	case err != nil, !f.body.done() && (n >= left || n == 0 && len(c.Data) >= left): // it says that more must come than there is
		p.release(f)
		return 0, nil, protocol.ErrSyntax
	case f.body.done():
		return p.finish(c, f)
	case n > 0:
		f.left -= uint32(n)
		return n, nil, nil
	case c.Then == protocol.Hole:
		f.blind = true
		return p.seek(c, f)
	default:
		return 0, nil, nil
	}
}

// finish waits for the last byte of a message that has been read as far as it is of interest.
func (p *parser) finish(c *protocol.Chunk, f *flow) (int, *protocol.Message, error) {
	left := int(f.left)
	switch {
	case left <= len(c.Data), c.Then == protocol.Hole && left <= len(c.Data)+int(c.Missing):
		return p.end(f, false)
	case left == 1:
		return 0, nil, nil
	default:
		f.left = 1
		return left - 1, nil, nil
	}
}

// end takes the rest of a message.
func (p *parser) end(f *flow, cut bool) (int, *protocol.Message, error) {
	p.conclude(f, f.held, cut)
	n := int(f.left)
	f.left, f.blind = 0, false
	return n, f.held, nil
}

// release gives back the message that was kept.
func (p *parser) release(f *flow) {
	if f.held != nil {
		p.cfg.messages.Put(f.held)
		f.held = nil
	}
	f.left, f.blind = 0, false
}

// seek takes the rest of a message of which bytes that say how it goes on are missing. An answer's outcome may still be found, among
// its last bytes.
func (p *parser) seek(c *protocol.Chunk, f *flow) (int, *protocol.Message, error) {
	left, there := int(f.left), len(c.Data)
	if c.Then == protocol.Hole {
		there += int(c.Missing)
	}
	switch {
	case left <= len(c.Data):
		if f.body.reply {
			f.body.find(c.Data[:left], f.held)
		}
		return p.end(f, true)
	case left <= there:
		return p.end(f, true)
	case left > lastBytes:
		f.left = lastBytes
		return left - lastBytes, nil, nil
	case c.Then == protocol.Hole && there > 0:
		f.left -= uint32(there)
		return there, nil, nil
	default:
		return 0, nil, nil
	}
}

// Resync implements protocol.Parser: a message begins a call, and is strictly told.
func (p *parser) Resync(c *protocol.Chunk) (int, bool) {
	f := &p.flows[c.Dir&1]
	p.release(f)
	*f = flow{}
	if !c.Call && !c.Turn {
		return len(c.Data), false
	}
	switch o := sniff(c.Dir, c.Data); {
	case o == protocol.Yes:
		return 0, true
	case o == protocol.More && c.Then == protocol.Continues:
		return 0, false
	default:
		return len(c.Data), false
	}
}
