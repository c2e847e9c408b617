package mongodb_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/mongodb"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

// nested is a document of that many documents, one in the other.
func nested(depth int) []byte {
	doc := []byte{5, 0, 0, 0, 0}
	for range depth {
		outer := binary.LittleEndian.AppendUint32(nil, uint32(len(doc)+8))
		outer = append(outer, 3, 'a', 0)
		doc = append(append(outer, doc...), 0)
	}
	return doc
}

// element puts a document into another, as its element key, after the fields of head and before those of tail.
func element(t testing.TB, head bson.D, key string, doc []byte, tail bson.D) []byte {
	h, err := bson.Marshal(append(bson.D{}, head...))
	if err != nil {
		t.Fatal(err)
	}
	e, err := bson.Marshal(append(bson.D{}, tail...))
	if err != nil {
		t.Fatal(err)
	}
	out := append(slices.Clone(h[:len(h)-1]), 3)
	out = append(append(append(out, key...), 0), doc...)
	out = append(out, e[4:]...)
	binary.LittleEndian.PutUint32(out, uint32(len(out)))
	return out
}

func opMsg(id, responseTo uint32, body []byte) []byte {
	return message(id, responseTo, 2013, append([]byte{0, 0, 0, 0, 0}, body...), false)
}

// TestNested: documents nested 10,000 deep are read past in no more room than others.
func TestNested(t *testing.T) {
	for _, values := range []bool{false, true} {
		w := newWire(t, mongodb.Spec(protocol.Options{TextLimit: 1 << 16, Values: values}))
		deep := nested(10000)
		before := protocoltest.Heap()
		for i := range uint32(20) {
			ask := opMsg(10+i, 0, element(t, bson.D{{Key: "find", Value: "c"}}, "filter", deep, bson.D{{Key: "$db", Value: "d"}}))
			cursor := element(t, nil, "firstBatch", deep, bson.D{{Key: "id", Value: int64(0)}})
			answer := opMsg(90, 10+i, element(t, nil, "cursor", cursor, bson.D{{Key: "ok", Value: 1}}))
			w.send(event.Sent, ask, len(ask))
			w.send(event.Received, answer, len(answer))
		}
		if grown := int64(protocoltest.Heap()) - int64(before); grown > 1<<20 {
			t.Errorf("grew by %d bytes", grown)
		}
		w.wants(map[string]int{"ok find c ": 20})
		w.works(99)
	}
}

// TestHugeAnswer: nothing of an answer of 48 MB is kept, and what it says at its end is read.
func TestHugeAnswer(t *testing.T) {
	w := newTestWire(t)
	w.ask(`7/0 {"aggregate": "c", "pipeline": [], "$db": "d"}`)
	batch := binary.LittleEndian.AppendUint32(nil, 47_000_000)
	head := encoded(t, `9/7 {"explained": {"x": 1}, "ok": 0, "code": 50, "codeName": "MaxTimeMSExpired"}`)
	at := bytes.Index(head, []byte("explained\x00")) + len("explained\x00")
	was := int(binary.LittleEndian.Uint32(head[at:]))
	head, tail := append(head[:at:at], batch...), head[at+was:]
	total := len(head) - 4 + 47_000_000 + len(tail)
	binary.LittleEndian.PutUint32(head, uint32(total))
	binary.LittleEndian.PutUint32(head[21:], uint32(total-21))
	w.send(event.Received, head, len(head))
	before := protocoltest.Heap()
	part := make([]byte, 1<<16)
	for left := 47_000_000 - 4; left > 0; {
		n := min(left, len(part))
		w.send(event.Received, part[:n], n)
		left -= n
	}
	if grown := int64(protocoltest.Heap()) - int64(before); grown > 1<<18 {
		t.Errorf("grew by %d bytes", grown)
	}
	for _, b := range tail {
		w.send(event.Received, []byte{b}, 1)
	}
	w.wants(map[string]int{"failed aggregate c 50": 1})
	w.works(8)
}

