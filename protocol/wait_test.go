package protocol_test

import (
	"fmt"
	"testing"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/http1"
)

// ended notes how exchanges ended.
type ended struct{ got []string }

func (e *ended) Exchange(x *protocol.Exchange) {
	e.got = append(e.got, fmt.Sprintf("%s %s waiting=%t", x.Outcome, x.Error, x.Waiting()))
}

func (*ended) Gap(event.ConnID, string, uint64) {}

// TestWaitEnds: a wait that ends with its connection, before its answer or in the middle of it, has not failed; others have.
func TestWaitEnds(t *testing.T) {
	const stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ndata: 1\r\n"
	for _, c := range []struct{ ask, answer, want string }{
		{"GET /api/x?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n", "", "ok  waiting=true"},
		{"GET /x HTTP/1.1\r\nHost: x\r\n\r\n", "", "failed unanswered waiting=false"},
		{"GET /x HTTP/1.1\r\nHost: x\r\n\r\n", stream, "ok  waiting=true"},
	} {
		e := &ended{}
		w := newWire(t, protocol.Config{})
		w.tracker = protocol.NewTracker([]*protocol.Spec{http1.Spec()}, protocol.Config{}, nil, e)
		w.client()
		w.send(c.ask)
		if c.answer != "" {
			w.recv(c.answer)
		}
		w.handle(w.closed())
		if len(e.got) != 1 || e.got[0] != c.want {
			t.Errorf("%q, %q: %q, want %q", c.ask, c.answer, e.got, c.want)
		}
	}
}
