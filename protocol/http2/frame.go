package http2

import "encoding/binary"

// Frame types (RFC 9113 section 6).
const (
	frameData uint8 = iota
	frameHeaders
	framePriority
	frameReset
	frameSettings
	framePush
	framePing
	frameGoAway
	frameWindow
	frameContinuation
)

// Flags.
const (
	flagAck        = 0x1
	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// Lengths in bytes.
const (
	frameHeader     = 9
	priorityLength  = 5
	smallestLimit   = 1 << 14 // of a frame's payload, unless the receiver allows more
	settingLength   = 6
	goAwayLength    = 8
	resetLength     = 4
	windowLength    = 4
	pingLength      = 8
	promisedLength  = 4
	largestStreamID = 1<<31 - 1
)

// Settings (RFC 9113 section 6.5.2).
const (
	settingTableSize  = 1
	settingPush       = 2
	settingWindow     = 4
	settingFrameSize  = 5
	settingConnect    = 8 // RFC 8441
	settingPriorities = 9 // RFC 9218
)

// preface is what a client says first (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// frame is the header of a frame.
type frame struct {
	length uint32
	kind   uint8
	flags  uint8
	stream uint32
}

// readFrame reads the header of a frame, of which data holds at least frameHeader bytes.
func readFrame(data []byte) frame {
	return frame{
		length: uint32(data[0])<<16 | uint32(data[1])<<8 | uint32(data[2]),
		kind:   data[3],
		flags:  data[4],
		stream: binary.BigEndian.Uint32(data[5:]) & largestStreamID, // the highest bit is reserved and ignored
	}
}

// has reports whether a flag is set.
func (f *frame) has(flag uint8) bool { return f.flags&flag != 0 }

// size is the frame's length with its header.
func (f *frame) size() int { return frameHeader + int(f.length) }

// valid reports whether f is a frame that may be: types that are not known are to be ignored, not refused (RFC 9113 section 4.1).
func (f *frame) valid() bool {
	switch f.kind {
	case frameData, frameHeaders, frameContinuation:
		return f.stream != 0
	case framePush:
		return f.stream != 0 && f.length >= promisedLength
	case framePriority:
		return f.stream != 0 // of the wrong length: an error of its stream
	case frameReset:
		return f.stream != 0 && f.length == resetLength
	case frameSettings:
		return f.stream == 0 && f.length%settingLength == 0 && (!f.has(flagAck) || f.length == 0)
	case framePing:
		return f.stream == 0 && f.length == pingLength
	case frameGoAway:
		return f.stream == 0 && f.length >= goAwayLength
	case frameWindow:
		return f.length == windowLength
	default:
		return true
	}
}

// body cuts padding and priority off the payload of a frame, or off the beginning of it; ok is false when they do not fit.
func (f *frame) body(payload []byte) (body []byte, ok bool) {
	if f.has(flagPadded) && f.kind != frameContinuation {
		if len(payload) == 0 || int(payload[0]) >= len(payload) {
			return nil, false
		}
		end := len(payload)
		if end == int(f.length) {
			end -= int(payload[0])
		}
		payload = payload[1:end]
	}
	skip := 0
	switch {
	case f.kind == framePush:
		skip = promisedLength
	case f.kind == frameHeaders && f.has(flagPriority):
		skip = priorityLength
	}
	if len(payload) < skip {
		return nil, false
	}
	return payload[skip:], true
}

// codes are the names of RFC 9113 section 7, as error.type has them.
var codes = [...]string{
	"no_error", "protocol_error", "internal_error", "flow_control_error", "settings_timeout", "stream_closed", "frame_size_error",
	"refused_stream", "cancel", "compression_error", "connect_error", "enhance_your_calm", "inadequate_security", "http_1_1_required",
}

// Codes that mean something to us.
const (
	codeNone    = 0
	codeRefused = 7
	codeCancel  = 8
)

func codeName(code uint32) string {
	if code < uint32(len(codes)) {
		return codes[code]
	}
	return "_OTHER"
}
