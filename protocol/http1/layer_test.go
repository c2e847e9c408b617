package http1_test

import (
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/grpc"
	"github.com/toposcope/toposcope/protocol/http1"
)

// status is a Sink that keeps the last exchange's rpc.response.status_code.
type status struct{ code, method string }

func (s *status) Exchange(x *protocol.Exchange) {
	s.code, s.method = "", string(x.Request.Attrs.Get(protocol.RPCMethod))
	if x.Response != nil {
		s.code = string(x.Response.Attrs.Get(protocol.RPCStatusCode))
	}
}
func (*status) Gap(event.ConnID, string, uint64) {}

// TestTrailers is gRPC itself over HTTP/1.1, as some proxies make of it: the status is in the trailers of a chunked body.
func TestTrailers(t *testing.T) {
	const (
		ask    = "POST /s.S/A HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc\r\nContent-Length: 8\r\n\r\n\x00\x00\x00\x00\x03abc"
		answer = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"7\r\n\x00\x00\x00\x00\x02ok\r\n0\r\nX-Other: 1\r\nGrpc-Status: 9\r\nGrpc-Message: not now\r\n\r\n"
	)
	for cut := 1; cut < len(answer); cut++ {
		s := &status{}
		tr := protocol.NewTracker([]*protocol.Spec{http1.Spec(grpc.Layer{}), grpc.Spec()}, protocol.Config{}, nil, s)
		tr.Handle(&event.Opened{Conn: 1, Role: event.RoleClient})
		off := uint64(0)
		for i, data := range []string{ask, answer[:cut], answer[cut:]} {
			seg := &event.Segment{Conn: 1, Seq: uint64(i), Dir: event.Received, Data: []byte(data), Size: len(data), Time: time.Unix(1e9, 0)}
			if i == 0 {
				seg.Dir = event.Sent
			} else {
				seg.Off, off = off, off+uint64(len(data))
			}
			tr.Handle(seg)
		}
		if s.code != "FAILED_PRECONDITION" || s.method != "s.S/A" {
			t.Errorf("cut at %d: %+v", cut, s)
		}
	}
}

// TestHeadOfLayer: an answer to HEAD has no body, whatever the request says it is of.
func TestHeadOfLayer(t *testing.T) {
	const (
		ask = "HEAD /s.S/A HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc-web\r\n\r\n"
		got = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc-web\r\nContent-Length: 1000\r\n\r\n"
	)
	s := &status{}
	tr := protocol.NewTracker([]*protocol.Spec{http1.Spec(grpc.Layer{}), grpc.Spec()}, protocol.Config{}, nil, s)
	tr.Handle(&event.Opened{Conn: 1, Role: event.RoleClient})
	var off [2]uint64
	for i, data := range []string{ask, got, ask, got} {
		seg := &event.Segment{Conn: 1, Seq: uint64(i), Dir: event.Dir(i % 2), Off: off[i%2], Data: []byte(data), Size: len(data), Time: time.Unix(1e9, 0)}
		off[i%2] += uint64(len(data))
		tr.Handle(seg)
	}
	if n := tr.Counters().Exchanges[protocol.Labels{Protocol: http1.Name}]; n != 2 {
		t.Errorf("%d exchanges: %v", n, tr.Counters().Exchanges)
	}
}
