package dns

import (
	"encoding/binary"
	"strconv"

	"github.com/toposcope/toposcope/protocol"
)

type parser struct {
	link   bool // mDNS or LLMNR: nobody owes an answer
	stream bool // it was seen that bytes continue, as those of a datagram never do
	asked  memory
	// transfers are zones under way, on a stream.
	transfers []transfer
}

var _ protocol.Parser = (*parser)(nil)

// Next implements protocol.Parser.
func (p *parser) Next(c *protocol.Chunk) (int, *protocol.Message, error) {
	c = c.WithMessage()
	if p.stream = p.stream || !alone(c); p.stream {
		return p.prefixed(c)
	}
	if plausible(c.Data) {
		return p.message(c, c.Data, len(c.Data)+int(c.Missing), c.Then == protocol.Hole)
	}
	n, m, err := p.prefixed(c) // the only bytes of a stream, or no message
	if n == 0 && err == nil {
		err = protocol.ErrSyntax
	}
	return n, m, err
}

// Reset makes p a new parser: what one peer said has nothing to do with the next.
func (p *parser) Reset() { *p = parser{link: p.link, transfers: p.transfers[:0]} }

// alone says whether a chunk may be a datagram, which comes by itself.
func alone(c *protocol.Chunk) bool {
	return (c.Then == protocol.Ended || c.Then == protocol.Hole) && c.Off == 0
}

// Resync implements protocol.Parser: a message begins a call. What was asked is known as before.
func (p *parser) Resync(c *protocol.Chunk) (int, bool) {
	p.tear()
	if !c.Call {
		return len(c.Data), false
	}
	o := sniffPrefixed(c.Data)
	if alone(c) {
		o = max(o, sniffMessage(c.Data, len(c.Data), unicast))
	}
	switch {
	case o == protocol.Yes:
		return 0, true
	case o == protocol.More && c.Then == protocol.Continues:
		return 0, false
	default:
		return len(c.Data), false
	}
}

// prefixed reads a message of a stream, after the two bytes of its length (RFC 1035 section 4.2.2).
func (p *parser) prefixed(c *protocol.Chunk) (int, *protocol.Message, error) {
	if len(c.Data) < 2 {
		return 0, nil, nil
	}
	size := int(binary.BigEndian.Uint16(c.Data))
	data := c.Data[2:]
	if size < headerLen || !plausible(data[:min(size, len(data))]) {
		return 0, nil, protocol.ErrSyntax
	}
	if len(data) >= size {
		return p.message(c, data[:size], 2+size, false)
	}
	if c.Then != protocol.Hole {
		return 0, nil, nil
	}
	return p.message(c, data, 2+size, true)
}

// plausible says whether a header may begin so, as far as there is one: of a kind that exists, without a response code in a
// request, and with no more questions than are ever asked.
func plausible(data []byte) bool {
	if len(data) >= 4 {
		flags := binary.BigEndian.Uint16(data[2:])
		op := int(flags >> 11 & 0xf)
		if op >= len(opNames) || opNames[op] == "" || flags&flagResponse == 0 && flags&maskCode != 0 {
			return false
		}
	}
	return len(data) < headerLen || binary.BigEndian.Uint16(data[4:]) <= maxQuestions
}

// maxQuestions is how many questions a message may have. More than one is found in mDNS alone.
const maxQuestions = 64

// message reads one message, which takes n bytes of the chunk. cut: the end of it was not captured.
func (p *parser) message(c *protocol.Chunk, data []byte, n int, cut bool) (int, *protocol.Message, error) {
	var m message
	e := m.header(data)
	if e == whole {
		e = m.question()
	}
	switch {
	case e == short && cut:
		return p.unreadable(c, &m, n)
	case e != whole:
		return 0, nil, protocol.ErrSyntax
	case m.op() == opDSO, p.link && m.response(), m.count[questions] == 0 && !m.response():
		return n, nil, nil
	}
	e = m.records()
	if e == wrong || e == short && !cut && m.flags&flagTruncated == 0 {
		return 0, nil, protocol.ErrSyntax
	}
	out := c.Message
	out.Reset()
	out.Truncated = cut
	if !m.response() {
		p.ask(&m, out)
		return n, out, nil
	}
	return p.answer(&m, out, n, e)
}

// unreadable handles a message of which not even the question was captured. An answer is passed over with a word, so that nobody
// takes what it answers for unanswered; a question that a stream has lost is the framework's to account for.
func (p *parser) unreadable(c *protocol.Chunk, m *message, n int) (int, *protocol.Message, error) {
	if p.stream && !m.response() {
		return 0, nil, nil
	}
	c.Message.Reset()
	c.Message.Kind, c.Message.Truncated = protocol.Interim, true
	return n, c.Message, nil
}

