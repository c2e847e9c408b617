package kafka

import (
	"encoding/binary"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// maxFrame bounds the length of a message; brokers refuse more than 100 MiB unless they are told otherwise.
const maxFrame = 1<<30 - 1

// parser decodes one connection. Requests are read when what they name is at hand; a response is walked through as it comes.
type parser struct {
	*shared
	answer  answer
	session *session

	asks  event.Dir // where requests go
	begun bool      // asks is known
	// tokens is set while a client logs in as SaslHandshake version 0 has it: tokens with nothing but their length in front.
	tokens bool
}

var _ protocol.Parser = (*parser)(nil)

// Next implements protocol.Parser. Only requests tell that a connection is Kafka's, so the first bytes are a request's.
func (p *parser) Next(c *protocol.Chunk) (int, *protocol.Message, error) {
	if !p.begun {
		p.begun, p.asks = true, c.Dir
	}
	if c.Dir == p.asks {
		return p.request(c)
	}
	return p.response(c)
}

// Resync implements protocol.Parser: a request must pass for one by all that can be told, a response must be one that is waited
// for. Both begin where a call does, as clients and brokers write them.
func (p *parser) Resync(c *protocol.Chunk) (int, bool) {
	if p.begun && c.Dir != p.asks {
		p.answer.open = false
	} else {
		p.session = nil // another one may have been opened since
	}
	if !c.Call {
		return len(c.Data), false
	}
	o := protocol.No
	if p.begun && c.Dir != p.asks {
		o = p.due(c)
	} else {
		o = p.schema.sniff(c.Dir, c.Data)
	}
	switch o {
	case protocol.Yes:
		return 0, true
	case protocol.More:
		return 0, false
	default:
		return len(c.Data), false
	}
}

// maxDue bounds a response that is recognised within a turn, where it must be there to its end.
const maxDue = 16 << 10

// due says whether c begins with a response that is waited for: its fields must fill it exactly, as far as they are there. Where
// the other end has not spoken right before, they must all be there.
func (p *parser) due(c *protocol.Chunk) protocol.Sniffed {
	if len(c.Data) < 8 {
		return protocol.More
	}
	end, id := 4+frame(c.Data), binary.BigEndian.Uint32(c.Data[4:])
	asked := c.Asked(uint64(id))
	if end < 8 || end > maxFrame || end > maxDue && !c.Turn || asked == nil {
		return protocol.No
	}
	a, version := p.form(asked)
	switch {
	case a == nil && c.Turn:
		return protocol.Yes
	case a == nil:
		return protocol.No
	case len(c.Data) < end && !c.Turn:
		return protocol.More
	}
	var w walk
	w.start(a, a.response, version)
	for pos, what := 8, nothing; ; {
		switch pos, what = w.step(c.Data, pos, end-pos); {
		case what == wrong, what == done && pos != end, what == nothing && len(c.Data) >= end:
			return protocol.No
		case what == nothing, what == done, what == foundError && w.value != 0 && c.Turn:
			return protocol.Yes
		}
	}
}

// frame is the length that data begins with.
func frame(data []byte) int { return int(binary.BigEndian.Uint32(data)) }

// form is what the answer to a request looks like; nil when the table does not tell.
func (p *parser) form(request *protocol.Message) (*api, int16) {
	a, version := p.schema.find(int16(request.Form>>16)), int16(request.Form)
	if a == nil || version > a.last {
		return nil, 0
	}
	return a, version
}
