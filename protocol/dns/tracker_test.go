package dns_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/dns"
)

// specs are the three protocols in the order in which they are known.
func specs() []*protocol.Spec {
	return []*protocol.Spec{dns.Spec(), dns.Multicast(), dns.LLMNR()}
}

// socket hands the datagrams of one socket to a Tracker and notes what comes of them, as "protocol outcome name type code".
type socket struct {
	*testing.T
	tracker *protocol.Tracker
	now     time.Time
	seq     uint64
	got     []string
	took    []time.Duration
	gaps    uint64
}

func newSocket(t *testing.T, local, remote string) *socket {
	s := &socket{T: t, now: dawn}
	s.tracker = protocol.NewTracker(specs(), protocol.Config{}, nil, s)
	o := &event.Opened{Conn: 1, Datagram: true, Role: event.RoleClient, Time: dawn}
	o.Flow.Local = netip.MustParseAddrPort(local)
	if remote != "" {
		o.Flow.Remote = netip.MustParseAddrPort(remote)
	}
	s.tracker.Handle(o)
	return s
}

func (s *socket) datagram(d event.Dir, peer string, data []byte) {
	s.now = s.now.Add(time.Millisecond)
	seg := &event.Segment{Conn: 1, Dir: d, Seq: s.seq, Datagram: true, Data: data, Size: len(data), Time: s.now}
	if peer != "" {
		seg.Peer = netip.MustParseAddrPort(peer)
	}
	s.seq++
	s.tracker.Handle(seg)
}

func (s *socket) line(from protocol.Side, text string) []byte {
	s.Helper()
	data, err := encode(from, text)
	if err != nil {
		s.Fatal(err)
	}
	return data
}

func (s *socket) ask(peer, text string) {
	s.datagram(event.Sent, peer, s.line(protocol.ClientSide, text))
}

func (s *socket) answer(peer, text string) {
	s.datagram(event.Received, peer, s.line(protocol.ServerSide, text))
}

func (s *socket) tick(d time.Duration) {
	s.now = s.now.Add(d)
	s.tracker.Tick(s.now)
}

func (s *socket) want(exchanges ...string) {
	s.Helper()
	if got := strings.Join(s.got, "\n"); got != strings.Join(exchanges, "\n") {
		s.Errorf("exchanges are\n%s\nwant\n%s", got, strings.Join(exchanges, "\n"))
	}
}

// Exchange implements protocol.Sink.
func (s *socket) Exchange(x *protocol.Exchange) {
	code := x.Error
	if x.Response != nil {
		code = string(x.Response.Attrs.Get(protocol.DNSResponseCode))
	}
	a := &x.Request.Attrs
	s.got = append(s.got, strings.TrimSpace(fmt.Sprintf("%s %v %s %s %s",
		x.Protocol.Name, x.Outcome, a.Get(protocol.DNSQuestionName), a.Get(protocol.DNSQuestionType), code)))
	s.took = append(s.took, x.End().Sub(x.Start()))
}

// Gap implements protocol.Sink.
func (s *socket) Gap(_ event.ConnID, _ string, n uint64) { s.gaps += n }

const resolver = "10.0.0.53:53"

func TestSentAgain(t *testing.T) {
	s := newSocket(t, "10.0.0.1:40000", resolver)
	s.ask("", "30 A slow.example")
	s.tick(time.Second)
	s.ask("", "30 A slow.example")
	s.answer("", "30 A slow.example NXDOMAIN")
	s.answer("", "30 A slow.example NXDOMAIN") // to the second
	s.want("dns rejected slow.example A NXDOMAIN")
	if want := time.Second + 2*time.Millisecond; s.took[0] != want {
		t.Errorf("took %v, want %v from the first question", s.took[0], want)
	}
}

// TestBareAnswer: an answer without its question is nobody's when two questions have its ID.
func TestBareAnswer(t *testing.T) {
	s := newSocket(t, "10.0.0.1:40000", resolver)
	s.ask("", "20 A one.example")
	s.ask("", "20 A two.example")
	s.answer("", "20 A any bare REFUSED")
	s.want()
	s.answer("", "20 A one.example")
	s.answer("", "20 A any bare REFUSED") // now there is only one left
	s.want("dns ok one.example A NOERROR", "dns failed two.example A REFUSED")
}

// TestForgedQuestion: an answer with the right ID and another question answers nothing.
func TestForgedQuestion(t *testing.T) {
	s := newSocket(t, "10.0.0.1:40000", resolver)
	s.ask("", "20 A one.example")
	s.answer("", "20 A two.example NXDOMAIN")
	s.answer("", "20 AAAA one.example NXDOMAIN")
	s.answer("", "20 A one.example class=CH NXDOMAIN")
	s.want()
	s.answer("", "20 A one.example SERVFAIL")
	s.want("dns failed one.example A SERVFAIL")
}

func TestUnanswered(t *testing.T) {
	s := newSocket(t, "10.0.0.1:40000", "")
	s.ask(resolver, "20 A one.example")
	s.answer("10.0.0.54:53", "20 A one.example") // from somebody else
	s.tick(4 * time.Second)
	s.want()
	s.tick(2 * time.Second)
	s.want("dns failed one.example A unanswered")
	s.answer(resolver, "20 A one.example") // too late
	s.want("dns failed one.example A unanswered")
}

