package dns_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	miekg "github.com/miekg/dns"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/dns"
)

// seeds are messages of the transcripts' kind, and some of what hostile peers send.
func seeds() (list [][]byte) {
	for _, l := range []struct {
		from protocol.Side
		line string
	}{
		{client, "1 A www.shop.example do"},
		{server, "1 A www.shop.example edns ; www.shop.example. 5 IN CNAME lb.example. ; lb.example. 5 IN A 10.0.0.1"},
		{server, "1 AAAA www.shop.example edns BADVERS"},
		{server, "1 A www.shop.example bare FORMERR"},
		{client, "2 AXFR shop.example tcp norec"},
		{server, "2 AXFR shop.example tcp ; shop.example. 60 IN SOA ns.example. root.example. 7 2 3 4 5 ; a.example. 6 IN A 10.0.0.1"},
		{server, "2 AXFR shop.example tcp bare ; shop.example. 60 IN SOA ns.example. root.example. 7 2 3 4 5"},
		{client, "3 IXFR shop.example tcp ; @ns shop.example. 60 IN SOA ns.example. root.example. 5 2 3 4 5"},
		{server, "0 A a.local bare norec aa ; a.local. 5 IN A 10.0.0.1"},
	} {
		if data, err := encode(l.from, l.line); err == nil {
			list = append(list, data)
		}
	}
	for _, s := range sniffs {
		list = append(list, []byte(s.bytes))
	}
	return list
}

func describe(m *protocol.Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %d %x %v %q %v %v", m.Kind, m.Part, m.ID, m.Outcome, m.Error, m.Truncated, m.Unresolved)
	for i := range m.Attrs.Len() {
		k, v := m.Attrs.At(i)
		fmt.Fprintf(&b, " %s=%q", k, v)
	}
	return b.String()
}

// bounded wants that no attribute is longer than anybody may make it.
func bounded(t *testing.T, m *protocol.Message) {
	for i := range m.Attrs.Len() {
		k, v := m.Attrs.At(i)
		most := 255
		if k == protocol.DNSAnswers {
			most = 16 * 46
		}
		if len(v) > most {
			t.Errorf("%s has %d bytes", k, len(v))
		}
		for _, c := range v {
			if c < ' ' || c > '~' {
				t.Errorf("%s is %q", k, v)
				break
			}
		}
	}
}

// FuzzDatagram: of what both read, the parser reads the same as the library; what the parser refuses does no harm.
func FuzzDatagram(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, spec := range specs() {
			for _, then := range []protocol.Then{protocol.Ended, protocol.Hole} {
				p := spec.New()
				c := &protocol.Chunk{Data: data, Then: then, Missing: 7, Call: true, Turn: true}
				for range 2 {
					n, m, err := p.Next(c)
					if n < 0 || n > len(data)+7+(1<<16) || n > 0 && err != nil {
						t.Errorf("%s: %d bytes, %v", spec.Name, n, err)
					}
					if m != nil {
						bounded(t, m)
					}
				}
				if n, ok := p.Resync(c); n < 0 || n > len(data) || ok && n == len(data) && n > 0 {
					t.Errorf("%s: resync %d, %v", spec.Name, n, ok)
				}
			}
			spec.Sniff(event.Sent, data)
		}
		m := &miekg.Msg{}
		_, got, err := dns.Spec().New().Next(&protocol.Chunk{Data: data, Then: protocol.Ended})
		if err != nil || got == nil || m.Unpack(data) != nil || m.Truncated || len(m.Question) != 1 || uint16(got.ID) != m.Id {
			return
		}
		want := described(m)
		for _, k := range []protocol.Key{protocol.DNSQuestionName, protocol.DNSQuestionType, protocol.DNSAnswers} {
			if v := string(got.Attrs.Get(k)); v != want[k] && !unlike(m) {
				t.Errorf("%s is %q, the library has %q", k, v, want[k])
			}
		}
	})
}

// unlike says whether the library reads m in a way of its own: it takes records of any class for those of IN, knows other names
// of types, and does not read records to the end when it finds fewer than the header says.
func unlike(m *miekg.Msg) bool {
	if qtype := m.Question[0].Qtype; miekg.TypeToString[qtype] == "" || qtype == miekg.TypeNone || qtype == miekg.TypeReserved {
		return true
	}
	for _, rr := range m.Answer {
		if rr.Header().Class != miekg.ClassINET || rr.Header().Rdlength == 0 {
			return true
		}
	}
	return false
}

// FuzzStream: the same messages wherever the bytes are cut.
func FuzzStream(f *testing.F) {
	all := seeds()
	for i, s := range all {
		prefixed := append([]byte{byte(len(s) >> 8), byte(len(s))}, s...)
		f.Add(append(prefixed, all[(i+1)%len(all)]...), uint64(i))
		f.Add(append(s, all[(i+1)%len(all)]...), uint64(i))
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		whole := drive(t, data, func(left int) int { return left })
		r := rand.New(rand.NewPCG(seed, 1))
		split := drive(t, data, func(left int) int { return 1 + r.IntN(left) })
		if got, want := strings.Join(split, "\n"), strings.Join(whole, "\n"); got != want {
			t.Errorf("whole:\n%s\ncut:\n%s", want, got)
		}
	})
}

// drive has a parser read a stream that comes in pieces, both ends' messages in one direction.
func drive(t *testing.T, data []byte, piece func(left int) int) (found []string) {
	p := dns.Spec().New()
	pos, end := 0, 0
	for end < len(data) {
		end += piece(len(data) - end)
		for pos < end {
			n, m, err := p.Next(&protocol.Chunk{Off: uint64(pos), Data: data[pos:end], Call: pos == 0, Turn: pos == 0})
			if err != nil {
				return append(found, err.Error())
			}
			if m != nil {
				bounded(t, m)
				found = append(found, describe(m))
			}
			if n == 0 {
				break
			}
			pos += n
		}
	}
	return found
}
