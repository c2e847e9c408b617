package postgresql

import (
	"bytes"
	"encoding/binary"

	"github.com/toposcope/toposcope/protocol"
)

// headerSize is the length of what begins a message: its type, and a length that counts itself.
const headerSize = 5

// Lengths that the two ends themselves allow: PostgreSQL's PQ_LARGE_MESSAGE_LIMIT and PQ_SMALL_MESSAGE_LIMIT for what a client sends,
// and the 30,000 bytes past which libpq takes a message of few types for nonsense (VALID_LONG_MESSAGE_TYPE).
const (
	largeLimit  = 1<<30 - 1
	smallLimit  = 10000
	answerLimit = 30000
)

// What is looked at of a message: texts are named by their beginning, and names are short (63 bytes, NAMEDATALEN).
const (
	textLook  = 16 << 10
	nameLook  = 1 << 10
	errorLook = 1 << 10
	nameLimit = 63
)

// kind is what one end knows of a message type: how long one may be (with the length, without the type; 0: there is no such type)
// and how much of it is looked at.
type kind struct{ limit, look uint32 }

// clientKinds are the messages of a client, serverKinds those of a server.
var (
	clientKinds = [128]kind{
		'Q': {largeLimit, textLook}, 'P': {largeLimit, textLook}, 'B': {largeLimit, nameLook},
		'D': {smallLimit, nameLook}, 'E': {smallLimit, nameLook}, 'C': {smallLimit, nameLook},
		'F': {largeLimit, 0}, 'd': {largeLimit, 0}, 'f': {smallLimit, 0}, 'p': {1 << 16, 0},
		'S': {4, 0}, 'H': {4, 0}, 'X': {4, 0}, 'c': {4, 0},
	}
	serverKinds = [128]kind{
		// What may come while a request waits is taken whole, so that it is clear that the answer is not among it.
		'R': {1 << 16, textLook}, 'K': {answerLimit, textLook}, 'S': {answerLimit, textLook}, 'v': {answerLimit, textLook},
		'N': {1 << 20, textLook}, 'A': {1 << 20, textLook}, 'G': {answerLimit, textLook}, 'Z': {5, 1},
		'T': {largeLimit, 0}, 'D': {largeLimit, 0}, 'd': {largeLimit, 0}, 'V': {largeLimit, 0}, 't': {1<<18 + 6, 0},
		'E': {1 << 20, errorLook},
		'C': {answerLimit, 16}, 'I': {4, 0}, 's': {4, 0}, '1': {4, 0}, '2': {4, 0}, '3': {4, 0}, 'n': {4, 0}, 'c': {4, 0},
		'H': {answerLimit, 0}, 'W': {answerLimit, 0},
	}
)

// frame is one message.
type frame struct {
	kind byte
	size int    // with type and length
	body []byte // as much as is looked at
	torn bool   // less than that was captured
}

// readFrame reads the message at the start of data. ok false and no error: more bytes are needed. A hole after data leaves the body torn.
func readFrame(data []byte, kinds *[128]kind, then protocol.Then) (f frame, ok bool, err error) {
	if len(data) == 0 {
		return f, false, nil
	}
	if data[0] >= 128 || kinds[data[0]].limit == 0 {
		return f, false, protocol.ErrSyntax
	}
	if len(data) < headerSize {
		return f, false, nil
	}
	k := kinds[data[0]]
	n := binary.BigEndian.Uint32(data[1:])
	if n < 4 || n > k.limit {
		return f, false, protocol.ErrSyntax
	}
	f = frame{kind: data[0], size: int(n) + 1}
	look := min(f.size-headerSize, int(k.look))
	f.body = data[headerSize:min(len(data), headerSize+look)]
	f.torn = len(f.body) < look
	return f, !f.torn || then == protocol.Hole, nil
}

// rows is how many bytes at the start of data are whole headers of DataRow or CopyData with their rows, which go on past its end or not.
func rows(data []byte) (n int) {
	for n+headerSize <= len(data) && data[n]|0x20 == 'd' {
		size := binary.BigEndian.Uint32(data[n+1:])
		if size < 4 || size > largeLimit {
			break
		}
		n += 1 + int(size)
	}
	return n
}

// cString cuts the text off b that a zero byte ends; ok false: there is none, and rest is nil.
func cString(b []byte) (text, rest []byte, ok bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return b, nil, false
	}
	return b[:i], b[i+1:], true
}

// form is what a request must tell its answer's reader; it is Message.Form.
type form uint64

// What kind of a request it is: the lowest bits of a form.
const (
	isQuery form = iota
	isExecute
	isPrepare // up to a Sync
	isFlushed // the same up to a Flush, so that no ReadyForQuery ends it
	isConnect
	isCall
	kindMask form = 7
)

// Above them: how many ReadyForQuery come before its answer, of Syncs that end no request, and how many answers a flushed one has.
const (
	syncsShift   = 4
	maxSyncs     = 1<<12 - 1
	answersShift = 16
)

func (f form) is(k form) bool { return f&kindMask == k }

func (f form) syncs() int { return int(f>>syncsShift) & maxSyncs }

func (f form) answers() int { return int(f >> answersShift) }

// skips reports whether no ReadyForQuery ends it: after its error the server passes over what follows, up to a Sync.
func (f form) skips() bool { return f.is(isExecute) || f.is(isFlushed) }
