package protocol_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/http1"
)

// shaken is the first flight of each end of a TLS connection, and what came after.
type shaken struct{ client, server, later string }

// tap is a connection that remembers what was written to it, call by call.
type tap struct {
	net.Conn
	mu     sync.Mutex
	writes [][]byte
}

func (c *tap) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.writes = append(c.writes, bytes.Clone(b))
	c.mu.Unlock()
	return c.Conn.Write(b)
}

var (
	shopClient = &tls.Config{ServerName: "Shop.Example", NextProtos: []string{"h2", "http/1.1"}, InsecureSkipVerify: true}
	shopServer = &tls.Config{NextProtos: []string{"http/1.1"}}
)

// shake has crypto/tls make a connection. A server that refuses is none of the test's business.
func shake(t *testing.T, client, server *tls.Config) shaken {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	server = server.Clone()
	server.Certificates = []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: private}}
	a, b := loopback(t)
	near, far := &tap{Conn: a}, &tap{Conn: b}
	var wg sync.WaitGroup
	deadline := time.Now().Add(10 * time.Second)
	for _, end := range []struct {
		net.Conn
		tls *tls.Conn
	}{{near, tls.Client(near, client)}, {far, tls.Server(far, server)}} {
		_ = end.SetDeadline(deadline)
		wg.Go(func() {
			if err := end.tls.Handshake(); err != nil && errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
			_ = end.Close()
		})
	}
	wg.Wait()
	s := shaken{client: string(near.writes[0]), server: string(far.writes[0])}
	if len(near.writes) > 1 {
		s.later = string(near.writes[1])
	}
	return s
}

// loopback is a connection. A pipe will not do: both ends of TLS may write at the same time.
func loopback(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = net.DialTimeout("tcp", l.Addr().String(), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// hellos are configurations of both ends, with what must be told of them.
var hellos = []struct {
	name           string
	client, server *tls.Config
	want           string
	labels         protocol.TLSLabels
}{
	{"1.3", shopClient, shopServer, "client 1.3 shop.example h2", protocol.TLSLabels{Version: "1.3", ALPN: "h2"}},
	{
		"1.2, whose server says what it chose", shopClient,
		&tls.Config{MaxVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
		"client 1.2 shop.example http/1.1",
		protocol.TLSLabels{Version: "1.2", ALPN: "http/1.1"},
	},
	{
		"1.2, whose server chose nothing", shopClient, &tls.Config{MaxVersion: tls.VersionTLS12},
		"client 1.2 shop.example ",
		protocol.TLSLabels{Version: "1.2", ALPN: "none"},
	},
	{
		"no name, no protocol", &tls.Config{InsecureSkipVerify: true}, &tls.Config{}, "client 1.3  ",
		protocol.TLSLabels{Version: "1.3", ALPN: "none"},
	},
	{
		"a protocol that nobody knows",
		&tls.Config{ServerName: "a.b", InsecureSkipVerify: true, NextProtos: []string{"my-own"}}, &tls.Config{},
		"client 1.3 a.b my-own",
		protocol.TLSLabels{Version: "1.3", ALPN: "other"},
	},
	{
		"GREASE",
		&tls.Config{ServerName: "a.b", InsecureSkipVerify: true, NextProtos: []string{"\x3a\x3a", "h2"}}, &tls.Config{},
		"client 1.3 a.b h2",
		protocol.TLSLabels{Version: "1.3", ALPN: "h2"},
	},
	{
		"a server that wants another curve", shopClient,
		&tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP521}, NextProtos: []string{"h2"}},
		"client 1.3 shop.example h2",
		protocol.TLSLabels{Version: "1.3", ALPN: "h2"},
	},
	{
		"a server that refuses", &tls.Config{ServerName: "a.b", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12},
		&tls.Config{MinVersion: tls.VersionTLS13}, "client  a.b ",
		protocol.TLSLabels{Version: "unknown", ALPN: "none"},
	},
}

func TestHandshake(t *testing.T) {
	for _, h := range hellos {
		t.Run(h.name, func(t *testing.T) {
			s := shake(t, h.client, h.server)
			for i, client := range splits(s.client) {
				for _, server := range [][]string{{s.server}, slices.Collect(bytewise(s.server))}[:1+i%2] {
					w := newWire(t, protocol.Config{}).client()
					for _, part := range client {
						w.send(part)
					}
					for _, part := range server {
						w.recv(part)
					}
					w.send(s.later)
					if got := strings.Join(w.shakes, ", "); got != h.want {
						t.Fatalf("%d parts: %q, want %q", len(client), got, h.want)
					}
					c := w.tracker.Counters()
					if len(c.TLS) != 1 || c.TLS[h.labels] != 1 || c.Undecoded[protocol.ReasonTLS] != 1 || c.BufferedBytes != 0 {
						t.Fatalf("%d parts: %+v", len(client), c)
					}
				}
			}
		})
	}
}

// splits are ways to hand data over: whole, byte by byte, in two at some points, and in records of 7 bytes.
func splits(data string) [][]string {
	all := [][]string{{data}, slices.Collect(bytewise(data)), {records(data, 7)}, {records(data, 100), ""}}
	for i := 1; i < len(data); i += 101 {
		all = append(all, []string{data[:i], data[i:]})
	}
	return all
}

func bytewise(s string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i := range len(s) {
			if !yield(s[i : i+1]) {
				return
			}
		}
	}
}

