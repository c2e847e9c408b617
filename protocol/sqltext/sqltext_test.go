package sqltext

import (
	"os"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/protocol"
)

// statement is a line of testdata.
type statement struct {
	operation, collection, namespace, masked, text, flags string
	cut                                                   bool
}

// statements reads a file of testdata.
func statements(t testing.TB, file string) []statement {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []statement
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		f := strings.SplitN(line, " | ", 5)
		if len(f) < 4 {
			t.Fatalf("%s: %q", file, line)
		}
		s := statement{operation: f[0], collection: f[1], masked: f[2], text: f[3]}
		if len(f) == 5 {
			s.flags = f[4]
		}
		if s.operation == "-" {
			s.operation = ""
		}
		if s.collection == "-" {
			s.collection = ""
		}
		s.collection, s.namespace = strings.TrimPrefix(s.collection, "@"), s.collection
		if !strings.HasPrefix(s.namespace, "@") {
			s.namespace = ""
		} else {
			s.collection, s.namespace = "", s.collection
		}
		s.text = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\t`, "\t", `\0`, "\x00").Replace(s.text)
		if strings.HasSuffix(f[3], `\`) && !strings.HasSuffix(f[3], `\\`) {
			s.text, s.cut = strings.TrimSuffix(s.text, `\`), true
		}
		out = append(out, s)
	}
	return out
}

func TestStatements(t *testing.T) {
	for d, file := range []string{"testdata/mysql.txt", "testdata/postgresql.txt"} {
		r := NewReader(Dialect(d), protocol.Options{TextLimit: 1 << 10})
		for _, s := range statements(t, file) {
			switch s.flags {
			case "e":
				r.SetEscapes(EscapesOn)
			case "o":
				r.SetEscapes(EscapesOff)
			default:
				r.SetEscapes(EscapesUnknown)
			}
			for range 2 { // the second time from memory
				got := r.Read([]byte(s.text), s.cut)
				if got.Operation != s.operation || string(got.Collection) != s.collection || string(got.Namespace) != s.namespace {
					t.Errorf("%q: %s of %q in %q, want %s of %q in %q", s.text, got.Operation, got.Collection, got.Namespace,
						s.operation, s.collection, s.namespace)
				}
				if !strings.EqualFold(string(got.Text), s.masked) {
					t.Errorf("%q: reads %q, want %q", s.text, got.Text, s.masked)
				}
			}
		}
	}
}

func TestANSIQuotes(t *testing.T) {
	r := NewReader(MySQL, protocol.Options{TextLimit: 1 << 10})
	text := []byte(`SELECT * FROM "shop"."orders" WHERE a = 'secret'`)
	if s := r.Read(text, false); s.Collection != nil || strings.Contains(string(s.Text), "orders") {
		t.Errorf("a literal is taken for a name: %q in %q", s.Collection, s.Text)
	}
	r.SetANSIQuotes(true)
	if s := r.Read(text, false); string(s.Collection) != "shop.orders" || string(s.Text) != `SELECT * FROM "shop"."orders" WHERE a = ?` {
		t.Errorf("%q in %q", s.Collection, s.Text)
	}
}

func TestOptions(t *testing.T) {
	const text = "SELECT 'ä secret' /* c */ FROM orders"
	for _, tc := range []struct {
		protocol.Options
		want string
	}{
		{protocol.Options{}, ""},
		{protocol.Options{Values: true}, ""},
		{protocol.Options{TextLimit: 100}, "SELECT ? FROM orders"},
		{protocol.Options{TextLimit: 12}, "SELECT ? FRO"},
		{protocol.Options{TextLimit: 100, Values: true}, text},
		{protocol.Options{TextLimit: 9, Values: true}, "SELECT '"}, // not within a character
	} {
		r := NewReader(MySQL, tc.Options)
		for range 2 {
			if s := r.Read([]byte(text), false); string(s.Text) != tc.want || string(s.Collection) != "orders" {
				t.Errorf("%+v: %q of %q", tc.Options, s.Text, s.Collection)
			}
		}
	}
}

// TestDeep reads statements nested deeper than anybody follows.
func TestDeep(t *testing.T) {
	const depth = 10000
	r := NewReader(PostgreSQL, protocol.Options{TextLimit: 1 << 10})
	for _, text := range []string{
		strings.Repeat("(", depth) + "SELECT 1 FROM t",
		"SELECT * FROM " + strings.Repeat("(SELECT * FROM ", depth) + "t",
		"SELECT " + strings.Repeat("(", depth) + "1",
		strings.Repeat("WITH a AS (", depth) + "SELECT 1",
		strings.Repeat("EXPLAIN ", depth) + "SELECT 1",
		strings.Repeat("/*", depth) + "SELECT 1",
		"SELECT " + strings.Repeat("$a", depth),
		strings.Repeat("a.", depth),
	} {
		if s := r.Read([]byte(text), false); s.Operation != "" && verbs[s.Operation].operation != s.Operation {
			t.Errorf("%.40q: %q", text, s.Operation)
		}
	}
}
