package protocol_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/http1"
)

// script plays lines, those of the client after "> ", those of the server after "< "; HELLO stands for the hello of that end.
func (w *wire) script(hello shaken, lines ...string) {
	for _, l := range lines {
		text := strings.ReplaceAll(l[2:], "\n", "\r\n")
		if l[0] == '>' {
			w.send(strings.ReplaceAll(text, "HELLO", hello.client))
		} else {
			w.recv(strings.ReplaceAll(text, "HELLO", hello.server))
		}
	}
}

// TestTLSLater is TLS after something else: agreed on by a protocol that is decoded, or by one that is not.
func TestTLSLater(t *testing.T) {
	hello := shake(t, shopClient, shopServer)
	for _, c := range []struct {
		name   string
		direct bool // the name is the other end's
		lines  []string
	}{
		{"a decoded protocol that says so", true, []string{"> ? 1 x\n", "< ! 1 x\n^ tls\n", "> HELLO", "< HELLO"}},
		{"the same in one segment", true, []string{"> ~ 1 x\n^ tls\nHELLO", "< HELLO"}},
		{"CONNECT", false, []string{"> CONNECT a.b:443 HTTP/1.1\nHost: a.b\n\n", "< HTTP/1.1 200 OK\n\n", "> HELLO", "< HELLO"}},
		{"SMTP", false, []string{
			"< 220 mx.example ESMTP\n", "> EHLO a.example\n", "< 250-mx.example\n250-PIPELINING\n250 STARTTLS\n",
			"> STARTTLS\n", "< 220 go on\n", "> HELLO", "< HELLO",
		}},
		{"IMAP", false, []string{
			"< * OK IMAP4rev1\n", "> 1 CAPABILITY\n", "< * CAPABILITY IMAP4rev1 STARTTLS\n1 OK\n", "> 2 STARTTLS\n", "< 2 OK\n",
			"> HELLO", "< HELLO",
		}},
		{"POP3", false, []string{"< +OK ready\n", "> CAPA\n", "< +OK\nSTLS\n.\n", "> STLS\n", "< +OK\n", "> HELLO", "< HELLO"}},
		{"LDAP", false, []string{
			"> \x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037", "< \x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00",
			"> HELLO", "< HELLO",
		}},
		{"SOCKS5", false, []string{
			"> \x05\x01\x00", "< \x05\x00", "> \x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb", "< \x05\x00\x00\x01\x00\x00\x00\x00\x00\x00",
			"> HELLO", "< HELLO",
		}},
		{"a balancer's line", true, []string{"> PROXY TCP4 192.0.2.1 192.0.2.2 4000 443\nHELLO", "< HELLO"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t, protocol.Config{}, http1.Spec(), toySpec("toy", protocol.InOrder)).client()
			w.script(hello, c.lines...)
			if got := strings.Join(w.shakes, ", "); got != "client 1.3 shop.example h2" || w.direct != c.direct {
				t.Errorf("handshakes are %q, direct %v", got, w.direct)
			}
			if n := w.tracker.Counters().Undecoded[protocol.ReasonTLS]; n != 1 || w.gaps != 0 {
				t.Errorf("%d TLS connections, %d missing", n, w.gaps)
			}
		})
	}
}

// TestPromisedTLS is an agreement on TLS that nobody keeps: the connection is undecided, and no TLS.
func TestPromisedTLS(t *testing.T) {
	for _, next := range [][]string{
		{"> GET /a HTTP/1.1\nHost: x\n\n", "< HTTP/1.1 200 OK\nContent-Length: 0\n\n"},
		{"> ", "> G", "> ET /a HTTP/1.1\n\n", "< HTTP/1.1 200 OK\nContent-Length: 0\n\n"},
	} {
		w := newWire(t, protocol.Config{}, http1.Spec(), toySpec("toy", protocol.InOrder)).client()
		w.script(shaken{}, "> ? 1 x\n", "< ! 1 x\n^ tls\n")
		if n := w.tracker.Counters().Undecoded[protocol.ReasonTLS]; n != 1 {
			t.Errorf("%d TLS connections before a byte of it", n)
		}
		w.script(shaken{}, next...)
		w.want("1 =1", "/a 200")
		if c := w.tracker.Counters(); c.Undecoded[protocol.ReasonTLS] != 0 || len(c.TLS) != 0 || len(w.shakes) != 0 {
			t.Errorf("%+v, handshakes %q", c, w.shakes)
		}
	}
	w := newWire(t, protocol.Config{}, toySpec("toy", protocol.InOrder)).client()
	w.script(shaken{}, "> ^ tls\n")
	w.handle(w.closed())
	if got := strings.Join(w.shakes, ", "); got != "client   " {
		t.Errorf("closed before a hello: %q", got)
	}
}

