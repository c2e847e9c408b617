package semantics

import (
	"time"

	"github.com/toposcope/toposcope/protocol"
)

// Layer is a protocol that is spoken in requests of HTTP, of any version, and their responses: gRPC, for one. It has no state.
type Layer interface {
	// Fields names the header fields that it reads besides HTTP's own (see Field), in lower case; Header.Own has them in this order.
	Fields() []string
	// Match says whether an exchange is of this layer, by the header of its request. More: it may be, but what would tell refers
	// to something that was not seen; start will tell. start is nil as long as nothing was seen of the body. More in spite of it:
	// it cannot be told, and the exchange is better not counted.
	Match(h *Header, start *Start) protocol.Sniffed
	// New makes the state of one exchange, which is used again for others.
	New() Call
}

// Start is how a request's body begins.
type Start struct {
	// Data is what is there of it, Size the length of its first piece (a DATA frame), Size >= len(Data).
	Data []byte
	Size int
	// Last says that the first piece is all.
	Last bool
}

// Call is one exchange of a Layer. Both directions tell it, from one goroutine, in the order in which things were seen.
type Call interface {
	// Header takes the header of the request or the response, as m.Kind says, and sets in m what it tells. A request's begins
	// a new exchange; its m.Protocol is set.
	Header(h *Header, m *protocol.Message)
	// Body takes the next bytes of a body, then missing ones that were not seen; negative: any number. It returns how many
	// of those to come it can do without; it is told of them as missing.
	Body(k protocol.Kind, data []byte, missing int) (free int)
	// End takes the end of the request or the response, as m.Kind says, and sets in m what is known by now.
	End(e End, m *protocol.Message)
}

// End is how a message ended.
type End struct {
	// Trailers are the header that ended it: its trailers, or its only header. nil: there was none.
	Trailers *Header
	// Status is the response's HTTP status; 0: not known.
	Status int
	// Reset says that the exchange was broken off with Code (RFC 9113 section 7), by the client or by the server.
	Reset, ByClient bool
	Code            uint32
	// Took is how long it is since the request's first byte.
	Took time.Duration
}
