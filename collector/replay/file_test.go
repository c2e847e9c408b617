package replay_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"github.com/toposcope/toposcope/collector/packet"
	"github.com/toposcope/toposcope/collector/replay"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 123456000, time.UTC)

// write makes a file of its own.
func write(t testing.TB, data []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "capture")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// got is a packet that was read.
type got struct {
	at     time.Time
	link   packet.LinkType
	data   string
	length int
}

// readAll reads a file's packets.
func readAll(t testing.TB, name string) (list []got, stats replay.Stats, err error) {
	t.Helper()
	f, err := replay.Open(t.Context(), name, replay.Options{})
	if err != nil {
		return nil, stats, err
	}
	defer f.Close()
	var p packet.Packet
	for {
		if err := f.Next(&p); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return list, f.Stats(), err
		}
		list = append(list, got{p.Time.UTC(), p.Link, string(p.Data), p.Length})
	}
}

// classic makes a pcap by hand.
func classic(order binary.AppendByteOrder, magic uint32, link uint32, unit time.Duration, packets ...got) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(b, 2)
	b = order.AppendUint16(b, 4)
	for _, n := range []uint32{0, 0, 65535, link} {
		b = order.AppendUint32(b, n)
	}
	for _, p := range packets {
		b = order.AppendUint32(b, uint32(p.at.Unix()))
		b = order.AppendUint32(b, uint32(time.Duration(p.at.Nanosecond())/unit))
		b = order.AppendUint32(b, uint32(len(p.data)))
		b = append(order.AppendUint32(b, uint32(p.length)), p.data...)
	}
	return b
}

// block makes a block of pcapng.
func block(order binary.AppendByteOrder, kind uint32, body ...[]byte) []byte {
	inner := slices.Concat(body...)
	for len(inner)%4 != 0 {
		inner = append(inner, 0)
	}
	n := uint32(len(inner) + 12)
	b := order.AppendUint32(order.AppendUint32(nil, kind), n)
	return order.AppendUint32(append(b, inner...), n)
}

func section(order binary.AppendByteOrder) []byte {
	b := order.AppendUint32(nil, 0x1a2b3c4d)
	b = order.AppendUint16(b, 1)
	b = order.AppendUint16(b, 0)
	return block(order, 0x0a0d0d0a, order.AppendUint64(b, 1<<64-1))
}

