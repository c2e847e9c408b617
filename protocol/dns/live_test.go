package dns_test

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// tee hands what goes over real connections to a Tracker, and counts what comes of it as "protocol/transport type code".
type tee struct {
	mu      sync.Mutex
	tracker *protocol.Tracker
	conns   event.ConnID
	over    map[event.ConnID]string
	counts  map[string]int
	answers map[string]bool
	gaps    uint64
}

func newTee() *tee {
	e := &tee{over: map[event.ConnID]string{}, counts: map[string]int{}, answers: map[string]bool{}}
	e.tracker = protocol.NewTracker(specs(), protocol.Config{}, nil, e)
	return e
}

// Exchange implements protocol.Sink.
func (e *tee) Exchange(x *protocol.Exchange) {
	code := x.Error
	if x.Response != nil {
		code = string(x.Response.Attrs.Get(protocol.DNSResponseCode))
		if a := x.Response.Attrs.Get(protocol.DNSAnswers); a != nil {
			e.answers[string(x.Request.Attrs.Get(protocol.DNSQuestionName))+" "+string(a)] = true
		}
	}
	e.counts[fmt.Sprintf("%s/%s %s %s", x.Protocol.Name, e.over[x.Conn], x.Request.Attrs.Get(protocol.DNSQuestionType), code)]++
}

// Gap implements protocol.Sink.
func (e *tee) Gap(_ event.ConnID, _ string, n uint64) { e.gaps += n }

// tapped is one connection of a tee.
type tapped struct {
	e        *tee
	id       event.ConnID
	datagram bool
	seq      uint64
	off      [2]uint64
}

func (e *tee) tap(c net.Conn) *tapped {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.conns++
	_, datagram := c.(*net.UDPConn)
	p := &tapped{e: e, id: e.conns, datagram: datagram}
	e.over[p.id] = c.LocalAddr().Network()
	local, remote := netip.MustParseAddrPort(c.LocalAddr().String()), netip.MustParseAddrPort(c.RemoteAddr().String())
	e.tracker.Handle(&event.Opened{
		Conn: p.id, Role: event.RoleClient, Datagram: datagram, Time: time.Now(), Flow: event.Flow{Local: local, Remote: remote},
	})
	return p
}

func (p *tapped) moved(d event.Dir, data []byte) {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	p.e.tracker.Handle(&event.Segment{
		Conn: p.id, Dir: d, Seq: p.seq, Off: p.off[d], Datagram: p.datagram, Data: data, Size: len(data), Time: time.Now(),
		Task: event.Task{PID: 1, TID: 1, Start: 1},
	})
	p.seq++
	p.off[d] += uint64(len(data))
}

func (p *tapped) closed() {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	p.e.tracker.Handle(&event.Closed{
		Conn: p.id, Seq: p.seq, Sent: p.off[event.Sent], Received: p.off[event.Received], Time: time.Now(),
	})
}

// The library looks at the type of a connection to know which kind it is.
type (
	tappedUDP struct {
		*net.UDPConn
		p *tapped
	}
	tappedTCP struct {
		*net.TCPConn
		p *tapped
	}
)

func (c tappedUDP) Write(b []byte) (int, error) {
	c.p.moved(event.Sent, b)
	return c.UDPConn.Write(b)
}

func (c tappedUDP) Read(b []byte) (int, error) {
	n, err := c.UDPConn.Read(b)
	if n > 0 {
		c.p.moved(event.Received, b[:n])
	}
	return n, err
}

func (c tappedTCP) Write(b []byte) (int, error) {
	c.p.moved(event.Sent, b)
	return c.TCPConn.Write(b)
}

func (c tappedTCP) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	if n > 0 {
		c.p.moved(event.Received, b[:n])
	}
	return n, err
}

// liveCodes are how the server answers names that begin so.
var liveCodes = map[string]int{
	"nx": miekg.RcodeNameError, "broken": miekg.RcodeServerFailure, "not-for-you": miekg.RcodeRefused, "form": miekg.RcodeFormatError,
	"unknown": miekg.RcodeNotImplemented,
}

func serve(w miekg.ResponseWriter, q *miekg.Msg) {
	r := &miekg.Msg{}
	r.SetReply(q)
	name := q.Question[0].Name
	first := miekg.SplitDomainName(name)[0]
	record := func(text string) { // the texts below are right, so they parse
		rr, err := miekg.NewRR(name + " 30 IN " + text)
		if err == nil {
			r.Answer = append(r.Answer, rr)
		}
	}
	switch code := liveCodes[first]; {
	case first == "void":
		return
	case code != 0:
		r.Rcode = code
	case q.IsEdns0() != nil && q.IsEdns0().Version() != 0:
		r.Rcode = miekg.RcodeBadVers
		r.SetEdns0(1232, false)
	case q.Question[0].Qtype == miekg.TypeAXFR:
		record("SOA ns.example. root.example. 1 2 3 4 5")
		for i := range 3000 {
			record(fmt.Sprintf("TXT %d", i))
			if i%500 == 499 {
				w.WriteMsg(r) //nolint:errcheck // the client sees what does not come
				r.Answer = nil
			}
		}
		record("SOA ns.example. root.example. 1 2 3 4 5")
	case q.Question[0].Qtype == miekg.TypeTXT:
		record("TXT " + strings.Repeat("x", 200) + " " + strings.Repeat("y", 200) + " " + strings.Repeat("z", 200))
		if w.LocalAddr().Network() == "udp" {
			r.Truncate(miekg.MinMsgSize)
		}
	case q.Question[0].Qtype == miekg.TypeA:
		record("A 10.0.0.1")
		record("A 10.0.0.2")
	}
	w.WriteMsg(r) //nolint:errcheck // the client sees what does not come
}

