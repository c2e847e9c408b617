package kafka_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

// framed puts the length before a message.
func framed(parts ...string) []byte {
	b := make([]byte, 4)
	for _, p := range parts {
		b = append(b, p...)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// TestHostileRequests: lengths that cannot be are an error or an exchange whose topic is unknown.
func TestHostileRequests(t *testing.T) {
	const header = "\x00\x00\x00\x09\x00\x00\x00\x07\x00\x04shop\x00" // Produce v9
	const fetch = "\x00\x01\x00\x04\x00\x00\x00\x07\x00\x04shop"      // Fetch v4
	const numbers = "\xff\xff\xff\xff\x00\x00\x00\x01\x00\x00\x00\x01\x00\x10\x00\x00\x00"
	for _, c := range []struct {
		name string
		data []byte
		err  bool
	}{
		{"negative length", []byte("\x80\x00\x00\x00\x00\x00\x00\x09"), true},
		{"1 GiB", []byte("\x40\x00\x00\x00\x00\x00\x00\x09"), true},
		{"shorter than a header", []byte("\x00\x00\x00\x04\x00\x00\x00\x09\x00\x00\x00\x07\x00\x00"), true},
		{"negative key", framed("\xff\xff\x00\x00\x00\x00\x00\x07\x00\x00"), true},
		{"negative version", framed("\x00\x00\xff\xff\x00\x00\x00\x07\x00\x00"), true},
		{"client beyond the end", framed("\x00\x03\x00\x01\x00\x00\x00\x07\x7f\xff" + "abc"), true},
		{"client of negative length", framed("\x00\x03\x00\x01\x00\x00\x00\x07\xff\xf0" + "abc"), true},
		{"transactional id beyond the end", framed(header, "\xff\xff\xff\xff\x07"), false},
		{"length of too many bytes", framed(header, "\xff\xff\xff\xff\xff\xff\xff\x01"), false},
		{"topics beyond the end", framed(header, "\x00\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\x0f"), false},
		{"tagged fields without end", framed("\x00\x00\x00\x09\x00\x00\x00\x07\x00\x04shop\xff\xff\xff\x7f"), false},
		{"2 Gi topics", framed(fetch, numbers, "\x7f\xff\xff\xff\x00\x01a"), false},
		{"-2 topics", framed(fetch, numbers, "\xff\xff\xff\xfe\x00\x01a"), false},
		{"a name beyond the end", framed(fetch, numbers, "\x00\x00\x00\x01\x7f\xffa"), false},
		{"a name of negative length", framed(fetch, numbers, "\x00\x00\x00\x01\x80\x00a"), false},
		{"a name of 250", framed(fetch, numbers, "\x00\x00\x00\x01\x00\xfa"+fmt.Sprintf("%0250d", 1), "\x00\x00\x00\x00"), false},
	} {
		n, m, err := spec().New().Next(&protocol.Chunk{Data: c.data, Dir: event.Sent})
		switch {
		case c.err && !errors.Is(err, protocol.ErrSyntax):
			t.Errorf("%s: %d, %v, %v", c.name, n, m, err)
		case !c.err && (err != nil || n != len(c.data) || m == nil || !m.Unresolved):
			t.Errorf("%s: %d, %+v, %v", c.name, n, m, err)
		case !c.err && string(m.Attrs.Get(protocol.MessagingDestination)) != protocol.Unknown:
			t.Errorf("%s: topic %q", c.name, m.Attrs.Get(protocol.MessagingDestination))
		}
	}
}

// TestHostileResponses: a response that does not keep to its layout ends where its length says, and what it meant is unknown.
func TestHostileResponses(t *testing.T) {
	ask := func(w *wire) {
		r := kmsg.NewPtrFetchRequest()
		r.Version = 12
		r.SessionEpoch = -1
		ft := kmsg.NewFetchRequestTopic()
		ft.Topic = "orders"
		r.Topics = append(r.Topics, ft)
		w.ask(request(r, 7, "test"))
	}
	const id = "\x00\x00\x00\x07"
	for name, body := range map[string]string{
		"nothing":                   "",
		"too short":                 "\x00\x00\x00\x00\x00",
		"2 Gi topics":               "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x07",
		"topics beyond 32 bits":     "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\x07",
		"tagged fields without end": "\xff\xff\xff\xff\x07",
		"a tag beyond the end":      "\x01\x00\xff\xff\xff\xff\x07",
		"records beyond the end": "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x02a\x02" + string(make([]byte, 30)) +
			"\x01\x00\x00\x00\x00\xff\xff\xff\x7f",
		"a number cut off by length": "\x00\x00\x00",
	} {
		w := newWire(t, spec(), false)
		w.hello()
		ask(w)
		w.answer(framed(id, body))
		ask(w) // the connection goes on
		w.answer(framed(id, "\x00\x00\x00\x00\x00\x00\x4d\x00\x00\x00\x00\x01\x00"))
		list := w.close()
		if len(list) != 2 || !list[0].unresolved || list[0].err != "" || list[1].err != errorName(0x4d) || w.gaps != 0 {
			t.Errorf("%s: %v, %d gaps", name, list, w.gaps)
		}
	}
}

// TestLargeFetch: of a response of 50 MB nothing is kept, and the error of its last partition is found behind all the records.
func TestLargeFetch(t *testing.T) {
	const partitions, size = 50, 1 << 20
	w := newWire(t, spec(), false)
	w.hello()
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.SessionEpoch, req.MaxWaitMillis = 12, -1, 500
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic = "orders"
	req.Topics = append(req.Topics, rt)
	w.ask(request(req, 9, "test"))
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	topic := kmsg.NewFetchResponseTopic()
	topic.Topic = "orders"
	records := make([]byte, size)
	for i := range partitions {
		p := kmsg.NewFetchResponseTopicPartition()
		p.Partition, p.RecordBatches = int32(i), records
		if i == partitions-1 {
			p.ErrorCode = 56
		}
		topic.Partitions = append(topic.Partitions, p)
	}
	resp.Topics = append(resp.Topics, topic)
	data := response(resp, 9)
	before := protocoltest.Heap()
	most := int64(0)
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 100_003)
		w.answer(rest[:n])
		rest = rest[n:]
		most = max(most, w.tracker.Counters().BufferedBytes)
	}
	if after := protocoltest.Heap(); after > before+1<<20 || most > 4096 {
		t.Errorf("%d bytes more on the heap, %d held at most", after-before, most)
	}
	list := w.close()
	if len(list) != 1 || list[0].err != "KAFKA_STORAGE_ERROR" || list[0].response != int64(len(data)) || !list[0].waiting {
		t.Errorf("%v", list)
	}
}

