package dns_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	miekg "github.com/miekg/dns"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/dns"
)

// records of every common type, as in a zone file, for an owner.
var recordData = []string{
	"A 10.%[1]d.%[2]d.3", "AAAA 2001:db8::%[1]d:%[2]d", "AAAA ::ffff:10.%[1]d.%[2]d.3", "CNAME target%[1]d.example.",
	"DNAME other%[1]d.example.",
	"NS ns%[1]d.example.", "SOA ns.example. root.example. %[1]d 2 3 4 5", "PTR host%[1]d.example.", "MX 10 mail%[1]d.example.",
	`TXT "one" "two %[1]d"`, "SRV 1 2 80 host%[1]d.example.", `NAPTR 100 50 "s" "SIP+D2U" "" _sip._udp.example.`,
	"DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118", `HINFO "cpu" "os"`, "RP a.example. b.example.", "KX 10 kx.example.",
	"RRSIG A 8 2 3600 20300101000000 20200101000000 4711 example. AAAA", "NSEC next.example. A MX RRSIG NSEC",
	"DNSKEY 256 3 8 AQPSKmynfzW4kyBv015MUG2DeIQ3", "NSEC3 1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG",
	"NSEC3PARAM 1 0 12 aabbccdd", "TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b9", "SSHFP 1 1 dd465c09cfa51fb45020cc83316fff21b9ec74ac",
	`SVCB 1 svc%[1]d.example. alpn="h2" port="8443"`, `HTTPS 1 . alpn="h2,h3" ipv4hint="10.0.0.%[1]d"`, `CAA 0 issue "ca.example"`,
	`URI 10 1 "https://example/"`, "LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
	"EUI48 00-00-5e-00-53-2a", `SPF "v=spf1 -all"`,
	"CDS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118", "OPENPGPKEY AQIDBA==", "AFSDB 1 afs.example.",
	"DHCID AAIBY2/AuCccgoJbsaxcQc9TUapp",
	"TYPE4711 \\# 3 010203",
}

