package http2_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/grpc"
	"github.com/toposcope/toposcope/protocol/http1"
	"github.com/toposcope/toposcope/protocol/http2"
	"github.com/toposcope/toposcope/protocol/http2/http2test"
	"github.com/toposcope/toposcope/protocol/protocoltest"
	"github.com/toposcope/toposcope/protocol/semantics"
)

func TestTranscripts(t *testing.T) {
	protocoltest.Run(t, http2.Spec(), protocoltest.Encode(http2test.Encoder), protocoltest.Carry(http1.Spec()))
}

// toy is a Layer besides gRPC: whatever has x-toy in its header, judged by the HTTP status.
type toy struct{}

func (toy) Fields() []string { return []string{"grpc-status", "x-toy"} }

func (toy) Match(h *semantics.Header, _ *semantics.Start) protocol.Sniffed {
	if h.Own(1) == nil {
		return protocol.No
	}
	return protocol.Yes
}

func (toy) New() semantics.Call { return &toyCall{} }

type toyCall struct{ bytes [2]int }

func (c *toyCall) Header(h *semantics.Header, m *protocol.Message) {
	if m.Kind == protocol.Request {
		*c = toyCall{}
		m.Protocol = "toy"
		m.Attrs.Set("toy.name", h.Own(1))
	}
}

func (c *toyCall) Body(k protocol.Kind, data []byte, missing int) int {
	c.bytes[k] += len(data) + missing
	return 1 << 30
}

func (c *toyCall) End(e semantics.End, m *protocol.Message) {
	m.Attrs.SetString("toy.bytes", strconv.Itoa(c.bytes[m.Kind]))
	m.Attrs.SetString("toy.status", strconv.Itoa(e.Status))
}

// TestLayers has two layers on one connection, both of which read the same field.
func TestLayers(t *testing.T) {
	s := &texts{}
	carried := &protocol.Spec{Name: "toy", Carrier: http2.Name}
	w := newWire(t)
	w.track = protocol.NewTracker([]*protocol.Spec{http2.Spec(toy{}, grpc.Layer{}), carried, grpc.Spec()}, protocol.Config{}, s, s)
	w.encode, w.seq, w.off = http2test.Encoder(), 0, [2]uint64{}
	w.track.Handle(&event.Opened{Conn: 1, Role: event.RoleClient, Time: w.now})
	w.say(event.Sent, "preface ; settings ; headers 1 :method=POST :scheme=http :path=/a :authority=x x-toy=ball ; data 1 end pad=4 text=hello")
	w.say(event.Sent, "headers 3 :method=POST :scheme=http :path=/s.S/M :authority=x content-type=application/grpc ; data 3 end msg=a")
	w.say(event.Received, "settings ; headers 1 :status=200 ; data 1 zero=16000 ; data 1 end zero=1000")
	w.say(event.Received, "headers 3 end :status=200 content-type=application/grpc grpc-status=5")
	if len(s.lines) != 2 {
		t.Fatal(s.lines)
	}
	for i, want := range [][]string{
		{"toy ok", `toy.name="ball" server.address="x"`, `toy.bytes="5"`, `toy.bytes="17000" toy.status="200"`}, {"grpc rejected", `"NOT_FOUND"`},
	} {
		for _, part := range want {
			if !strings.Contains(s.lines[i], part) {
				t.Errorf("%s is not in %s", part, s.lines[i])
			}
		}
	}
}
