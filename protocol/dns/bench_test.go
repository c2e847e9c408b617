package dns_test

import (
	"net/netip"
	"testing"
	"time"

	miekg "github.com/miekg/dns"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/dns"
)

// The messages of the benchmarks: what a pod asks, and an answer by way of two aliases.
const (
	askLine    = "4711 A www.shop.example edns"
	answerLine = "4711 A www.shop.example edns ; www.shop.example. 300 IN CNAME lb.eu-west-1.cdn.example. ; " +
		"lb.eu-west-1.cdn.example. 60 IN A 192.0.2.1 ; lb.eu-west-1.cdn.example. 60 IN A 192.0.2.2"
)

func messages(t testing.TB) (ask, answer []byte) {
	ask, err := encode(client, askLine)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err = encode(server, answerLine); err != nil {
		t.Fatal(err)
	}
	return ask, answer
}

type discard struct{ exchanges, gaps int }

func (d *discard) Exchange(*protocol.Exchange)      { d.exchanges++ }
func (d *discard) Gap(event.ConnID, string, uint64) { d.gaps++ }

// lookups makes the segments of one socket, exchange after exchange, in memory that is used again.
type lookups struct {
	ask, answer event.Segment
	now         time.Time
}

func newLookups(t testing.TB, id event.ConnID, datagram bool) *lookups {
	ask, answer := messages(t)
	if !datagram {
		ask = append([]byte{byte(len(ask) >> 8), byte(len(ask))}, ask...)
		answer = append([]byte{byte(len(answer) >> 8), byte(len(answer))}, answer...)
	}
	task := event.Task{PID: 1, TID: 1, Start: 1}
	l := &lookups{
		ask:    event.Segment{Conn: id, Dir: event.Sent, Turns: true, Data: ask, Size: len(ask), Task: task, Datagram: datagram},
		answer: event.Segment{Conn: id, Dir: event.Received, Turns: true, Data: answer, Task: task, Datagram: datagram},
		now:    time.Unix(1e9, 0),
	}
	l.answer.Seq, l.answer.Turn, l.answer.Size = 1, 1, len(answer)
	if datagram {
		l.ask.Peer = netip.MustParseAddrPort(resolver)
		l.answer.Peer = l.ask.Peer
	}
	return l
}

func (l *lookups) exchange(t *protocol.Tracker) {
	l.ask.Time, l.answer.Time = l.now, l.now.Add(time.Millisecond)
	t.Handle(&l.ask)
	t.Handle(&l.answer)
	l.ask.Seq, l.answer.Seq = l.ask.Seq+2, l.answer.Seq+2
	l.ask.Turn, l.answer.Turn = l.ask.Turn+2, l.answer.Turn+2
	l.ask.Off += uint64(l.ask.Size)
	l.answer.Off += uint64(l.answer.Size)
	l.now = l.now.Add(2 * time.Millisecond)
}

func newTracker(l *lookups, datagram bool) (*protocol.Tracker, *discard) {
	sink := &discard{}
	t := protocol.NewTracker(specs(), protocol.Config{}, nil, sink)
	t.Handle(&event.Opened{Conn: 1, Role: event.RoleClient, Datagram: datagram, Time: l.now, Flow: event.Flow{
		Local: netip.MustParseAddrPort("10.0.0.1:40000"), Remote: netip.MustParseAddrPort(resolver),
	}})
	return t, sink
}

// TestAllocations: nothing is allocated for a message, nor for an exchange on a socket that is in use.
func TestAllocations(t *testing.T) {
	ask, answer := messages(t)
	p, m := dns.Spec().New(), &protocol.Message{}
	for _, c := range []*protocol.Chunk{
		{Dir: event.Sent, Data: ask, Then: protocol.Ended, Message: m},
		{Dir: event.Received, Data: answer, Then: protocol.Ended, Message: m},
	} {
		if n := testing.AllocsPerRun(100, func() { p.Next(c) }); n != 0 { //nolint:errcheck // TestAgainstLibrary looks at what comes
			t.Errorf("%v: %v allocations", c.Dir, n)
		}
	}
	for _, datagram := range []bool{true, false} {
		l := newLookups(t, 1, datagram)
		tr, sink := newTracker(l, datagram)
		if n := testing.AllocsPerRun(100, func() { l.exchange(tr) }); n != 0 {
			t.Errorf("datagram %v: %v allocations for an exchange", datagram, n)
		}
		if sink.exchanges != 101 || sink.gaps != 0 {
			t.Errorf("datagram %v: %d exchanges, %d missing", datagram, sink.exchanges, sink.gaps)
		}
	}
}

