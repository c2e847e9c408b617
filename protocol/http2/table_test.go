package http2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/semantics"
)

// reader is a Layer that only reads fields.
type reader []string

func (r reader) Fields() []string                                         { return r }
func (reader) Match(*semantics.Header, *semantics.Start) protocol.Sniffed { return protocol.No }
func (reader) New() semantics.Call                                        { return nil }

// watched are the names that tests read besides HTTP's own.
var watched = reader{"x-watched", "grpc-status"}

// decoder is a table with what it needs.
type decoder struct {
	table
	fields  *semantics.Fields
	statics *statics
}

func newDecoder(fresh bool) *decoder {
	f := semantics.NewFields(watched)
	d := &decoder{fields: f, statics: newStatics(f)}
	d.tear()
	if fresh {
		d.begins()
	}
	return d
}

func (d *decoder) read(block []byte) (*semantics.Header, bool) {
	h := d.fields.Header()
	ok := d.decode(block, d.fields, d.statics, h)
	return h, ok
}

// compare holds what was read against what there was. Unresolved fields may be missing.
func (d *decoder) compare(h *semantics.Header, want []hpack.HeaderField) error {
	first := map[semantics.Field]string{}
	for _, f := range want {
		n := d.fields.Number([]byte(f.Name))
		if _, twice := first[n]; n == semantics.None || twice {
			continue
		}
		first[n] = f.Value[:min(len(f.Value), maxValue)]
		switch got := h.Get(n); {
		case got == nil && h.Unresolved:
		case got == nil:
			return fmt.Errorf("%s is missing", f.Name)
		case string(got) != first[n] && !h.Unresolved:
			return fmt.Errorf("%s is %.40q, want %.40q", f.Name, got, f.Value)
		case string(got) != first[n] && !hasField(want, f.Name, string(got)): // its first was not resolved, a later one was
			return fmt.Errorf("%s is %.40q, which is not there", f.Name, got)
		}
	}
	for n := semantics.Method; n < semantics.Field(len(watched))+semantics.Traceparent; n++ {
		if _, ok := first[n]; !ok && h.Get(n) != nil {
			return fmt.Errorf("field %d is %.40q, and is not there", n, h.Get(n))
		}
	}
	return nil
}

func hasField(list []hpack.HeaderField, name, value string) bool {
	for _, f := range list {
		if f.Name == name && f.Value[:min(len(f.Value), maxValue)] == value {
			return true
		}
	}
	return false
}

func TestStaticTable(t *testing.T) {
	ref := hpack.NewDecoder(initialTable, nil)
	for i := 1; i <= staticLen; i++ {
		got, err := ref.DecodeFull([]byte{0x80 | byte(i)})
		if err != nil || got[0].Name != static[i][0] || got[0].Value != static[i][1] {
			t.Errorf("entry %d is %v, the reference has %v, %v", i, static[i], got, err)
		}
	}
}

// conversation makes header blocks as an encoder does over the life of a connection.
type conversation struct {
	r   *rand.Rand
	enc *hpack.Encoder
	buf bytes.Buffer
	n   int
}

func newConversation(seed uint64, table uint32) *conversation {
	c := &conversation{r: rand.New(rand.NewPCG(seed, 1))}
	c.enc = hpack.NewEncoder(&c.buf)
	c.enc.SetMaxDynamicTableSizeLimit(1 << 20)
	if table != initialTable {
		c.enc.SetMaxDynamicTableSize(table)
	}
	return c
}

var someNames = []string{
	":path", ":authority", ":method", ":status", "content-type", "user-agent", "grpc-status", "x-watched", "x-other", "accept", "cookie", "te",
}

