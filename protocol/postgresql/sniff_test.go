package postgresql_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/postgresql"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

// transcripts are those in testdata.
func transcripts(tb testing.TB) []*protocoltest.Transcript {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		tb.Fatal("no transcripts", err)
	}
	var list []*protocoltest.Transcript
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		tr, err := protocoltest.Parse(file, text, encode)
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, tr)
	}
	return list
}

// TestSniffOwn: what begins a turn is never denied, however much of it is there.
func TestSniffOwn(t *testing.T) {
	spec := postgresql.Spec(protocol.Options{})
	for _, line := range []struct {
		from  protocol.Side
		texts []string
	}{
		{protocol.ClientSide, []string{
			"ssl", "gss", "cancel", "startup user=app", "startup user=app database=shop options=-c application_name=x",
			"startup version=2 user=a",
			"query SELECT 1", "query  -- ping", "query (SELECT 1)", "parse - SELECT 1 ; sync", "parse s1 SELECT $1 ; describe S s1 ; flush",
			"bind - s1 ; execute - ; sync", "bind p s1 3 70000 ; describe P p ; execute p 100 ; sync", "execute p 100 ; sync", "close S s1 ; sync",
			"describe S s1 ; sync", "call", "close P p ; parse - SELECT 1 ; bind - - ; execute - ; sync", "sync ; parse - UPDATE a SET b = 1",
		}},
		{protocol.ServerSide, []string{
			"auth ok ; status server_version 17 ; key ; ready I", "parsed ; parameters ; columns a b ; ready I",
			"columns a ; row 3 ; complete SELECT 1",
			"bound ; row 3 4 ; complete SELECT 1 ; ready T", "error 42P01 ; ready E", "error 57P01 FATAL",
			"complete INSERT 0 1 ; ready I", "empty ; ready I",
			"notice ; complete DROP TABLE ; ready I", "notify orders", "closed ; ready I", "copyin",
			"copyout ; data 30 ; done ; complete COPY 1", "copyboth ; data 4",
			"row 10 ; row 10 ; complete SELECT 2 ; ready I", "bound ; none ; suspended ; ready T", "result ; ready I",
		}},
	} {
		for _, text := range line.texts {
			data, err := encode(line.from, text)
			if err != nil {
				t.Fatal(err)
			}
			if got := spec.Sniff(event.Sent, data); got != protocol.Yes {
				t.Errorf("%s: %v", text, got)
			}
			for n := range data {
				if got := spec.Sniff(event.Sent, data[:n]); got == protocol.No {
					t.Errorf("%s: %v after %d bytes", text, got, n)
					break
				}
			}
		}
	}
}

func packet(seq byte, payload string) string { // MySQL's
	n := len(payload)
	return string([]byte{byte(n), byte(n >> 8), byte(n >> 16), seq}) + payload
}

func sized(payload string) string { // Kafka's
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(payload)))) + payload
}

