package protocol

import (
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// Handshake is what the beginning of a TLS connection says in clear. It and all it points to are valid until the call returns.
type Handshake struct {
	Conn event.ConnID
	Side Side
	// Task is who moved the first byte of the hello, At when that was.
	Task event.Task
	At   time.Time
	// Version is what the server chose: "1.3", "1.2", "1.1", "1.0", "3.0" for SSL; "" when that was not seen.
	Version string
	// ServerName is the one that the client asked for (SNI), in lower case; nil when there is none that can be a host's.
	ServerName []byte
	// ALPN is the protocol that was agreed on or, where the server says it under encryption (TLS 1.3) or was not seen, the first one
	// that the client wishes; nil for none.
	ALPN []byte
	// Direct is set when ServerName is the other end's: TLS was the first thing spoken, or agreed on by what was. Behind a proxy
	// (CONNECT, SOCKS) it is the name of the one whom the proxy talks to.
	Direct bool
}

// HandshakeSink is a Sink that wants to know of TLS. Handshake is called once for each connection that is found to speak it, as
// soon as both hellos were read or cannot be, at the latest at its end.
type HandshakeSink interface{ Handshake(*Handshake) }

// hello is what is known of a TLS connection as long as its hellos are being read.
type hello struct {
	promised       bool // both ends agreed on TLS; no byte of it has come
	direct         bool // see Handshake
	client, server bool // that end's hello was read
	version        uint16
	name           []byte
	wish, chosen   []byte
	from           event.Dir // of the client's hello
	task           event.Task
	at             int64
	coming         [2]coming // in each direction
}

// coming is how far a hello has come that is not all there, so that bytes which arrive one by one are not read from the beginning each
// time: what it holds may fill many records, and its extensions be many.
type coming struct {
	pos    uint64 // where it begins in the direction's stream
	record int    // where the header of the record is that is arriving
	have   int    // bytes of the hello in the records before
	need   int    // how long the hello is, 0 when that is not known
	read   int    // how many bytes there were when it was last read
}

// whole goes on through data, which begins at pos with a hello. It reports whether that is all there.
func (p *coming) whole(pos uint64, data []byte) bool {
	if p.pos != pos {
		*p = coming{pos: pos}
	}
	if p.need == 0 {
		f := flight{data: data, end: handshakeHeader}
		f.skip(1)
		if size := f.number(3); !f.short {
			p.need = handshakeHeader + size
		}
	}
	for p.record+recordHeader <= len(data) {
		r := data[p.record:]
		if r[0] != recordHandshake || r[1] != 3 {
			return false
		}
		n := recordLength(r)
		there := min(n, len(r)-recordHeader)
		if p.need > 0 && p.have+there >= p.need {
			return true
		}
		if there < n {
			return false
		}
		p.have, p.record = p.have+n, p.record+recordHeader+n
	}
	return false
}

// due reports whether a hello that is not whole is to be read nevertheless, of which there are n bytes: what is known of it by then is
// all that there will be when its rest is lost.
func (p *coming) due(n int) bool {
	if n < 2*p.read {
		return false
	}
	p.read = n
	return true
}

// reset empties h and keeps its memory.
func (h *hello) reset() {
	*h = hello{name: h.name[:0], wish: h.wish[:0], chosen: h.chosen[:0]}
}

// Extensions (RFC 6066 section 3, RFC 7301 section 3.1, RFC 8446 section 4.2.1).
const (
	extensionServerName = 0
	extensionALPN       = 16
	extensionVersions   = 43

	nameTypeHost = 0
	maxHostName  = 253
	maxALPN      = 255
)

// read takes in the hello that data begins with, in records of which it may fill several, or as much of it as is there.
func (h *hello) read(data []byte) {
	f := flight{data: data, end: handshakeHeader}
	kind, size := f.number(1), f.number(3)
	f.end += size
	client := kind == handshakeClientHello
	version := uint16(f.number(2))
	f.skip(32) // random
	f.skip(f.number(1))
	if client {
		f.skip(f.number(2)) // cipher suites
		f.skip(f.number(1)) // compression methods
		h.name, h.wish = h.name[:0], h.wish[:0]
	} else {
		f.skip(2 + 1) // the cipher suite and compression method chosen
		h.chosen = h.chosen[:0]
	}
	if f.at < f.end {
		f.number(2) // the length of all extensions
	}
	for f.at < f.end && !f.short {
		extension, n := f.number(2), f.number(2)
		next := f.at + n
		if next > f.end {
			f.short = true
			break
		}
		switch {
		case extension == extensionServerName && client:
			h.serverName(&f, next)
		case extension == extensionALPN && client:
			h.wish = f.firstName(h.wish, next)
		case extension == extensionALPN:
			h.chosen = f.firstName(h.chosen, next)
		case extension == extensionVersions && !client && n == 2:
			version = uint16(f.number(2))
		}
		f.skip(next - f.at)
	}
	if !f.short && !client {
		h.version = version
	}
}

// serverName reads the list of an extension that ends at end: its first name of a host.
func (h *hello) serverName(f *flight, end int) {
	f.skip(2)
	if f.number(1) != nameTypeHost {
		return
	}
	if n := f.number(2); n <= maxHostName && f.at+n <= end {
		h.name = f.text(h.name[:0], n)
	}
	if f.short {
		h.name = h.name[:0]
	}
	for i, b := range h.name {
		switch {
		case 'A' <= b && b <= 'Z':
			h.name[i] += 'a' - 'A'
		case 'a' <= b && b <= 'z', '0' <= b && b <= '9', b == '.', b == '-', b == '_':
		default:
			h.name = h.name[:0]
			return
		}
	}
}

// firstName reads a list of ALPN names that ends at end: its first one but for GREASE (RFC 8701 section 2).
func (f *flight) firstName(into []byte, end int) []byte {
	f.skip(2)
	for f.at < end && !f.short {
		n := f.number(1)
		if n == 0 || f.at+n > end {
			break
		}
		into = f.text(into[:0], n)
		if f.short {
			break
		}
		if grease := n == 2 && into[0] == into[1] && into[0]&0xf == 0xa; !grease {
			return into
		}
	}
	return into[:0]
}

// flight reads what handshake records hold, one after the other, as one run of bytes.
type flight struct {
	data []byte
	left int // of the record that data is in
	at   int // bytes read
	end  int // bytes that may be
	// short is set when bytes were asked for that are not there, or not of the message; what is read then is zero.
	short bool
}

// more makes sure that a byte can be read.
func (f *flight) more() bool {
	for f.left == 0 && !f.short {
		if len(f.data) < recordHeader || f.data[0] != recordHandshake || f.data[1] != 3 {
			f.short = true
			break
		}
		f.left, f.data = recordLength(f.data), f.data[recordHeader:]
	}
	f.short = f.short || len(f.data) == 0 || f.at >= f.end
	return !f.short
}

func (f *flight) skip(n int) {
	for n > 0 && f.more() {
		k := min(n, f.left, len(f.data), f.end-f.at)
		f.data, f.left, f.at, n = f.data[k:], f.left-k, f.at+k, n-k
	}
}

// number reads one of that many bytes.
func (f *flight) number(bytes int) (n int) {
	for range bytes {
		if !f.more() {
			return 0
		}
		n = n<<8 | int(f.data[0])
		f.data, f.left, f.at = f.data[1:], f.left-1, f.at+1
	}
	return n
}

// text adds n bytes to into.
func (f *flight) text(into []byte, n int) []byte {
	for n > 0 && f.more() {
		k := min(n, f.left, len(f.data), f.end-f.at)
		into = append(into, f.data[:k]...)
		f.data, f.left, f.at, n = f.data[k:], f.left-k, f.at+k, n-k
	}
	return into
}