// TestReinference meets bytes that break the rules again and again.
func TestReinference(t *testing.T) {
	rubbish := []string{"> \x00\x01\x02\x03\n", "< \x00\x01\x02\x03\n"}
	w := newWire(t, protocol.Config{MaxErrors: 2}, http1.Spec(), toySpec("toy", protocol.InOrder)).client()
	w.get("/a")
	w.send(get("/lost"))
	for range 2 {
		w.script(shaken{}, rubbish...)
	}
	w.script(shaken{}, "> ? 1 x\n", "< ! 1 x\n", "> ? 2 x\n", "< ! 2 x\n")
	w.handle(w.closed())
	w.want("/a 200", "1 =1", "2 =2")
	if c := w.tracker.Counters(); c.Reinferred != 1 || w.gaps == 0 {
		t.Errorf("undecided again %d times, %d missing", c.Reinferred, w.gaps)
	}
	undecided := protocol.Verdict{Undecided: true}
	if len(w.verdicts) != 3 || w.verdicts[1] != undecided {
		t.Errorf("verdicts are %+v", w.verdicts)
	}
}

// TestReinferenceEnds has a connection undecided again as often as it may be, and not once more.
func TestReinferenceEnds(t *testing.T) {
	for _, most := range []int{-1, 1, 2} {
		w := newWire(t, protocol.Config{MaxErrors: 1, MaxReinferences: most}).client()
		for range 4 {
			w.tick(1e9)
			w.get("/a")
			w.tick(1e9)
			for range 2 {
				w.script(shaken{}, "> \x00\x01\x02\x03\n", "< \x00\x01\x02\x03\n")
			}
		}
		want := max(most, 0)
		if c := w.tracker.Counters(); c.Reinferred != uint64(want) || c.Undecoded[protocol.ReasonUnknown] != 1 || len(w.got) != want+1 {
			t.Errorf("%d allowed: %d times, %d unknown, %d exchanges", most, c.Reinferred, c.Undecoded[protocol.ReasonUnknown], len(w.got))
		}
	}
}

// TestSecondProtocol is one protocol after another on a connection, without a word.
func TestSecondProtocol(t *testing.T) {
	toy, http := toySpec("toy", protocol.InOrder), http1.Spec()
	for _, order := range [][]*protocol.Spec{{toy, http}, {http, toy}} {
		w := newWire(t, protocol.Config{}, order...).client()
		w.get("/a")
		w.script(shaken{}, "> ? 1 x\n", "< ! 1 x\n")
		w.tick(1e9)
		w.get("/b")
		w.tick(1e9)
		w.handle(w.closed())
		w.want("/a 200", "1 =1", "/b 200")
		if c := w.tracker.Counters(); c.Reinferred != 2 || w.gaps != 0 {
			t.Errorf("undecided again %d times, %d missing", c.Reinferred, w.gaps)
		}
	}
	w := newWire(t, protocol.Config{}, toy, http).client()
	w.get("/a")
	w.script(shake(t, shopClient, shopServer), "> HELLO", "< HELLO")
	if got := strings.Join(w.shakes, ", "); got != "client 1.3 shop.example h2" || w.direct {
		t.Errorf("handshakes are %q, direct %v", got, w.direct)
	}
}