// strangers are beginnings of other protocols, mid-stream ones too.
func strangers() map[string]string {
	m := map[string]string{
		"http":          "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"http put":      "PUT /Q HTTP/1.1\r\nHost: x\r\n\r\n",
		"http answer":   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"http2":         "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
		"http2 frame":   "\x00\x00\x08\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01",
		"ssh":           "SSH-2.0-OpenSSH_9.2\r\n",
		"smtp":          "EHLO client\r\n",
		"smtp answer":   "250-mx.example\r\n",
		"redis":         "*2\r\n$3\r\nGET\r\n$1\r\nQ\r\n",
		"redis sql":     "$22\r\nSELECT * FROM orders;\n\r\n",
		"redis inline":  "SET Q 1\r\n",
		"memcached":     "set a 0 0 5\r\nhello\r\n",
		"memcached bin": "\x80\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00key",
		"amqp":          "AMQP\x00\x00\x09\x01",
		"nats":          "CONNECT {\"verbose\":false}\r\nPING\r\n",
		"nats info":     "INFO {\"server_id\":\"x\"}\r\n",
		"tls":           "\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + strings.Repeat("r", 194),
		"mysql hello": packet(0, "\x0a8.0.36\x00\x08\x00\x00\x00abcdefgh\x00\xff\xf7\xff\x02\x00\xff\xdf\x15"+
			strings.Repeat("\x00", 10)+"ijklmnopqrst\x00mysql_native_password\x00"),
		"kafka 0":      sized("\x00\x03\x00\x00\x00\x00\x00\x01\x00\x04user\x00\x00\x00\x00"),
		"kafka 1":      sized("\x00\x12\x00\x03\x00\x00\x00\x01\x00\x05franz\x00\x06franz\x07v1.0.0\x00"),
		"mongodb":      "\x51\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00" + strings.Repeat("d", 60),
		"zeros":        strings.Repeat("\x00", 64),
		"length alone": "Q\x00\x00\x00\x10" + strings.Repeat("\x01", 11) + "\x00",
	}
	for n := 1; n < 256; n++ { // a MySQL command whose length reads as one of our types
		m[fmt.Sprintf("mysql %d", n)] = packet(0, "\x03"+strings.Repeat("SELECT ", 40)[:n-1]) + packet(0, "\x16SELECT 1")
		m[fmt.Sprintf("mysql list %d", n)] = packet(0, "\x04"+strings.Repeat("table\x00", 50)[:n-1])
		m[fmt.Sprintf("mysql answer %d", n)] = packet(1, strings.Repeat("\x02", n)) + packet(2, "\xfe\x00\x00\x02\x00")
	}
	return m
}

func TestSniffStrangers(t *testing.T) {
	spec := postgresql.Spec(protocol.Options{})
	for name, data := range strangers() {
		for n := range len(data) + 1 {
			if got := spec.Sniff(event.Sent, []byte(data[:n])); got == protocol.Yes {
				t.Errorf("%s is taken for PostgreSQL after %d bytes", name, n)
				break
			}
		}
		// A message may be opaque. Where it ends another must begin.
		if got := spec.Sniff(event.Sent, []byte(data+strings.Repeat("\xfe", 1<<13))); got != protocol.No {
			t.Errorf("%s: %v", name, got)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		data := make([]byte, 1+random.IntN(64))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		if random.IntN(2) == 0 && len(data) > 4 { // with a header that fits
			data[0] = "QPBDECFdfpSHXcRKZvTVtNAIs123nGHW"[random.IntN(32)]
			binary.BigEndian.PutUint32(data[1:], uint32(len(data)-1))
		}
		if got := spec.Sniff(event.Sent, data); got == protocol.Yes {
			t.Errorf("%q is taken for PostgreSQL", data)
		}
	}
}

// TestSniffMidStream: what lies within a transcript's segments is not taken for a beginning of another role.
func TestSniffMidStream(t *testing.T) {
	spec := postgresql.Spec(protocol.Options{})
	for _, tr := range transcripts(t) {
		for _, s := range tr.Segments {
			for at := range s.Data {
				rest := s.Data[at:]
				if spec.Sniff(event.Sent, rest) != protocol.Yes {
					continue
				}
				// Where it says yes a message does begin.
				if !begins(s, at) {
					t.Errorf("%s: yes at byte %d of %q", tr.Name, at, s.Data[:min(len(s.Data), 80)])
				}
			}
		}
	}
}

// begins reports whether a message begins at that byte of a segment.
func begins(s protocoltest.Segment, at int) bool {
	i := 0
	for i < at && i+5 <= len(s.Data) {
		if s.Data[i] == 0 {
			i += int(binary.BigEndian.Uint32(s.Data[i:]))
			continue
		}
		i += 1 + int(binary.BigEndian.Uint32(s.Data[i+1:]))
	}
	return i == at
}
