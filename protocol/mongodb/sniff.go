package mongodb

import (
	"bytes"
	"encoding/binary"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// sniff judges whether data begins with a message. Its header holds an opcode of four bytes, and what follows must agree with it up
// to the first key of the first document.
func sniff(_ event.Dir, data []byte) protocol.Sniffed {
	if len(data) >= 4 {
		if n := int32(binary.LittleEndian.Uint32(data)); n < headerLen+minDocument || n > maxMessage {
			return protocol.No
		}
	}
	if len(data) < headerLen {
		return sniffOpcode(data)
	}
	h, ok := readHeader(data)
	if !ok {
		return protocol.No
	}
	payload := data[headerLen:min(len(data), h.length)]
	return sniffPayload(h.op, payload, h.length-headerLen, h.responseTo, true)
}

// sniffOpcode judges the beginning of a header, in which the upper half of an opcode is zero.
func sniffOpcode(data []byte) protocol.Sniffed {
	for _, op := range [...]uint32{opMsg, opCompressed, opQuery, opReply, opInsert, opUpdate, opDelete, opGetMore, opKillCursors} {
		var want [4]byte
		binary.LittleEndian.PutUint32(want[:], op)
		if len(data) <= 12 || bytes.HasPrefix(want[:], data[12:]) {
			return protocol.More
		}
	}
	return protocol.No
}

// sniffPayload judges what follows a header, of which size bytes there should be.
func sniffPayload(op uint32, payload []byte, size int, responseTo uint32, outer bool) protocol.Sniffed {
	switch op {
	case opMsg:
		return sniffSections(payload, size)
	case opCompressed:
		if !outer {
			return protocol.No
		}
		return sniffCompressed(payload, size, responseTo)
	case opReply:
		return sniffReply(payload, size)
	case opKillCursors:
		if len(payload) < 8 {
			return protocol.More
		}
		n := int(binary.LittleEndian.Uint32(payload[4:]))
		return protocol.Decided(binary.LittleEndian.Uint32(payload) == 0 && n > 0 && size == 8+8*n, true)
	default:
		return sniffOld(op, payload, size)
	}
}

// sniffSections judges an OP_MSG.
func sniffSections(payload []byte, size int) protocol.Sniffed {
	const known = flagChecksum | flagMore | flagExhaust
	switch {
	case len(payload) < flagsLen:
		for i, c := range payload {
			if c&^byte(uint32(known)>>(8*i)&0xff) != 0 {
				return protocol.No
			}
		}
		return protocol.More
	case binary.LittleEndian.Uint32(payload)&^known != 0:
		return protocol.No
	case len(payload) == flagsLen:
		return protocol.More
	}
	kind, rest, left := payload[flagsLen], payload[flagsLen+1:], size-flagsLen-1
	switch kind {
	case sectionBody:
		return sniffDocument(rest, left)
	case sectionSequence:
		return sniffSequence(rest, left)
	default:
		return protocol.No
	}
}

// sniffSequence judges a section of documents: its size, its name, the first of them.
func sniffSequence(data []byte, left int) protocol.Sniffed {
	if len(data) < 4 {
		return protocol.More
	}
	size := int(int32(binary.LittleEndian.Uint32(data)))
	if size < 4+2 || size > left {
		return protocol.No
	}
	n, o := sniffKey(data[4:], false)
	if o != protocol.Yes {
		return o
	}
	if size == 4+n {
		return protocol.Yes // without a document
	}
	return sniffDocument(data[4+n:], size-4-n)
}

// sniffDocument judges a document up to its first key.
func sniffDocument(data []byte, left int) protocol.Sniffed {
	if len(data) < 4 {
		return protocol.More
	}
	size := int(int32(binary.LittleEndian.Uint32(data)))
	if size <= minDocument || size > left {
		return protocol.No
	}
	if len(data) == 4 {
		return protocol.More
	}
	if !known(data[4]) {
		return protocol.No
	}
	_, o := sniffKey(data[5:], true)
	return o
}

// maxSniffedKey bounds the first key of a document, and the name of a sequence.
const maxSniffedKey = 64

// sniffKey judges a key, of n bytes with the zero after it: printable ASCII, and begun as commands, the fields of replies and those of
// documents are.
func sniffKey(data []byte, dollar bool) (n int, o protocol.Sniffed) {
	for i, c := range data {
		switch {
		case c == 0:
			return i + 1, protocol.Decided(i > 0, true)
		case i == maxSniffedKey, c <= ' ', c > '~', i == 0 && !letter(c) && c != '_' && (c != '$' || !dollar):
			return 0, protocol.No
		}
	}
	return 0, protocol.More
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// sniffCompressed judges an OP_COMPRESSED: what stands before the compressed bytes, and how these begin.
func sniffCompressed(payload []byte, size int, responseTo uint32) protocol.Sniffed {
	if len(payload) < compressedLen {
		return protocol.More
	}
	h := header{op: binary.LittleEndian.Uint32(payload)}
	original := int(int32(binary.LittleEndian.Uint32(payload[4:])))
	if h.op == opCompressed || headerLen+original < h.shortest() || original > maxMessage-headerLen {
		return protocol.No
	}
	data := payload[compressedLen:]
	switch payload[8] {
	case byNoop:
		if original != size-compressedLen {
			return protocol.No
		}
		return sniffPayload(h.op, data, original, responseTo, false)
	case bySnappy:
		var buf [binary.MaxVarintLen32]byte
		return begins(data, buf[:binary.PutUvarint(buf[:], uint64(original))])
	case byZlib: // RFC 1950: the method and the window, and a check of both
		if len(data) < 2 {
			return protocol.More
		}
		return protocol.Decided(data[0]&0x0f == 8 && data[0]>>4 <= 7 && data[1]&0x20 == 0 && binary.BigEndian.Uint16(data)%31 == 0, true)
	case byZstd:
		return begins(data, []byte(zstdMagic))
	default:
		return protocol.No
	}
}

// begins judges whether data begins with all of want.
func begins(data, want []byte) protocol.Sniffed {
	n := min(len(data), len(want))
	switch {
	case !bytes.Equal(data[:n], want[:n]):
		return protocol.No
	case n < len(want):
		return protocol.More
	default:
		return protocol.Yes
	}
}

// sniffReply judges an OP_REPLY.
func sniffReply(payload []byte, size int) protocol.Sniffed {
	if len(payload) < replyLen {
		return protocol.More
	}
	flags, docs := binary.LittleEndian.Uint32(payload), int32(binary.LittleEndian.Uint32(payload[16:]))
	if flags&^0xf != 0 || docs < 0 || int(docs) > (size-replyLen)/minDocument || int32(binary.LittleEndian.Uint32(payload[12:])) < 0 {
		return protocol.No
	}
	if docs == 0 {
		return protocol.Decided(size == replyLen && flags != 0, true)
	}
	return sniffDocument(payload[replyLen:], size-replyLen)
}

// sniffOld judges a request of an old opcode: its flags, the full name of its collection, its first document.
func sniffOld(op uint32, payload []byte, size int) protocol.Sniffed {
	if len(payload) < 4 {
		return protocol.More
	}
	allowed := uint32(0)
	switch op {
	case opQuery:
		allowed = 0xfe
	case opInsert:
		allowed = 1
	}
	if binary.LittleEndian.Uint32(payload)&^allowed != 0 {
		return protocol.No
	}
	for _, c := range payload[4:min(len(payload), 4+maxNamespace)] {
		if c == 0 {
			break
		}
		if c <= ' ' || c == 0x7f {
			return protocol.No
		}
	}
	l, complete, err := readLegacy(op, payload)
	switch {
	case err != nil || l.docs > size:
		return protocol.No
	case !complete:
		return protocol.More
	case op == opGetMore:
		return protocol.Decided(size == l.docs, true)
	case l.docs > len(payload):
		return protocol.More
	}
	if op == opQuery && binary.LittleEndian.Uint32(payload[l.docs-8:])>>31 != 0 {
		return protocol.No // documents to be skipped are no less than none
	}
	docs := payload[l.docs:]
	if len(docs) >= 4 && binary.LittleEndian.Uint32(docs) == minDocument && size-l.docs >= minDocument {
		return begins(docs[4:], []byte{0}) // a query for everything
	}
	return sniffDocument(docs, size-l.docs)
}