// TestLocalLink: what goes to mDNS's and LLMNR's ports is theirs and owes no answer, but what asks for recursion there is DNS.
func TestLocalLink(t *testing.T) {
	const mdns, llmnr = "224.0.0.251:5353", "224.0.0.252:5355"
	s := newSocket(t, "0.0.0.0:5353", "")
	s.ask(mdns, "0 PTR _ipp._tcp.local norec")
	s.ask(mdns, "7 A printer.local norec")
	s.ask(mdns, "0 PTR _http._tcp.local norec again")
	s.answer("10.0.0.7:5353", "0 A printer.local bare norec aa ; printer.local. 120 IN A 10.0.0.7")
	s.answer("10.0.0.8:5353", "0 A printer.local bare norec aa ; printer.local. 120 IN A 10.0.0.8")
	s.tick(time.Minute)
	s.want("mdns ok _ipp._tcp.local PTR", "mdns ok printer.local A", "mdns ok _http._tcp.local PTR")
	if n := s.tracker.Counters().Orphans; n != 0 {
		t.Errorf("%d answers count as without a question", n)
	}

	s = newSocket(t, "10.0.0.1:40000", "")
	s.ask(llmnr, "4711 A nas norec")
	s.answer("10.0.0.9:5355", "4711 A nas norec ; nas. 30 IN A 10.0.0.9")
	s.tick(time.Minute)
	s.want("llmnr ok nas A")

	s = newSocket(t, "10.0.0.1:40000", "")
	s.ask("10.0.0.10:5353", "99 A db.shop.svc.cluster.local")
	s.answer("10.0.0.10:5353", "99 A db.shop.svc.cluster.local NXDOMAIN")
	s.want("dns rejected db.shop.svc.cluster.local A NXDOMAIN")
	if s.gaps != 0 {
		t.Errorf("%d exchanges reported missing", s.gaps)
	}
}

// TestServer: a server's socket has many clients that use the same IDs.
func TestServer(t *testing.T) {
	s := newSocket(t, "10.0.0.53:53", "")
	for i := range 3 {
		s.datagram(event.Received, fmt.Sprintf("10.0.1.%d:5000", i), s.line(protocol.ClientSide, fmt.Sprintf("1 A n%d.example", i)))
	}
	for i := 2; i >= 0; i-- {
		s.datagram(event.Sent, fmt.Sprintf("10.0.1.%d:5000", i), s.line(protocol.ServerSide, fmt.Sprintf("1 A n%d.example REFUSED", i)))
	}
	s.want("dns failed n2.example A REFUSED", "dns failed n1.example A REFUSED", "dns failed n0.example A REFUSED")
}

// TestPointerLadder: thousands of pointers, each to the one before, are followed no further than a name may go.
func TestPointerLadder(t *testing.T) {
	const rungs = 8000
	data := []byte("\x12\x34\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01")
	data = append(data, "\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x05"...)
	data = binary.BigEndian.AppendUint16(data, 2*rungs)
	last := 12
	for range rungs {
		at := len(data)
		data = binary.BigEndian.AppendUint16(data, uint16(0xc000|last))
		last = at
	}
	data = binary.BigEndian.AppendUint16(data, uint16(0xc000|last)) // an owner
	data = append(data, "\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x00\x00\x01"...)
	if last >= 1<<14 {
		t.Fatalf("no pointer reaches %d", last)
	}
	if o := dns.Spec().Sniff(event.Received, data); o != protocol.No {
		t.Errorf("sniffed %d", o)
	}
	s := newSocket(t, "10.0.0.1:40000", resolver)
	s.ask("", "4660 A a")
	s.datagram(event.Received, "", data) // known by its question, it is taken for what it says of itself
	s.want("dns ok a A NOERROR")
}

func TestStepOf(t *testing.T) {
	var steps []string
	sink := stepSink(func(s *dns.Step, ok bool) {
		steps = append(steps, fmt.Sprintf("%s %s %q %v %v %v", s.Name, s.Type, s.Code, s.Found, s.Truncated, ok))
	})
	tr := protocol.NewTracker(specs(), protocol.Config{}, nil, sink)
	s := &socket{T: t, tracker: tr, now: dawn}
	for _, l := range []string{
		"1 A a.example ; a.example. 5 IN A 10.0.0.1", "2 A a.example NXDOMAIN", "3 AAAA a.example", "4 TXT a.example tc",
		"5 A a.example REFUSED",
	} {
		words := strings.Fields(l)
		s.ask(resolver, strings.Join(words[:3], " "))
		s.answer(resolver, l)
	}
	s.ask(resolver, "6 TXT version.bind class=CH")
	s.answer(resolver, "6 TXT version.bind class=CH REFUSED")
	s.ask(resolver, "7 A b.example")
	tr.Tick(dawn.Add(time.Minute))
	want := []string{
		`a.example A "NOERROR" true false true`, `a.example A "NXDOMAIN" false false true`, `a.example AAAA "NOERROR" false false true`,
		`a.example TXT "NOERROR" false true true`, `a.example A "REFUSED" false false true`, `  "" false false false`,
		`b.example A "" false false true`,
	}
	if got := strings.Join(steps, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("steps are\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

type stepSink func(*dns.Step, bool)

func (f stepSink) Exchange(x *protocol.Exchange) {
	s, ok := dns.StepOf(x)
	f(&s, ok)
}

func (stepSink) Gap(event.ConnID, string, uint64) {}
