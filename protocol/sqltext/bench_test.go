package sqltext

import (
	"fmt"
	"testing"

	"github.com/DataDog/go-sqllexer"

	"github.com/toposcope/toposcope/protocol"
)

var dbms = []sqllexer.DBMSType{MySQL: sqllexer.DBMSMySQL, PostgreSQL: sqllexer.DBMSPostgres}

// lexerAlone is what go-sqllexer's own obfuscator and normalizer make of a text.
func lexerAlone(d Dialect, text string) string {
	out, _, err := sqllexer.ObfuscateAndNormalize(text, obfuscator, normalizer, sqllexer.WithDBMS(dbms[d]))
	if err != nil {
		return err.Error()
	}
	return out
}

var (
	obfuscator = sqllexer.NewObfuscator()
	normalizer = sqllexer.NewNormalizer(sqllexer.WithCollectTables(true), sqllexer.WithCollectCommands(true))
)

var benchTexts = []struct {
	name, text string
}{
	{"short", "SELECT id, name FROM orders WHERE id = 7 AND name = 'mug'"},
	{"parameters", "SELECT id, name FROM orders WHERE id = ? AND name = ?"},
	{"long", "SELECT o.id, o.name, l.quantity, p.title, p.price FROM orders o JOIN lines l ON l.order_id = o.id " +
		"JOIN products p ON p.id = l.product_id WHERE o.customer = 'c-81723' AND o.placed BETWEEN '2026-01-01' AND '2026-02-01' " +
		"AND p.price > 12.50 ORDER BY o.placed DESC LIMIT 100"},
}

// BenchmarkRead is a text that was read before (known), one whose masked form was (values: another value each time), and one
// that is new each time, beside go-sqllexer alone.
func BenchmarkRead(b *testing.B) {
	for _, t := range benchTexts {
		text := []byte(t.text)
		b.Run(t.name+"/known", func(b *testing.B) {
			r := NewReader(MySQL, protocol.Options{TextLimit: 1 << 10})
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				r.Read(text, false)
			}
		})
		b.Run(t.name+"/new", func(b *testing.B) {
			r := NewReader(MySQL, protocol.Options{TextLimit: 1 << 10})
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				r.memory.forget()
				r.Read(text, false)
			}
		})
		b.Run(t.name+"/sqllexer", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				lexerAlone(MySQL, t.text)
			}
		})
	}
}

func TestReadDoesNotAllocate(t *testing.T) {
	for _, tc := range benchTexts {
		r := NewReader(MySQL, protocol.Options{TextLimit: 1 << 10})
		i := 0
		texts := make([][]byte, 64)
		for k := range texts {
			texts[k] = fmt.Appendf(nil, "%s AND k = %d", tc.text, k)
		}
		if n := testing.AllocsPerRun(200, func() {
			i++
			r.Read(texts[i%len(texts)], false)
		}); n != 0 {
			t.Errorf("%s: %v allocations", tc.name, n)
		}
	}
}

// TestMemoryHolds reads as many statements in turn as a program has, each without allocating.
func TestMemoryHolds(t *testing.T) {
	r := NewReader(MySQL, protocol.Options{TextLimit: 1 << 10})
	var program [12][]byte
	for i := range program {
		program[i] = fmt.Appendf(nil, "SELECT a%d FROM t%d WHERE b = 7", i, i)
	}
	i := 0
	read := func() {
		i++
		r.Read(program[i%len(program)], false)
	}
	for range 4 * len(program) {
		read()
	}
	if n := testing.AllocsPerRun(100, read); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestMemoryIsBounded reads ever new statements.
func TestMemoryIsBounded(t *testing.T) {
	r := NewReader(MySQL, protocol.Options{})
	for i := range 20000 {
		r.Read(fmt.Appendf(nil, "SELECT a%d, %0*d FROM t%d", i, i%5000, 0, i), false)
		held := 0
		for k := range r.memory.slots {
			if e := r.memory.slots[k]; e != nil {
				held += len(e.key) + len(e.own)
			}
		}
		if held > memoryBytes || r.memory.bytes < 0 {
			t.Fatalf("%d bytes are held, %d accounted", held, r.memory.bytes)
		}
	}
}

// TestNothingTakesNoRoom reads texts without a statement between others, which must not make room for them.
func TestNothingTakesNoRoom(t *testing.T) {
	r := NewReader(PostgreSQL, protocol.Options{TextLimit: 1 << 10})
	r.Read([]byte("SELECT 1 FROM t"), false)
	held := r.memory.bytes
	for range 2 * memorySlots {
		r.Read([]byte("-- ping"), false)
		r.Read(nil, false)
	}
	if r.memory.bytes != held || r.memory.find([]byte("SELECT ? FROM t")) == nil {
		t.Errorf("%d bytes are held, %d before", r.memory.bytes, held)
	}
}
