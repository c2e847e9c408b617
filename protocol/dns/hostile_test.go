package dns_test

import (
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// TestDatagramLikeAStream: datagrams that hold what a stream would, one message after the other, leave nothing behind that other
// datagrams are read by.
func TestDatagramLikeAStream(t *testing.T) {
	s := newSocket(t, "10.0.0.1:40000", "")
	for i := range 3 {
		message := s.line(protocol.ServerSide, "6144 A evil.example NXDOMAIN") // an ID that is no header's second word
		data := append([]byte{0, byte(len(message))}, message...)
		data = append(data, data...)
		for range i + 1 {
			s.datagram(event.Received, "10.9.9.9:53", data)
		}
	}
	s.ask(resolver, "30 A good.example")
	s.answer(resolver, "30 A good.example NXDOMAIN")
	s.want("dns rejected good.example A NXDOMAIN")
}

// TestOthersQuestions: an answer without its question is not confused by what another socket asked and got no answer to.
func TestOthersQuestions(t *testing.T) {
	s := newSocket(t, "10.0.0.1:40000", "")
	s.ask(resolver, "20 A one.example")
	s.tick(6 * time.Second)
	s.ask(resolver, "20 A two.example")
	s.answer(resolver, "20 A any bare REFUSED")
	s.want("dns failed one.example A unanswered", "dns failed two.example A REFUSED")
}
