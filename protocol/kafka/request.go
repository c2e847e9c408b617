package kafka

import (
	"strconv"

	"github.com/toposcope/toposcope/protocol"
)

// headBytes is how far into a request its first topic is looked for. It stands behind a few names and numbers.
const headBytes = 16 << 10

// maxClientID bounds the client's name as an attribute.
const maxClientID = 249

// header is what a request begins with.
type header struct {
	api     *api // nil: unknown
	key     int16
	version int16
	id      uint32
	client  []byte // nil: none, or one that is not shown
	size    int    // of all that follows the length
	body    int    // where it begins, the header's tagged fields with it
}

// known says whether the table tells how the request goes on.
func (h *header) known() bool { return h.api != nil && h.version <= h.api.last }

// header reads the header of a request: done, nothing (more bytes are needed) or wrong. Strictly, it must be of a known API and
// version, of no unheard-of length, with an id that is not negative and a printable client's name.
func (s *schema) header(data []byte, strict bool) (h header, what found) {
	if len(data) > 0 && data[0] > maxFrame>>24 {
		return h, wrong
	}
	if len(data) < 4 {
		return h, nothing
	}
	h.size = frame(data)
	r := reader{data: data, pos: 4, end: 4 + h.size}
	h.key = int16(r.number(2))
	h.api = s.find(h.key)
	if r.ok() && (h.key < 0 || strict && (h.api == nil || h.key != keyProduce && h.size > mostBytes)) {
		return h, wrong
	}
	h.version = int16(r.number(2))
	if r.ok() && (h.version < 0 || strict && !h.known()) {
		return h, wrong
	}
	if strict && len(data) > 8 && data[8] > 0x7f {
		return h, wrong
	}
	h.id = r.number(4)
	switch bare := h.key == keyControlledShutdown && h.version == 0; { // whose header has no client's name
	case !bare:
		h.readClient(&r, strict)
	case strict:
		return h, wrong
	}
	h.body = r.pos
	switch {
	case r.bad:
		return h, wrong
	case r.short:
		return h, nothing
	}
	return h, done
}

// longestClientID bounds the names by which a connection is recognised.
const longestClientID = 1 << 10

// readClient reads the client's name.
func (h *header) readClient(r *reader, strict bool) {
	n := r.length(false, 2)
	if n <= 0 || !r.ok() {
		return
	}
	if strict && n > longestClientID { // no proof: another protocol's bytes read so, and who waits for the rest holds them
		r.bad = true
		return
	}
	at := r.pos
	seen := r.data[at:min(at+n, len(r.data))]
	if strict && !printable(seen) {
		r.bad = true
	}
	if n > maxClientID {
		r.skip(n)
		return
	}
	if r.hold(n); r.ok() && printable(seen) {
		h.client = seen
	}
	r.skip(n)
}

