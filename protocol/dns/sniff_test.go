package dns_test

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/dns"
)

const (
	client = protocol.ClientSide
	server = protocol.ServerSide
)

// opinions are those of DNS, mDNS and LLMNR.
type opinions [3]protocol.Sniffed

const (
	no   = protocol.No
	more = protocol.More
	yes  = protocol.Yes
)

// sniffs are messages, by their line in a transcript or by their bytes.
var sniffs = []struct {
	name  string
	from  protocol.Side
	line  string
	bytes string
	want  opinions
}{
	{"a question", client, "1 A a.example", "", opinions{yes, no, no}},
	{"with EDNS", client, "1 A a.example do", "", opinions{yes, no, no}},
	{"without recursion", client, "1 A a.example norec", "", opinions{yes, yes, yes}},
	{"without recursion and ID", client, "0 A a.example norec", "", opinions{no, yes, yes}},
	{"of a type without a name", client, "1 TYPE65280 a.example", "", opinions{yes, no, no}},
	{"an answer", server, "1 A a.example ; a.example. 5 IN A 10.0.0.1", "", opinions{yes, no, no}},
	{"an error", server, "1 A a.example SERVFAIL", "", opinions{yes, no, no}},
	{"an answer on the link", server, "1 A a.example norec", "", opinions{yes, no, yes}},
	{"over TCP", client, "1 A a.example tcp", "", opinions{yes, no, no}},
	{"an announcement", server, "0 A a.local bare norec aa ; a.local. 5 IN A 10.0.0.1", "", opinions{no, yes, no}},
	{"an update", client, "1 SOA example UPDATE norec ; @ns a.example. 5 IN A 10.0.0.1", "", opinions{yes, no, no}},
	{"two questions", client, "1 A a.example again", "", opinions{no, no, no}},
	{"a question with an answer", client, "1 A a.example ; a.example. 5 IN A 10.0.0.1", "", opinions{no, no, no}},
	{"without a question", server, "1 A a.example bare FORMERR", "", opinions{no, no, no}},

	{"nothing", client, "", "", opinions{more, no, no}},
	{"a byte of a length", client, "", "\x00", opinions{more, no, no}},
	{"a length", client, "", "\x00\x1d", opinions{more, no, no}},
	{
		"a length and half a header", client, "", "\x00\x1d\x12\x34\x01\x00\x00\x01",
		opinions{more, no, no},
	},
	{"a length too short", client, "", "\x00\x10\x12\x34\x01\x00\x00\x01", opinions{}},
	{"a length and no header", client, "", "\x00\x1d\x12\x34\x09\x00\x00\x01", opinions{more, no, no}},
	{"a length and no opcode", client, "", "\x00\x1d\x12\x34\x78\x00\x00\x01", opinions{}},
	{"bytes after the message", client, "", question + "\x00", opinions{}},
	{"a byte too few", client, "", question[:len(question)-1], opinions{}},
	{"a class that is none", client, "", question[:len(question)-1] + "\x07", opinions{}},
	{"a type that is none", client, "", strings.Replace(question, "\x00\x01\x00\x01", "\x00\x00\x00\x01", 1), opinions{}},
	{"a pointer to itself", client, "", question[:12] + "\xc0\x0c\x00\x01\x00\x01", opinions{}},
	{"a pointer forward", client, "", question[:12] + "\x01a\xc0\x0e\x00\x01\x00\x01", opinions{}},
	{"a pointer into the header", client, "", question[:12] + "\x01a\xc0\x04\x00\x01\x00\x01", opinions{}},
	{"a label of a kind that is not in use", client, "", question[:12] + "\x41a\x00\x00\x01\x00\x01", opinions{}},
	{
		"a name too long", client, "", question[:12] + strings.Repeat("\x3f"+strings.Repeat("a", 63), 4) + "\x00\x00\x01\x00\x01",
		opinions{},
	},
	{
		"pointers in a circle", server, "",
		"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01" +
			"\xc0\x15\xc0\x13\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x00\x00\x01",
		opinions{},
	},
	{
		"more records than there is room for", server, "", "\x12\x34\x81\x80\x00\x01\xff\xff\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01",
		opinions{},
	},
	{
		"a record longer than the message", server, "",
		"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01" +
			"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x09\x0a\x00\x00\x01",
		opinions{},
	},
	{
		"NetBIOS asks for a node's state", client, "",
		"\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x20CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\x00\x00\x21\x00\x01",
		opinions{},
	},
	{
		"NetBIOS asks for a name", client, "",
		"\x12\x34\x01\x10\x00\x01\x00\x00\x00\x00\x00\x00\x20FEEFFDFEEPFACACACACACACACACACAAA\x00\x00\x20\x00\x01",
		opinions{},
	},
	{"STUN", client, "", "\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl", opinions{}},
	{"NTP", client, "", "\x23" + strings.Repeat("\x00", 47), opinions{}},
	{"RTP", client, "", "\x80\x60\x12\x34\x00\x00\x00\xa0\x12\x34\x56\x78" + strings.Repeat("\xd5", 160), opinions{}},
	{"SNMP", client, "", "\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x04", opinions{}},
	{"syslog", client, "", "<34>1 2026-01-02T03:04:05Z host su - ID47 - failed", opinions{}},
	{"statsd", client, "", "page.views:1|c", opinions{}},
	{"SSDP", client, "", "M-SEARCH * HTTP/1.1\r\nHost: 239.255.255.250:1900\r\n\r\n", opinions{}},
	{"QUIC", client, "", "\xc3\x00\x00\x00\x01\x08abcdefgh\x00\x00\x44\x9e" + strings.Repeat("q", 1150), opinions{}},
	{"memcached over UDP", client, "", "\x00\x01\x00\x00\x00\x01\x00\x00get key\r\n", opinions{}},
}