// BenchmarkMessage reads one message: the question's name and type, or the answer's code and addresses.
func BenchmarkMessage(b *testing.B) {
	ask, answer := messages(b)
	for _, m := range []struct {
		name string
		data []byte
	}{{"question", ask}, {"answer", answer}} {
		b.Run(m.name+"/toposcope", func(b *testing.B) {
			p := dns.Spec().New()
			c := &protocol.Chunk{Data: m.data, Then: protocol.Ended, Message: &protocol.Message{}}
			b.ReportAllocs()
			for b.Loop() {
				if n, got, err := p.Next(c); n != len(m.data) || got == nil || err != nil {
					b.Fatal(n, got, err)
				}
			}
		})
		b.Run(m.name+"/miekg", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := new(miekg.Msg).Unpack(m.data); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(m.name+"/dnsmessage", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := readByStandard(m.data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// readByStandard reads with golang.org/x/net as much as the parser does.
func readByStandard(data []byte) error {
	var p dnsmessage.Parser
	if _, err := p.Start(data); err != nil {
		return err
	}
	if _, err := p.Question(); err != nil {
		return err
	}
	if err := p.SkipAllQuestions(); err != nil {
		return err
	}
	for {
		h, err := p.AnswerHeader()
		switch {
		case err == dnsmessage.ErrSectionDone:
			if err := p.SkipAllAuthorities(); err != nil {
				return err
			}
			if h, err = p.AdditionalHeader(); err != nil || h.Type != dnsmessage.TypeOPT {
				return err
			}
			return p.SkipAdditional()
		case err != nil:
			return err
		case h.Type == dnsmessage.TypeA:
			_, err = p.AResource()
		default:
			err = p.SkipAnswer()
		}
		if err != nil {
			return err
		}
	}
}

// BenchmarkExchange is the whole path of a lookup: two segments in, one exchange out.
func BenchmarkExchange(b *testing.B) {
	for _, c := range []struct {
		name     string
		datagram bool
	}{{"udp", true}, {"tcp", false}} {
		b.Run(c.name, func(b *testing.B) {
			l := newLookups(b, 1, c.datagram)
			t, sink := newTracker(l, c.datagram)
			l.exchange(t)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				l.exchange(t)
			}
			if sink.exchanges != b.N+1 || sink.gaps != 0 {
				b.Fatalf("%d exchanges and %d missing of %d", sink.exchanges, sink.gaps, b.N+1)
			}
		})
	}
	b.Run("miekg", func(b *testing.B) { // both messages, without pairing
		ask, answer := messages(b)
		b.ReportAllocs()
		for b.Loop() {
			if new(miekg.Msg).Unpack(ask) != nil || new(miekg.Msg).Unpack(answer) != nil {
				b.Fatal("not read")
			}
		}
	})
}

// BenchmarkWalk is a lookup of four steps, each for both families.
func BenchmarkWalk(b *testing.B) {
	n := 0
	w := dns.NewWalks(dns.WalksConfig{}, func(*dns.Resolution) { n++ })
	s := &dns.Step{Task: event.Task{PID: 1, TID: 1, Start: 1}, Start: dawn}
	names := [][]byte{[]byte("db.shop.svc.cluster.local"), []byte("db.svc.cluster.local"), []byte("db.cluster.local"), []byte("db")}
	types := [][]byte{[]byte("A"), []byte("AAAA")}
	b.ReportAllocs()
	for range b.N {
		for i, name := range names {
			for _, kind := range types {
				s.Name, s.Type, s.Code, s.Found = name, kind, "NXDOMAIN", false
				if i == len(names)-1 {
					s.Code, s.Found = "NOERROR", true
				}
				s.End = s.Start.Add(time.Millisecond)
				w.Step(s)
			}
			s.Start = s.End
		}
		w.Tick(s.Start)
	}
	if n != 2*b.N {
		b.Fatalf("%d resolutions of %d", n, 2*b.N)
	}
}