// TestTopicsBounded: who makes up topics without end gets no more memory than the table has, however many connections learn at once.
func TestTopicsBounded(t *testing.T) {
	s := spec()
	before := protocoltest.Heap()
	var wg sync.WaitGroup
	for shard := range 4 {
		wg.Go(func() {
			w := newWire(t, s, false)
			w.hello()
			for i := range 300 {
				req := kmsg.NewPtrMetadataRequest()
				req.Version = 12
				w.ask(request(req, int32(i+1), "test"))
				resp := req.ResponseKind().(*kmsg.MetadataResponse)
				for j := range 100 {
					mt := kmsg.NewMetadataResponseTopic()
					mt.Topic = kmsg.StringPtr(fmt.Sprintf("%0200d-%d-%d-%d", 7, shard, i, j))
					binary.BigEndian.PutUint64(mt.TopicID[:], uint64(shard*1e6+i*100+j)*0x9e3779b97f4a7c15)
					resp.Topics = append(resp.Topics, mt)
				}
				w.answer(response(resp, int32(i+1)))
			}
			if list := w.close(); len(list) != 300 {
				t.Errorf("%d exchanges", len(list))
			}
		})
	}
	wg.Wait()
	const most = 2048 * 4 * (16 + 249 + 64) // entries, each with its id, its name and what the allocator adds
	if after := protocoltest.Heap(); after > before+most+1<<20 {
		t.Errorf("%d bytes more on the heap, want %d at most", after-before, most)
	}
	if o := s.Sniff(event.Sent, nil); o != protocol.More { // s is in use until here
		t.Error(o)
	}
}

// TestManyOutstanding: requests that nobody answers take no more than the framework allows.
func TestManyOutstanding(t *testing.T) {
	w := newWire(t, spec(), false)
	w.tracker = protocol.NewTracker([]*protocol.Spec{spec()}, protocol.Config{MaxPipelined: 500}, nil, w)
	w.open(false)
	w.hello()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version = 4
	for i := range 5000 {
		w.ask(request(req, int32(i+1), "test"))
	}
	if n := len(w.got); n != 0 || w.gaps == 0 {
		t.Errorf("%d exchanges, %d gaps", n, w.gaps)
	}
	if got, evicted := len(w.close()), w.gaps; uint64(got)+evicted != 5000 {
		t.Errorf("%d exchanges and %d missing of 5000", got, evicted)
	}
}