func option(order binary.AppendByteOrder, code uint16, value []byte) []byte {
	b := order.AppendUint16(order.AppendUint16(nil, code), uint16(len(value)))
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func device(order binary.AppendByteOrder, link uint16, snaplen uint32, options ...[]byte) []byte {
	b := order.AppendUint16(order.AppendUint16(nil, link), 0)
	return block(order, 1, order.AppendUint32(b, snaplen), slices.Concat(options...))
}

func enhanced(order binary.AppendByteOrder, id uint32, at uint64, data string, length int) []byte {
	var b []byte
	for _, n := range []uint32{id, uint32(at >> 32), uint32(at), uint32(len(data)), uint32(length)} {
		b = order.AppendUint32(b, n)
	}
	return block(order, 6, b, []byte(data))
}

// TestPcap: either byte order and resolution, plain and compressed.
func TestPcap(t *testing.T) {
	want := []got{
		{epoch, packet.LinkEthernet, "first", 5},
		{epoch.Add(time.Second), packet.LinkEthernet, "cut", 1500},
		{epoch.Add(time.Hour), packet.LinkEthernet, strings.Repeat("long", 200_000), 800_000},
	}
	for name, file := range map[string][]byte{
		"little-endian, µs": classic(binary.LittleEndian, 0xa1b2c3d4, 1, time.Microsecond, want...),
		"big-endian, µs":    classic(binary.BigEndian, 0xa1b2c3d4, 1, time.Microsecond, want...),
		"little-endian, ns": classic(binary.LittleEndian, 0xa1b23c4d, 1, time.Nanosecond, want...),
		"big-endian, ns":    classic(binary.BigEndian, 0xa1b23c4d, 1, time.Nanosecond, want...),
		"with check sums":   classic(binary.BigEndian, 0xa1b23c4d, 1|0x14000000, time.Nanosecond, want...),
	} {
		for _, compress := range []bool{false, true} {
			if compress {
				file = slices.Concat(zip(t, file[:50]), zip(t, file[50:]))
			}
			list, stats, err := readAll(t, write(t, file))
			if err != nil || !slices.Equal(list, want) || stats.Truncated || stats.Packets != 3 {
				t.Errorf("%s, compressed %v: %d packets, %+v, %v", name, compress, len(list), stats, err)
			}
		}
	}
}

func zip(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestPcapng: sections of either byte order, interfaces of their own kinds, every kind of packet block.
func TestPcapng(t *testing.T) {
	micros := uint64(epoch.UnixMicro())
	var file []byte
	var want []got
	for _, o := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		file = slices.Concat(file, section(o),
			device(o, 1, 0, option(o, 2, []byte("eth0")), option(o, 0, nil)),
			device(o, 276, 5, option(o, 9, []byte{9})),
			device(o, 101, 0, option(o, 9, []byte{0x80 | 20}), option(o, 14, o.AppendUint64(nil, 1000))),
			block(o, 0x0bad, []byte("of a vendor")),
			enhanced(o, 0, micros, "micros", 6),
			enhanced(o, 1, uint64(epoch.Add(1).UnixNano()), "nanos", 99),
			enhanced(o, 2, uint64(epoch.Unix()-1000)<<20|1<<19, "binary", 6),
			block(o, 2, o.AppendUint16(o.AppendUint16(nil, 1), 7), o.AppendUint32(nil, uint32(uint64(epoch.UnixNano())>>32)),
				o.AppendUint32(nil, uint32(epoch.UnixNano())), o.AppendUint32(o.AppendUint32(nil, 3), 3), []byte("old")),
			block(o, 3, o.AppendUint32(nil, 6), []byte("simple")),
			block(o, 5, o.AppendUint32(nil, 1), make([]byte, 8), option(o, 4, make([]byte, 8)), option(o, 5, o.AppendUint64(nil, 40))),
			block(o, 5, o.AppendUint32(nil, 1), make([]byte, 8), option(o, 5, o.AppendUint64(nil, 41)), option(o, 7, o.AppendUint64(nil, 1))),
		)
		want = append(want, got{epoch, 1, "micros", 6}, got{epoch.Add(1), 276, "nanos", 99},
			got{epoch.Truncate(time.Second).Add(time.Second / 2), 101, "binary", 6}, got{epoch, 276, "old", 3}, got{epoch, 1, "simple", 6})
	}
	list, stats, err := readAll(t, write(t, file))
	if err != nil || !slices.Equal(list, want) || stats.Dropped != 84 {
		t.Errorf("%+v\n%+v\n%+v, %v", list, want, stats, err)
	}
}

// TestWriters: what gopacket's own writers write.
func TestWriters(t *testing.T) {
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriterInterface(&b, pcapgo.NgInterface{Name: "lo", LinkType: layers.LinkTypeEthernet, SnapLength: 100}, pcapgo.DefaultNgWriterOptions)
	if err != nil {
		t.Fatal(err)
	}
	id, err := w.AddInterface(pcapgo.NgInterface{Name: "any", LinkType: layers.LinkTypeLinuxSLL})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		ci := gopacket.CaptureInfo{Timestamp: epoch, CaptureLength: 3, Length: 4 + i, InterfaceIndex: i * id}
		if err := w.WritePacket(ci, []byte("abc")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	list, _, err := readAll(t, write(t, b.Bytes()))
	if want := []got{{epoch, 1, "abc", 4}, {epoch, 113, "abc", 5}}; err != nil || !slices.Equal(list, want) {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestTruncated: a file may end anywhere. What was whole is there, and the rest is no error.
func TestTruncated(t *testing.T) {
	o := binary.LittleEndian
	packets := []got{{epoch, 1, "first", 5}, {epoch, 1, "second", 6}}
	ng := slices.Concat(section(o), device(o, 1, 0), enhanced(o, 0, uint64(epoch.UnixMicro()), "first", 5), enhanced(o, 0, uint64(epoch.UnixMicro()), "second", 6))
	for _, file := range [][]byte{classic(o, 0xa1b2c3d4, 1, time.Microsecond, packets...), ng} {
		for n := range file {
			list, stats, err := readAll(t, write(t, file[:n]))
			switch {
			case err != nil && (n >= 28 || len(list) > 0 || strings.Contains(err.Error(), "\n")):
				t.Fatalf("%d bytes: %d packets, %v", n, len(list), err)
			case err == nil && !slices.Equal(list, packets[:len(list)]):
				t.Fatalf("%d bytes: %+v", n, list)
			case err == nil && len(list) == 1 && n > 24+16+5+16+3 && !stats.Truncated && file[0] == 0xd4:
				t.Fatalf("%d bytes: not truncated", n)
			}
		}
		if list, stats, err := readAll(t, write(t, zip(t, file)[:40])); err != nil && len(list) == 0 && strings.Contains(err.Error(), "\n") {
			t.Errorf("compressed: %+v, %v", stats, err)
		}
	}
}

// TestHostile: lengths and numbers that lie are told in one line, cost no memory and end nothing but the reading.
func TestHostile(t *testing.T) {
	o := binary.LittleEndian
	head := slices.Concat(section(o), device(o, 1, 0))
	lie := func(b []byte, at int, n uint32) []byte {
		o.PutUint32(b[at:], n)
		return b
	}
	whole := classic(o, 0xa1b2c3d4, 1, time.Microsecond, got{epoch, 1, "first", 5}, got{epoch, 1, "second", 6})
	for name, c := range map[string]struct {
		file    []byte
		packets int
		want    string
	}{
		"empty":                   {nil, 0, "is empty"},
		"short":                   {[]byte("ab"), 0, "is not a capture"},
		"text":                    {[]byte("GET / HTTP/1.1\r\n"), 0, "is not a capture"},
		"version":                 {lie(slices.Clone(whole), 4, 9), 0, "version 9"},
		"pcap, packet length":     {lie(slices.Clone(whole), 24+16+5+8, 1<<31), 1, "after packet 1: the next is said to have 2147483648 bytes"},
		"block of 4 GiB":          {slices.Concat(head, lie(enhanced(o, 0, 1, "x", 1), 4, 0xfffffffc)), 0, "said to have"},
		"block of 4":              {slices.Concat(head, lie(enhanced(o, 0, 1, "x", 1), 4, 4)), 0, "said to have 4 bytes"},
		"odd block":               {slices.Concat(head, lie(enhanced(o, 0, 1, "x", 1), 4, 37)), 0, "said to have 37 bytes"},
		"two lengths":             {slices.Concat(head, lie(enhanced(o, 0, 1, "x", 1), 32, 40)), 0, "lengths differ"},
		"captured length":         {slices.Concat(head, lie(enhanced(o, 0, 1, "x", 1), 20, 1<<31)), 0, "said to have 2147483648 bytes"},
		"interface":               {slices.Concat(head, enhanced(o, 7, 1, "x", 1)), 0, "interface 7 of 1"},
		"no interface":            {slices.Concat(section(o), block(o, 3, make([]byte, 8))), 0, "damaged"},
		"no section's byte order": {lie(section(o), 8, 5), 0, "no byte order"},
		"section's version":       {lie(section(o), 12, 9), 0, "version 9"},
		"resolution":              {slices.Concat(section(o), device(o, 1, 0, option(o, 9, []byte{100}))), 0, "make no sense"},
		"binary resolution":       {slices.Concat(section(o), device(o, 1, 0, option(o, 9, []byte{0x80 | 64}))), 0, "make no sense"},
		"option's length":         {slices.Concat(section(o), device(o, 1, 0, []byte{2, 0, 255, 255})), 0, "make no sense"},
		"short packet":            {slices.Concat(head, block(o, 6, make([]byte, 8))), 0, "damaged"},
		"short obsolete packet":   {slices.Concat(head, block(o, 2, make([]byte, 8))), 0, "damaged"},
		"short statistics":        {slices.Concat(head, block(o, 5, make([]byte, 4))), 0, "damaged"},
		"statistics of none":      {slices.Concat(head, block(o, 5, []byte{9, 0, 0, 0}, make([]byte, 8))), 0, "interface 9 of 1"},
		"gzip of nothing":         {[]byte{0x1f, 0x8b, 8, 0, 0, 0}, 0, "reading gzip"},
		"gzip of text":            {zip(t, []byte("some text")), 0, "is not a capture"},
		"damaged gzip":            {lie(zip(t, slices.Repeat(whole, 1)), 20, 0xffffffff), 0, "flate"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		list, _, err := readAll(t, write(t, c.file))
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || len(list) != c.packets {
			t.Errorf("%s: %d packets, %v; want %d and %q", name, len(list), err, c.packets, c.want)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
			t.Errorf("%s: %d bytes were allocated", name, grown)
		}
	}
	far := slices.Concat(head, enhanced(o, 0, 1<<63, "far future", 10), enhanced(o, 0, uint64(epoch.UnixMicro()), "now", 3))
	list, stats, err := readAll(t, write(t, far))
	if err != nil || len(list) != 2 || !list[0].at.Equal(time.Unix(0, 0)) || stats.BadTimes != 1 {
		t.Errorf("far future: %+v, %+v, %v", list, stats, err)
	}
	for _, name := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		if _, _, err := readAll(t, name); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
