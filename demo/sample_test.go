package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"

	"github.com/toposcope/toposcope/demo/dns"
	"github.com/toposcope/toposcope/demo/shop"
	"github.com/toposcope/toposcope/demo/tally"
)

// flow is one direction between two sockets.
type flow struct{ from, to netip.AddrPort }

// datagram is what one holds.
type datagram struct {
	flow
	data []byte
}

// sample is what sample.pcap.gz holds.
type sample struct {
	datagrams []datagram
	streams   map[flow][]byte
	next      map[flow]uint32 // sequence numbers
}

// readSample reads a capture in pcap's first format, of Ethernet, IPv4, UDP and TCP.
func readSample(t *testing.T) *sample {
	t.Helper()
	file, err := os.Open("sample.pcap.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	if unzipped.Name != "" || unzipped.Comment != "" || !unzipped.ModTime.IsZero() {
		t.Errorf("gzip's header says %+v", unzipped.Header)
	}
	all, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	order := binary.LittleEndian
	const ethernet = 1
	if order.Uint32(all) != 0xa1b2c3d4 || order.Uint32(all[20:]) != ethernet {
		t.Fatalf("no pcap of Ethernet: %x", all[:24])
	}
	s := &sample{streams: map[flow][]byte{}, next: map[flow]uint32{}}
	for all = all[24:]; len(all) > 0; {
		size := order.Uint32(all[8:])
		if size != order.Uint32(all[12:]) {
			t.Fatal("a packet is cut")
		}
		s.packet(t, all[16:16+size])
		all = all[16+size:]
	}
	return s
}

func (s *sample) packet(t *testing.T, frame []byte) {
	t.Helper()
	ip := frame[14:]
	ip = ip[:binary.BigEndian.Uint16(ip[2:])]
	head := 4 * int(ip[0]&15)
	body := ip[head:]
	end := func(address []byte, port []byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(address)), binary.BigEndian.Uint16(port))
	}
	f := flow{end(ip[12:16], body), end(ip[16:20], body[2:])}
	const tcp, udp = 6, 17
	switch ip[9] {
	case udp:
		s.datagrams = append(s.datagrams, datagram{f, body[8:]})
	case tcp:
		number, data := binary.BigEndian.Uint32(body[4:]), body[4*int(body[12]>>4):]
		const syn = 2
		if body[13]&syn != 0 {
			s.next[f] = number + 1
			s.streams[f] = nil
			return
		}
		next, begun := s.next[f]
		if !begun {
			t.Fatalf("%v is not there from its beginning", f)
		}
		if len(data) == 0 || int32(number-next) < 0 {
			return // says nothing, or what was said before
		}
		if number != next {
			t.Fatalf("%v misses bytes", f)
		}
		s.streams[f] = append(s.streams[f], data...)
		s.next[f] = next + uint32(len(data))
	default:
		t.Fatalf("IP protocol %d", ip[9])
	}
}

// names tells whose the sample's addresses are, from nothing but its packets. Services are known by what the name server answers for
// them, and that one by its port; customers are looked up by nobody.
func (s *sample) names(t *testing.T) map[netip.Addr]string {
	t.Helper()
	names := map[netip.Addr]string{}
	ends := map[netip.Addr]bool{}
	for _, d := range s.datagrams {
		ends[d.from.Addr()] = true
		if d.from.Port() != dns.Port {
			continue
		}
		names[d.from.Addr()] = shop.NameServer
		var m dnsmessage.Message
		if err := m.Unpack(d.data); err != nil {
			t.Fatal(err)
		}
		for _, r := range m.Answers {
			name, ours := strings.CutSuffix(r.Header.Name.String(), "."+dns.Domain)
			a, ok := r.Body.(*dnsmessage.AResource)
			if !ours || !ok {
				continue
			}
			if before, known := names[netip.AddrFrom4(a.A)]; known && before != name {
				t.Fatalf("%v is %s and %s", a.A, before, name)
			}
			names[netip.AddrFrom4(a.A)] = name
		}
	}
	for f := range s.streams {
		ends[f.from.Addr()] = true
	}
	var unknown []netip.Addr
	for end := range ends {
		if names[end] == "" {
			unknown = append(unknown, end)
		}
	}
	if len(unknown) != 1 {
		t.Fatalf("nobody looked up %v, want this of the customers alone", unknown)
	}
	names[unknown[0]] = loadName
	return names
}

// count adds the codes of the exchanges in the sample, by who asked whom for what.
type count map[string]uint64

