package kafka

import (
	"encoding/binary"
	"time"

	"github.com/toposcope/toposcope/protocol"
)

// answer is the response that is being walked through.
type answer struct {
	open  bool
	api   *api
	walk  walk
	id    uint32
	size  int // all of it
	rest  int // what is still to come
	start time.Time
	code  int16  // the first error
	name  []byte // of the last topic, where names are learnt
}

// response reads a response, or goes on in one.
func (p *parser) response(c *protocol.Chunk) (int, *protocol.Message, error) {
	a := &p.answer
	if a.open {
		return p.goOn(c, 0)
	}
	switch {
	case len(c.Data) < 4:
		return 0, nil, nil
	case frame(c.Data) > maxFrame, frame(c.Data) < 4 && !p.tokens:
		return 0, nil, protocol.ErrSyntax
	case frame(c.Data) < 4:
		return 4 + frame(c.Data), nil, nil
	case len(c.Data) < 8:
		return 0, nil, nil
	}
	size, id := 4+frame(c.Data), binary.BigEndian.Uint32(c.Data[4:])
	asked := c.Asked(uint64(id))
	switch {
	case asked == nil && p.tokens:
		return size, nil, nil
	case asked == nil:
		c = c.WithMessage()
		c.Message.Reset()
		c.Message.Kind, c.Message.ID, c.Message.Unresolved = protocol.Response, uint64(id), true
		return size, c.Message, nil
	}
	form, version := p.form(asked)
	*a = answer{open: true, api: form, id: id, size: size, rest: size, start: c.First, name: a.name[:0]}
	if form == nil {
		return p.finish(c, false)
	}
	a.walk.start(form, form.response, version)
	return p.goOn(c, 8)
}

// goOn walks on, from pos on, and ends the response at its last byte or where nothing more is wanted of it.
func (p *parser) goOn(c *protocol.Chunk, pos int) (int, *protocol.Message, error) {
	a := &p.answer
	for {
		var what found
		switch pos, what = a.walk.step(c.Data, pos, a.rest-pos); what {
		case done:
			return p.finish(c, true)
		case wrong:
			return p.finish(c, false)
		case foundError:
			if a.code == 0 {
				a.code = int16(a.walk.value)
			}
			if a.code != 0 && !a.api.learns {
				return p.finish(c, true)
			}
		case foundTopic:
			if a.name = a.name[:0]; a.walk.to-a.walk.from <= maxTopic {
				a.name = append(a.name, c.Data[a.walk.from:a.walk.to]...)
			}
		case foundID:
			p.topics.learn((*uuid)(c.Data[a.walk.from:a.walk.to]), a.name)
			a.name = a.name[:0] // the next one may have none
		case nothing:
			return p.pause(c, pos)
		}
	}
}

// pause waits for more of the response.
func (p *parser) pause(c *protocol.Chunk, pos int) (int, *protocol.Message, error) {
	a := &p.answer
	switch {
	case pos == a.rest: // it ends sooner than it should
		return p.finish(c, false)
	case pos == 0 && c.Then == protocol.Hole:
		n, m, err := p.finish(c, false)
		m.Truncated = true
		return n, m, err
	}
	a.rest -= pos
	return pos, nil, nil
}

// finish ends the response. understood is false when its error, if there is one, could not be read.
func (p *parser) finish(c *protocol.Chunk, understood bool) (int, *protocol.Message, error) {
	a := &p.answer
	c = c.WithMessage()
	m := c.Message
	m.Reset()
	m.Kind, m.ID, m.Start, m.Size = protocol.Response, uint64(a.id), a.start, int64(a.size)
	m.Unresolved = !understood && a.code == 0
	if a.code != 0 {
		m.Error = errorName(a.code)
		m.Outcome = outcomeOf(a.api, m.Error)
	}
	a.open = false
	return a.rest, m, nil
}
