package pipeline

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/toposcope/toposcope/bpf"
	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/ring"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/all"
	"github.com/toposcope/toposcope/topology"
)

const (
	httpRequest = "GET /users/12345?fields=name HTTP/1.1\r\nHost: shop.example:8080\r\nUser-Agent: Go-http-client/1.1\r\n" +
		"Accept-Encoding: gzip\r\n\r\n"
	httpHead = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\nContent-Type: text/plain\r\nDate: Tue, 10 Mar 2026 10:00:00 GMT\r\n\r\n"
	httpBody = 500
)

// path is the way of an exchange in user space, from the records of a ring to the counters: what stands between capture and the
// series, but for reading the ring itself.
type path struct {
	shard   *Shard
	counts  *topology.Topology
	decoder *ring.Decoder
	ends    [2]end // of one connection: client, server
	now     uint64
}

// end is one end of a connection, and its next records.
type end struct {
	request, response *bpf.SocketsDataEvent
	records           [2][]byte // as they come: request, response
}

func newPath(t testing.TB) *path {
	t.Helper()
	clock, err := ring.NewClock()
	if err != nil {
		t.Fatal(err)
	}
	names := labeler.New(labeler.Options{})
	specs := all.Specs(protocol.Options{})
	counts, err := topology.New(topology.Config{Protocols: specs}, names)
	if err != nil {
		t.Fatal(err)
	}
	lookups, shard := NewLookups(nil, apart), counts.Shard(0)
	p := &path{counts: counts, decoder: ring.NewDecoder(clock), now: ring.Now(), shard: &Shard{
		tracker: protocol.NewTracker(specs, protocol.Config{}, nil, sink{shard, lookups}),
		counts:  shard, names: names, lookups: lookups,
		waiting: map[event.ConnID]event.Flow{}, filtered: map[event.ConnID]struct{}{},
	}}
	task := own(t)
	client, server := ring.Words(netip.MustParseAddr("127.0.0.1")), ring.Words(netip.MustParseAddr("127.0.0.2"))
	p.open(t, bpf.SocketsRoleROLE_CLIENT, task, bpf.SocketsFlow{Local: client, LocalPort: 40000, Remote: server, RemotePort: 80, Netns: 1})
	p.open(t, bpf.SocketsRoleROLE_SERVER, task, bpf.SocketsFlow{Local: server, LocalPort: 80, Remote: client, RemotePort: 40000, Netns: 1})
	return p
}

// own is the process of the test, which is at both ends.
func own(t testing.TB) bpf.SocketsTaskId {
	t.Helper()
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	ticks, err := strconv.ParseUint(fields[19], 10, 64) // of 10 ms
	if err != nil {
		t.Fatal(err)
	}
	return bpf.SocketsTaskId{Pid: uint32(os.Getpid()), Tid: uint32(os.Getpid()), Start: ticks * uint64(10*time.Millisecond)}
}

// open tells of an end and makes its records.
func (p *path) open(t testing.TB, role bpf.SocketsRole, task bpf.SocketsTaskId, flow bpf.SocketsFlow) {
	side := 0
	asks, answers := event.Sent, event.Received
	if role == bpf.SocketsRoleROLE_SERVER {
		side, asks, answers = 1, event.Received, event.Sent
	}
	header := bpf.SocketsEventHeader{
		Type: uint8(bpf.SocketsEventTypeEVENT_OPEN), Role: uint8(role), Time: p.now, Conn: uint64(side + 1), Task: task,
	}
	_, record := recordOf(&bpf.SocketsOpenEvent{Header: header, Flow: flow}, "")
	p.handle(t, record)
	header.Type, header.Role = uint8(bpf.SocketsEventTypeEVENT_DATA), 0
	e := &p.ends[side]
	data := bpf.SocketsDataEvent{Header: header, Size: uint64(len(httpRequest)), Head: uint32(len(httpRequest))}
	data.Header.Direction, data.Turn = uint8(asks), uint32(asks)
	e.request, e.records[0] = recordOf(&data, httpRequest)
	data.Size, data.Head = uint64(len(httpHead)+httpBody), uint32(len(httpHead)+httpBody)
	data.Header.Direction, data.Seq, data.Turn = uint8(answers), 1, e.request.Turn+1
	e.response, e.records[1] = recordOf(&data, httpHead+strings.Repeat(".", httpBody))
}

// recordOf is a record as the kernel writes it, and the same memory as r's type.
func recordOf[T any](r *T, payload string) (*T, []byte) {
	size := int(unsafe.Sizeof(*r))
	words := make([]uint64, (size+len(payload)+7)/8)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)[:size+len(payload)]
	copy(b, unsafe.Slice((*byte)(unsafe.Pointer(r)), size))
	copy(b[size:], payload)
	return (*T)(unsafe.Pointer(&words[0])), b
}

func (p *path) handle(t testing.TB, record []byte) {
	ev, err := p.decoder.Decode(record)
	if err != nil {
		t.Fatal(err)
	}
	p.shard.Handle(ev)
}

// exchange lets a request and its response go by both ends: four records.
func (p *path) exchange(t testing.TB) {
	client, server := &p.ends[0], &p.ends[1]
	for _, e := range &p.ends {
		e.request.Header.Time, e.response.Header.Time = p.now, p.now+1_000_000
	}
	p.now += 2_000_000
	p.handle(t, client.records[0])
	p.handle(t, server.records[0])
	p.handle(t, server.records[1])
	p.handle(t, client.records[1])
	for _, e := range &p.ends {
		for _, r := range [2]*bpf.SocketsDataEvent{e.request, e.response} {
			r.Seq, r.Turn, r.Off = r.Seq+2, r.Turn+2, r.Off+r.Size
		}
	}
}

// counted is the requests of all edges.
func (p *path) counted() (n uint64) {
	for _, e := range p.counts.Snapshot(time.Now()).Edges {
		n += e.Requests
	}
	return n
}

// TestPathDoesNotAllocate sends exchanges along the whole path. Each is counted once, though both ends are seen.
func TestPathDoesNotAllocate(t *testing.T) {
	p := newPath(t)
	p.exchange(t)
	const runs = 1000
	if n := testing.AllocsPerRun(runs, func() { p.exchange(t) }); n != 0 {
		t.Errorf("%g allocations an exchange, want none", n)
	}
	if got, want := p.counted(), uint64(runs+2); got != want { // AllocsPerRun warms up once
		t.Errorf("%d requests counted, want %d", got, want)
	}
}

// BenchmarkPath is the sum of all stages for an HTTP exchange of which both ends are seen.
func BenchmarkPath(b *testing.B) {
	p := newPath(b)
	p.exchange(b)
	b.ReportAllocs()
	for b.Loop() {
		p.exchange(b)
	}
}
