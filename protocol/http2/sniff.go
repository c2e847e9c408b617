package http2

import (
	"encoding/binary"
	"io"

	"golang.org/x/net/http2/hpack"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// sniff judges whether data begins with HTTP/2: with a client's preface or, on a connection that is older than capture or whose
// server speaks first, with a chain of frames that nothing else says.
func sniff(_ event.Dir, data []byte) protocol.Sniffed {
	if n := min(len(data), len(preface)); string(data[:n]) == preface[:n] {
		if n == len(preface) {
			return protocol.Yes
		}
		return protocol.More
	}
	w := walk{}
	return w.judge(data)
}

// What a frame proves. A request's header that can be read without any history is proof by itself; of others it takes two. The
// header of a frame alone is some 40 bits that must be right, and the next one must stand where the first one ends.
const (
	proof = 2

	ofRequest  = 2 // a HEADERS frame with :method and :scheme of the static table
	ofSettings = 2 // settings that exist, with values that are allowed
	ofResponse = 1 // a HEADERS frame that begins with a :status of the static table
	ofFollower = 1 // DATA or another HEADERS of a stream whose header was there
	ofControl  = 1 // PING, WINDOW_UPDATE, an acknowledgement, RST_STREAM, GOAWAY
)

// maxWalk bounds how many frames are looked at.
const maxWalk = 32

// walk goes along a chain of frames where one may begin.
type walk struct {
	points  int
	stream  uint32 // of the last response's header
	pending uint32 // of a header whose CONTINUATION must follow
	known   func(stream uint32) bool
}

// judge says whether data begins with a frame, in strict reading: no extension, no flag without a meaning, nothing that an
// endpoint would refuse.
func (w *walk) judge(data []byte) protocol.Sniffed {
	for frames := 0; len(data) > 0 && frames < maxWalk; frames++ {
		var head [frameHeader]byte
		n := copy(head[:], data)
		if n < frameHeader {
			// What is there of a frame's header must be possible; its length must not be too large to belong to anything.
			if head[0] != 0 && w.points < proof && w.known == nil || n > 3 && head[3] > frameContinuation {
				return protocol.No
			}
			break
		}
		f := readFrame(data)
		if !w.strict(&f, data[5]) {
			return protocol.No
		}
		payload := data[frameHeader:min(f.size(), len(data))]
		if !w.weigh(&f, payload) {
			return protocol.No
		}
		if len(data) < f.size() {
			break
		}
		data = data[f.size():]
	}
	if w.points >= proof {
		return protocol.Yes
	}
	return protocol.More
}

// flags are those that mean something, by frame type.
var flags = [...]uint8{
	frameData:    flagEndStream | flagPadded,
	frameHeaders: flagEndStream | flagEndHeaders | flagPadded | flagPriority, framePriority: 0, frameReset: 0, frameSettings: flagAck,
	framePush: flagEndHeaders | flagPadded, framePing: flagAck, frameGoAway: 0, frameWindow: 0, frameContinuation: flagEndHeaders,
}

// strict reports whether f may begin a message, or stand after others that did.
func (w *walk) strict(f *frame, firstOfStream byte) bool {
	if (f.kind == frameContinuation) != (w.pending != 0) || w.pending != 0 && f.stream != w.pending {
		return false
	}
	if !f.valid() || f.kind > frameContinuation || f.flags&^flags[f.kind] != 0 || firstOfStream&0x80 != 0 {
		return false
	}
	switch f.kind {
	case frameData:
		// Nobody sends empty ones that say nothing; much of any binary protocol is zeros.
		small := f.length <= smallestLimit || w.points >= proof || w.known != nil && w.known(f.stream)
		return small && f.stream%2 == 1 && (f.length > 0 || f.has(flagEndStream))
	case frameHeaders, framePush:
		return f.stream%2 == 1 && f.length > 0 && f.length <= smallestLimit
	case framePriority:
		return f.length == priorityLength
	case frameSettings:
		return f.length <= smallestLimit
	case frameGoAway, frameContinuation:
		return f.length <= smallestLimit
	default:
		return true
	}
}

// weigh adds what f and its payload, as far as it is there, prove. It reports whether the payload is allowed.
func (w *walk) weigh(f *frame, payload []byte) bool {
	switch {
	case f.kind != frameHeaders && f.kind != framePush && f.kind != frameContinuation:
	case f.has(flagEndHeaders):
		w.pending = 0
	default:
		w.pending = f.stream
	}
	if f.kind == frameData {
		if f.stream == w.stream {
			w.points += ofFollower
		} else if w.known != nil && w.known(f.stream) {
			w.points += proof
		}
		return true
	}
	if uint32(len(payload)) < f.length {
		return true
	}
	switch f.kind {
	case frameHeaders:
		return w.header(f, payload)
	case frameSettings:
		switch allowed := settingsAllowed(payload); {
		case !allowed:
			return false
		case f.length > 0:
			w.points += ofSettings
		case f.has(flagAck):
			w.points += ofControl
		}
	case frameWindow:
		increment := binary.BigEndian.Uint32(payload)
		if increment == 0 || increment > largestStreamID {
			return false
		}
		w.points += ofControl
	case frameReset:
		if binary.BigEndian.Uint32(payload) >= uint32(len(codes)) {
			return false
		}
		w.points += ofControl
	case frameGoAway:
		if payload[0]&0x80 != 0 || binary.BigEndian.Uint32(payload[4:]) >= uint32(len(codes)) {
			return false
		}
		w.points += ofControl
	case framePing:
		w.points += ofControl
	}
	return true
}

// settingsAllowed checks the values of settings (RFC 9113 section 6.5.2).
func settingsAllowed(payload []byte) bool {
	for ; len(payload) >= settingLength; payload = payload[settingLength:] {
		v := binary.BigEndian.Uint32(payload[2:])
		switch binary.BigEndian.Uint16(payload) {
		case 0:
			return false
		case settingPush, settingConnect, settingPriorities:
			if v > 1 {
				return false
			}
		case settingWindow:
			if v > largestStreamID {
				return false
			}
		case settingFrameSize:
			if v < smallestLimit || v >= 1<<24 {
				return false
			}
		}
	}
	return true
}

// header weighs a HEADERS frame that is all there.
func (w *walk) header(f *frame, payload []byte) bool {
	block, ok := f.body(payload)
	if !ok {
		return false
	}
	if !f.has(flagEndHeaders) {
		return true // part of a block proves nothing
	}
	request, response, ok := shape(block)
	switch {
	case !ok:
		return false
	case request:
		w.points += ofRequest
	case response:
		w.points += ofResponse
		w.stream = f.stream
	case f.stream == w.stream:
		w.points += ofFollower
	}
	return true
}

// maxShapeIndex is more entries than a table of 1 MiB can have.
const maxShapeIndex = 1 << 15

// shape reads a header block without its table: whether it follows the rules, and whether what it says by the static table makes
// it a request's or a response's.
func shape(block []byte) (request, response, ok bool) {
	var r representation
	var method, scheme, regular bool
	for fields := 0; len(block) > 0; {
		n, ok := r.read(block)
		if !ok || !sound(r.name) || !sound(r.value) {
			return false, false, false
		}
		block = block[n:]
		switch {
		case r.form == resized:
			if fields > 0 || r.index > 1<<20 {
				return false, false, false
			}
			continue
		case r.index > maxShapeIndex:
			return false, false, false
		case r.index >= staticRegular && r.index <= staticLen, r.form != indexed && r.index == 0 && !pseudo(r.name):
			regular = true
		case r.index > 0 && r.index < staticRegular && regular:
			return false, false, false // pseudo-header fields come first (RFC 9113 section 8.3)
		}
		switch r.index {
		case staticMethod, staticMethod + 1:
			method = true
		case staticScheme, staticScheme + 1:
			scheme = true
		}
		response = response || fields == 0 && r.index >= staticStatus && r.index < staticRegular
		fields++
	}
	return method && scheme && !response, response && !method && !scheme, true
}

// pseudo reports whether a name begins with a colon, as those of pseudo-header fields do.
func pseudo(name text) bool {
	const colon = 0x5c // in seven bits, RFC 7541 appendix B
	switch {
	case len(name.raw) == 0:
		return false
	case name.huffman:
		return name.raw[0]>>1 == colon
	default:
		return name.raw[0] == ':'
	}
}

// sound reports whether a text can be read.
func sound(t text) bool {
	if !t.huffman {
		return true
	}
	_, err := hpack.HuffmanDecode(io.Discard, t.raw)
	return err == nil
}

// Resync implements protocol.Parser: where a call begins, a chain of frames is looked for.
func (p *parser) Resync(c *protocol.Chunk) (int, bool) {
	d := &p.dirs[c.Dir&1]
	if !d.adrift {
		d.table.tear()
		d.in, d.block = payload{}, block{}
		p.dirs[c.Dir.Reverse()&1].bounded = false // settings may be among what was lost
		d.adrift = true
		if d.inSync || p.prefaced {
			p.tear(c.Dir)
		}
		d.inSync, d.resynced = false, true
	}
	n, ok := p.place(c)
	if d.adrift = !ok; n > 0 {
		p.tear(c.Dir)
	}
	return n, ok
}

// tear notes that bytes of direction d went by unread.
func (p *parser) tear(d event.Dir) {
	if p.known {
		p.streams.tear(p.kind(d))
	}
}

// place looks for the beginning of a frame in c, see Resync.
func (p *parser) place(c *protocol.Chunk) (n int, ok bool) {
	if !c.Call {
		return len(c.Data), false
	}
	if sniff(c.Dir, c.Data) == protocol.Yes && c.Data[0] == preface[0] {
		return 0, true
	}
	w := walk{known: func(id uint32) bool { return p.streams.find(id) != nil }}
	switch w.judge(c.Data) {
	case protocol.Yes:
		return 0, true
	case protocol.More:
		return 0, whole(c.Data)
	default:
		return len(c.Data), false
	}
}

// whole reports whether data ends where a frame does: that of a call is of one piece, most often.
func whole(data []byte) bool {
	for len(data) >= frameHeader {
		f := readFrame(data)
		if f.size() > len(data) {
			return false
		}
		data = data[f.size():]
	}
	return len(data) == 0
}