// question asks for a.example.
const question = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01"

func TestSniff(t *testing.T) {
	for _, c := range sniffs {
		t.Run(c.name, func(t *testing.T) {
			data := []byte(c.bytes)
			if c.line != "" {
				var err error
				if data, err = encode(c.from, c.line); err != nil {
					t.Fatal(err)
				}
			}
			for i, s := range specs() {
				for _, d := range []event.Dir{event.Sent, event.Received} {
					if got := s.Sniff(d, data); got != c.want[i] {
						t.Errorf("%s, %v: %d, want %d", s.Name, d, got, c.want[i])
					}
				}
			}
		})
	}
}

// TestSniffPrefix: on a stream, no beginning of a message is refused, and it is known at the latest when it is whole.
func TestSniffPrefix(t *testing.T) {
	for _, c := range []struct {
		from protocol.Side
		line string
	}{
		{client, "1 A www.shop.example tcp do"},
		{server, "1 A www.shop.example tcp edns ; www.shop.example. 5 IN CNAME lb.example. ; lb.example. 5 IN A 10.0.0.1"},
		{client, "1 SOA example tcp UPDATE norec ; @ns a.example. 5 IN A 10.0.0.1"},
	} {
		data, err := encode(c.from, c.line)
		if err != nil {
			t.Fatal(err)
		}
		for n := range data {
			if got := dns.Spec().Sniff(event.Sent, data[:n]); got != protocol.More {
				t.Errorf("%q, %d of %d bytes: %d", c.line, n, len(data), got)
			}
		}
		for _, after := range []string{"", "\x00", "\x00\x1d\x12", "whatever"} {
			if got := dns.Spec().Sniff(event.Sent, append(data, after...)); got != protocol.Yes {
				t.Errorf("%q, whole, and %q: %d", c.line, after, got)
			}
		}
	}
}

// TestSniffRandom: bytes without sense are nobody's, even behind a header that could be one.
func TestSniffRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	buf := make([]byte, 96)
	for i := range 300000 {
		for j := 0; j < len(buf); j += 8 {
			binary.LittleEndian.PutUint64(buf[j:], r.Uint64())
		}
		data := buf[:1+r.IntN(len(buf))]
		if i%2 == 0 {
			copy(data, question[:12])
		}
		for _, s := range specs() {
			if s.Sniff(event.Sent, data) == protocol.Yes {
				t.Errorf("%s takes %x", s.Name, data)
			}
		}
	}
}
