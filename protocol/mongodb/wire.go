package mongodb

import (
	"bytes"
	"encoding/binary"

	"github.com/toposcope/toposcope/protocol"
)

// Opcodes.
const (
	opReply       = 1
	opUpdate      = 2001
	opInsert      = 2002
	opQuery       = 2004
	opGetMore     = 2005
	opDelete      = 2006
	opKillCursors = 2007
	opCompressed  = 2012
	opMsg         = 2013
)

// Lengths of what stands before the documents.
const (
	headerLen     = 16
	compressedLen = 9  // of OP_COMPRESSED, after the header
	replyLen      = 20 // of OP_REPLY
	flagsLen      = 4
	checksumLen   = 4
	minDocument   = 5
)

// maxMessage is the longest message that a server takes, and makes (maxMessageSizeBytes).
const maxMessage = 48_000_000

// Flags of OP_MSG. A receiver must refuse bits of the lower half that it does not know.
const (
	flagChecksum    = 1 << 0
	flagMore        = 1 << 1 // moreToCome
	flagExhaust     = 1 << 16
	flagsRequired   = 0xffff
	requiredUnknown = flagsRequired &^ (flagChecksum | flagMore)
)

// Flags of OP_REPLY.
const (
	replyCursorNotFound = 1 << 0
	replyQueryFailure   = 1 << 1
)

// Kinds of OP_MSG's sections.
const (
	sectionBody     = 0
	sectionSequence = 1
)

// header is what every message begins with.
type header struct {
	length         int
	id, responseTo uint32
	op             uint32
}

// readHeader reads the header that data, of at least headerLen bytes, begins with. ok is false when it is none.
func readHeader(data []byte) (h header, ok bool) {
	length := int32(binary.LittleEndian.Uint32(data))
	h = header{
		length:     int(length),
		id:         binary.LittleEndian.Uint32(data[4:]),
		responseTo: binary.LittleEndian.Uint32(data[8:]),
		op:         binary.LittleEndian.Uint32(data[12:]),
	}
	return h, h.length >= h.shortest() && h.length <= maxMessage
}

// shortest is how long a message of that opcode is at the least; longer than any for one that does not exist.
func (h *header) shortest() int {
	switch h.op {
	case opMsg:
		return headerLen + flagsLen + 1 + minDocument
	case opCompressed:
		return headerLen + compressedLen + 1
	case opReply:
		return headerLen + replyLen
	case opQuery:
		return headerLen + 4 + 1 + 8 + minDocument
	case opInsert:
		return headerLen + 4 + 1 + minDocument
	case opUpdate, opDelete:
		return headerLen + 4 + 1 + 4 + minDocument
	case opGetMore:
		return headerLen + 4 + 1 + 4 + 8
	case opKillCursors:
		return headerLen + 8
	default:
		return maxMessage + 1
	}
}

// maxNamespace bounds a legacy message's full collection name.
const maxNamespace = 320

// legacy is what stands before the documents of an old opcode's request.
type legacy struct {
	db, collection []byte
	cursor         int64 // of OP_GET_MORE
	docs           int   // where the documents begin in the payload
}

// readLegacy reads the beginning of an old opcode's payload. complete is false when that is not all there.
func readLegacy(op uint32, payload []byte) (l legacy, complete bool, err error) {
	at := 4 // flags, or a zero
	if len(payload) < at {
		return l, false, nil
	}
	if op == opKillCursors {
		return legacy{docs: len(payload)}, true, nil
	}
	end := bytes.IndexByte(payload[at:min(len(payload), at+maxNamespace)], 0)
	switch {
	case end < 0 && len(payload) >= at+maxNamespace:
		return l, false, protocol.ErrSyntax
	case end < 0:
		return l, false, nil
	}
	name := payload[at : at+end]
	dot := bytes.IndexByte(name, '.')
	if dot <= 0 || dot == len(name)-1 {
		return l, false, protocol.ErrSyntax
	}
	l.db, l.collection = name[:dot], name[dot+1:]
	at += end + 1
	switch op {
	case opQuery:
		at += 8
	case opUpdate, opDelete:
		at += 4
	case opGetMore:
		if len(payload) < at+12 {
			return l, false, nil
		}
		l.cursor = int64(binary.LittleEndian.Uint64(payload[at+4:]))
		at += 12
	}
	l.docs = at
	return l, true, nil
}
