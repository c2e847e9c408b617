package mysql

import (
	"bytes"
	"encoding/binary"
)

// Sizes of a packet: the header (a length of 3 bytes, a number), and the length that says that the payload goes on in the next one.
const (
	headerSize = 4
	fullPacket = 0xffffff
)

// header is the beginning of a packet.
type header struct {
	length int
	seq    uint8
}

// readHeader reads a packet's header; b has headerSize bytes.
func readHeader(b []byte) header {
	return header{int(b[0]) | int(b[1])<<8 | int(b[2])<<16, b[3]}
}

func (h header) size() int { return headerSize + h.length }

// First bytes of a server's packet.
const (
	okHeader    = 0x00
	moreData    = 0x01 // of an authentication
	localInfile = 0xfb
	eofHeader   = 0xfe
	errHeader   = 0xff
)

// Capabilities (MySQL: "Capabilities Flags"; MariaDB: "Connection", capabilities).
const (
	capConnectWithDB   = 1 << 3
	capCompress        = 1 << 5
	capProtocol41      = 1 << 9
	capSSL             = 1 << 11
	capSecure          = 1 << 15
	capPluginAuth      = 1 << 19
	capLenencAuth      = 1 << 21
	capSessionTrack    = 1 << 23
	capDeprecateEOF    = 1 << 24
	capZstd            = 1 << 26
	capQueryAttributes = 1 << 27
)

// Flags of the server's status in OK and EOF packets.
const (
	statusMoreResults        = 0x0008
	statusCursorExists       = 0x0040
	statusNoBackslashEscapes = 0x0200
	statusSessionChanged     = 0x4000
	statusANSIQuotes         = 0x8000 // MariaDB
)

// Error codes that are no errors, or come before there is a request.
const (
	codeProgress   = 0xffff // MariaDB's progress report
	firstErrorCode = 1000
	lastErrorCode  = 6000
)

// Lengths of an EOF packet, and the least of an OK packet (protocol 4.1).
const (
	eofSize = 5
	okSize  = 7
)

// isEOF reports whether a payload is an EOF packet of protocol 4.1; an OK packet in its place (CLIENT_DEPRECATE_EOF) is longer.
func isEOF(length int, b []byte) bool { return length == eofSize && b[0] == eofHeader }

// lenenc reads a length-encoded integer at b[i:]. next is past it, 0 when it is not whole or is NULL.
func lenenc(b []byte, i int) (v uint64, next int) {
	if i >= len(b) {
		return 0, 0
	}
	size := 0
	switch b[i] {
	case 0xfb, 0xff:
		return 0, 0
	case 0xfc:
		size = 2
	case 0xfd:
		size = 3
	case 0xfe:
		size = 8
	default:
		return uint64(b[i]), i + 1
	}
	if i+1+size > len(b) {
		return 0, 0
	}
	var raw [8]byte
	copy(raw[:], b[i+1:i+1+size])
	return binary.LittleEndian.Uint64(raw[:]), i + 1 + size
}

// lenencString reads a length-encoded string at b[i:]. next is past it, 0 when it is not whole.
func lenencString(b []byte, i int) (s []byte, next int) {
	n, at := lenenc(b, i)
	if at == 0 || n > uint64(len(b)-at) {
		return nil, 0
	}
	return b[at : at+int(n)], at + int(n)
}

// nulString reads a string that ends with NUL at b[i:]. next is past it, 0 when it has no end.
func nulString(b []byte, i int) (s []byte, next int) {
	if i > len(b) {
		return nil, 0
	}
	n := bytes.IndexByte(b[i:], 0)
	if n < 0 {
		return nil, 0
	}
	return b[i : i+n], i + n + 1
}

// ok is what an OK packet says that matters here.
type ok struct {
	status uint16
	schema []byte // the database that the session has changed to; nil when it has not
}

// readOK reads an OK packet, which begins with 0x00 or 0xfe and may be cut. valid is false for what is none.
func readOK(b []byte, track bool) (o ok, valid bool) {
	_, i := lenenc(b, 1)
	if i == 0 {
		return o, false
	}
	if _, i = lenenc(b, i); i == 0 || i+4 > len(b) {
		return o, false
	}
	o.status = binary.LittleEndian.Uint16(b[i:])
	if track && o.status&statusSessionChanged != 0 {
		o.schema = readSchema(b, i+4)
	}
	return o, true
}

// sessionSchema is the kind of an entry of the session's changes that names the database.
const sessionSchema = 1

// readSchema finds the database among the session's changes, past the OK packet's message at b[i:].
func readSchema(b []byte, i int) []byte {
	if _, i = lenencString(b, i); i == 0 {
		return nil
	}
	changes, _ := lenencString(b, i)
	for at := 0; at < len(changes); {
		kind := changes[at]
		data, next := lenencString(changes, at+1)
		if next == 0 {
			return nil
		}
		if kind == sessionSchema {
			name, _ := lenencString(data, 0)
			return name
		}
		at = next
	}
	return nil
}

// readERR reads the code and the SQLSTATE (nil when there is none) of an ERR packet. Its text is the server's and may quote
// values: it is not looked at.
func readERR(b []byte) (code uint16, state []byte, valid bool) {
	if len(b) < 3 {
		return 0, nil, false
	}
	code = binary.LittleEndian.Uint16(b[1:])
	if len(b) >= 9 && b[3] == '#' {
		state = b[4:9]
	}
	return code, state, true
}
