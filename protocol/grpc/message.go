package grpc

import "encoding/binary"

// A message has a prefix: a flag and a length of four bytes.
const (
	prefix     = 5
	compressed = 1
	trailers   = 0x80 // gRPC-Web: the message is the trailers, as in HTTP/1
)

// messages follows the messages of one direction of a call.
type messages struct {
	count int
	left  int // bytes of the message that are still to come
	have  int // bytes of the prefix that are there
	head  [prefix]byte
	open  bool // a message is
	lost  bool // where the next one begins is not known
}

// read takes data. For a message with the trailers flag it calls text, which may be nil, with the bytes of its content.
func (m *messages) read(data []byte, text func([]byte)) {
	for len(data) > 0 && !m.lost {
		if m.open {
			n := min(len(data), m.left)
			if m.head[0]&trailers != 0 && text != nil {
				text(data[:n])
			}
			data = data[n:]
			m.pass(n)
			continue
		}
		n := copy(m.head[m.have:], data)
		data = data[n:]
		if m.have += n; m.have < prefix {
			return
		}
		m.have, m.left, m.open = 0, int(binary.BigEndian.Uint32(m.head[1:])), true
		if m.head[0]&^(compressed|trailers) != 0 || m.head[0]&trailers != 0 && text == nil {
			m.lost = true
			return
		}
		m.pass(0)
	}
}

// pass goes on by n bytes of the open message.
func (m *messages) pass(n int) {
	if m.left -= n; m.left > 0 {
		return
	}
	m.open = false
	if m.head[0]&trailers == 0 {
		m.count++
	}
}

// miss takes n bytes that were not seen; negative: any number.
func (m *messages) miss(n int) {
	switch {
	case n == 0 || m.lost:
	case n < 0 || !m.open || n > m.left || m.head[0]&trailers != 0:
		m.lost = true
	default:
		m.pass(n)
	}
}

// free is how many bytes to come need not be seen.
func (m *messages) free() int {
	if m.lost {
		return 1 << 30
	}
	if !m.open || m.head[0]&trailers != 0 {
		return 0
	}
	return m.left
}