// TestLengths: lengths that are none, or too long, are no messages, and cost nothing. The connection is decoded on after each, and
// given up when they do not end.
func TestLengths(t *testing.T) {
	ping := encoded(t, `5/0 {"find": "c", "$db": "d"}`)
	for name, bad := range map[string]string{
		"1 GiB":                             patch(ping, 0, 0, 0, 0, 0x40),
		"negative":                          patch(ping, 0, 0, 0, 0, 0x80),
		"zero":                              patch(ping, 0, 0, 0, 0, 0),
		"a document of 1 GiB":               patch(ping, 21, 0, 0, 0, 0x40),
		"a document of less than nothing":   patch(ping, 21, 0xff, 0xff, 0xff, 0xff),
		"a string of 1 GiB":                 patch(ping, 31, 0, 0, 0, 0x40),
		"a string of less than nothing":     patch(ping, 31, 0xff, 0xff, 0xff, 0xff),
		"a string without its zero's place": patch(ping, 31, 0, 0, 0, 0),
		"a document that ends early":        patch(ping, 21, 16),
		"a type that is none":               patch(ping, 25, 0x20),
		"a kind of section that is none":    patch(ping, 20, 9),
		"two bodies":                        string(patchLen(append(slices.Clone(ping), ping[20:]...))),
		"no body":                           string(message(5, 0, 2013, append([]byte{0, 0, 0, 0, 1, 12, 0, 0, 0}, "documen\x00"...), false)),
		"documents and no body, long":       string(message(5, 0, 2013, append([]byte{0, 0, 0, 0, 1, 0, 0x20, 0, 0}, make([]byte, 0x2000-4)...), false)),
		"a checksum and no room for it":     string(message(5, 0, 2013, []byte{1, 0, 0, 0, 0, 5, 0, 0, 0, 0}, false)),
	} {
		t.Run(name, func(t *testing.T) {
			w := newTestWire(t)
			for i := range uint32(3) {
				w.send(event.Sent, []byte(bad), len(bad))
				w.answer(`9/5 {"ok": 0, "code": 1}`)
				w.works(10 + i)
			}
			if n := w.track.Counters().ParseErrors[mongodb.Name]; n != 3 {
				t.Errorf("%d parse errors", n)
			}
			for range 10 {
				w.send(event.Sent, []byte(bad), len(bad))
				w.answer(`9/5 {"ok": 0, "code": 1}`)
			}
			w.wants(map[string]int{})
		})
	}
}

func patchLen(data []byte) []byte {
	binary.LittleEndian.PutUint32(data, uint32(len(data)))
	return data
}

// TestBombs: what expands without end is decompressed as far as it is of interest; a size that is not true is an error.
func TestBombs(t *testing.T) {
	payload := opMsg(0, 0, element(t, bson.D{{Key: "insert", Value: "c"}, {Key: "$db", Value: "d"}}, "x", nested(0), nil))[16:]
	const size = 40 << 20
	bomb := binary.LittleEndian.AppendUint32(append(slices.Clone(payload), 1), size)
	bomb = append(bomb, make([]byte, size-4)...)
	for i, name := range []string{"noop", "snappy", "zlib", "zstd"} {
		t.Run(name, func(t *testing.T) {
			by := byte(i)
			packed, err := pack(by, bomb)
			if err != nil {
				t.Fatal(err)
			}
			if by == 3 {
				packed = window(t, bomb)
			}
			w := newTestWire(t)
			w.send(event.Sent, compressed(5, 0, len(bomb), by, packed), 25+len(packed))
			w.answer(`9/5 {"n": 1, "ok": 1}`)
			w.send(event.Sent, compressed(8, 0, len(payload)+5, by, packed), 25+len(packed)) // says that it is small
			w.works(6)
			answer := compressed(9, 7, len(bomb), by, packed)
			before := protocoltest.Heap()
			for range 3 {
				w.send(event.Received, answer, len(answer))
				w.works(7)
			}
			if grown := int64(protocoltest.Heap()) - int64(before); grown > 2<<20 {
				t.Errorf("grew by %d bytes", grown)
			}
			if n := w.track.Counters().ParseErrors[mongodb.Name]; n != 1 {
				t.Errorf("%d parse errors", n)
			}
			w.wants(map[string]int{"ok insert c ": 1})
		})
	}
}

