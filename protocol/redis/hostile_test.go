package redis_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/protocoltest"
	"github.com/toposcope/toposcope/protocol/redis"
)

// TestLengths: what no length may be is refused, and the largest ones cost nothing.
func TestLengths(t *testing.T) {
	for _, c := range []struct {
		name, bytes string
		from        protocol.Side
		ok          bool
	}{
		{"512 MiB value", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nx", protocol.ClientSide, true},
		{"1 GiB value", "*3\r\n$3\r\nSET\r\n$1073741824\r\nk", protocol.ClientSide, true},
		{"2^31 words", "*2147483647\r\n$3\r\nDEL\r\n$1\r\nk\r\n", protocol.ClientSide, true},
		{"1 GiB name", "*1\r\n$1073741824\r\nGETGETGET", protocol.ClientSide, true},
		{"1 TiB value", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1099511627776\r\nx", protocol.ClientSide, false},
		{"2^63 words", "*9223372036854775808\r\n$3\r\nDEL\r\n", protocol.ClientSide, false},
		{"null word", "*2\r\n$3\r\nGET\r\n$-1\r\n", protocol.ClientSide, false},
		{"negative word", "*2\r\n$3\r\nGET\r\n$-2147483648\r\n", protocol.ClientSide, false},
		{"number for a word", "*2\r\n$3\r\nGET\r\n:1\r\n", protocol.ClientSide, false},
		{"word without an end", "*2\r\n$3\r\nGET\r\n$1\r\nkk\r\n", protocol.ClientSide, false},
		{"streamed words", "*?\r\n", protocol.ClientSide, false},
		{"binary", "\x16\x03\x01\x02\x00", protocol.ClientSide, false},
		{"1 GiB string", "$1073741824\r\nabc", protocol.ServerSide, true},
		{"2^31 elements", "*2147483647\r\n:1\r\n", protocol.ServerSide, true},
		{"2^31 pairs", "%2147483647\r\n:1\r\n", protocol.ServerSide, true},
		{"2^32 elements", "*4294967296\r\n:1\r\n", protocol.ServerSide, false},
		{"-2 elements", "*-2\r\n", protocol.ServerSide, false},
		{"-5 bytes", "$-5\r\n", protocol.ServerSide, false},
		{"no length", "$\r\n", protocol.ServerSide, false},
		{"letters for a length", "$1a\r\n", protocol.ServerSide, false},
		{"length without an end", "$" + strings.Repeat("0", 100), protocol.ServerSide, false},
		{"string without an end", "$3\r\nabcd\r\n", protocol.ServerSide, false},
		{"letters for a number", ":abc\r\n", protocol.ServerSide, false},
		{"endless number", ":" + strings.Repeat("1", 100), protocol.ServerSide, false},
		{"no boolean", "#x\r\n", protocol.ServerSide, false},
		{"end of nothing", ".\r\n", protocol.ServerSide, false},
		{"end of a counted array", "*2\r\n:1\r\n.\r\n", protocol.ServerSide, false},
		{"no chunk", "$?\r\n$1\r\na\r\n", protocol.ServerSide, false},
		{"streamed attributes", "|?\r\n", protocol.ServerSide, false},
		{"64 levels", strings.Repeat("*2\r\n", 62) + ":1\r\n", protocol.ServerSide, true},
		{"10,000 levels", strings.Repeat("*1\r\n", 10000) + ":1\r\n", protocol.ServerSide, false},
		{"10,000 attributes", strings.Repeat("|1\r\n", 10000) + ":1\r\n", protocol.ServerSide, false},
		{"10,000 streamed levels", strings.Repeat("*?\r\n", 10000), protocol.ServerSide, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := redis.Spec(protocol.Options{TextLimit: limit}).New()
			p.Next(&protocol.Chunk{Dir: event.Sent, Data: command("PING"), Turn: true, Call: true}) //nolint:errcheck // it is one
			d := event.Sent
			if c.from == protocol.ServerSide {
				d = event.Received
			}
			before := protocoltest.Heap()
			data := []byte(c.bytes)
			var err error
			for n := -1; n != 0 && err == nil && len(data) > 0; data = data[min(n, len(data)):] {
				n, _, err = p.Next(&protocol.Chunk{Dir: d, Data: data})
			}
			if (err == nil) != c.ok {
				t.Errorf("%v", err)
			}
			if grown := int64(protocoltest.Heap()) - int64(before); grown > 1<<18 {
				t.Errorf("grew by %d bytes", grown)
			}
		})
	}
}

// TestLargeAnswers: an array of a million elements, of strings of half a gigabyte among them, leaves nothing behind.
func TestLargeAnswers(t *testing.T) {
	w := newWire(t, false, protocol.Config{})
	w.ask("LRANGE l 0 -1")
	before := protocoltest.Heap()
	w.send(event.Received, []byte("*1000001\r\n$536870912\r\n"))
	part := make([]byte, 1<<18)
	for range 1 << 11 {
		w.send(event.Received, part)
	}
	w.send(event.Received, []byte("\r\n"))
	elements := []byte(strings.Repeat("$3\r\nabc\r\n", 5000))
	for range 200 {
		w.send(event.Received, elements)
	}
	if grown := int64(protocoltest.Heap()) - int64(before); grown > 1<<19 {
		t.Errorf("grew by %d bytes", grown)
	}
	w.ask("PING")
	w.tell("+PONG")
	w.end("LRANGE ok", "PING ok")
}

// TestLabels: what a client calls commands, and a script calls errors, makes no names without end.
func TestLabels(t *testing.T) {
	w := newWire(t, false, protocol.Config{})
	w.ask("PING")
	w.tell("+PONG")
	for i := range 1000 {
		w.ask(fmt.Sprintf("NAME%d x", i), fmt.Sprintf("CLIENT NAME%d", i), fmt.Sprintf("EVAL x %d", i))
		w.tell(fmt.Sprintf("-ERR%d no", i))
		w.tell("-unknown")
		w.tell("-" + strings.Repeat("E", 33+i))
	}
	seen := map[string]int{}
	for _, s := range w.found.list {
		seen[s]++
	}
	if len(seen) != 4 || seen["other failed(ERR)"] != 1000 || seen["CLIENT failed(ERR)"] != 1000 || seen["EVAL failed(ERR)"] != 1000 {
		t.Errorf("%v", seen)
	}
}

// TestCodes: scripts and servers make up codes of errors; error.type is of a closed set all the same, and the code, which the labeler
// bounds, is told beside it.
func TestCodes(t *testing.T) {
	w := newWire(t, false, protocol.Config{})
	var want []string
	for i := range 500 {
		w.ask("EVAL x 0")
		code := fmt.Sprintf("%c%c", 'A'+i%26, 'A'+i/26)
		w.tell("-" + code + " made up")
		want = append(want, "EVAL failed(_OTHER/"+code+")")
	}
	w.end(want...)
}

// TestOutstanding: commands without end that nobody answers, with long texts.
func TestOutstanding(t *testing.T) {
	w := newWire(t, false, protocol.Config{})
	burst := bytes.Repeat(command("MSET "+strings.Repeat("k v ", 100)), 100)
	w.send(event.Sent, burst)
	before := protocoltest.Heap()
	for range 500 {
		w.send(event.Sent, burst)
	}
	if grown := int64(protocoltest.Heap()) - int64(before); grown > 4<<20 {
		t.Errorf("grew by %d bytes", grown)
	}
	w.pause()
	if held := w.track.Counters().BufferedBytes; held > 1<<16 {
		t.Errorf("%d bytes are held", held)
	}
}

// TestInlineWithoutEnd: a line that never ends.
func TestInlineWithoutEnd(t *testing.T) {
	w := newWire(t, false, protocol.Config{})
	w.ask("PING")
	w.tell("+PONG")
	for range 100 {
		w.send(event.Sent, bytes.Repeat([]byte("set key "), 1000))
		w.pause()
		if held := w.track.Counters().BufferedBytes; held > 1<<18 {
			t.Fatalf("%d bytes are held", held)
		}
	}
}
