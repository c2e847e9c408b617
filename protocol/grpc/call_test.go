package grpc

import (
	"encoding/binary"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/semantics"
)

// TestNames holds the codes against grpc-go's.
func TestNames(t *testing.T) {
	for i, name := range names {
		var c codes.Code
		if err := c.UnmarshalJSON([]byte(`"` + name + `"`)); err != nil || int(c) != i {
			t.Errorf("%d is %s, which is %d: %v", i, name, c, err)
		}
	}
	if want := int(codes.Unauthenticated) + 1; len(names) != want {
		t.Errorf("%d names, want %d", len(names), want)
	}
}

func TestParseCode(t *testing.T) {
	for text, want := range map[string]code{
		"0": ok, "5": 5, "16": unauthenticated, "17": unknownCode, "99": unknownCode, "-1": unknownCode, "": unknownCode, "x": unknownCode,
		"000000000000000000000000": unknownCode, "1x": unknownCode,
	} {
		if got := parseCode([]byte(text)); got != want {
			t.Errorf("%q is %s, want %s", text, names[got], names[want])
		}
	}
}

func TestParseTimeout(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1H": time.Hour, "2M": 2 * time.Minute, "3S": 3 * time.Second, "400m": 400 * time.Millisecond, "5u": 5 * time.Microsecond, "99999999n": 99999999,
		"99999999H": (1 << 62) / time.Hour * time.Hour, "": -1, "S": -1, "1": -1, "1s": -1, "123456789S": -1, "-1S": -1, "1.5S": -1,
	} {
		got, ok := parseTimeout([]byte(text))
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q is %v, %v, want %v", text, got, ok, want)
		}
	}
}

// TestCancelled goes along the edges of the tolerance.
func TestCancelled(t *testing.T) {
	for _, c := range []struct {
		d          deadline
		took       time.Duration
		want       code
		unresolved bool
	}{
		{deadline{}, time.Hour, cancelled, false},
		{deadline{after: time.Second}, 900 * time.Millisecond, cancelled, false},
		{deadline{after: time.Second}, 950 * time.Millisecond, deadlineExceeded, false},
		{deadline{after: time.Second}, time.Minute, deadlineExceeded, false},
		{deadline{after: 100 * time.Millisecond}, 89 * time.Millisecond, cancelled, false},
		{deadline{after: 100 * time.Millisecond}, 90 * time.Millisecond, deadlineExceeded, false},
		{deadline{after: 5 * time.Millisecond}, 3 * time.Millisecond, deadlineExceeded, false},
		{deadline{unclear: true}, time.Second, cancelled, true},
		{deadline{after: time.Second, likely: true, unclear: true}, time.Second, deadlineExceeded, false},
		{deadline{after: time.Second, likely: true, unclear: true}, 500 * time.Millisecond, cancelled, false},
		{deadline{after: time.Second, likely: true, unclear: true}, 2 * time.Second, cancelled, false},
	} {
		m := &protocol.Message{}
		if got := c.d.cancelled(c.took, m); got != c.want || m.Unresolved != c.unresolved {
			t.Errorf("%+v after %v: %s, unresolved %v", c.d, c.took, names[got], m.Unresolved)
		}
	}
}

func TestForm(t *testing.T) {
	for text, want := range map[string]int{
		"application/grpc": native, "application/grpc+proto": native, "application/grpc;charset=x": native, "application/grpcx": notGRPC,
		"application/grpc-web": web, "application/grpc-web+json": web, "application/grpc-web-text": webText, "application/grpc-web-text+proto": webText,
		"application/grpc-web-text-base64": webText, "application/grpc-webx": notGRPC, "application/json": notGRPC, "": notGRPC,
	} {
		if got := form([]byte(text)); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}

func prefixed(flag byte, n int, content string) string {
	return string(binary.BigEndian.AppendUint32([]byte{flag}, uint32(n))) + content
}

func TestFramed(t *testing.T) {
	for _, c := range []struct {
		data string
		size int
		last bool
		want protocol.Sniffed
	}{
		{prefixed(0, 3, "abc"), 8, true, protocol.Yes},
		{prefixed(1, 3, "abc"), 8, true, protocol.Yes},
		{prefixed(0, 3, "abc") + prefixed(0, 0, ""), 13, true, protocol.Yes},
		{prefixed(0, 3, "abc") + prefixed(9, 0, ""), 13, true, protocol.No},
		{prefixed(0, 4, "abc"), 8, true, protocol.No},
		{prefixed(0, 4, "abc"), 8, false, protocol.Yes},
		{prefixed(0, 3, "abc") + "x", 9, true, protocol.No},
		{prefixed(0, 3, "abc") + "\x00", 9, false, protocol.Yes},
		{prefixed(2, 3, "abc"), 8, true, protocol.No},
		{prefixed(0, 1<<30, "abc"), 8, false, protocol.No},
		{prefixed(0, 5000, "abc"), 5005, true, protocol.Yes},
		{"\x00\x00", 2, false, protocol.More},
		{"\x00\x00", 2, true, protocol.No},
		{`{"a":1}`, 7, true, protocol.No},
		{"\x0a\x03abc", 5, true, protocol.No},
	} {
		if got := framed(&semantics.Start{Data: []byte(c.data), Size: c.size, Last: c.last}); got != c.want {
			t.Errorf("%q of %d, last %v: %d, want %d", c.data, c.size, c.last, got, c.want)
		}
	}
}

// TestMessages has a body read in pieces of every length, and with every byte missing in turn.
func TestMessages(t *testing.T) {
	body := prefixed(0, 3, "abc") + prefixed(1, 0, "") + prefixed(0, 300, string(make([]byte, 300))) + prefixed(0, 1, "x")
	for n := 1; n <= len(body); n++ {
		var m messages
		for at := 0; at < len(body); at += n {
			m.read([]byte(body[at:min(at+n, len(body))]), nil)
		}
		if m.count != 4 || m.lost || m.open || m.have != 0 {
			t.Errorf("in pieces of %d: %+v", n, m)
		}
	}
	for at := range len(body) {
		var m messages
		m.read([]byte(body[:at]), nil)
		m.miss(1)
		m.read([]byte(body[at+1:]), nil)
		if !m.lost && m.count != 4 {
			t.Errorf("without byte %d: %+v", at, m)
		}
	}
}

func TestStatusAtEnd(t *testing.T) {
	end := func(content string) string { return prefixed(trailers, len(content), content) }
	tail := end("grpc-status: 7\r\n")
	for _, c := range []struct{ data, want string }{
		{"rest of a message" + tail, "7"},
		{tail, "7"},
		{tail[1:], ""},
		{tail + "x", ""},
		{end("a: b\r\n"), ""},
		{"", ""},
		{end("a:b\r\nGrpc-Status:  13 \r\n"), "13"},
	} {
		if got := string(statusAtEnd([]byte(c.data))); got != c.want {
			t.Errorf("%q: %q, want %q", c.data, got, c.want)
		}
	}
}