// codesOf are the codes that a header can carry, and with EDNS those of the record.
var (
	codesOf     = []int{0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	codesOfEDNS = []int{16, 17, 18, 19, 20, 21, 22, 23}
)

// generator makes random messages by the library.
type generator struct{ *rand.Rand }

func pick[T any](g generator, list []T) T { return list[g.IntN(len(list))] }

// name is a name in presentation format, of any bytes now and then.
func (g generator) name() string {
	if g.IntN(20) == 0 {
		return "."
	}
	var b strings.Builder
	for range 1 + g.IntN(5) {
		for range 1 + g.IntN(20) {
			if g.IntN(60) == 0 {
				fmt.Fprintf(&b, "\\%03d", g.IntN(256))
			} else {
				b.WriteByte(pick(g, []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")))
			}
		}
		b.WriteByte('.')
	}
	return b.String()
}

func (g generator) record(t *testing.T, owner string) miekg.RR {
	data := fmt.Sprintf(pick(g, recordData), g.IntN(200), g.IntN(200))
	if i := strings.Index(data, "%!(EXTRA"); i >= 0 {
		data = data[:i]
	}
	rr, err := miekg.NewRR(fmt.Sprintf("%s %d IN %s", owner, g.IntN(100000), data))
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return rr
}

// message makes a request and its answer.
func (g generator) messages(t *testing.T) (request, response *miekg.Msg) {
	var types []uint16
	for qtype := range miekg.TypeToString {
		switch qtype {
		case miekg.TypeNone, miekg.TypeReserved, miekg.TypeOPT, miekg.TypeTSIG, miekg.TypeAXFR, miekg.TypeIXFR:
		default:
			types = append(types, qtype)
		}
	}
	slices.Sort(types)
	q := &miekg.Msg{}
	q.Id, q.RecursionDesired, q.Compress = uint16(1+g.IntN(65535)), g.IntN(2) == 0, g.IntN(2) == 0
	q.CheckingDisabled, q.AuthenticatedData = g.IntN(4) == 0, g.IntN(4) == 0
	q.Question = []miekg.Question{{Name: g.name(), Qtype: pick(g, types), Qclass: pick(g, []uint16{1, 1, 1, 1, 3, 4, 255})}}
	if g.IntN(3) == 0 {
		q.Question[0].Qtype = pick(g, []uint16{miekg.TypeA, miekg.TypeAAAA, 4711})
	}
	edns := g.IntN(2) == 0
	if edns {
		q.SetEdns0(1232, g.IntN(2) == 0)
	}
	r := &miekg.Msg{}
	r.SetReply(q)
	r.Compress, r.RecursionAvailable, r.Authoritative = g.IntN(2) == 0, g.IntN(2) == 0, g.IntN(2) == 0
	r.Truncated, r.Rcode = g.IntN(10) == 0, pick(g, codesOf)
	if edns {
		r.SetEdns0(4096, false)
		if g.IntN(3) == 0 {
			r.Rcode = pick(g, codesOfEDNS)
		}
	}
	for _, section := range []*[]miekg.RR{&r.Answer, &r.Ns, &r.Extra} {
		for range g.IntN(5) {
			*section = append(*section, g.record(t, pick(g, []string{q.Question[0].Name, g.name(), "target.example."})))
		}
	}
	return q, r
}

// described is what the parser is to tell of a message, by what the library reads in its bytes.
func described(m *miekg.Msg) map[protocol.Key]string {
	want := map[protocol.Key]string{}
	if len(m.Question) > 0 && !m.Response {
		q := m.Question[0]
		want[protocol.DNSQuestionName] = shown(q.Name)
		want[protocol.DNSQuestionType] = miekg.Type(q.Qtype).String()
		if q.Qclass != miekg.ClassINET {
			want[dns.QuestionClass] = miekg.ClassToString[q.Qclass]
		}
		if o := m.IsEdns0(); o != nil && o.Do() {
			want[dns.DNSSECOK] = "true"
		}
		if m.Opcode != miekg.OpcodeQuery {
			want[dns.OpCode] = miekg.OpcodeToString[m.Opcode]
		}
	}
	if !m.Response {
		return want
	}
	want[protocol.DNSResponseCode] = miekg.RcodeToString[m.Rcode]
	if m.Rcode == miekg.RcodeBadVers {
		want[protocol.DNSResponseCode] = "BADVERS"
	}
	want[dns.AnswersCount] = strconv.Itoa(len(m.Answer))
	if m.Truncated {
		want[dns.Truncated] = "true"
	}
	describeAddresses(m, want)
	return want
}

func describeAddresses(m *miekg.Msg, want map[protocol.Key]string) {
	if len(m.Question) == 0 || m.Question[0].Qclass != miekg.ClassINET ||
		!slices.Contains([]uint16{miekg.TypeA, miekg.TypeAAAA, miekg.TypeANY}, m.Question[0].Qtype) {
		return
	}
	var addresses []string
	ttl := uint32(1<<32 - 1)
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *miekg.A:
			a, _ := netip.AddrFromSlice(rr.A.To4())
			addresses = append(addresses, a.String())
		case *miekg.AAAA:
			a, _ := netip.AddrFromSlice(rr.AAAA.To16())
			addresses = append(addresses, a.String())
		case *miekg.CNAME, *miekg.DNAME:
		default:
			continue
		}
		ttl = min(ttl, rr.Header().Ttl)
	}
	if len(addresses) > 0 {
		want[protocol.DNSAnswers] = strings.Join(addresses[:min(len(addresses), 16)], ",")
		want[protocol.DNSAnswersTTL] = strconv.FormatUint(uint64(ttl), 10)
	}
}

// shown is a name as the package's comment says.
func shown(name string) string {
	if name == "." {
		return name
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for len(name) > 255 {
		cut := 255
		for i := 0; i < 255; { // not within an escape
			n := 1
			if name[i] == '\\' {
				if n = 2; name[i+1] >= '0' && name[i+1] <= '9' {
					n = 4
				}
			}
			if i+n > 255 {
				cut = i
				break
			}
			i += n
		}
		name = name[:cut]
	}
	return name
}

// compare reads bytes by the parser and by the library.
func compare(t *testing.T, data []byte) {
	t.Helper()
	m := &miekg.Msg{}
	if err := m.Unpack(data); err != nil {
		t.Fatal(err)
	}
	c := &protocol.Chunk{Dir: event.Sent, Data: data, Then: protocol.Ended, Call: true, Turn: true}
	n, got, err := dns.Spec().New().Next(c)
	if n != len(data) || got == nil || err != nil {
		t.Errorf("%d of %d bytes, %v, %v of\n%v", n, len(data), got, err, m)
		return
	}
	want := described(m)
	for i := range got.Attrs.Len() {
		k, v := got.Attrs.At(i)
		if w, ok := want[k]; !ok || w != string(v) {
			t.Errorf("%s is %q, want %q, of\n%v", k, v, w, m)
		}
		delete(want, k)
	}
	if len(want) > 0 {
		t.Errorf("missing are %v, of\n%v", want, m)
	}
	if got.Truncated || got.Unresolved {
		t.Errorf("truncated %v, unresolved %v", got.Truncated, got.Unresolved)
	}
}

// TestAgainstLibrary: of any message that another implementation writes, the parser reads what that reads.
func TestAgainstLibrary(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(5, 6))}
	for range 4000 {
		request, response := g.messages(t)
		var ids [2]uint64
		for i, m := range []*miekg.Msg{request, response} {
			data, err := m.Pack()
			if err != nil {
				t.Fatalf("%v: %v", err, m)
			}
			compare(t, data)
			prefixed := append([]byte{byte(len(data) >> 8), byte(len(data))}, data...)
			for _, form := range [][]byte{data, prefixed} {
				if o := dns.Spec().Sniff(event.Sent, form); o != protocol.Yes {
					t.Errorf("sniffed %d:\n%v", o, m)
				}
			}
			_, got, err := dns.Spec().New().Next(&protocol.Chunk{Data: prefixed, Then: protocol.Continues})
			if err != nil || got == nil {
				t.Fatal(got, err)
			}
			ids[i] = got.ID
		}
		if ids[0] != ids[1] || uint16(ids[0]) != request.Id {
			t.Errorf("the request is %x, the answer %x:\n%v", ids[0], ids[1], request)
		}
	}
}
