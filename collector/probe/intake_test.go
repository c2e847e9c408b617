package probe

import (
	"encoding/binary"
	"log/slog"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"github.com/toposcope/toposcope/bpf"
	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/ring"
)

// fakeHost is a host whose every answer the test decides.
type fakeHost struct {
	owners    map[netip.AddrPort]event.Task
	table     uint64
	listeners map[netip.AddrPort]bool
	hidden    map[uint32]bool // processes that are not watched
	verdicts  uint64
	nDropped  int
	refused   map[event.Flow]bool
	asked     int
}

var _ host = (*fakeHost)(nil)

func (h *fakeHost) owner(f event.Flow, _ bool, asked uint64, _ time.Time) (event.Task, uint64) {
	if asked == h.table {
		return event.Task{}, asked
	}
	h.asked++
	return h.owners[f.Local], h.table
}

func (h *fakeHost) listens(f event.Flow) bool        { return h.listeners[f.Local] }
func (h *fakeHost) watched(t event.Task) bool        { return !h.hidden[t.PID] }
func (h *fakeHost) verdictsVersion() uint64          { return h.verdicts }
func (h *fakeHost) dropped()                         { h.nDropped++ }
func (h *fakeHost) refuseFlow(f event.Flow, on bool) { h.refused[f] = on }

// wire makes the records of packets.
type wire struct {
	buf []uint64
	seq map[netip.AddrPort]uint32
	at  uint64
}

var (
	client = netip.MustParseAddrPort("127.0.0.1:40000")
	server = netip.MustParseAddrPort("127.0.0.1:53")
)

const (
	flagFIN = 1
	flagSYN = 2
	flagACK = 16
)

