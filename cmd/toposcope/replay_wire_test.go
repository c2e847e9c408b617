package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// epoch is when the captures that are written here begin.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// captured is a packet of raw IP.
type captured struct {
	at   time.Time
	data []byte
}

// conversation writes down the packets of one TCP connection.
type conversation struct {
	t       testing.TB
	ends    [2]netip.AddrPort // client, server
	next    [2]uint32
	at      time.Time
	packets []captured
}

func converse(t testing.TB, client, server string, at time.Time) *conversation {
	return &conversation{
		t: t, ends: [2]netip.AddrPort{netip.MustParseAddrPort(client), netip.MustParseAddrPort(server)},
		next: [2]uint32{100, 4294967200}, at: at,
	}
}

// send appends a segment from one end, some time after the last.
func (c *conversation) send(from int, after time.Duration, data string, flags func(*layers.TCP)) *conversation {
	c.t.Helper()
	src, dst := c.ends[from], c.ends[1-from]
	ip := &layers.IPv4{
		Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, Id: uint16(len(c.packets) + 1), SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice(),
	}
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(src.Port()), DstPort: layers.TCPPort(dst.Port()), Seq: c.next[from], Ack: c.next[1-from], ACK: true, Window: 65535,
	}
	if flags != nil {
		flags(tcp)
	}
	c.at = c.at.Add(after)
	c.packets = append(c.packets, captured{c.at, serialize(c.t, ip, tcp, data)})
	c.next[from] += uint32(len(data))
	if tcp.SYN || tcp.FIN {
		c.next[from]++
	}
	return c
}

func serialize(t testing.TB, ip *layers.IPv4, transport gopacket.SerializableLayer, data string) []byte {
	t.Helper()
	if l, ok := transport.(interface {
		SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
	}); ok {
		if err := l.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
	}
	b := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, transport, gopacket.Payload(data))
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const step = 100 * time.Microsecond

func (c *conversation) open() *conversation {
	c.t.Helper()
	c.send(0, step, "", func(t *layers.TCP) { t.SYN, t.ACK = true, false })
	return c.send(1, step, "", func(t *layers.TCP) { t.SYN = true }).send(0, step, "", nil)
}

// say sends data in segments of 1000 bytes, the first after a time, the others at once.
func (c *conversation) say(from int, after time.Duration, data string) *conversation {
	c.t.Helper()
	for chunk := range slices.Chunk([]byte(data), 1000) {
		c.send(from, after, string(chunk), nil)
		after = step
	}
	return c
}

func (c *conversation) close() *conversation {
	c.t.Helper()
	fin := func(t *layers.TCP) { t.FIN = true }
	return c.send(0, step, "", fin).send(1, step, "", fin).send(0, step, "", nil)
}

// lookup is a DNS question and its answer, of one address.
func lookup(t testing.TB, asker, resolver, name, answer string, at time.Time) []captured {
	t.Helper()
	ends := [2]netip.AddrPort{netip.MustParseAddrPort(asker), netip.MustParseAddrPort(resolver)}
	q := layers.DNSQuestion{Name: []byte(name), Type: layers.DNSTypeA, Class: layers.DNSClassIN}
	question := &layers.DNS{ID: 7, RD: true, Questions: []layers.DNSQuestion{q}}
	reply := &layers.DNS{ID: 7, QR: true, RD: true, RA: true, Questions: question.Questions, Answers: []layers.DNSResourceRecord{{
		Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60, IP: netip.MustParseAddr(answer).AsSlice(),
	}}}
	var out []captured
	for i, d := range []*layers.DNS{question, reply} {
		b := gopacket.NewSerializeBuffer()
		if err := d.SerializeTo(b, gopacket.SerializeOptions{FixLengths: true}); err != nil {
			t.Fatal(err)
		}
		src, dst := ends[i], ends[1-i]
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
		udp := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
		out = append(out, captured{at.Add(time.Duration(i) * step), serialize(t, ip, udp, string(b.Bytes()))})
	}
	return out
}

// pcap makes a capture of packets, in the order of their times.
func pcap(packets ...captured) []byte {
	slices.SortStableFunc(packets, func(a, b captured) int { return a.at.Compare(b.at) })
	o := binary.LittleEndian
	b := o.AppendUint32(nil, 0xa1b23c4d)
	b = o.AppendUint16(o.AppendUint16(b, 2), 4)
	b = o.AppendUint64(b, 0)
	b = o.AppendUint32(o.AppendUint32(b, 1<<18), 101)
	for _, p := range packets {
		b = o.AppendUint32(b, uint32(p.at.Unix()))
		b = o.AppendUint32(b, uint32(p.at.Nanosecond()))
		b = o.AppendUint32(b, uint32(len(p.data)))
		b = append(o.AppendUint32(b, uint32(len(p.data))), p.data...)
	}
	return b
}

func writeFile(t testing.TB, data []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "capture.pcap")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// request and response are a GET and an answer with a body.
func request(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: shop\r\n\r\n" }

func response(code, size int) string {
	return fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s", code, size, strings.Repeat("x", size))
}

// printed is what a command wrote.
type printed struct {
	out, err string
	code     int
}

// command runs toposcope as main does. It is not for tests that run side by side: the streams are the process's.
func command(t testing.TB, args ...string) printed {
	t.Helper()
	files := [2]*os.File{}
	for i := range files {
		f, err := os.Create(filepath.Join(t.TempDir(), "output"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = files[0], files[1]
	code := execute(args)
	os.Stdout, os.Stderr = stdout, stderr
	p := printed{code: code}
	for i, to := range []*string{&p.out, &p.err} {
		b, err := os.ReadFile(files[i].Name())
		if err != nil {
			t.Fatal(err)
		}
		*to = string(bytes.ToValidUTF8(b, nil))
	}
	return p
}