// window compresses with a window of 64 MiB, for which a decompressor would have to make room.
func window(t *testing.T, data []byte) []byte {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(64<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func compressed(id, responseTo uint32, size int, by byte, packed []byte) []byte {
	out := binary.LittleEndian.AppendUint32(nil, 2013)
	out = append(binary.LittleEndian.AppendUint32(out, uint32(size)), by)
	return message(id, responseTo, 2012, append(out, packed...), false)
}

// TestCorrupt: compressed bytes of which any is another are decompressed to something or refused, and nothing more.
func TestCorrupt(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	payload := opMsg(0, 0, element(t, bson.D{{Key: "insert", Value: "c"}}, "x", nested(40), bson.D{{Key: "$db", Value: "d"}}))[16:]
	for by := range byte(4) {
		packed, err := pack(by, payload)
		if err != nil {
			t.Fatal(err)
		}
		for range 3000 {
			bad := slices.Clone(packed)
			for range 1 + r.IntN(3) {
				bad[r.IntN(len(bad))] = byte(r.Uint32())
			}
			p := mongodb.Spec(options).New()
			data := compressed(5, 0, len(payload), by, bad[:r.IntN(len(bad)+1)])
			if n, _, err := p.Next(&protocol.Chunk{Data: data, Then: protocol.Hole, Missing: 9}); n < 0 || err != nil && n != 0 {
				t.Fatalf("%d bytes, %v", n, err)
			}
		}
	}
}

// TestUnreadable: a request of which the first block of zstd is longer than what is captured is counted, with its operation unknown.
func TestUnreadable(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	digits := make([]byte, 200_000)
	for i := range digits {
		digits[i] = "0123456789abcdef"[r.IntN(16)]
	}
	body, err := bson.Marshal(bson.D{{Key: "insert", Value: "c"}, {Key: "x", Value: string(digits)}, {Key: "$db", Value: "d"}})
	if err != nil {
		t.Fatal(err)
	}
	payload := opMsg(0, 0, body)[16:]
	for by, want := range []string{"ok insert c ", "ok insert c ", "ok insert c ", "ok unknown  "} {
		packed, err := pack(byte(by), payload)
		if err != nil {
			t.Fatal(err)
		}
		w := newTestWire(t)
		ask := compressed(5, 0, len(payload), byte(by), packed)
		w.send(event.Sent, ask, len(ask))
		w.answer(`9/5 {"n": 1, "ok": 1}`)
		w.wants(map[string]int{want: 1})
		w.works(6)
	}
}

// TestOwnAnswer: a client that answers itself, and a server that asks, change nobody's part.
func TestOwnAnswer(t *testing.T) {
	w := newTestWire(t)
	w.ask(`5/0 {"find": "c", "$db": "d"}`)
	w.ask(`6/5 {"ok": 0, "code": 1, "$db": "d"}`)
	w.answer(`7/0 {"find": "c", "$db": "d"}`)
	w.answer(`8/5 {"ok": 1}`)
	w.wants(map[string]int{"ok find c ": 1})
	w.works(9)
}

// TestUnacknowledgedCompressed: a write that nobody answers, compressed.
func TestUnacknowledgedCompressed(t *testing.T) {
	for _, name := range []string{"noop", "snappy", "zlib", "zstd"} {
		w := newTestWire(t)
		w.ask(`3/0 more ` + name + ` {"insert": "c", "$db": "d"} documents:[{"a": "$(5000*xyz)"}]`)
		w.works(4)
		w.wants(map[string]int{"ok insert c ": 1})
	}
}

// TestCommandNames: a client that invents commands makes no names.
func TestCommandNames(t *testing.T) {
	w := newTestWire(t)
	for i := range 1000 {
		w.ask(fmt.Sprintf(`%d/0 {"invented%d": 1, "$db": "d"}`, 10+i, i))
		w.answer(fmt.Sprintf(`9/%d {"ok": 0, "code": 59}`, 10+i))
	}
	w.wants(map[string]int{"failed other  59": 1000})
}

// TestUnanswered: many requests that are never answered, and long messages that never end, are bounded.
func TestUnanswered(t *testing.T) {
	w := newTestWire(t)
	before := protocoltest.Heap()
	data := encoded(t, `9/0 {"find": "$(200*c)", "filter": {"$(200*x)": 1}, "$db": "d"}`)
	for i := range uint32(20000) {
		binary.LittleEndian.PutUint32(data[4:], 10+i)
		w.send(event.Sent, data, len(data))
	}
	if grown := int64(protocoltest.Heap()) - int64(before); grown > 4<<20 {
		t.Errorf("grew by %d bytes", grown)
	}
	w.works(5)
}

// TestTailableElsewhere: a cursor that waits is known on the connection that reads it, too.
func TestTailableElsewhere(t *testing.T) {
	spec := mongodb.Spec(options)
	opener, reader := newWire(t, spec), newWire(t, spec)
	opener.ask(`5/0 {"find": "log", "tailable": true, "$db": "d"}`)
	opener.answer(`6/5 {"cursor": {"firstBatch": [], "id": {"$numberLong": "4711"}}, "ok": 1}`)
	opener.ask(`7/0 {"find": "c", "$db": "d"}`)
	opener.answer(`8/7 {"cursor": {"firstBatch": [{"a": 1}], "id": {"$numberLong": "4712"}}, "ok": 1}`)
	for i, cursor := range []string{"4711", "4712", "4713"} {
		reader.ask(fmt.Sprintf(`%d/0 {"getMore": {"$numberLong": "%s"}, "collection": "c", "$db": "d"}`, 10+i, cursor))
		reader.answer(fmt.Sprintf(`9/%d {"cursor": {"nextBatch": [{"a": 1}], "id": {"$numberLong": "%s"}}, "ok": 1}`, 10+i, cursor))
	}
	if opener.found.waiting != 1 || reader.found.waiting != 1 || reader.found.unresolved != 1 {
		t.Errorf("%d and %d wait, %d not known", opener.found.waiting, reader.found.waiting, reader.found.unresolved)
	}
}

// TestCursorPlaces: a cursor that waits says nothing of the many others that would have its place in memory, nor does one answer of a
// cursor that nobody saw opened say anything of the next.
func TestCursorPlaces(t *testing.T) {
	w := newTestWire(t)
	w.ask(`5/0 {"find": "log", "tailable": true, "$db": "d"}`)
	w.answer(`6/5 {"cursor": {"firstBatch": [], "id": {"$numberLong": "4711"}}, "ok": 1}`)
	const others = 20000
	read := func(cursor int) {
		w.ask(fmt.Sprintf(`10/0 {"getMore": {"$numberLong": "%d"}, "collection": "c", "$db": "d"}`, cursor))
		w.answer(fmt.Sprintf(`9/10 {"cursor": {"nextBatch": [{"a": 1}], "id": {"$numberLong": "%d"}}, "ok": 1}`, cursor))
	}
	for i := range others {
		read(5000 + i)
	}
	read(5000)
	if w.found.waiting != 1 || w.found.unresolved != others+1 {
		t.Errorf("%d wait, %d not known", w.found.waiting, w.found.unresolved)
	}
}
