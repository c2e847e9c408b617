package mongodb

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/toposcope/toposcope/protocol"
)

// Types of BSON elements.
const (
	typeDouble     = 0x01
	typeString     = 0x02
	typeDocument   = 0x03
	typeArray      = 0x04
	typeBinary     = 0x05
	typeUndefined  = 0x06
	typeObjectID   = 0x07
	typeBool       = 0x08
	typeDate       = 0x09
	typeNull       = 0x0a
	typeRegex      = 0x0b
	typePointer    = 0x0c
	typeCode       = 0x0d
	typeSymbol     = 0x0e
	typeScopedCode = 0x0f
	typeInt32      = 0x10
	typeTimestamp  = 0x11
	typeInt64      = 0x12
	typeDecimal    = 0x13
	typeMaxKey     = 0x7f
	typeMinKey     = 0xff
)

// maxKey bounds the key of an element where keys are looked at: those of commands and replies are short.
const maxKey = 1 << 10

// element is one of a document.
type element struct {
	kind byte
	key  []byte
	// value is what is there of the value, its length included where it has one; size is how long the whole is.
	value []byte
	size  int
	// head is how long kind and key are.
	head int
}

// readElement reads the element that data begins with, in a document of which limit bytes are left, without the zero that ends
// it. short: data ends before the value's length is known.
func readElement(data []byte, limit int) (e element, short bool, err error) {
	if len(data) == 0 {
		return e, true, nil
	}
	e.kind = data[0]
	if !known(e.kind) {
		return e, false, protocol.ErrSyntax
	}
	end := bytes.IndexByte(data[1:min(len(data), 1+maxKey)], 0)
	if end < 0 {
		if len(data) > maxKey || len(data) >= limit {
			return e, false, protocol.ErrSyntax
		}
		return e, true, nil
	}
	e.key, e.head = data[1:1+end], end+2
	e.value = data[e.head:]
	if e.size, short = sizeOf(e.kind, e.value); short {
		if e.head+len(e.value) >= limit {
			err = protocol.ErrSyntax
		}
		return e, true, err
	}
	if e.size < 0 || e.size > limit-e.head {
		return e, false, protocol.ErrSyntax
	}
	e.value = e.value[:min(len(e.value), e.size)]
	return e, false, nil
}

// known reports whether a type exists.
func known(kind byte) bool {
	return kind >= typeDouble && kind <= typeDecimal || kind == typeMaxKey || kind == typeMinKey
}

// fixed has the lengths of the types that have one, and -1 for the others.
var fixed = [...]int8{
	typeDouble: 8, typeString: -1, typeDocument: -1, typeArray: -1, typeBinary: -1, typeUndefined: 0, typeObjectID: 12, typeBool: 1,
	typeDate: 8, typeNull: 0, typeRegex: -1, typePointer: -1, typeCode: -1, typeSymbol: -1, typeScopedCode: -1, typeInt32: 4,
	typeTimestamp: 8, typeInt64: 8, typeDecimal: 16,
}

// sizeOf is how long a value is, -1 when it cannot be so. short: not enough of it is there to tell.
func sizeOf(kind byte, value []byte) (n int, short bool) {
	if int(kind) >= len(fixed) {
		return 0, false // the least and the greatest key
	}
	if n := fixed[kind]; n >= 0 {
		return int(n), false
	}
	if kind == typeRegex {
		return regexSize(value)
	}
	if len(value) < 4 {
		return 0, true
	}
	n = int(int32(binary.LittleEndian.Uint32(value)))
	least := 1 // of a string, the zero at its end
	switch kind {
	case typeDocument, typeArray:
		return orWrong(n, minDocument), false
	case typeScopedCode:
		return orWrong(n, 14), false // two lengths, a string and a document
	case typeBinary:
		least = 0
	}
	if n < least {
		return -1, false
	}
	switch kind {
	case typeBinary:
		n++ // its subtype
	case typePointer:
		n += 12
	}
	return n + 4, false
}

func orWrong(n, least int) int {
	if n < least {
		return -1
	}
	return n
}

// regexSize is how long a pattern and its options are, two texts that end with a zero.
func regexSize(value []byte) (n int, short bool) {
	for range 2 {
		end := bytes.IndexByte(value[n:], 0)
		switch {
		case end < 0 && len(value) >= maxRegex:
			return -1, false
		case end < 0:
			return 0, true
		}
		n += end + 1
	}
	return n, false
}

// maxRegex bounds a pattern that stands where elements are looked at.
const maxRegex = 4 << 10

// whole reports whether all of the value is there.
func (e *element) whole() bool { return len(e.value) == e.size }

// nested reports whether the value is a document or an array.
func (e *element) nested() bool { return e.kind == typeDocument || e.kind == typeArray }

// maxValue bounds a value that is looked at; a longer string is the name of nothing.
const maxValue = 512

// text is the value of a string; nil when it is none, or none that is looked at.
func (e *element) text() []byte {
	if (e.kind != typeString && e.kind != typeSymbol) || !e.whole() || e.size > maxValue {
		return nil
	}
	return e.value[4 : e.size-1]
}

// number is the value of a number; ok is false when it is none.
func (e *element) number() (v int64, ok bool) {
	if !e.whole() {
		return 0, false
	}
	switch e.kind {
	case typeDouble:
		f := math.Float64frombits(binary.LittleEndian.Uint64(e.value))
		if f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return 0, false
		}
		return int64(f), true
	case typeInt32:
		return int64(int32(binary.LittleEndian.Uint32(e.value))), true
	case typeInt64:
		return int64(binary.LittleEndian.Uint64(e.value)), true
	case typeBool:
		return int64(e.value[0] & 1), true
	default:
		return 0, false
	}
}