// dns counts an answer. ends are the names of who asked and who was asked.
func (c count) dns(t *testing.T, ends, transport string, msg []byte) {
	t.Helper()
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil {
		t.Fatal(err)
	}
	q, err := p.Question()
	if err != nil {
		t.Fatal(err)
	}
	if h.Response {
		c[fmt.Sprintf("dns %s %s %s %s %d", ends, transport, q.Name, strings.TrimPrefix(q.Type.String(), "Type"), h.RCode)]++
	}
}

// http counts the answers to the requests on a connection.
func (c count) http(t *testing.T, ends string, requests, answers []byte) {
	t.Helper()
	asked, answered := bufio.NewReader(bytes.NewReader(requests)), bufio.NewReader(bytes.NewReader(answers))
	for {
		req, err := http.ReadRequest(asked)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, req.Body) // what is wrong with it shows in the next
		resp, err := http.ReadResponse(answered, req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		c[fmt.Sprintf("http %s %s %d", ends, req.Method, resp.StatusCode)]++
	}
}

// headers are the fields called name of an HTTP/2 stream's frames, by stream.
func headers(t *testing.T, frames []byte, name string) map[uint32]string {
	t.Helper()
	found := map[uint32]string{}
	framer := http2.NewFramer(io.Discard, bytes.NewReader(frames))
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		frame, err := framer.ReadFrame()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		if h, ok := frame.(*http2.MetaHeadersFrame); ok {
			for _, field := range h.Fields {
				if field.Name == name {
					found[h.StreamID] = field.Value
				}
			}
		}
	}
}

// of counts all exchanges of s.
func (c count) of(t *testing.T, s *sample) {
	t.Helper()
	names := s.names(t)
	ends := func(client, server netip.AddrPort) string { return names[client.Addr()] + " " + names[server.Addr()] }
	for _, d := range s.datagrams {
		c.dns(t, ends(d.to, d.from), "udp", d.data)
	}
	for f, sent := range s.streams {
		back := s.streams[flow{f.to, f.from}]
		if f.from.Port() == dns.Port {
			c.dns(t, ends(f.to, f.from), "tcp", sent[2:])
		} else if frames, ok := bytes.CutPrefix(sent, []byte(http2.ClientPreface)); ok {
			paths, status := headers(t, frames, ":path"), headers(t, back, "grpc-status")
			for stream, path := range paths {
				c["grpc "+ends(f.from, f.to)+" "+path+" "+status[stream]]++
			}
		} else if bytes.HasPrefix(back, []byte("HTTP/1.1 ")) {
			c.http(t, ends(f.from, f.to), sent, back)
		}
	}
}

// TestSample: the sample capture is whole and clean, and holds what sample.json says the shop did: so the shop counts right, and each
// of its processes is told from the others by its address.
func TestSample(t *testing.T) {
	text, err := os.ReadFile("sample.json")
	if err != nil {
		t.Fatal(err)
	}
	var pages tally.Pages
	if err := json.Unmarshal(text, &pages); err != nil {
		t.Fatal(err)
	}
	rcodes := map[string]dnsmessage.RCode{"NOERROR": dnsmessage.RCodeSuccess, "NXDOMAIN": dnsmessage.RCodeNameError}
	want, got := count{}, count{}
	for _, r := range pages.Calls {
		want[fmt.Sprintf("http %s %s %s %d", r.Key.Client, r.Key.Server, r.Key.Method, r.Key.Status)] += r.Count
	}
	for _, r := range pages.RPCs {
		var code codes.Code
		if err := code.UnmarshalJSON([]byte(strconv.Quote(r.Key.Code))); err != nil {
			t.Fatal(err)
		}
		want[fmt.Sprintf("grpc %s %s /%s %d", r.Key.Client, r.Key.Server, r.Key.Method, code)] += r.Count
	}
	for _, r := range pages.Questions {
		rcode, ok := rcodes[r.Key.Code]
		if !ok {
			t.Fatalf("%+v has no business in the sample", r)
		}
		want[fmt.Sprintf("dns %s %s %s %s %s %d",
			r.Key.Client, r.Key.Server, r.Key.Transport, r.Key.Name, r.Key.Type, rcode)] += r.Count
	}
	got.of(t, readSample(t))
	if !maps.Equal(got, want) {
		t.Errorf("the capture holds\n%v\nwant\n%v", got, want)
	}
	all := strings.Join(strings.Fields(fmt.Sprint(want)), " ")
	for _, part := range []string{
		"http load web GET 200", "http load web GET 404", "http checkout notifications POST 202",
		"grpc catalogue stock /shop.v1.Stock/GetLevel 5", "grpc catalogue prices /shop.v1.Prices/Quote 0",
		"dns notifications dns tcp", "TXT", "SRV", "AAAA",
	} {
		if !strings.Contains(all, part) {
			t.Errorf("the sample has no %q", part)
		}
	}
}
