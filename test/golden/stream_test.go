package golden

import (
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/toposcope/toposcope/test/load/rpc"
)

// stream is one of HTTP/2.
type stream struct {
	*exchange
	grpc bool
	// asked is set at the end of the request, ended at that of the answer.
	asked, ended bool
	// authority and status are the headers of that name, the latter that of gRPC.
	authority, status string
	// sent are the gRPC messages of the client and the server.
	sent [2]int
}

func (w *wireshark) http2(p pdu) {
	for _, frame := range p.all("http2.stream") {
		w.frame(p, frame)
	}
}

const (
	frameData      = 0
	frameHeaders   = 1
	frameReset     = 3
	frameContinued = 9
)

func (w *wireshark) frame(p pdu, f *node) {
	const frameHeader = 9
	id, kind, size := f.number("http2.streamid"), f.number("http2.type"), f.number("http2.length")+frameHeader
	key := p.stream + " " + strconv.Itoa(id)
	s := w.streams[key]
	if s == nil {
		if id == 0 || id%2 == 0 || kind != frameHeaders {
			return
		}
		s = &stream{exchange: &exchange{protocol: "http2", client: p.from, server: p.to, begin: p.first, fields: map[string]string{"network.protocol.version": "2"}}}
		if strings.Contains(p.from, ":800") { // of an upgrade's first stream the answer is all there is
			s.client, s.server = p.to, p.from
		}
		w.streams[key] = s
		w.done = append(w.done, s.exchange)
	}
	if s.ended {
		return // what a client still sends then is not read
	}
	fromClient := p.from == s.client
	switch kind {
	case frameReset:
		s.reset, s.ended, s.end = true, true, p.last
		return
	case frameData, frameHeaders, frameContinued:
	default:
		return
	}
	last := f.set("http2.flags.end_stream")
	if fromClient {
		s.request += size
		s.asked = s.asked || last
	} else {
		s.response += size
		s.end, s.ended = p.last, last
	}
	w.last = s
	s.headers(f, fromClient)
}

// headers takes in a block of headers, which tshark shows with the frame that ends it.
func (s *stream) headers(f *node, fromClient bool) {
	for _, h := range f.all("http2.header") {
		value := h.text("http2.header.value")
		switch h.text("http2.header.name") {
		case ":method":
			s.fields["http.request.method"] = value
		case ":path":
			s.target(value, s.authority)
		case ":authority":
			s.authority = value
			s.fields["server.address"], s.fields["server.port"], _ = strings.Cut(value, ":")
		case ":status":
			if value >= "200" {
				s.fields["http.response.status_code"] = value
			}
		case "user-agent":
			s.fields["user_agent.original"] = value
		case "content-type":
			s.grpc = s.grpc || fromClient && strings.HasPrefix(value, "application/grpc")
		case "grpc-status":
			s.status = value
		}
	}
}

// grpc takes in a message, of which the stream is that of the frame before.
func (w *wireshark) grpc(p pdu) {
	if w.last == nil {
		return
	}
	if p.from == w.last.client {
		w.last.sent[0]++
	} else {
		w.last.sent[1]++
	}
}

// finish makes a call of a stream that is one.
func (w *wireshark) finish(s *stream) {
	if !s.grpc && !w.calls {
		return
	}
	s.protocol = "grpc"
	method := unknown // Wireshark leaves out what it does not know
	if path := s.fields["url.path"]; path != "" {
		method = strings.TrimPrefix(path, "/")
	}
	for _, name := range []string{"http.request.method", "http.response.status_code", "url.path", "url.query"} {
		delete(s.fields, name)
	}
	s.fields["rpc.system.name"], s.fields["rpc.method"], s.fields["rpc.response.status_code"] = "grpc", method, unknown
	s.fields["rpc.request.messages"], s.fields["rpc.response.messages"] = strconv.Itoa(s.sent[0]), strconv.Itoa(s.sent[1])
	s.early = s.ended && !s.asked
	if code, err := strconv.Atoi(s.status); err == nil {
		s.fields["rpc.response.status_code"] = rpc.Name(codes.Code(code))
	}
}

const unknown = "unknown"