func (c *conversation) block(t *testing.T) []byte {
	t.Helper()
	c.buf.Reset()
	if c.r.IntN(40) == 0 {
		c.enc.SetMaxDynamicTableSize([]uint32{0, 64, 300, 4096, 20000}[c.r.IntN(5)])
	}
	for range 1 + c.r.IntN(8) {
		f := hpack.HeaderField{Name: someNames[c.r.IntN(len(someNames))], Sensitive: c.r.IntN(8) == 0}
		switch c.r.IntN(12) {
		case 0:
			f.Value = strings.Repeat("long", c.r.IntN(600))
		case 1:
			c.n++
			f.Value = fmt.Sprintf("new-%d", c.n)
		case 2:
			f.Value = string([]byte{byte(c.r.IntN(256)), byte(c.r.IntN(256)), 0, 0xff})
		case 3:
		default:
			f.Value = fmt.Sprintf("value-%d", c.r.IntN(30))
		}
		if err := c.enc.WriteField(f); err != nil {
			t.Fatal(err)
		}
	}
	return bytes.Clone(c.buf.Bytes())
}

// TestTableAgainstReference has a connection's blocks read by both.
func TestTableAgainstReference(t *testing.T) {
	for seed := range uint64(9) {
		c := newConversation(seed, []uint32{initialTable, 100, 1 << 15}[seed%3])
		ref := hpack.NewDecoder(initialTable, nil)
		ref.SetAllowedMaxDynamicTableSize(1 << 20)
		d := newDecoder(true)
		for i := range 2000 {
			block := c.block(t)
			want, err := ref.DecodeFull(block)
			if err != nil {
				t.Fatal(err)
			}
			h, ok := d.read(block)
			if !ok || h.Unresolved {
				t.Fatalf("seed %d, block %d: ok %v, unresolved %v", seed, i, ok, h.Unresolved)
			}
			if err := d.compare(h, want); err != nil {
				t.Fatalf("seed %d, block %d: %v", seed, i, err)
			}
			d.fields.Release(h)
			if d.begin(); len(d.buf) > 2*int(d.max)+slack || cap(d.buf) > 4*len(d.buf)+spare {
				t.Fatalf("seed %d, block %d: holds %d of %d bytes for a table of %d", seed, i, len(d.buf), cap(d.buf), d.max)
			}
		}
	}
}

// TestTornTable joins in the middle, and misses blocks: what is resolved is right, and most things are, after a while.
func TestTornTable(t *testing.T) {
	const seeds, blocks = 10, 2000
	unresolved := 0
	for seed := range uint64(seeds) {
		c := newConversation(seed, initialTable)
		ref := hpack.NewDecoder(initialTable, nil)
		ref.SetAllowedMaxDynamicTableSize(1 << 20)
		d := newDecoder(false)
		for i := range blocks {
			block := c.block(t)
			want, err := ref.DecodeFull(block)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case i < 100:
				continue // before we came
			case c.r.IntN(300) == 0:
				d.tear() // it was lost
				continue
			}
			h, ok := d.read(block)
			if !ok {
				t.Fatalf("seed %d, block %d is refused", seed, i)
			}
			if err := d.compare(h, want); err != nil {
				t.Fatalf("seed %d, block %d: %v", seed, i, err)
			}
			if h.Unresolved {
				unresolved++
			}
			d.fields.Release(h)
		}
	}
	if unresolved == 0 || unresolved > seeds*blocks/10 {
		t.Errorf("%d blocks of %d are unresolved", unresolved, seeds*blocks)
	}
	t.Logf("%d blocks of %d are unresolved", unresolved, seeds*blocks)
}

