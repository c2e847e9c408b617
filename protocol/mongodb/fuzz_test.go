package mongodb_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/mongodb"
)

func describe(m *protocol.Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %d %x %v %v %q", m.Kind, m.Part, m.ID, m.NoReply, m.Outcome, m.Error)
	fmt.Fprintf(&b, " %v %v %v %v", m.Truncated, m.Unresolved, m.Waiting, m.Upkeep)
	for i := range m.Attrs.Len() {
		k, v := m.Attrs.At(i)
		fmt.Fprintf(&b, " %s=%q", k, v)
	}
	return b.String()
}

// bounded wants that no attribute is longer than anybody may make it, and that each is text.
func bounded(t *testing.T, m *protocol.Message) {
	for i := range m.Attrs.Len() {
		k, v := m.Attrs.At(i)
		most := 64
		switch k {
		case protocol.DBQueryText:
			most = options.TextLimit
		case protocol.DBCollection, protocol.DBNamespace:
			most = 255
		}
		if len(v) > most || !utf8.Valid(v) || strings.ContainsFunc(string(v), func(r rune) bool { return r < ' ' }) {
			t.Errorf("%s is %q", k, v)
		}
	}
}

// drive has a parser read a stream that comes in pieces, with a hole at its end.
func drive(t *testing.T, p protocol.Parser, d event.Dir, data []byte, piece func(left int) int) (found []string) {
	pos, end := 0, 0
	for end < len(data) {
		end += piece(len(data) - end)
		then := protocol.Continues
		if end == len(data) {
			then = protocol.Hole
		}
		for idle := 0; pos < end; idle++ {
			c := &protocol.Chunk{Dir: d, Off: uint64(pos), Data: data[pos:end], Then: then, Call: pos == 0, Turn: pos == 0}
			if then == protocol.Hole {
				c.Missing = 9
			}
			n, m, err := p.Next(c)
			if err != nil {
				return append(found, err.Error())
			}
			if n < 0 || idle > 100000 {
				t.Fatalf("%d bytes, %d times", n, idle)
			}
			if m != nil {
				bounded(t, m)
				found = append(found, fmt.Sprint(describe(m), m.Size))
			}
			if n == 0 && m == nil {
				break
			}
			pos += n
		}
	}
	return found
}

// FuzzParser: no bytes do harm, and the same messages come wherever they are cut.
func FuzzParser(f *testing.F) {
	for i, line := range beginnings {
		if data, err := encode(client, line); err == nil {
			next, _ := encode(client, beginnings[(i+1)%len(beginnings)]) // which it has been above, or will be
			f.Add(append(data, next...), uint64(i))
		}
	}
	for i, line := range []string{
		`1/0 {"insert": "a", "documents": [{"a": "$(5000*x)"}, {"b": 1}], "$db": "d"}`,
		`1/0 sum sequences-first {"insert": "a", "$db": "d"} documents:[{"a": "$(5000*x)"}]`,
		`9/1 {"cursor": {"firstBatch": [{"a": "$(5000*x)"}], "id": {"$numberLong": "7"}}, "ok": 1}`,
		`9/1 {"a": "$(2000*x)", "b": {"c": "$(3000*x)"}, "writeErrors": [{"index": 0, "code": 7}], "ok": 0, "code": 8}`,
	} {
		if data, err := encode(client, line); err == nil {
			f.Add(append(data, data...), uint64(i))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		spec := mongodb.Spec(options)
		whole := drive(t, spec.New(), event.Sent, data, func(left int) int { return left })
		r := rand.New(rand.NewPCG(seed, 1))
		split := drive(t, spec.New(), event.Sent, data, func(left int) int { return 1 + r.IntN(left) })
		if got, want := strings.Join(split, "\n"), strings.Join(whole, "\n"); got != want {
			t.Errorf("whole:\n%s\ncut:\n%s", want, got)
		}
		p := spec.New()
		if n, ok := p.Resync(&protocol.Chunk{Data: data, Call: true}); n < 0 || n > len(data) || ok && n == len(data) && n > 0 {
			t.Errorf("resync %d, %v", n, ok)
		}
		for n := range min(len(data), 64) {
			if spec.Sniff(event.Sent, data[:n]) == no && spec.Sniff(event.Sent, data) != no {
				t.Errorf("refused at %d bytes and not at %d", n, len(data))
			}
		}
	})
}

// FuzzBody: what the library takes for a document is read as the library reads it, as a command and as a reply.
func FuzzBody(f *testing.F) {
	for _, line := range beginnings {
		e := encoding{flags: map[string]bool{}, values: map[string]string{}}
		if err := e.parse(line); err == nil && e.body != nil {
			f.Add(e.body)
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		doc, elements := again(doc)
		if len(elements) == 0 || len(doc) > 4000 {
			return
		}
		for _, e := range elements {
			if len(e.Key()) > 1000 {
				return
			}
		}
		p := mongodb.Spec(options).New()
		ask := opMsg(5, 0, doc)
		n, m, err := p.Next(&protocol.Chunk{Data: ask})
		if err != nil || n != len(ask) || m == nil {
			t.Fatalf("command: %d of %d bytes, %v", n, len(ask), err)
		}
		bounded(t, m)
		switch op := string(m.Attrs.Get(protocol.DBOperation)); op {
		case elements[0].Key(), mongodb.OperationOther, protocol.Unknown:
		default:
			t.Errorf("%q is called %q", elements[0].Key(), op)
		}
		if db, ok := first(elements, "$db").StringValueOK(); ok && elements[0].Key() != "$db" {
			if got := string(m.Attrs.Get(protocol.DBNamespace)); got != db && got != protocol.Unknown {
				t.Errorf("database %q is called %q", db, got)
			}
		}
		answer := opMsg(6, 5, doc)
		if n, m, err = p.Next(&protocol.Chunk{Dir: event.Received, Data: answer}); err != nil || n != len(answer) || m == nil {
			t.Fatalf("reply: %d of %d bytes, %v", n, len(answer), err)
		}
		bounded(t, m)
		if ok, is := first(elements, "ok").Int32OK(); is && ok == 0 && m.Outcome != protocol.Failed {
			t.Errorf("ok: 0 is %v", m.Outcome)
		}
	})
}

// again is what the library makes of what it has read of a document; by itself it takes, and at times dies of, what is none.
func again(doc []byte) (out []byte, elements []bson.RawElement) {
	defer func() {
		if recover() != nil {
			out, elements = nil, nil
		}
	}()
	var d bson.D
	if bson.Unmarshal(doc, &d) != nil {
		return nil, nil
	}
	out, err := bson.Marshal(d)
	if err != nil {
		return nil, nil
	}
	elements, err = bson.Raw(out).Elements()
	if err != nil {
		return nil, nil
	}
	return out, elements
}

// first is the first element of that key; the zero value when there is none.
func first(elements []bson.RawElement, key string) bson.RawValue {
	for _, e := range elements {
		if e.Key() == key {
			return e.Value()
		}
	}
	return bson.RawValue{}
}