// records puts what a handshake's record holds into records of n bytes.
func records(record string, n int) string {
	var b []byte
	for body := []byte(record[5:]); len(body) > 0; body = body[min(n, len(body)):] {
		b = append(b, record[:3]...)
		b = binary.BigEndian.AppendUint16(b, uint16(min(n, len(body))))
		b = append(b, body[:min(n, len(body))]...)
	}
	return string(b)
}

func TestHandshakeSeenFromTheServer(t *testing.T) {
	s := shake(t, shopClient, shopServer)
	w := newWire(t, protocol.Config{}).server()
	w.recv(s.client)
	w.send(s.server)
	if got := strings.Join(w.shakes, ", "); got != "server 1.3 shop.example h2" {
		t.Errorf("handshakes are %q", got)
	}
}

// TestHandshakeCut meets hellos that are not whole: what is told is right, or missing.
func TestHandshakeCut(t *testing.T) {
	s := shake(t, shopClient, shopServer)
	for i := range len(s.client) {
		w := newWire(t, protocol.Config{}).client()
		cut := w.seg(out, s.client)
		cut.Data = cut.Data[:i]
		w.handle(cut)
		w.recv(s.server)
		w.handle(w.closed())
		for _, got := range w.shakes {
			for _, part := range strings.Fields(got) {
				if !slices.Contains([]string{"client", "server", "1.3", "shop.example", "h2"}, part) {
					t.Fatalf("cut at %d: %q", i, got)
				}
			}
		}
		if c := w.tracker.Counters(); c.Connections != 0 || c.BufferedBytes != 0 || c.Undecoded[protocol.ReasonTLS] != 0 {
			t.Fatalf("cut at %d: %+v", i, c)
		}
	}
}

func TestHandshakeNoServer(t *testing.T) {
	s := shake(t, shopClient, shopServer)
	w := newWire(t, protocol.Config{}).client()
	w.send(s.client)
	if n := w.tracker.Counters().Undecoded[protocol.ReasonTLS]; n != 1 || len(w.shakes) != 0 {
		t.Errorf("%d TLS connections, handshakes %q", n, w.shakes)
	}
	w.handle(w.closed())
	if got := strings.Join(w.shakes, ", "); got != "client  shop.example h2" {
		t.Errorf("at the close: %q", got)
	}
}

// TestEarlyData is a client that sends on before the server has answered, and more than anybody reads.
func TestEarlyData(t *testing.T) {
	s := shake(t, shopClient, shopServer)
	early := "\x17\x03\x03\x40\x00" + strings.Repeat("e", 1<<14)
	w := newWire(t, protocol.Config{}).client()
	w.send(s.client + "\x14\x03\x03\x00\x01\x01" + early[:100])
	w.send(early[100:])
	w.recv(s.server)
	if got := strings.Join(w.shakes, ", "); got != "client 1.3 shop.example h2" {
		t.Errorf("handshakes are %q", got)
	}
	w = newWire(t, protocol.Config{}).client()
	w.send(s.client)
	for range 10 {
		w.send(early)
	}
	if n := w.tracker.Counters().Undecoded[protocol.ReasonTLS]; strings.Join(w.shakes, ", ") != "client  shop.example h2" || n != 1 {
		t.Errorf("after a flood: %q, %d TLS connections", w.shakes, n)
	}
}