// startServer serves on a loopback port that is free for both transports.
func startServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*miekg.Server{{Listener: l, MaxTCPQueries: -1}, {PacketConn: p}} {
		s.Handler = miekg.HandlerFunc(serve)
		up, down := make(chan struct{}), make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		go func() {
			defer close(down)
			if err := s.ActivateAndServe(); err != nil {
				t.Error(err)
			}
		}()
		<-up
		t.Cleanup(func() {
			if err := s.Shutdown(); err != nil {
				t.Error(err)
			}
			<-down
		})
	}
	return l.Addr().String()
}

func dial(t *testing.T, e *tee, network, addr string) (*miekg.Conn, *tapped) {
	c, err := net.DialTimeout(network, addr, 10*time.Second)
	if err != nil {
		t.Error(err)
		return nil, nil
	}
	p := e.tap(c)
	switch c := c.(type) {
	case *net.UDPConn:
		return &miekg.Conn{Conn: tappedUDP{c, p}}, p
	case *net.TCPConn:
		return &miekg.Conn{Conn: tappedTCP{c, p}}, p
	}
	return nil, nil
}

// TestLive: every exchange of real clients with a real server counts once, by transport, type and code.
func TestLive(t *testing.T) {
	addr, e := startServer(t), newTee()
	var mu sync.Mutex
	want := map[string]int{}
	done := func(network string, q *miekg.Msg, code string) {
		mu.Lock()
		defer mu.Unlock()
		want[fmt.Sprintf("dns/%s %s %s", network, miekg.TypeToString[q.Question[0].Qtype], code)]++
	}
	var wg sync.WaitGroup
	for client := range 4 {
		for _, network := range []string{"udp", "tcp"} {
			wg.Go(func() { liveClient(t, e, network, addr, client, done) })
		}
	}
	wg.Wait()
	transferZone(t, e, addr)
	want["dns/tcp AXFR NOERROR"]++
	e.tracker.Tick(time.Now().Add(time.Hour))
	for what := range want {
		if e.counts[what] == 0 {
			e.counts[what] = 0
		}
	}
	for what, n := range e.counts {
		if n != want[what] {
			t.Errorf("%s: %d, want %d", what, n, want[what])
		}
	}
	if e.gaps != 0 {
		t.Errorf("%d reported missing", e.gaps)
	}
	if !e.answers["ok.example 10.0.0.1,10.0.0.2"] {
		t.Errorf("addresses are %v", e.answers)
	}
}

func liveClient(t *testing.T, e *tee, network, addr string, client int, done func(string, *miekg.Msg, string)) {
	c, p := dial(t, e, network, addr)
	if c == nil {
		return
	}
	firsts := append(slices.Sorted(maps.Keys(liveCodes)), "ok", "void")
	types := []uint16{miekg.TypeA, miekg.TypeAAAA, miekg.TypeMX, miekg.TypeTXT, miekg.TypeHTTPS}
	for i := range 200 {
		q := &miekg.Msg{}
		q.SetQuestion(firsts[(i+client)%len(firsts)]+".example.", types[i%len(types)])
		q.Id = uint16(i % 50) // soon used again
		if i%3 == 0 {
			q.SetEdns0(1232, i%2 == 0)
		}
		if i%7 == 0 && q.IsEdns0() != nil {
			q.IsEdns0().SetVersion(1)
		}
		if err := c.WriteMsg(q); err != nil {
			t.Error(err)
			return
		}
		if strings.HasPrefix(q.Question[0].Name, "void") {
			done(network, q, protocol.ErrorUnanswered)
			continue
		}
		if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Error(err)
		}
		r, err := c.ReadMsg()
		if err != nil {
			t.Errorf("%s %v: %v", network, q.Question, err)
			return
		}
		code := miekg.RcodeToString[r.Rcode]
		if r.Rcode == miekg.RcodeBadVers {
			code = "BADVERS"
		}
		done(network, q, code)
	}
	c.Close() //nolint:errcheck // its work is done
	p.closed()
}

func transferZone(t *testing.T, e *tee, addr string) {
	q := &miekg.Msg{}
	q.SetAxfr("shop.example.")
	c, p := dial(t, e, "tcp", addr)
	if c == nil {
		return
	}
	records, err := (&miekg.Transfer{Conn: c}).In(q, addr)
	if err != nil {
		t.Fatal(err)
	}
	for r := range records {
		if r.Error != nil {
			t.Error(r.Error)
		}
	}
	c.Close() //nolint:errcheck // its work is done
	p.closed()
}
