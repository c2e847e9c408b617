package protocol_test

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// toy is a protocol of lines for testing the frame: "? id text" asks, "! id text" answers, "~ id text" asks and wants no
// answer, "^ name" goes on in another protocol. A sign followed by + begins a message that one followed by - ends. A text of
// "=name" counts for the protocol of that name. With sloth it returns messages without ever taking a byte.
type toy struct{ sloth bool }

func toySpec(name string, pairing protocol.Pairing) *protocol.Spec {
	return &protocol.Spec{
		Name: name, Aliases: []string{"alias-of-" + name}, Ports: []uint16{7000}, Pairing: pairing,
		Sniff:   sniffToy,
		New:     func() protocol.Parser { return &toy{} },
		Capture: protocol.Capture{Head: 1000, Tail: 10},
	}
}

func sniffToy(_ event.Dir, data []byte) protocol.Sniffed {
	switch {
	case bytes.IndexByte([]byte("?!~^"), data[0]) < 0:
		return protocol.No
	case len(data) == 1:
		return protocol.More
	case bytes.IndexByte([]byte(" +-"), data[1]) < 0:
		return protocol.No
	}
	return protocol.Yes
}

func (p *toy) Next(c *protocol.Chunk) (int, *protocol.Message, error) {
	if p.sloth && len(c.Data) > 0 {
		c.Message.Reset()
		c.Message.Kind = protocol.Interim
		return 0, c.Message, nil
	}
	end := bytes.IndexByte(c.Data, '\n')
	if end < 0 {
		return 0, nil, nil
	}
	fields := bytes.Fields(c.Data[:end])
	if len(fields) < 2 || sniffToy(c.Dir, c.Data) != protocol.Yes {
		return 0, nil, protocol.ErrSyntax
	}
	m := c.Message
	m.Reset()
	if fields[0][0] == '^' {
		return end + 1, nil, fmt.Errorf("switching: %w", &protocol.Upgrade{To: string(fields[1])})
	}
	id, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return 0, nil, protocol.ErrSyntax
	}
	m.ID = id
	m.Attrs.Set("toy.id", fields[1])
	switch fields[0][0] {
	case '!':
		m.Kind = protocol.Response
	case '~':
		m.Kind = protocol.OneWay
	}
	switch {
	case fields[0][len(fields[0])-1] == '+':
		m.Part = protocol.PartHead
	case fields[0][len(fields[0])-1] == '-':
		m.Part = protocol.PartEnd
	}
	if len(fields) > 2 && fields[2][0] == '=' {
		m.Protocol = string(fields[2][1:])
	}
	return end + 1, m, nil
}

func (p *toy) Resync(c *protocol.Chunk) (int, bool) {
	if c.Call && sniffToy(c.Dir, c.Data) == protocol.Yes {
		return 0, true
	}
	return len(c.Data), false
}
