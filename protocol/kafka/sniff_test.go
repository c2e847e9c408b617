package kafka_test

import (
	"encoding/binary"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// line encodes a line of a transcript.
func line(t testing.TB, from protocol.Side, text string) string {
	t.Helper()
	data, err := encode(from, text)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestSniff(t *testing.T) {
	ask := func(text string) string { return line(t, protocol.ClientSide, text) }
	answer := func(text string) string { return line(t, protocol.ServerSide, text) }
	const produce = `1 Produce v9 {"Acks":-1,"Topics":[{"Topic":"orders","Partitions":[{"Records":#3000}]}]}`
	s := spec()
	for _, c := range []struct {
		name, data string
		want       protocol.Sniffed
	}{
		{"nothing", "", protocol.More},
		{"versions", ask(`0 ApiVersions v3 {"ClientSoftwareName":"x"}`), protocol.Yes},
		{"versions, old", ask(`0 ApiVersions v0`), protocol.Yes},
		{"versions, not to the end", ask(`0 ApiVersions v3 {"ClientSoftwareName":"x"}`)[:20], protocol.More},
		{"metadata", ask(`5 Metadata v12 {"Topics":null}`), protocol.Yes},
		{"metadata of a topic, not to the end", ask(`5 Metadata v5 {"Topics":[{"Topic":"orders"},{"Topic":"carts"}]}`)[:35], protocol.Yes},
		{"metadata of a topic that cannot be", ask(`5 Metadata v5 {"Topics":[{"Topic":"SELECT 1;"}]}`), protocol.No},
		{"produce", ask(produce), protocol.Yes},
		{"produce, its beginning", ask(produce)[:200], protocol.Yes},
		{"produce of nothing", ask(`1 Produce v9 {"Acks":-1}`), protocol.No},
		{"produce to many", ask(strings.Replace(produce, "-1", "7", 1)), protocol.No},
		{"two requests", ask(`1 Metadata v1 {"Topics":[]}`) + ask(produce), protocol.Yes},
		{"in the middle of a fetch", ask(`900 Fetch v11 {"MaxWaitMillis":500,"SessionID":5,"SessionEpoch":42}`), protocol.Yes},
		{"an answer to versions", answer(`1 ApiVersions v3 {"ApiKeys":[{"ApiKey":18,"MaxVersion":3}]}`), protocol.No},
		{"an answer to metadata", answer(`1 Metadata v1 {"Brokers":[{"Host":"b1","Port":9092}],"Topics":[{"Topic":"orders"}]}`), protocol.No},
		{"an answer to a fetch", answer(`3 Fetch v11 {"Topics":[{"Topic":"orders","Partitions":[{"RecordBatches":#100}]}]}`), protocol.No},
		// A member's assignment, in an answer whose ID reads as Produce version 2: no client's name, no acknowledgement, one topic.
		{"an answer to a join", answer(`2 SyncGroup v1 {"MemberAssignment":"AAAAAAABAAZvcmRlcnMAAAABAAAAAP////8="}`), protocol.No},
		{"a length beyond all measure", "\x40\x00\x00\x00", protocol.No},
		{"a negative length", "\xff\xff\xff\xff\x00\x03\x00\x00", protocol.No},
		{"too short for a header", "\x00\x00\x00\x05\x00\x12\x00\x00\x00", protocol.No},
		{"an unknown API", "\x00\x00\x00\x20\x01\x00", protocol.No},
		{"an unknown version", "\x00\x00\x00\x20\x00\x12\x00\x63", protocol.No},
		{"a negative ID", "\x00\x00\x00\x20\x00\x12\x00\x00\x80\x00\x00\x00", protocol.No},
		{"a client that is not printable", "\x00\x00\x00\x20\x00\x12\x00\x00\x00\x00\x00\x00\x00\x02a\x00", protocol.No},
		{"a client longer than the message", "\x00\x00\x00\x20\x00\x12\x00\x00\x00\x00\x00\x00\x01\x02abc", protocol.No},
		{"trailing bytes", "\x00\x00\x00\x0c\x00\x12\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", protocol.No},
		{"HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", protocol.No},
		{"Redis", "*1\r\n$4\r\nPING\r\n", protocol.No},
		{"PostgreSQL, startup", "\x00\x00\x00\x54\x00\x03\x00\x00user\x00postgres\x00database\x00shop\x00application_name\x00psql\x00" +
			"client_encoding\x00UTF8\x00\x00", protocol.No},
		{"PostgreSQL, SSL", "\x00\x00\x00\x08\x04\xd2\x16\x2f", protocol.No},
		{"MySQL greeting", "\x4a\x00\x00\x00\x0a8.0.36\x00", protocol.No},
		{"MySQL query", "\x0f\x00\x00\x00\x03select version", protocol.No},
		{"MongoDB", "\x3a\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00", protocol.No},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", protocol.No},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", protocol.No},
		{"AMQP", "AMQP\x00\x00\x09\x01", protocol.No},
		{"DNS over TCP", "\x00\x1d\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01", protocol.No},
		{"ZooKeeper", "\x00\x00\x00\x2d" + strings.Repeat("\x00", 14) + "\x75\x30" + strings.Repeat("\x00", 11) + "\x10" +
			strings.Repeat("\x00", 17), protocol.No},
		{"Thrift, framed", "\x00\x00\x00\x11\x80\x01\x00\x01\x00\x00\x00\x04ping\x00\x00\x00\x00\x00", protocol.No},
	} {
		if got := s.Sniff(event.Sent, []byte(c.data)); got != c.want {
			t.Errorf("%s: %d, want %d (%x)", c.name, got, c.want, c.data)
		}
		for n := range len(c.data) { // what is there so far must never rule out what it is
			if got := s.Sniff(event.Sent, []byte(c.data[:n])); got == protocol.No && c.want != protocol.No {
				t.Errorf("%s: No after %d bytes", c.name, n)
			}
		}
	}
}

// TestSniffAnswers: no answer is taken for a request, whatever its ID.
func TestSniffAnswers(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	s := spec()
	tried := 0
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		for version := int16(0); version <= kmsg.RequestForKey(key).MaxVersion(); version++ {
			for range 3 {
				resp := kmsg.ResponseForKey(key)
				resp.SetVersion(version)
				f := &filler{r: r, names: true, errors: true}
				f.fill(reflect.ValueOf(resp).Elem(), "")
				data := response(resp, 0)
				for id := range uint32(14) { // those that read as a version of Produce, on every connection
					binary.BigEndian.PutUint32(data[4:], id)
					if s.Sniff(event.Received, data) == protocol.Yes {
						t.Errorf("%s v%d: %x", kmsg.NameForKey(key), version, data)
					}
					tried++
				}
			}
		}
	}
	t.Logf("%d answers", tried)
}

// TestSniffNothing: bytes that look like messages in part are none.
func TestSniffNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	s := spec()
	buf := make([]byte, 200)
	for range 200000 {
		for i := range buf {
			buf[i] = byte(r.Uint32())
			if r.IntN(3) > 0 {
				buf[i] = byte(r.IntN(20))
			}
			if r.IntN(2) > 0 {
				buf[i] = 0
			}
		}
		binary.BigEndian.PutUint16(buf, 0) // lengths that can be
		data := buf[:4+min(int(binary.BigEndian.Uint32(buf)), len(buf)-4)]
		if s.Sniff(event.Sent, data) == protocol.Yes {
			t.Errorf("%x is taken for Kafka", data)
		}
	}
}
