package redis

import "github.com/toposcope/toposcope/protocol"

// describe sets the attributes of a request's message. It reports false when more bytes are needed.
func (p *parser) describe(c *protocol.Chunk, q *question, w words, m *protocol.Message) bool {
	m.Attrs.SetString(protocol.DBSystem, Name)
	m.Attrs.SetString(protocol.DBOperation, q.cmd.name)
	limit := p.options.TextLimit
	if limit <= 0 {
		return true
	}
	text := append(p.text[:0], q.cmd.name...)
	rest := q.words - q.shown
	if !p.options.Values || q.cmd.is(secret) || q.shown == 0 {
		if q.shown == 0 {
			rest--
		}
		for ; rest > 0 && len(text) < limit; rest-- {
			text = append(text, " ?"...)
		}
	} else {
		var ok bool
		if text, ok = appendValues(text, &w, q.shown, limit); !ok {
			if c.Then == protocol.Continues {
				return false
			}
			m.Truncated = true
		}
	}
	p.text = text
	m.Attrs.Add(protocol.DBQueryText, text[:min(len(text), limit)])
	if cap(p.text) > keptText {
		p.text = nil
	}
	return true
}

// keptText is how large a buffer for texts a connection keeps.
const keptText = 1 << 10

// appendValues appends the words of w after the first shown ones, as far as they have room in limit bytes. It reports false when
// some are missing that had.
func appendValues(text []byte, w *words, shown, limit int) ([]byte, bool) {
	for i := 0; w.left > 0 && len(text) < limit; i++ {
		word, _, s := w.next()
		if i < shown {
			continue
		}
		text = append(text, ' ')
		if len(word) == 0 && s == whole {
			text = append(text, `""`...)
		}
		for _, b := range word[:min(len(word), max(limit-len(text), 0))] {
			if b < ' ' || b > '~' {
				b = '.'
			}
			text = append(text, b)
		}
		if s != whole {
			return text, len(text) >= limit
		}
	}
	return text, true
}