// record is a packet's record, valid until the next.
func (w *wire) record(d event.Dir, task event.Task, protocol byte, from, to netip.AddrPort, rest []byte) []byte {
	const header = unsafe.Sizeof(bpf.SocketsPacketEvent{})
	size := 24 + len(rest) // IPv4, and the ports that begin both transports' headers
	if w.buf == nil {
		w.buf = make([]uint64, 1<<12)
	}
	w.at += 1000
	r := (*bpf.SocketsPacketEvent)(unsafe.Pointer(&w.buf[0]))
	*r = bpf.SocketsPacketEvent{Netns: 7, Size: uint32(size), Head: uint32(size)}
	r.Header.Type, r.Header.Direction, r.Header.Time = uint8(bpf.SocketsEventTypeEVENT_PACKET), uint8(d), w.at
	r.Header.Task = bpf.SocketsTaskId{Pid: task.PID, Tid: task.TID, Start: task.Start}
	b := unsafe.Slice((*byte)(unsafe.Pointer(&w.buf[0])), len(w.buf)*8)[:int(header)+size]
	ip := b[header:]
	clear(ip)
	ip[0], ip[8], ip[9] = 0x45, 64, protocol
	binary.BigEndian.PutUint16(ip[2:], uint16(size))
	binary.BigEndian.PutUint16(ip[4:], uint16(w.at/1000))
	copy(ip[12:], from.Addr().AsSlice())
	copy(ip[16:], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(ip[20:], from.Port())
	binary.BigEndian.PutUint16(ip[22:], to.Port())
	copy(ip[24:], rest)
	return b
}

func (w *wire) udp(d event.Dir, task event.Task, from, to netip.AddrPort, text string) []byte {
	rest := binary.BigEndian.AppendUint16(nil, uint16(8+len(text)))
	return w.record(d, task, 17, from, to, append(append(rest, 0, 0), text...))
}

func (w *wire) tcp(d event.Dir, from, to netip.AddrPort, flags byte, text string) []byte {
	if w.seq == nil {
		w.seq = map[netip.AddrPort]uint32{}
	}
	rest := binary.BigEndian.AppendUint32(nil, w.seq[from])
	rest = binary.BigEndian.AppendUint32(rest, w.seq[to])
	rest = append(rest, 5<<4, flags, 255, 255, 0, 0, 0, 0)
	w.seq[from] += uint32(len(text))
	if flags&(flagSYN|flagFIN) != 0 {
		w.seq[from]++
	}
	return w.record(d, event.Task{}, 6, from, to, append(rest, text...))
}

func newTestIntake(t testing.TB, h *fakeHost, handle func(event.Event)) *intake {
	t.Helper()
	clock, err := ring.NewClock()
	if err != nil {
		t.Fatal(err)
	}
	if h.refused == nil {
		h.refused = map[event.Flow]bool{}
	}
	in := newIntake(3, []uint16{53}, h, clock, slog.New(slog.DiscardHandler))
	in.handle = handle
	return in
}

// log writes down what a handler is told, in short.
func logTo(list *[]string) func(event.Event) {
	return func(ev event.Event) {
		switch ev := ev.(type) {
		case *event.Opened:
			word := "opened " + ev.Role.String()
			if ev.Existing {
				word += " existing"
			}
			*list = append(*list, word)
		case *event.Segment:
			word := ev.Dir.String() + " " + string(ev.Data)
			if ev.Task.PID != 0 {
				word += " by " + string(rune('a'+ev.Task.PID))
			}
			*list = append(*list, word)
		case *event.Closed:
			*list = append(*list, "closed")
		}
	}
}

func wantLog(t *testing.T, got *[]string, want ...string) {
	t.Helper()
	for i := range max(len(*got), len(want)) {
		if i >= len(*got) || i >= len(want) || (*got)[i] != want[i] {
			t.Fatalf("got %q, want %q", *got, want)
		}
	}
	*got = nil
}

// TestIntakeNumbers wants numbers that no connection of the kernel's has, nor one of another shard's, nor an earlier one.
func TestIntakeNumbers(t *testing.T) {
	var w wire
	seen := map[event.ConnID]bool{}
	in := newTestIntake(t, &fakeHost{}, func(ev event.Event) {
		if o, ok := ev.(*event.Opened); ok {
			if !isPacketConn(o.Conn) || shardOfPacketConn(o.Conn) != 3 || seen[o.Conn] {
				t.Errorf("number %x", uint64(o.Conn))
			}
			seen[o.Conn] = true
		}
	})
	for range 3 {
		in.take(w.udp(event.Sent, event.Task{}, client, server, "question"))
		in.closeAll(time.Now())
	}
	if len(seen) != 3 {
		t.Errorf("%d sockets, want 3", len(seen))
	}
}

// TestIntakeFilter has a filter exclude a process, include it and exclude it again.
func TestIntakeFilter(t *testing.T) {
	var (
		w    wire
		told []string
	)
	h := &fakeHost{hidden: map[uint32]bool{1: true}}
	in := newTestIntake(t, h, logTo(&told))
	task := event.Task{PID: 1}
	in.take(w.udp(event.Sent, task, client, server, "one"))
	in.take(w.udp(event.Received, event.Task{}, server, client, "answer"))
	wantLog(t, &told)
	delete(h.hidden, 1)
	h.verdicts++
	in.take(w.udp(event.Sent, task, client, server, "two"))
	wantLog(t, &told, "opened client", "sent two by b")
	h.hidden[1] = true
	h.verdicts++
	in.take(w.udp(event.Sent, task, client, server, "three"))
	in.take(w.udp(event.Received, event.Task{}, server, client, "answer"))
	wantLog(t, &told)
	in.closeAll(time.Now())
	wantLog(t, &told, "closed")
	if h.nDropped != 2 {
		t.Errorf("%d counted, want 2", h.nDropped)
	}
}

// TestIntakeOwner has the owner of a connection become known after its first bytes.
func TestIntakeOwner(t *testing.T) {
	var (
		w    wire
		told []string
	)
	h := &fakeHost{owners: map[netip.AddrPort]event.Task{}, listeners: map[netip.AddrPort]bool{server: true}}
	in := newTestIntake(t, h, logTo(&told))
	in.take(w.tcp(event.Received, client, server, flagACK, "in the middle"))
	wantLog(t, &told, "opened server existing", "received in the middle")
	in.take(w.tcp(event.Sent, server, client, flagACK, "still"))
	if h.asked != 0 {
		t.Errorf("asked %d times, and nothing was known", h.asked)
	}
	h.owners[server] = event.Task{PID: 2}
	h.table++
	in.take(w.tcp(event.Sent, server, client, flagACK, "known"))
	in.take(w.tcp(event.Received, client, server, flagACK, "now"))
	wantLog(t, &told, "sent still", "sent known by c", "received now by c")
	if h.asked != 1 {
		t.Errorf("asked %d times, want 1", h.asked)
	}
}

// TestIntakeRefused refuses a connection, whose end is told nevertheless, and takes the refusal back.
func TestIntakeRefused(t *testing.T) {
	var (
		w    wire
		told []string
		id   event.ConnID
	)
	h := &fakeHost{}
	log := logTo(&told)
	in := newTestIntake(t, h, func(ev event.Event) {
		if o, ok := ev.(*event.Opened); ok {
			id = o.Conn
		}
		log(ev)
	})
	in.take(w.tcp(event.Sent, client, server, flagSYN, ""))
	in.take(w.tcp(event.Received, server, client, flagSYN|flagACK, ""))
	in.take(w.tcp(event.Sent, client, server, flagACK, "secret"))
	wantLog(t, &told, "opened client", "sent secret")
	flow := event.Flow{Local: client, Remote: server, NetNS: 7}
	in.refuse(id, true)
	in.take(w.tcp(event.Received, server, client, flagACK, "more"))
	if !h.refused[flow] {
		t.Errorf("the kernel was not told: %v", h.refused)
	}
	in.refuse(id, false)
	in.take(w.tcp(event.Sent, client, server, flagACK, "open"))
	in.refuse(id, true)
	in.take(w.tcp(event.Sent, client, server, flagACK|flagFIN, ""))
	in.take(w.tcp(event.Received, server, client, flagACK|flagFIN, ""))
	wantLog(t, &told, "sent open", "closed")
	if h.refused[flow] {
		t.Error("the kernel still refuses a connection that has ended")
	}
}

// BenchmarkIntakeDatagram is a question and its answer, at the asker's end, from a socket of its own.
func BenchmarkIntakeDatagram(b *testing.B) {
	var w wire
	in := newTestIntake(b, &fakeHost{}, func(event.Event) {})
	task := event.Task{PID: 1, Start: 1}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		from := netip.AddrPortFrom(client.Addr(), uint16(1024+i%60000))
		in.take(w.udp(event.Sent, task, from, server, "a question of the usual length for a name"))
		in.take(w.udp(event.Received, event.Task{}, server, from, "an answer of the usual length, with a record or two or three in it"))
		if i%100 == 0 {
			in.asm.Tick(time.Now().Add(time.Duration(i) * time.Millisecond))
		}
	}
}