// TestVerdictForgotten: the kernel is told again when a connection is copied as if it had not been told.
func TestVerdictForgotten(t *testing.T) {
	spec := toySpec("toy", protocol.InOrder)
	spec.Capture = protocol.Capture{Whole: true, Tail: 7}
	w := newWire(t, protocol.Config{}, spec).client()
	w.script(shaken{}, "> ? 1 x\n", "< ! 1 x\n")
	cut := w.seg(out, "? 2 "+strings.Repeat("x", 100)+"\n")
	cut.Data = cut.Data[:50]
	w.handle(cut)
	told := protocol.Verdict{Whole: true, Tail: 7}
	again := told
	again.Again = true
	if !slices.Equal(w.verdicts, []protocol.Verdict{told, again}) {
		t.Errorf("wanted whole and cut: verdicts are %+v", w.verdicts)
	}
	w = newWire(t, protocol.Config{SniffBytes: 1000}).client()
	for range 200 {
		w.send(strings.Repeat("\x00", 1000))
	}
	refused := protocol.Verdict{Refused: true, Why: protocol.ReasonUnknown}
	if n := len(w.verdicts); n < 2 || n > 10 || w.verdicts[0] != refused {
		t.Errorf("refused, and still copied: verdicts are %+v", w.verdicts)
	}
	for _, v := range w.verdicts[1:] {
		if v.Again = !v.Again; v != refused {
			t.Errorf("told again %+v", v)
		}
	}
	if n := w.tracker.Counters().Undecoded[protocol.ReasonUnknown]; n != 1 {
		t.Errorf("%d are counted", n)
	}
}

// proxyBlock is the binary form of the PROXY protocol, for IPv4 over TCP with that many bytes after the addresses.
func proxyBlock(more int) string {
	b := []byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11")
	b = binary.BigEndian.AppendUint16(b, uint16(12+more))
	return string(b) + "\xc0\x00\x02\x01\xc0\x00\x02\x02\x0f\xa0\x00\x50" + strings.Repeat("t", more)
}

// TestProxyProtocol has a preamble in front of a request: it is no part of it, whatever way it comes.
func TestProxyProtocol(t *testing.T) {
	for name, preamble := range map[string]string{
		"line":           "PROXY TCP4 192.0.2.1 192.0.2.2 4000 80\r\n",
		"line for IPv6":  "PROXY TCP6 2001:db8::1 2001:db8::2 4000 80\r\n",
		"unknown":        "PROXY UNKNOWN\r\n",
		"block":          proxyBlock(0),
		"block and more": proxyBlock(200),
		"health check":   "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			data := preamble + get("/a")
			parts := [][]string{{data}, slices.Collect(bytewise(data))}
			for i := 1; i < len(data); i++ {
				parts = append(parts, []string{data[:i], data[i:]})
			}
			for _, p := range parts {
				w := newWire(t, protocol.Config{}, toySpec("toy", protocol.InOrder), http1.Spec()).client()
				for _, part := range p {
					w.send(part)
				}
				w.recv(ok("/a"))
				w.get("/b")
				w.want("/a 200", "/b 200")
				if w.gaps != 0 || w.last.Request.Size != int64(len(get("/b"))) {
					t.Fatalf("%d parts: %d missing", len(p), w.gaps)
				}
			}
		})
	}
	for _, n := range []int{4, 5, 5000} {
		w := newWire(t, protocol.Config{}).client()
		for range n {
			w.send("PROXY UNKNOWN\r\n")
		}
		w.send(get("/a"))
		w.recv(ok("/a"))
		if c := w.tracker.Counters(); n == 4 && len(w.got) != 1 || n == 5000 && c.Undecoded[protocol.ReasonUnknown] != 1 {
			t.Errorf("%d preambles: %q, %v", n, w.got, c.Undecoded)
		}
	}
	for _, no := range []string{
		"PROXY TCP5 1 2 3 4\r\n", "PROXY UNKNOWN" + strings.Repeat(" ", 100) + "\r\n", "PROXY TCP4 1 2 3 4\n",
		"\r\n\r\n\x00\r\nQUIT\n\x11\x11\x00\x00", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x20\x00", "PROXY UNKNOWN",
		"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c",
	} {
		w := newWire(t, protocol.Config{}).client()
		w.send(no + get("/a"))
		w.recv(ok("/x"))
		if slices.Contains(w.got, "/a 200") {
			t.Errorf("%q is skipped", no)
		}
	}
}