// ask makes a request of m.
func (p *parser) ask(m *message, out *protocol.Message) {
	out.ID = m.hash<<16 | uint64(m.id)
	a := &out.Attrs
	var buf [maxText]byte
	a.Add(protocol.DNSQuestionName, text(&buf, m.data, m.name))
	a.Add(protocol.DNSQuestionType, appendType(buf[:0], m.qtype))
	if p.link {
		out.Kind = protocol.OneWay
		return
	}
	if m.class != classIN {
		a.Add(QuestionClass, appendClass(buf[:0], m.class))
	}
	if m.op() != opQuery {
		a.SetString(OpCode, opNames[m.op()])
	}
	if m.dnssecOK {
		a.SetString(DNSSECOK, "true")
	}
	if p.stream && m.transfers() {
		p.expect(m, out.ID)
		return
	}
	p.asked.add(out.ID)
}

// answer makes a response of m.
func (p *parser) answer(m *message, out *protocol.Message, n int, e end) (int, *protocol.Message, error) {
	out.Kind = protocol.Response
	if p.stream {
		if t := p.transfer(m); t != nil {
			return p.transferred(t, m, out, n, e)
		}
		if m.count[questions] > 0 && m.transfers() {
			return n, nil, nil // one whose beginning was not seen
		}
	}
	out.ID = m.hash<<16 | uint64(m.id)
	if m.count[questions] == 0 {
		out.ID = p.asked.find(m.id)
	}
	p.asked.remove(out.ID)
	m.resultTo(out, e)
	if m.gives() {
		m.addressesTo(&out.Attrs, e)
	}
	countTo(&out.Attrs, m.count[answers])
	if m.flags&flagTruncated != 0 {
		out.Attrs.SetString(Truncated, "true")
	}
	return n, out, nil
}

// resultTo tells the response code. When the record that may extend it was not captured, and nothing else shows what was meant,
// it is not known.
func (m *message) resultTo(out *protocol.Message, e end) {
	extended := m.code == 0 || m.code == codeBADCOOKIE&maskCode
	if e == short && extended && m.count[answers] == 0 && m.count[additionals] > 0 && m.flags&flagTruncated == 0 {
		out.Unresolved = true
		out.Attrs.SetString(protocol.DNSResponseCode, protocol.Unknown)
		return
	}
	out.Outcome, out.Error = outcome(m.code)
	out.Attrs.SetString(protocol.DNSResponseCode, codeName(m.code))
}

// gives says whether the addresses in m's answers are those of the name that was asked for.
func (m *message) gives() bool {
	return m.op() == opQuery && m.class == classIN && (m.qtype == typeA || m.qtype == typeAAAA || m.qtype == typeANY)
}

// addressesTo tells the addresses that m gives and, when all of it was read, for how long they hold.
func (m *message) addressesTo(a *protocol.Attrs, e end) {
	if m.found == 0 {
		return
	}
	var buf [maxAddresses * len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255,")]byte
	a.Add(protocol.DNSAnswers, m.appendAddresses(buf[:0]))
	if e == whole {
		a.Add(protocol.DNSAnswersTTL, strconv.AppendUint(buf[:0], uint64(m.ttl), 10))
	}
}

func countTo(a *protocol.Attrs, n int) {
	var buf [20]byte
	a.Add(AnswersCount, strconv.AppendInt(buf[:0], int64(n), 10))
}

// memory holds the IDs of the last questions that have not been answered: some servers leave the question out of an answer that
// tells of an error, and then its own 16 bits are all there is.
type memory struct {
	ids  [remembered]uint64
	next uint8
}

// remembered is how many questions a connection remembers.
const remembered = 16

func (k *memory) add(id uint64) {
	for _, known := range k.ids {
		if known == id {
			return
		}
	}
	k.ids[k.next] = id
	k.next = (k.next + 1) % remembered
}

func (k *memory) remove(id uint64) {
	for i, known := range k.ids {
		if known == id {
			k.ids[i] = 0
			return
		}
	}
}

// find is the ID of the one question with these 16 bits; when there is none, or more than one, it is nobody's.
func (k *memory) find(bits uint16) uint64 {
	found := uint64(0)
	for _, known := range k.ids {
		if known == 0 || uint16(known) != bits {
			continue
		}
		if found != 0 {
			return uint64(bits)
		}
		found = known
	}
	if found == 0 {
		return uint64(bits)
	}
	return found
}