// TestTableBound: an encoder with a larger table than is kept costs memory up to the bound, and what is not kept is unknown.
func TestTableBound(t *testing.T) {
	var buf bytes.Buffer
	enc := hpack.NewEncoder(&buf)
	enc.SetMaxDynamicTableSizeLimit(1 << 22)
	enc.SetMaxDynamicTableSize(1 << 22)
	d := newDecoder(true)
	const entries = 5000
	value := func(i int) string { return fmt.Sprintf("%d-%s", i, strings.Repeat("v", 90)) }
	for i := range entries {
		_ = enc.WriteField(hpack.HeaderField{Name: "x-watched", Value: value(i)})
	}
	if h, ok := d.read(buf.Bytes()); !ok || h.Unresolved {
		t.Fatal(ok, h.Unresolved)
	}
	if d.size > maxTable || !d.torn || len(d.entries) > maxTable/entryExtra {
		t.Errorf("size %d, torn %v, %d entries", d.size, d.torn, len(d.entries))
	}
	for _, c := range []struct {
		i    int
		want string
	}{{entries - 1, value(entries - 1)}, {entries - 400, value(entries - 400)}, {0, ""}} {
		buf.Reset()
		_ = enc.WriteField(hpack.HeaderField{Name: "x-watched", Value: value(c.i)})
		h, ok := d.read(buf.Bytes())
		if got := string(h.Get(d.fields.Number([]byte("x-watched")))); !ok || got != c.want || h.Unresolved != (c.want == "") {
			t.Errorf("entry %d is %.20q, %v, unresolved %v", c.i, got, ok, h.Unresolved)
		}
	}
}

// TestUnknownName: a literal keeps its value when its name was not seen, and is named as soon as that is known.
func TestUnknownName(t *testing.T) {
	var buf bytes.Buffer
	enc := hpack.NewEncoder(&buf)
	write := func(fields ...string) []byte {
		buf.Reset()
		for _, f := range fields {
			name, value, _ := strings.Cut(f, "=")
			_ = enc.WriteField(hpack.HeaderField{Name: name, Value: value})
		}
		return buf.Bytes()
	}
	write("x-other=1", "grpc-status=0")
	d := newDecoder(false)
	status := d.fields.Number([]byte("grpc-status"))

	h, _ := d.read(write("grpc-status=5"))
	loose, all := h.Loose()
	if h.Get(status) != nil || len(loose) != 1 || !all || string(loose[0].Value) != "5" {
		t.Fatalf("%q, %v, %v", h.Get(status), loose, all)
	}
	d.learn(loose[0].Ref, status)
	d.learn(loose[0].NameRef, status)
	if h, _ = d.read(write("grpc-status=5")); string(h.Get(status)) != "5" || h.Unresolved {
		t.Errorf("an entry that was named is %q", h.Get(status))
	}
	if h, _ = d.read(write("grpc-status=0")); h.Get(status) != nil || !h.For(0).OwnLost(1) {
		t.Errorf("an entry whose name is known is %q", h.Get(status))
	}
	if h, _ = d.read(write("x-other=2")); h.Get(status) != nil || !h.Unresolved {
		t.Errorf("another is taken for it")
	}
}

// FuzzBlock: what the reference reads we read, and the same; nothing makes us panic.
func FuzzBlock(f *testing.F) {
	for seed := range uint64(4) {
		c := newConversation(seed, initialTable)
		var all []byte
		for range 6 {
			all = append(all, newBlock(c)...)
		}
		f.Add(all, uint8(2), true)
		f.Add(all, uint8(9), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, cut uint8, fresh bool) {
		ref := hpack.NewDecoder(initialTable, nil)
		ref.SetAllowedMaxDynamicTableSize(maxTable)
		d := newDecoder(fresh)
		at := min(int(cut), len(data))
		for _, block := range [][]byte{data[:at], data[at:]} {
			want, err := ref.DecodeFull(block)
			h, ok := d.read(block)
			if err != nil {
				return // the tables may differ from here
			}
			if !ok || fresh && h.Unresolved {
				t.Fatalf("ok %v, unresolved %v, and the reference reads %v", ok, h.Unresolved, want)
			}
			if err := d.compare(h, want); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func newBlock(c *conversation) []byte {
	c.buf.Reset()
	for i, name := range someNames {
		_ = c.enc.WriteField(hpack.HeaderField{Name: name, Value: fmt.Sprint("v", i)})
	}
	return bytes.Clone(c.buf.Bytes())
}
