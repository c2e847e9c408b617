package sqltext

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/protocol"
)

// Secrets that are planted: in text, as digits and within a name's quotes where the server reads a literal.
const (
	secretText   = "zqxjkvwy"
	secretDigits = "918273645546"
)

// shows reports whether b holds a part of a secret that is long enough to be one.
func shows(b []byte) bool {
	const part = 4
	b = bytes.ToLower(b)
	for _, secret := range []string{secretText, secretDigits, hex.EncodeToString([]byte(secretText))} {
		for i := 0; i+part <= len(secret); i++ {
			if bytes.Contains(b, []byte(secret[i:i+part])) {
				return true
			}
		}
	}
	return false
}

// planter writes statements with secrets in their literals and comments, as a server with these settings reads them.
type planter struct {
	*rand.Rand
	dialect Dialect
	escapes bool // backslashes escape
	gbk     bool // characters may hold a backslash
}

func (p *planter) pick(list ...string) string { return list[p.IntN(len(list))] }

// inside is what stands within quotes.
func (p *planter) inside(quote string, escapes bool) string {
	var b strings.Builder
	for range 1 + p.IntN(4) {
		switch p.IntN(8) {
		case 0:
			b.WriteString(quote + quote)
		case 1:
			if escapes {
				b.WriteString(p.pick(`\`+quote, `\\`, `\n`, `\'`, `\"`))
			} else {
				b.WriteString(p.pick(`\`, `\\`, `C:\`))
			}
		case 2:
			b.WriteString(p.pick("--", "#", "/*", "*/", ";", " FROM ", "$$", "`", "?", "\n", "-- "))
		case 3:
			if p.gbk {
				b.WriteString("\xbf\x5c")
			}
		default:
			b.WriteString(p.pick(secretText, secretDigits, " "+secretText+" "))
		}
	}
	return b.String()
}

func (p *planter) literal() string {
	forms := []func() string{
		func() string { return "'" + p.inside("'", p.escapes) + "'" },
		func() string { return p.pick("N", "n", "") + "'" + p.inside("'", p.escapes) + "'" },
		func() string { return p.pick("x", "X") + "'" + hex.EncodeToString([]byte(secretText)) + "'" },
		func() string { return p.pick("b", "B") + "'1010101'" },
		func() string { return secretDigits },
		func() string { return "-" + secretDigits + "." + secretDigits + "e+" + secretDigits[:5] },
		func() string { return "." + secretDigits },
		func() string { return "DATE '" + secretDigits + "'" },
	}
	if p.dialect == MySQL {
		forms = append(forms,
			func() string { return `"` + p.inside(`"`, p.escapes) + `"` },
			func() string { return "0x" + hex.EncodeToString([]byte(secretText)) },
			func() string { return "_utf8" + p.pick("", " ") + "'" + p.inside("'", p.escapes) + "'" },
			func() string { return `_utf8mb4"` + p.inside(`"`, p.escapes) + `"` },
			func() string { return "5--" + "'" + p.inside("'", p.escapes) + "'" },
		)
	} else {
		forms = append(forms,
			func() string { return "$$" + secretText + " '" + secretDigits + "$$" },
			func() string { return "$t1$" + secretText + "$$ $t$ '" + "$t1$" },
			func() string { return p.pick("E", "e") + "'" + p.inside("'", true) + "'" },
			func() string { return "U&'" + p.inside("'", p.escapes) + "'" },
			func() string { return "1_000_" + secretDigits },
		)
	}
	return forms[p.IntN(len(forms))]()
}

// blank is a blank, or a comment in its place.
func (p *planter) blank() string {
	switch p.IntN(12) {
	case 0:
		return "/* " + secretText + " ' \" */"
	case 1:
		return " -- '" + secretText + "\n"
	case 2:
		if p.dialect == MySQL {
			return " # \" " + secretText + "\n"
		}
		return "/* a /* " + secretText + " */ ' " + secretText + " */"
	case 3:
		return "\t\r\n "
	case 4:
		return "/*+ hint(" + secretText + ") */"
	case 5:
		if p.dialect == MySQL {
			return "/*!50001 " + p.literal() + "*/ "
		}
	}
	return " "
}

func (p *planter) statement() string {
	words := [][]string{
		{"SELECT", "a", ",", "?", "FROM", "orders", "WHERE", "b", "=", "?", "AND", "c", "IN", "(", "?", ",", "?", ")", "LIMIT", "?"},
		{"INSERT", "INTO", "orders", "VALUES", "(", "?", ",", "?", ")", ",", "(", "?", ",", "?", ")"},
		{"UPDATE", "orders", "SET", "a", "=", "?", ",", "b", "=", "?", "WHERE", "id", "=", "?"},
		{"DELETE", "FROM", "orders", "WHERE", "a", "<", "?"},
		{"SELECT", "?", ";", "SELECT", "?", "FROM", "orders"},
		{"SET", "@a", "=", "?"},
		{"CALL", "settle", "(", "?", ",", "?", ")"},
		{"SELECT", "TRIM", "(", "?", "FROM", "?", ")", "FROM", "?"},
		{"CREATE", "USER", "?", "IDENTIFIED", "BY", "?"},
		{"WITH", "c", "AS", "(", "SELECT", "?", ")", "SELECT", "*", "FROM", "c", "WHERE", "x", "LIKE", "?"},
	}
	var b strings.Builder
	for _, w := range words[p.IntN(len(words))] {
		b.WriteString(p.blank())
		if w == "?" {
			w = p.literal()
		}
		b.WriteString(w)
	}
	return b.String()
}

func TestSecretsStay(t *testing.T) {
	for _, d := range []Dialect{MySQL, PostgreSQL} {
		for _, tc := range []struct {
			name         string
			set          Escapes
			escapes, gbk bool
		}{
			{"on", EscapesOn, true, false},
			{"off", EscapesOff, false, false},
			{"unknown, on", EscapesUnknown, true, false},
			{"unknown, off", EscapesUnknown, false, false},
			{"doubtful", EscapesDoubtful, true, true},
		} {
			t.Run(fmt.Sprint(d, tc.name), func(t *testing.T) {
				p := &planter{Rand: rand.New(rand.NewPCG(1, uint64(d))), dialect: d, escapes: tc.escapes, gbk: tc.gbk}
				r := NewReader(d, protocol.Options{TextLimit: 1 << 12})
				r.SetEscapes(tc.set)
				for range 250 {
					text := p.statement()
					for at := len(text); at > 0 && !t.Failed(); at -= 1 + p.IntN(6) {
						keeps(t, r, text[:at], at < len(text))
					}
				}
			})
		}
	}
}

// keeps wants nothing of a secret in what is read of text.
func keeps(t *testing.T, r *Reader, text string, cut bool) {
	t.Helper()
	s := r.Read([]byte(text), cut)
	if shows(s.Text) || shows(s.Collection) || shows(s.Namespace) || s.Operation != "" && verbs[s.Operation].operation != s.Operation {
		t.Errorf("%q (cut %v)\nreads %q: %s of %q in %q", text, cut, s.Text, s.Operation, s.Collection, s.Namespace)
	}
}

// TestWhyNotTheLexerAlone holds what the package's comment says of go-sqllexer: should it ever be mended, this tells.
func TestWhyNotTheLexerAlone(t *testing.T) {
	for _, tc := range []struct {
		d    Dialect
		text string
	}{
		{MySQL, `SELECT _utf8mb4"zqxjkvwy"`},
		{MySQL, "SELECT 5--'a\n zqxjkvwy'"},
		{PostgreSQL, "SELECT 1 /* a /* b */ ' */, 'zqxjkvwy'"},
	} {
		if out := lexerAlone(tc.d, tc.text); !shows([]byte(out)) {
			t.Errorf("%q: go-sqllexer hides it now: %q", tc.text, out)
		}
		keeps(t, NewReader(tc.d, protocol.Options{TextLimit: 1 << 10}), tc.text, false)
	}
}

func FuzzRead(f *testing.F) {
	for d, file := range []string{"testdata/mysql.txt", "testdata/postgresql.txt"} {
		for _, s := range statements(f, file) {
			f.Add([]byte(s.text), uint8(d), s.cut)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, settings uint8, cut bool) {
		const limit = 256
		r := NewReader(Dialect(settings&1), protocol.Options{TextLimit: limit})
		r.SetEscapes(Escapes(settings >> 1 & 3))
		r.SetANSIQuotes(settings&8 != 0)
		before := bytes.Clone(text)
		s := *r.Read(text, cut)
		if !bytes.Equal(before, text) {
			t.Fatal("the text was written to")
		}
		if len(s.Text) > limit || len(s.Collection) > nameLimit || s.Operation != "" && verbs[s.Operation].operation != s.Operation {
			t.Fatalf("%q: %q of %q in %d bytes", text, s.Operation, s.Collection, len(s.Text))
		}
		first := Statement{s.Operation, bytes.Clone(s.Collection), bytes.Clone(s.Namespace), bytes.Clone(s.Text), s.Moves}
		again := r.Read(text, cut)
		if again.Operation != first.Operation || !bytes.Equal(again.Collection, first.Collection) || !bytes.Equal(again.Text, first.Text) {
			t.Fatalf("%q: from memory %v, at first %v", text, again, first)
		}
	})
}
