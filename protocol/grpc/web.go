package grpc

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"

	"github.com/toposcope/toposcope/protocol"
)

// webBody is what gRPC-Web needs besides: the trailers are in the response's body, and a body may be in base64.
type webBody struct {
	carry [2][4]byte // characters of a group of base64 that is not complete
	n     [2]int
	// text is the content of the trailers; once messages cannot be followed, the end of the body.
	text []byte
}

// maxText bounds what is kept of trailers.
const maxText = 2 << 10

func (c *call) resetWeb() {
	if c.web == nil {
		c.web = &webBody{}
	}
	c.web.n, c.web.text = [2]int{}, c.web.text[:0]
}

// webData takes bytes of a body.
func (c *call) webData(k protocol.Kind, data []byte, missing int) (free int) {
	b, w := &c.body[k], c.web
	if c.form[k] == webText {
		c.decode(k, data)
		if missing != 0 {
			b.lost = true // where a group begins is not known
		}
		return 0
	}
	c.plain(k, data)
	b.miss(missing)
	if k == protocol.Request || !b.lost {
		return b.free()
	}
	if missing != 0 {
		w.text = w.text[:0]
	}
	return 0 // the end is needed
}

// plain takes bytes of a body that are not, or no longer, in base64.
func (c *call) plain(k protocol.Kind, data []byte) {
	b, w := &c.body[k], c.web
	if k == protocol.Request {
		b.read(data, nil)
		return
	}
	if !b.lost {
		b.read(data, w.add)
		return
	}
	w.add(data)
}

// add appends to text and keeps its end.
func (w *webBody) add(data []byte) {
	if len(data) > maxText {
		data = data[len(data)-maxText:]
	}
	if n := len(w.text) + len(data) - maxText; n > 0 {
		w.text = append(w.text[:0], w.text[n:]...)
	}
	w.text = append(w.text, data...)
}

// decode takes bytes in base64. Each piece that was flushed may end with padding, so groups of four are read one by one.
func (c *call) decode(k protocol.Kind, data []byte) {
	w := c.web
	var out [3]byte
	for _, ch := range data {
		if ch == '\r' || ch == '\n' {
			continue
		}
		w.carry[k][w.n[k]] = ch
		if w.n[k]++; w.n[k] < len(w.carry[k]) {
			continue
		}
		w.n[k] = 0
		n, err := base64.StdEncoding.Decode(out[:], w.carry[k][:])
		if err != nil {
			c.body[k].lost = true
			continue // the groups stay where they are, wherever calls cut them
		}
		c.plain(k, out[:n])
	}
}

// webStatus is the status that the body ended with, nil when there is none.
func (c *call) webStatus() []byte {
	b, text := &c.body[protocol.Response], c.web.text
	if b.lost {
		return statusAtEnd(text)
	}
	if b.head[0] != trailers || b.open || b.have > 0 {
		return nil
	}
	return statusIn(text)
}

// statusAtEnd looks for trailers that end where data does.
func statusAtEnd(data []byte) []byte {
	for i := len(data) - prefix; i >= 0; i-- {
		if data[i] != trailers || int(binary.BigEndian.Uint32(data[i+1:])) != len(data)-i-prefix {
			continue
		}
		if s := statusIn(data[i+prefix:]); s != nil {
			return s
		}
	}
	return nil
}

// statusIn finds the status in trailers as gRPC-Web writes them: lines of HTTP/1.
func statusIn(text []byte) []byte {
	const name = "grpc-status"
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte{'\n'})
		key, value, ok := bytes.Cut(line, []byte{':'})
		if ok && len(key) == len(name) && bytes.EqualFold(key, []byte(name)) {
			return bytes.TrimSpace(value)
		}
	}
	return nil
}
