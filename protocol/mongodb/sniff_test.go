package mongodb_test

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/mongodb"
)

const (
	client = protocol.ClientSide
	server = protocol.ServerSide

	no   = protocol.No
	more = protocol.More
	yes  = protocol.Yes
)

// beginnings are messages as connections begin with, or go on with.
var beginnings = []string{
	`1/0 {"hello": 1, "$db": "admin"}`,
	`1/0 sum more {"insert": "a", "$db": "d"} documents:[{"_id": 1}]`,
	`1/0 sequences-first {"insert": "a", "$db": "d"} documents:[{"_id": 1}]`,
	`9/1 {"cursor": {"firstBatch": []}, "ok": 1}`,
	`9/1 more exhaust {"isWritablePrimary": true, "ok": 1}`,
	`1/0 query=admin.$cmd flags=4 {"isMaster": 1}`,
	`1/0 query=shop.orders {}`,
	`1/0 query=shop.orders {"größe": 1, "a": 1}`,
	`9/1 reply flags=8 {"ismaster": true, "ok": 1}`,
	`9/1 reply flags=8`,
	`1/0 insert=shop.orders {"_id": 1}`,
	`1/0 update=shop.orders {"_id": 1} d:[{"a": 1}]`,
	`1/0 delete=shop.orders {"_id": 1}`,
	`1/0 getmore=shop.orders cursor=7`,
	`1/0 kill cursor=7`,
	`1/0 noop {"ping": 1, "$db": "admin"}`,
	`1/0 snappy {"ping": 1, "$db": "admin"}`,
	`1/0 zlib {"ping": 1, "$db": "admin"}`,
	`1/0 zstd {"ping": 1, "$db": "admin"}`,
	`9/1 zstd {"ok": 0, "errmsg": "$(20000*x)"}`,
}

// TestSniffPrefix: no beginning of a message is refused, and it is known at the latest when it is whole, whatever follows.
func TestSniffPrefix(t *testing.T) {
	for _, line := range beginnings {
		if strings.Contains(line, "größe") {
			continue // a first key of other letters than is expected is refused
		}
		data := encoded(t, line)
		known := false
		for n := range len(data) + 1 {
			switch got := mongodb.Spec(options).Sniff(event.Sent, data[:n]); {
			case got == no, known && got != yes:
				t.Errorf("%s, %d of %d bytes: %d", line, n, len(data), got)
			case got == yes:
				known = true
			}
		}
		if !known {
			t.Errorf("%s: not known when it is whole", line)
		}
		for _, after := range []string{"\x00", "GET / HTTP/1.1", string(data)} {
			if got := mongodb.Spec(options).Sniff(event.Received, append(data[:len(data):len(data)], after...)); got != yes {
				t.Errorf("%s, and %q: %d", line, after, got)
			}
		}
	}
}

func encoded(t testing.TB, line string) []byte {
	t.Helper()
	data, err := encode(client, line)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// patch overwrites bytes of a message.
func patch(data []byte, at int, with ...byte) string {
	data = append([]byte(nil), data...)
	copy(data[at:], with)
	return string(data)
}

func TestSniff(t *testing.T) {
	ping := encoded(t, `1/0 {"ping": 1, "$db": "admin"}`)
	query := encoded(t, `1/0 query=admin.$cmd {"isMaster": 1}`)
	reply := encoded(t, `9/1 reply flags=8 {"ok": 1}`)
	zlib := encoded(t, `1/0 zlib {"ping": 1, "$db": "admin"}`)
	for _, c := range []struct {
		name, data string
		want       protocol.Sniffed
	}{
		{"nothing", "", more},
		{"a length", "\x3a\x00\x00\x00", more},
		{"a length that is none", "\x0f\x00\x00\x00", no},
		{"a negative length", "\x00\x00\x00\x80", no},
		{"too long", "\x01\x6c\xdc\x02", no},
		{"too short for its opcode", patch(ping, 0, 25), no},
		{"an opcode's first byte", string(ping[:13]), more},
		{"no opcode's first byte", patch(ping[:13], 12, 0x77), no},
		{"an opcode that is none", patch(ping, 12, 0xd9), no},
		{"a flag that is none", patch(ping, 16, 4), no},
		{"half a flag that is none", patch(ping[:18], 16, 4), no},
		{"a kind of section that is none", patch(ping, 20, 2), no},
		{"a document longer than the message", patch(ping, 21, 0xff), no},
		{"a document without an element", patch(ping, 21, 5), no},
		{"a type that is none", patch(ping, 25, 0x14), no},
		{"a key without a letter", patch(ping, 26, '7'), no},
		{"a key that is not ASCII", patch(ping, 26, 0xc3), no},
		{"a key that is empty", patch(ping, 26, 0), no},
		{"half a key", string(ping[:28]), more},
		{"a query of a collection without a database", patch(query, 20, '.'), no},
		{"a query of half a name", string(query[:24]), more},
		{"a query with flags that are none", patch(query, 16, 1), no},
		{"a reply with flags that are none", patch(reply, 16, 0x10), no},
		{"a reply of more documents than there is room for", patch(reply, 32, 9), no},
		{"compressed by nobody", patch(zlib, 24, 7), no},
		{"compressed twice", patch(zlib, 16, 0xdc, 7), no},
		{"not what zlib begins with", patch(zlib, 25, 0x79), no},
		{"a compressed size that is none", patch(zlib, 20, 0, 0, 0, 0x80), no},
		{"HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", no},
		{"Redis", "*1\r\n$4\r\nPING\r\n", no},
		{"PostgreSQL", "\x00\x00\x00\x29\x00\x03\x00\x00user\x00postgres\x00", no},
		{"MySQL", "\x4a\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00abcdefgh\x00\xff\xff\xff", no},
		{"Kafka", "\x00\x00\x00\x19\x00\x12\x00\x03\x00\x00\x00\x01\x00\x07console", no},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", no},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03rrrrrrrrrrrr", no},
		{"zeros", strings.Repeat("\x00", 64), no},
		{"BSON alone", string(ping[21:]), no},
	} {
		if got := mongodb.Spec(options).Sniff(event.Sent, []byte(c.data)); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// TestSniffRandom: bytes without sense are nobody's, even behind a header that could be one.
func TestSniffRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	spec := mongodb.Spec(options)
	var heads [][]byte
	for _, line := range beginnings {
		if !strings.Contains(line, "kill") { // all that it has beside the header is a number
			heads = append(heads, encoded(t, line)[:16])
		}
	}
	buf := make([]byte, 96)
	for i := range 300000 {
		for j := 0; j < len(buf); j += 8 {
			binary.LittleEndian.PutUint64(buf[j:], r.Uint64())
		}
		data := buf[:1+r.IntN(len(buf))]
		if i%2 == 0 {
			copy(data, heads[i/2%len(heads)])
		}
		if spec.Sniff(event.Sent, data) == yes {
			t.Errorf("taken: %x", data)
		}
	}
}