// TestHostileHello has lengths that lie, and names that are none.
func TestHostileHello(t *testing.T) {
	s := shake(t, &tls.Config{ServerName: "abcdefgh.example", InsecureSkipVerify: true}, shopServer).client
	for i := 5; i < len(s); i++ {
		for _, b := range []byte{0, 0x7f, 0xff} {
			w := newWire(t, protocol.Config{}).client()
			w.send(s[:i] + string([]byte{b}) + s[i+1:])
			w.handle(w.closed())
			for _, got := range w.shakes {
				if strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Fatalf("byte %d is %#x: %q", i, b, got)
				}
			}
		}
	}
	w := newWire(t, protocol.Config{}).client()
	w.send("\x16\x03\x01\x40\x00\x01\x01\xff\xfc\x03\x03")
	for range 100 {
		w.send(strings.Repeat("h", 16<<10))
		if n := w.tracker.Counters().BufferedBytes; n > 256<<10 {
			t.Fatalf("%d bytes are held", n)
		}
	}
	if n := w.tracker.Counters().Undecoded[protocol.ReasonTLS]; n != 1 {
		t.Errorf("%d TLS connections", n)
	}
}

func FuzzHello(f *testing.F) {
	f.Add([]byte("\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03"), []byte("\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03"))
	f.Fuzz(func(t *testing.T, client, server []byte) {
		w := newWire(t, protocol.Config{}, http1.Spec()).client()
		w.send("\x16\x03\x01" + string(client))
		w.recv("\x16\x03\x01" + string(server))
		w.send(string(client))
		w.handle(w.closed())
		if c := w.tracker.Counters(); c.Connections != 0 || c.BufferedBytes != 0 || c.Undecoded[protocol.ReasonTLS] != 0 {
			t.Errorf("%+v", c)
		}
	})
}

// TestHandshakeReversed is an end that was connected to and speaks as TLS's client: the name is not the other end's.
func TestHandshakeReversed(t *testing.T) {
	s := shake(t, shopClient, shopServer)
	w := newWire(t, protocol.Config{}).client()
	w.recv(s.client)
	w.send(s.server)
	if got := strings.Join(w.shakes, ", "); got != "client 1.3 shop.example h2" || w.direct {
		t.Errorf("handshakes are %q, direct %v", got, w.direct)
	}
}

// TestHandshakeInterrupted is a hello whose end never comes.
func TestHandshakeInterrupted(t *testing.T) {
	s := shake(t, shopClient, shopServer)
	for _, existing := range []bool{false, true} {
		w := newWire(t, protocol.Config{}).open(event.RoleClient, existing)
		w.send(s.client[:100])
		w.recv("\x16")
		w.send(s.later)
		c := w.tracker.Counters()
		if len(w.shakes) != 1 || c.Undecoded[protocol.ReasonTLS] != 1 || c.Undecoded[protocol.ReasonUnknown] != 0 || c.BufferedBytes != 0 {
			t.Errorf("existing %v: handshakes are %q, %+v", existing, w.shakes, c)
		}
	}
}

// TestHandshakeNotFirst is a hello before which something was lost, which may have been the way through a proxy, or before which the
// other end has spoken: the name may be of anybody.
func TestHandshakeNotFirst(t *testing.T) {
	s := shake(t, shopClient, shopServer)
	for name, before := range map[string]func(*wire){
		"the beginning was lost": func(w *wire) { w.seg(out, "\x05\x01\x00"); w.seg(in, "\x05\x00") },
		"one end was lost":       func(w *wire) { w.seg(in, "220 ready\r\n") },
		"the other end spoke":    func(w *wire) { w.recv("!") },
	} {
		w := newWire(t, protocol.Config{}, toySpec("toy", protocol.InOrder)).client()
		before(w)
		w.send(s.client)
		w.tick(1e9)
		w.recv(s.server)
		if got := strings.Join(w.shakes, ", "); !strings.Contains(got, "shop.example") || w.direct {
			t.Errorf("%s: handshakes are %q, direct %v", name, got, w.direct)
		}
	}
}

// TestHandshakePartReceived is the beginning of a hello that was received on a connection that nobody knows the roles of: whoever sent
// it is not called by the name in it.
func TestHandshakePartReceived(t *testing.T) {
	s := shake(t, shopClient, shopServer)
	w := newWire(t, protocol.Config{}).open(event.RoleUnknown, false)
	w.recv(s.client[:len(s.client)-1])
	w.handle(w.closed())
	if got := strings.Join(w.shakes, ", "); w.direct || !strings.Contains(got, "shop.example") {
		t.Errorf("handshakes are %q, direct %v", got, w.direct)
	}
}

// TestChangesAlone: records that say nothing are not waited on, however many there are.
func TestChangesAlone(t *testing.T) {
	w := newWire(t, protocol.Config{}).client()
	for range 3 {
		w.send("\x14\x03\x03\x00\x01\x01")
	}
	if c := w.tracker.Counters(); c.BufferedBytes != 0 || c.Undecoded[protocol.ReasonTLS] != 0 {
		t.Errorf("%+v", c)
	}
}
