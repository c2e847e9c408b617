package dns

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/toposcope/toposcope/demo/fault"
)

// start runs a server on a free port until the test ends.
func start(t *testing.T, s *Server) netip.AddrPort {
	t.Helper()
	l, err := Listen([]string{"127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Zone == nil {
		s.Zone = NewZone()
		s.Zone.Put("cart", "http", netip.MustParseAddrPort("127.0.0.1:8080"))
	}
	if s.Faults == nil {
		s.Faults = func() fault.Fault { return fault.Fault{} }
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return l.Addr()
}

// ask sends msg by network and returns the answer.
func ask(t *testing.T, network string, to netip.AddrPort, msg []byte, wait time.Duration) ([]byte, error) {
	t.Helper()
	conn, err := net.Dial(network, to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	if network == "udp" {
		if _, err := conn.Write(msg); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 65535)
		n, err := conn.Read(buf)
		return buf[:n], err
	}
	// In two pieces, split inside the length.
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
	for _, piece := range [][]byte{framed[:1], framed[1:]} {
		if _, err := conn.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	answer := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err = io.ReadFull(conn, answer)
	return answer, err
}

// packed is a query for name, with an OPT record that offers size bytes unless that is 0.
func packed(t *testing.T, name string, kind dnsmessage.Type, size int) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 4711, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
	}
	if size > 0 {
		var h dnsmessage.ResourceHeader
		if err := h.SetEDNS0(size, 0, false); err != nil {
			t.Fatal(err)
		}
		m.Additionals = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{}}}
	}
	msg, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// summary is an answer in a line: its code, whether it was cut, and the types of its records by section.
func summary(t *testing.T, answer []byte) string {
	t.Helper()
	var m dnsmessage.Message
	if err := m.Unpack(answer); err != nil {
		t.Fatal(err)
	}
	if m.ID != 4711 || !m.Response {
		t.Fatalf("this answers another question: %v", m.GoString())
	}
	words := []string{strings.TrimPrefix(m.RCode.String(), "RCode")}
	if m.Truncated {
		words = append(words, "cut")
	}
	for _, section := range [][]dnsmessage.Resource{m.Answers, m.Authorities, m.Additionals} {
		var types []string
		for _, r := range section {
			types = append(types, strings.TrimPrefix(r.Header.Type.String(), "Type"))
		}
		words = append(words, "["+strings.Join(types, " ")+"]")
	}
	return strings.Join(words, " ")
}

func TestAnswers(t *testing.T) {
	server := start(t, &Server{})
	for _, test := range []struct {
		name   string
		kind   dnsmessage.Type
		size   int
		udp    string
		viaTCP string // "": the same
	}{
		{"cart." + Domain, dnsmessage.TypeA, 0, "Success [A] [] []", ""},
		{"CaRt." + Domain, dnsmessage.TypeA, 1232, "Success [A] [] [OPT]", ""},
		{"cart." + Domain, dnsmessage.TypeAAAA, 0, "Success [] [SOA] []", ""},
		{"_http._tcp.cart." + Domain, dnsmessage.TypeSRV, 0, "Success [SRV] [] []", ""},
		{"_grpc._tcp.cart." + Domain, dnsmessage.TypeSRV, 0, "NameError [] [SOA] []", ""},
		{"cart.svc.cluster.test.", dnsmessage.TypeA, 0, "NameError [] [SOA] []", ""},
		{"svc.cluster.test.", dnsmessage.TypeA, 0, "Success [] [SOA] []", ""},
		{"example.", dnsmessage.TypeSOA, 0, "Success [SOA] [] []", ""},
		{"api.bank.example.", dnsmessage.TypeA, 0, "Success [CNAME A] [] []", ""},
		{"api.bank.example.", dnsmessage.TypeAAAA, 0, "Success [CNAME AAAA] [] []", ""},
		{"api.bank.example.", dnsmessage.TypeMX, 0, "Success [CNAME] [] []", ""},
		{"mail.example.", dnsmessage.TypeMX, 0, "Success [MX MX] [] []", ""},
		{"policy.mail.example.", dnsmessage.TypeTXT, 0, "Success cut [] [] []", "Success [TXT] [] []"},
		{"policy.mail.example.", dnsmessage.TypeTXT, 65000, "Success cut [] [] [OPT]", "Success [TXT] [] [OPT]"},
		{"elsewhere.net.", dnsmessage.TypeA, 0, "Refused [] [] []", ""},
		{strings.Repeat("Ä.", 80) + "example.", dnsmessage.TypeA, 0, "NameError [] [SOA] []", ""},
	} {
		for _, network := range []string{"udp", "tcp"} {
			answer, err := ask(t, network, server, packed(t, test.name, test.kind, test.size), 5*time.Second)
			if err != nil {
				t.Fatalf("%s %s by %s: %v", test.name, test.kind, network, err)
			}
			want := test.udp
			if network == "tcp" && test.viaTCP != "" {
				want = test.viaTCP
			}
			if got := summary(t, answer); got != want {
				t.Errorf("%s %s by %s: %s, want %s", test.name, test.kind, network, got, want)
			}
			if network == "udp" && len(answer) > max(plainSize, min(test.size, mostSize)) {
				t.Errorf("%s %s: %d bytes by UDP", test.name, test.kind, len(answer))
			}
		}
	}
}

