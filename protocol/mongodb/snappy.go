package mongodb

import (
	"encoding/binary"
	"errors"
	"io"
)

// errSnappy is for bytes that are no Snappy.
var errSnappy = errors.New("bytes are not Snappy's")

// snappy decompresses the beginning of a block into out; see inflate. The libraries want all of a block. Source:
// format_description.txt of google/snappy.
func snappy(out, data []byte, size int) (n int, err error) {
	declared, at := binary.Uvarint(data)
	switch {
	case at == 0:
		return 0, io.ErrUnexpectedEOF
	case at < 0 || declared != uint64(size):
		return 0, errSnappy
	}
	for data = data[at:]; n < len(out) && len(data) > 0; {
		length, offset, skip := snappyTag(data)
		if skip > len(data) {
			return n, io.ErrUnexpectedEOF
		}
		data = data[skip:]
		if offset < 0 {
			have := min(length, len(data))
			n += copy(out[n:], data[:have])
			if data = data[have:]; have < length && n < len(out) {
				return n, io.ErrUnexpectedEOF
			}
			continue
		}
		if offset == 0 || offset > n {
			return n, errSnappy
		}
		end := min(n+length, len(out))
		if offset >= length {
			n += copy(out[n:end], out[n-offset:])
		}
		for ; n < end; n++ { // what is copied from is being written
			out[n] = out[n-offset]
		}
	}
	if n < min(len(out), size) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// snappyTag reads what data begins with: a literal of length bytes, offset being less than 0, or a copy of what is offset bytes back.
// skip is how long the tag is, which may be more than is there.
func snappyTag(data []byte) (length, offset, skip int) {
	tag := data[0]
	number := func(bytes int) (v int) {
		for i := range min(bytes, len(data)-1) {
			v |= int(data[1+i]) << (8 * i)
		}
		return v
	}
	switch tag & 3 {
	case 0:
		if length = int(tag >> 2); length < 60 {
			return length + 1, -1, 1
		}
		skip = length - 59
		return number(skip) + 1, -1, 1 + skip
	case 1:
		return int(tag>>2&7) + 4, int(tag>>5)<<8 | number(1), 2
	case 2:
		return int(tag>>2) + 1, number(2), 3
	default:
		return int(tag>>2) + 1, number(4), 5
	}
}
