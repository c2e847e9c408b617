// Package grpc decodes gRPC (its repository's doc/PROTOCOL-HTTP2.md) and gRPC-Web (doc/PROTOCOL-WEB.md), as Layers of HTTP.
//
// An exchange is a call: from the request's first byte to the trailers, or to what ended it otherwise. Messages are counted, not
// decoded. A grpc-message is text for people; it stays away from metrics, and so out of the attributes.
package grpc

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/http2"
	"github.com/toposcope/toposcope/protocol/semantics"
)

// Name is the protocol's name.
const Name = "grpc"

// Spec describes gRPC to the framework: it is found by HTTP/2's parser, when that has the Layer.
func Spec() *protocol.Spec {
	return &protocol.Spec{Name: Name, System: protocol.SystemRPC, Carrier: http2.Name}
}

// Layer is gRPC, and gRPC-Web, as it is spoken in HTTP. The zero value is ready.
type Layer struct{}

var _ semantics.Layer = Layer{}

// Header fields, in the order of Fields.
const (
	fieldStatus = iota
	fieldTimeout
)

// Fields implements semantics.Layer.
func (Layer) Fields() []string { return []string{"grpc-status", "grpc-timeout"} }

// New implements semantics.Layer.
func (Layer) New() semantics.Call { return &call{} }

// Match implements semantics.Layer: the content type tells. Where it refers to something that was not seen, the messages in the
// body do: each begins with a flag of 0 or 1 and its length, and together they are as long as the body.
func (Layer) Match(h *semantics.Header, start *semantics.Start) protocol.Sniffed {
	if t := h.Get(semantics.ContentType); t != nil {
		if form(t) == notGRPC {
			return protocol.No
		}
		return protocol.Yes
	}
	method := h.Get(semantics.Method)
	switch {
	case !h.Unresolved || method != nil && string(method) != "POST":
		return protocol.No
	case start == nil || start.Size == 0:
		return protocol.More
	case start.Data == nil:
		return protocol.More
	default:
		return max(framed(start), framedText(start))
	}
}

// framed says whether a body begins with messages.
func framed(s *semantics.Start) protocol.Sniffed {
	data, left := s.Data, s.Size
	for n := 0; ; n++ {
		switch {
		case left == 0 && n > 0:
			return protocol.Yes
		case n > 0 && len(data) < prefix && !(s.Last && left < prefix):
			return protocol.Yes // the next one was not captured, or is in the next frame
		case len(data) == 0 || data[0] > compressed || s.Last && left < prefix:
			return protocol.No
		case len(data) < prefix:
			return protocol.More
		}
		size := int(binary.BigEndian.Uint32(data[1:])) + prefix
		switch {
		case size > maxMessage, size > left && s.Last:
			return protocol.No
		case size > left:
			return protocol.Yes
		}
		data, left = data[min(size, len(data)):], left-size
	}
}

// framedText says the same of gRPC-Web in base64.
func framedText(s *semantics.Start) protocol.Sniffed {
	const group = 4
	var buf [3 * 16]byte
	text := s.Data[:min(len(s.Data), group*len(buf)/3)]
	if len(text) < group {
		if len(text) > 0 && !s.Last && strings.HasPrefix("AAAA", string(text)) {
			return protocol.More
		}
		return protocol.No
	}
	n, err := base64.StdEncoding.Decode(buf[:], text[:len(text)/group*group])
	if err != nil && n < prefix {
		return protocol.No
	}
	size := s.Size / group * (group - 1)
	if s.Last && s.Data[len(s.Data)-1] == '=' && len(s.Data) == s.Size {
		size -= strings.Count(string(s.Data[len(s.Data)-2:]), "=")
	}
	return framed(&semantics.Start{Data: buf[:n], Size: max(size, n), Last: s.Last})
}

// maxMessage is the longest message that is believed where nothing else says that there is one. Implementations take 4 MiB unless
// they are told otherwise.
const maxMessage = 64 << 20

// How messages are sent.
const (
	notGRPC = iota
	native
	web
	webText // in base64
)

// form tells how messages are sent, by the content type.
func form(t []byte) int {
	rest, ok := bytes.CutPrefix(t, []byte("application/grpc"))
	if !ok {
		return notGRPC
	}
	f := native
	if rest, ok = bytes.CutPrefix(rest, []byte("-web")); ok {
		f = web
		if r, ok := bytes.CutPrefix(rest, []byte("-text")); ok {
			f, rest = webText, bytes.TrimPrefix(r, []byte("-base64"))
		}
	}
	if len(rest) > 0 && rest[0] != '+' && rest[0] != ';' && rest[0] != ' ' {
		return notGRPC
	}
	return f
}