// TestStrange: what is no proper query gets an error or no answer, and the server goes on.
func TestStrange(t *testing.T) {
	server := start(t, &Server{})
	good := packed(t, "cart."+Domain, dnsmessage.TypeA, 0)
	change := func(edit func(msg []byte)) []byte {
		msg := bytes.Clone(good)
		edit(msg)
		return msg
	}
	for _, test := range []struct {
		name string
		msg  []byte
		code string // "": no answer
	}{
		{"no bytes", []byte{0}, ""},
		{"an answer", change(func(m []byte) { m[2] |= 0x80 }), ""},
		{"an update", change(func(m []byte) { m[2] |= 5 << 3 }), "NotImplemented"},
		{"no question", change(func(m []byte) { m[5] = 0 }), "FormatError"},
		{"two questions", change(func(m []byte) { m[5] = 2 }), "FormatError"},
		{"a name that points at itself", change(func(m []byte) { m[12], m[13] = 0xc0, 12 }), "FormatError"},
		{"cut", good[:20], "FormatError"},
		{"records that are not there", change(func(m []byte) { m[11] = 9 }), "Success"},
	} {
		wait := 5 * time.Second
		if test.code == "" {
			wait = 50 * time.Millisecond
		}
		answer, err := ask(t, "udp", server, test.msg, wait)
		switch {
		case test.code == "" && !errors.Is(err, os.ErrDeadlineExceeded):
			t.Errorf("%s: answer %x, %v", test.name, answer, err)
		case test.code != "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.code != "" && !strings.HasPrefix(summary(t, answer), test.code):
			t.Errorf("%s: %s, want %s", test.name, summary(t, answer), test.code)
		}
	}
	if answer, err := ask(t, "tcp", server, good, 5*time.Second); err != nil || summary(t, answer) != "Success [A] [] []" {
		t.Errorf("afterwards: %x, %v", answer, err)
	}
}

// TestFaults: the same questions meet the same fate in another server with the same seed.
func TestFaults(t *testing.T) {
	msg := packed(t, "cart."+Domain, dnsmessage.TypeA, 0)
	fates := func(seed uint64, f fault.Fault) string {
		server := &Server{Seed: seed, Zone: NewZone(), Faults: func() fault.Fault { return f }}
		server.Zone.Put("cart", "http", netip.MustParseAddrPort("127.0.0.1:8080"))
		var all strings.Builder
		for range 200 {
			switch answer, late := server.answer(msg, true); {
			case answer == nil:
				all.WriteByte('.')
			case late != f.SlowBy && late != 0:
				t.Fatalf("late by %s", late)
			default:
				word := summary(t, answer)[:1]
				if late > 0 {
					word = strings.ToLower(word)
				}
				all.WriteString(word)
			}
		}
		return all.String()
	}
	f := fault.Fault{Lost: 0.2, Fail: 0.3, Slow: 0.4, SlowBy: time.Second}
	first := fates(1, f)
	if first != fates(1, f) {
		t.Error("the same seed has other faults")
	}
	if first == fates(2, f) {
		t.Error("another seed has the same faults")
	}
	for _, fate := range []string{".", "S", "s"} { // no answer; Success and ServerFailure begin alike
		if !strings.Contains(first, fate) {
			t.Errorf("no %q among %s", fate, first)
		}
	}
	if all := fates(1, fault.Fault{}); strings.Trim(all, "S") != "" {
		t.Errorf("without faults: %s", all)
	}
}

// TestSlow: a slow answer comes, and does not hold up others.
func TestSlow(t *testing.T) {
	const late = 200 * time.Millisecond
	server := start(t, &Server{Faults: func() fault.Fault { return fault.Fault{Slow: 1, SlowBy: late} }})
	for _, network := range []string{"udp", "tcp"} {
		begin := time.Now()
		answer, err := ask(t, network, server, packed(t, "cart."+Domain, dnsmessage.TypeA, 0), 10*time.Second)
		if err != nil || summary(t, answer) != "Success [A] [] []" {
			t.Fatalf("%s: %x, %v", network, answer, err)
		}
		if took := time.Since(begin); took < late {
			t.Errorf("%s: answered after %s", network, took)
		}
	}
}

func TestListen(t *testing.T) {
	taken, err := Listen([]string{"127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if taken.Refused != nil {
		t.Errorf("the first address was refused: %v", taken.Refused)
	}
	second, err := Listen([]string{taken.Addr().String(), "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if second.Refused == nil || second.Addr() == taken.Addr() {
		t.Errorf("listens at %s, which is taken (refused: %v)", second.Addr(), second.Refused)
	}
	for _, bad := range [][]string{nil, {taken.Addr().String()}, {"localhost"}} {
		if l, err := Listen(bad); err == nil {
			t.Errorf("Listen(%q) listens at %s", bad, l.Addr())
		}
	}
}

// TestInstances: a service has the addresses of all its instances, each once, and the ports of all.
func TestInstances(t *testing.T) {
	z := NewZone()
	z.Put("cart", "http", netip.MustParseAddrPort("127.0.0.1:1"))
	z.Put("cart", "http", netip.MustParseAddrPort("127.0.0.2:8080"), netip.MustParseAddrPort("127.0.0.3:8080"),
		netip.MustParseAddrPort("127.0.0.3:8081"))
	for _, test := range []struct {
		name string
		kind dnsmessage.Type
		want int
	}{{"cart." + Domain, dnsmessage.TypeA, 2}, {"_http._tcp.cart." + Domain, dnsmessage.TypeSRV, 3}} {
		if r := z.lookup(test.name, test.kind); len(r.answers) != test.want {
			t.Errorf("%s: %v, want %d answers", test.name, r.answers, test.want)
		}
	}
}
