package http2

import (
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/http2/http2test"
)

// encode writes frames in the language of transcripts.
func encode(t testing.TB, side protocol.Side, lines ...string) string {
	t.Helper()
	enc := http2test.Encoder()
	var b strings.Builder
	for _, l := range lines {
		data, err := enc(side, l)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(data)
	}
	return b.String()
}

func TestSniff(t *testing.T) {
	const (
		request = "headers 1 end :method=GET :scheme=http :path=/ :authority=x"
		warm    = "warm :path=/p :authority=x user-agent=a content-type=application/grpc te=trailers"
		old     = "headers 7 :method=POST :scheme=http :path=/p :authority=x content-type=application/grpc user-agent=a te=trailers ; data 7 end msg=abc"
	)
	client := func(lines ...string) string { return encode(t, protocol.ClientSide, lines...) }
	for _, c := range []struct {
		name, data string
		want       protocol.Sniffed
	}{
		{"preface", client("preface", "settings"), protocol.Yes},
		{"preface alone", preface, protocol.Yes},
		{"part of it", preface[:10], protocol.More},
		{"another preface", "PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n", protocol.No},
		{"settings", client("settings frame=16384 window=65535"), protocol.Yes},
		{"settings that are none", client("settings frame=100"), protocol.No},
		{"empty settings", client("settings"), protocol.More},
		{"empty settings, acknowledged, and a window", client("settings", "settings ack", "window 0 100"), protocol.Yes},
		{"zeros", strings.Repeat("\x00", 100), protocol.No},
		{"a request", client(request), protocol.Yes},
		{"a request of an older connection", client(warm, old), protocol.Yes},
		{"a request, cut", client(request)[:12], protocol.More},
		{"a request, and no frame", client(request) + "not a frame", protocol.No},
		{"a request in parts", client("headers 1 split=3 :method=GET :scheme=http :path=/ :authority=x"), protocol.More},
		{"in parts, and a window", client("headers 1 split=3 :method=GET :scheme=http :path=/", "window 0 5", "window 1 5"), protocol.Yes},
		{"an answer alone", client("headers 1 end :status=200"), protocol.More},
		{"an answer", client("headers 1 :status=200", "data 1 end text=abc"), protocol.Yes},
		{"an answer of an older connection", client("warm a=b", "headers 1 :status=200 a=b ; data 1 msg=x ; headers 1 end a=b"), protocol.Yes},
		{"an answer and another's data", client("headers 1 :status=200", "data 3 text=abc"), protocol.More},
		{"a status that is not first", client("headers 1 a=b :status=200", "data 1 text=abc"), protocol.No},
		{"data", client("data 1 zero=1000", "data 1 zero=1000"), protocol.More},
		{"a window", client("window 0 1000"), protocol.More},
		{"two windows", client("window 0 1000", "window 5 1000"), protocol.Yes},
		{"ping", client("ping"), protocol.More},
		{"ping and window", client("ping", "window 0 9"), protocol.Yes},
		{"an unknown frame", client("unknown 1"), protocol.No},
		{"stream 2", client("headers 2 end :method=GET :scheme=http :path=/"), protocol.No},
		{"no authority, no scheme", client("headers 1 end :method=GET :path=/"), protocol.More},
		{"bad Huffman", "\x00\x00\x08\x01\x05\x00\x00\x00\x01\x82\x86\x84\x41\x84\xff\xff\xff\xff", protocol.No},
		{"index 0", "\x00\x00\x04\x01\x05\x00\x00\x00\x01\x82\x86\x84\x80", protocol.No},
		{"HTTP/1.1", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", protocol.No},
		{"a length and a zero", "\x00\x00\x00\x04\x00\x00\x00\x00", protocol.More},
		{"a length and zeros", strings.Repeat("\x00\x00\x00\x04\x00\x00\x00\x00", 3), protocol.No},
	} {
		if got := sniff(event.Sent, []byte(c.data)); got != c.want {
			t.Errorf("%s: %d, want %d (%s)", c.name, got, c.want, hex.EncodeToString([]byte(c.data)))
		}
		for n := range len(c.data) { // what is there so far must never rule out what it is
			if got := sniff(event.Sent, []byte(c.data[:n])); got == protocol.No && c.want == protocol.Yes {
				t.Errorf("%s: No after %d bytes", c.name, n)
			}
		}
	}
}

// TestSniffNothing: bytes that look like frames in part are none. Each try has a random chance; all lengths are small, as in
// protocols that count.
func TestSniffNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	buf := make([]byte, 200)
	for range 100000 {
		for i := range buf {
			buf[i] = byte(r.Uint32())
			if r.IntN(3) > 0 {
				buf[i] = byte(r.IntN(10))
			}
			if r.IntN(2) > 0 {
				buf[i] = 0
			}
		}
		if sniff(event.Sent, buf) == protocol.Yes {
			t.Errorf("%x is taken for HTTP/2", buf)
		}
	}
}
