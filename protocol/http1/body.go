package http1

import (
	"bytes"

	"github.com/toposcope/toposcope/protocol"
)

// maxChunkLine bounds the line that begins a chunk, extensions included, and each trailer.
const maxChunkLine = 8 << 10

// chunks goes on with a chunked body.
func (p *parser) chunks(c *protocol.Chunk, d *direction) (int, *protocol.Message, error) {
	if d.layered {
		return p.read(c, d)
	}
	n, done, err := d.walk(c.Data)
	switch {
	case err != nil:
		return 0, nil, err
	case done:
		return n, p.part(c, d, p.kind(c.Dir)), nil
	case n == 0 && c.Then == protocol.Hole:
		d.mode, d.chunked = astray, true
		return len(c.Data) + int(c.Missing), nil, nil
	default:
		return n, nil, nil
	}
}

// walk goes along a chunked body (RFC 9112 section 7.1) and returns how many bytes it is done with; done when the body has
// ended with them.
func (d *direction) walk(data []byte) (n int, done bool, err error) {
	for n < len(data) {
		rest := data[n:]
		if d.mode == atChunkEnd {
			switch {
			case rest[0] == '\n':
				n++
			case rest[0] != '\r':
				return n, false, protocol.ErrSyntax
			case len(rest) == 1:
				return n, false, nil
			case rest[1] != '\n':
				return n, false, protocol.ErrSyntax
			default:
				n += 2
			}
			d.mode = atChunkSize
			continue
		}
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			if len(rest) > maxChunkLine {
				return n, false, protocol.ErrSyntax
			}
			return n, false, nil
		}
		line := trimCR(rest[:end])
		if d.mode == atTrailers {
			n += end + 1
			if len(line) == 0 {
				d.mode = atHead
				return n, true, nil
			}
			continue
		}
		size, ok := chunkSize(line)
		switch {
		case !ok:
			return n, false, protocol.ErrSyntax
		case size == 0:
			d.mode = atTrailers
		default:
			d.mode = atChunkEnd
		}
		n += end + 1
		if d.layered {
			d.left = int64(size)
			return n, false, nil
		}
		n += size
	}
	return n, false, nil
}

// chunkSize reads the size at the start of a chunk's line; extensions after it are of no interest.
func chunkSize(line []byte) (size int, ok bool) {
	i := 0
	for ; i < len(line) && i < 14; i++ {
		b := line[i]
		switch {
		case '0' <= b && b <= '9':
			b -= '0'
		case 'a' <= b && b <= 'f':
			b -= 'a' - 10
		case 'A' <= b && b <= 'F':
			b -= 'A' - 10
		default:
			b = 0xff
		}
		if b == 0xff {
			break
		}
		size = size<<4 | int(b)
	}
	if i == 0 {
		return 0, false
	}
	rest := bytes.TrimLeft(line[i:], " \t")
	return size, len(rest) == 0 || rest[0] == ';'
}

// toClose goes on with a body that the close ends.
func (p *parser) toClose(c *protocol.Chunk, d *direction) (int, *protocol.Message, error) {
	n := len(c.Data)
	if d.layered {
		p.layer.feed(p.kind(c.Dir), c.Data, 0)
	}
	switch c.Then {
	case protocol.Ended:
		if !d.open {
			return n, nil, nil
		}
		return n, p.part(c, d, p.kind(c.Dir)), nil
	case protocol.Hole:
		n += int(c.Missing)
	}
	return n, nil, nil
}

// stray passes over bytes until something says where a message begins or the open one ends.
func (p *parser) stray(c *protocol.Chunk, d *direction) (int, *protocol.Message, error) {
	switch c.Then {
	case protocol.Hole:
		return len(c.Data) + int(c.Missing), nil, nil
	case protocol.Ended, protocol.Idle:
		if !d.open {
			return len(c.Data), nil, nil
		}
		if d.chunked && c.Then == protocol.Idle {
			return 0, nil, nil // its last chunk will be seen
		}
		return len(c.Data), p.part(c, d, p.kind(c.Dir)), nil
	}
	if c.Turn {
		switch p.begins(c.Dir, c.Data) {
		case protocol.Yes:
			*d = direction{}
			return p.head(c, d)
		case protocol.More:
			return 0, nil, nil
		}
	}
	if !d.chunked {
		return len(c.Data), nil, nil
	}
	end := lastChunk(c.Data, c.Call)
	if d.layered {
		p.layer.feedRaw(p.kind(c.Dir), c.Data, end)
	}
	if end > 0 {
		m := p.part(c, d, p.kind(c.Dir))
		*d = direction{}
		return end, m, nil
	}
	return len(c.Data), nil, nil
}

// last is the end of a chunked body without trailers.
const last = "\r\n0\r\n\r\n"

// lastChunk finds the end of a chunked body in data, which ends where a call ended: a chunk of size 0 and trailers at the
// very end, or in front of another head. 0: not there.
func lastChunk(data []byte, start bool) int {
	if i := bytes.Index(data, []byte(last+"HTTP/1.")); i >= 0 {
		return i + len(last)
	}
	if !bytes.HasSuffix(data, []byte("\r\n\r\n")) {
		return 0
	}
	i := bytes.LastIndex(data, []byte(last[:5]))
	switch {
	case i >= 0:
		i += 5
	case start && bytes.HasPrefix(data, []byte(last[2:5])):
		i = 3
	default:
		return 0
	}
	for trailers := data[i : len(data)-2]; len(trailers) > 0; {
		var line []byte
		line, trailers, _ = bytes.Cut(trailers, []byte("\r\n"))
		if bytes.IndexByte(line, ':') <= 0 {
			return 0
		}
	}
	return len(data)
}