// printable says whether a name is one that people give: ASCII without control characters.
func printable(name []byte) bool {
	for _, b := range name {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return true
}

// request reads a request.
func (p *parser) request(c *protocol.Chunk) (int, *protocol.Message, error) {
	if p.tokens {
		if n, err := p.token(c); n != 0 || err != nil || p.tokens {
			return n, nil, err
		}
	}
	h, what := p.schema.header(c.Data, false)
	switch what {
	case wrong:
		return 0, nil, protocol.ErrSyntax
	case nothing:
		return 0, nil, nil
	}
	c = c.WithMessage()
	m := c.Message
	m.Reset()
	m.ID, m.Form = uint64(h.id), uint64(h.key)<<16|uint64(h.version)
	m.Attrs.SetString(protocol.MessagingSystem, Name)
	if h.api == nil {
		m.Unresolved = true
		m.Attrs.SetString(protocol.MessagingOperation, protocol.Unknown)
	} else {
		m.Upkeep, m.Waiting = h.api.upkeep, h.api.waits
		m.Attrs.SetString(protocol.MessagingOperation, h.api.name)
		if !p.readBody(c, &h, m) {
			return 0, nil, nil
		}
	}
	var number [8]byte
	m.Attrs.Add(APIVersion, strconv.AppendUint(number[:0], uint64(h.version), 10))
	if h.client != nil && p.names {
		m.Attrs.Add(ClientID, h.client)
	}
	p.tokens = h.key == keySaslHandshake && h.version == 0
	return 4 + h.size, m, nil
}

// readBody reads what a request says of topics and waits. It reports false when more bytes are needed.
func (p *parser) readBody(c *protocol.Chunk, h *header, m *protocol.Message) bool {
	if !h.known() {
		if h.key == keyProduce && !p.unacknowledged(c, h, m) {
			return false
		}
		m.Unresolved = true
		if h.api.named {
			m.Attrs.SetString(protocol.MessagingDestination, protocol.Unknown)
		}
		return true
	}
	if !h.api.named {
		return true
	}
	r := reading{header: h, message: m}
	what := r.walk(p, c.Data)
	if what == nothing && len(c.Data) < min(4+h.size, headBytes) {
		if c.Then != protocol.Hole || h.key == keyProduce && !r.acked { // which may be one that gets no answer
			return false
		}
		m.Truncated = true
	}
	if what == nothing || what == wrong {
		r.unresolved = true
	}
	if h.key == keyFetch || h.key == keyShareFetch {
		p.continued(&r)
	}
	switch {
	case r.topic != nil:
		m.Attrs.Add(protocol.MessagingDestination, r.topic)
	case r.name != "":
		m.Attrs.SetString(protocol.MessagingDestination, r.name)
	case r.unresolved:
		m.Unresolved = true
		m.Attrs.SetString(protocol.MessagingDestination, protocol.Unknown)
	}
	return true
}

// unacknowledged looks for acks in a Produce that is newer than the table, where they have been since there are transactions. Who is
// promised no answer would else have failed for want of one. It reports false when more bytes are needed.
func (p *parser) unacknowledged(c *protocol.Chunk, h *header, m *protocol.Message) bool {
	var w walk
	w.start(h.api, h.api.request, h.api.last)
	switch _, what := w.step(c.Data, h.body, 4+h.size-h.body); what {
	case foundAcks:
		m.NoReply = w.value == 0
	case nothing:
		return len(c.Data) >= min(4+h.size, headBytes)
	}
	return true
}

// reading is what the walk through a request's body finds.
type reading struct {
	header  *header
	message *protocol.Message

	topic      []byte // the first topic, by its name
	name       string // the same, by its id
	unresolved bool   // it is one that is not known, or cannot be
	acked      bool   // it is known whether there will be an answer
	session    int32
	epoch      int32
	forgets    bool // topics leave the session
}

// walk goes on to the first topic, or to the end when there is none.
func (r *reading) walk(p *parser, data []byte) found {
	var w walk
	h := r.header
	w.start(h.api, h.api.request, h.version)
	for pos, what := h.body, nothing; ; {
		switch pos, what = w.step(data, pos, 4+h.size-pos); what {
		case nothing, wrong, done:
			return what
		case foundTopic:
			if n := w.to - w.from; n > maxTopic || !isTopic(data[w.from:w.to]) {
				r.unresolved = true
				return done
			}
			r.topic = data[w.from:w.to]
			return done
		case foundID:
			id := (*uuid)(data[w.from:w.to])
			if *id == (uuid{}) {
				continue
			}
			r.name = p.topics.name(id)
			if r.unresolved = r.name == ""; r.name != "" || h.key != keyMetadata { // where the name may stand behind it
				return done
			}
		case foundAcks:
			r.acked, r.message.NoReply = true, w.value == 0
		case foundWait:
			r.message.Waiting = w.value > 0
		case foundSession:
			r.session = w.value
		case foundEpoch:
			r.epoch = w.value
		case foundMark:
			r.forgets = true
		}
	}
}

// token passes over a token of an old login. It ends with the first message that passes for a request.
func (p *parser) token(c *protocol.Chunk) (int, error) {
	switch o := p.schema.judge(c.Data, true); {
	case o == protocol.Yes:
		p.tokens = false
		return 0, nil
	case len(c.Data) < 4, o == protocol.More && len(c.Data) < 4+frame(c.Data):
		return 0, nil
	}
	if frame(c.Data) > maxFrame {
		return 0, protocol.ErrSyntax
	}
	return 4 + frame(c.Data), nil
}
