package ring

import (
	"bytes"
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"
	"unsafe"

	"github.com/toposcope/toposcope/bpf"
	"github.com/toposcope/toposcope/collector/event"
)

// bytesOf is a record as the kernel would write it: r, then payload, in memory aligned to 8 bytes.
func bytesOf[T any](r *T, payload string) []byte {
	size := int(unsafe.Sizeof(*r))
	words := make([]uint64, (size+len(payload)+7)/8)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)[:size+len(payload)]
	copy(b, unsafe.Slice((*byte)(unsafe.Pointer(r)), size))
	copy(b[size:], payload)
	return b
}

func newDecoder(t testing.TB) *Decoder {
	t.Helper()
	clock, err := NewClock()
	if err != nil {
		t.Fatal(err)
	}
	clock.offset.Store(1_000_000_000_000_000_000)
	return NewDecoder(clock)
}

func header(kind bpf.SocketsEventType) bpf.SocketsEventHeader {
	return bpf.SocketsEventHeader{Type: uint8(kind), Time: 5, Conn: 7, Task: bpf.SocketsTaskId{Pid: 1, Tid: 2, Start: 3}}
}

var (
	at     = time.Unix(0, 1_000_000_000_000_000_005)
	tasked = event.Task{PID: 1, TID: 2, Start: 3}
	v4     = bpf.SocketsFlow{
		Local: [2]uint64{0, 0x0100007fffff0000}, Remote: [2]uint64{0, 0x0200007fffff0000}, LocalPort: 80, RemotePort: 4000, Netns: 9,
	}
	flowOf = event.Flow{Local: netip.MustParseAddrPort("127.0.0.1:80"), Remote: netip.MustParseAddrPort("127.0.0.2:4000"), NetNS: 9}
)

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name   string
		record []byte
		want   event.Event
	}{
		{
			"data, cut in the middle",
			bytesOf(&bpf.SocketsDataEvent{
				Header: func() bpf.SocketsEventHeader {
					h := header(bpf.SocketsEventTypeEVENT_DATA)
					h.Direction = 1
					return h
				}(), Seq: 11, Off: 12, Size: 100, Head: 3, Tail: 2, Turn: 9,
			}, "abcyz rest of the room"),
			&event.Segment{
				Conn: 7, Dir: event.Received, Seq: 11, Turn: 9, Turns: true, Off: 12, Task: tasked, Data: []byte("abc"), Tail: []byte("yz"), Size: 100, Time: at,
			},
		},
		{
			"open",
			bytesOf(&bpf.SocketsOpenEvent{Header: func() bpf.SocketsEventHeader {
				h := header(bpf.SocketsEventTypeEVENT_OPEN)
				h.Role, h.Flags = uint8(bpf.SocketsRoleROLE_SERVER), uint8(bpf.SocketsEventFlagFLAG_EXISTING)
				return h
			}(), Flow: v4, Connecting: 2}, ""),
			&event.Opened{Conn: 7, Flow: flowOf, Role: event.RoleServer, Existing: true, Owner: tasked, Time: at, ConnectDuration: 3},
		},
		{
			"accept",
			bytesOf(&bpf.SocketsAcceptEvent{Header: header(bpf.SocketsEventTypeEVENT_ACCEPT), Waited: 4}, ""),
			&event.Accepted{Conn: 7, Task: tasked, Time: at, Wait: 4},
		},
		{
			"close by reset",
			bytesOf(&bpf.SocketsCloseEvent{Header: func() bpf.SocketsEventHeader {
				h := header(bpf.SocketsEventTypeEVENT_CLOSE)
				h.Flags = uint8(bpf.SocketsEventFlagFLAG_RESET)
				return h
			}(), Seq: 3, Turn: 8, Off: [2]uint64{4, 5}, Stats: bpf.SocketsConnStats{Conn: 7, Sent: 4, Received: 5, Retransmits: 1, Rtt: 6}}, ""),
			&event.Closed{
				Conn: 7, Seq: 3, Turn: 8, Turns: true, Sent: 4, Received: 5, Reason: event.CloseReset, Time: at,
				Stats: event.Stats{Conn: 7, Sent: 4, Received: 5, Retransmits: 1, RTT: 6, Time: at},
			},
		},
		{
			"connect refused",
			bytesOf(&bpf.SocketsConnectFailedEvent{Header: func() bpf.SocketsEventHeader {
				h := header(bpf.SocketsEventTypeEVENT_CONNECT_FAILED)
				h.Error = 111
				return h
			}(), Flow: v4, Connecting: 1}, ""),
			&event.ConnectFailed{Flow: flowOf, Task: tasked, Time: at, Duration: 4, Errno: 111},
		},
		{
			"listen",
			bytesOf(&bpf.SocketsListenEvent{Header: func() bpf.SocketsEventHeader {
				h := header(bpf.SocketsEventTypeEVENT_LISTEN)
				h.Flags = uint8(bpf.SocketsEventFlagFLAG_LISTENING)
				return h
			}(), Flow: v4}, ""),
			&event.Listening{Local: flowOf.Local, NetNS: 9, Task: tasked, Open: true, Time: at},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := newDecoder(t).Decode(c.record)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			for n := range int(unsafe.Sizeof(bpf.SocketsEventHeader{})) {
				if _, err := newDecoder(t).Decode(c.record[:n]); !errors.Is(err, ErrRecord) {
					t.Fatalf("cut to %d bytes: %v", n, err)
				}
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, r := range map[string]bpf.SocketsDataEvent{
		"more than is there":      {Size: 100, Head: 50},
		"more than was sent":      {Size: 2, Head: 3},
		"head and tail overlap":   {Size: 5, Head: 3, Tail: 3},
		"sizes that wrap around":  {Size: 1 << 40, Head: 1<<32 - 1, Tail: 1<<32 - 1},
		"a size beyond all sense": {Size: 1 << 63},
	} {
		r.Header = header(bpf.SocketsEventTypeEVENT_DATA)
		if _, err := newDecoder(t).Decode(bytesOf(&r, "abcdef")); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
	unknown := bpf.SocketsOpenEvent{Header: bpf.SocketsEventHeader{Type: 200}}
	if _, err := newDecoder(t).Decode(bytesOf(&unknown, "")); !errors.Is(err, ErrRecord) {
		t.Errorf("unknown type: %v", err)
	}
}

type processes struct{ all []any }

func (p *processes) Exec(e *event.Exec) { p.all = append(p.all, e) }
func (p *processes) Fork(e *event.Fork) { p.all = append(p.all, e) }
func (p *processes) Exit(e *event.Exit) { p.all = append(p.all, e) }

func TestDecodeProcess(t *testing.T) {
	exec := bpf.SocketsExecEvent{Header: header(bpf.SocketsEventTypeEVENT_EXEC), Parent: 4, Cgroup: 8, ArgsLen: 9}
	put := func(to []int8, s string) {
		for i := range len(s) {
			to[i] = int8(s[i])
		}
	}
	put(exec.Comm[:], "cat")
	put(exec.Filename[:], "/bin/cat")
	put(exec.Args[:], "cat\x00-n\x00/x\x00")
	exec.ArgsLen = 10
	env := "SECRET=x\x00OTEL_SERVICE_NAME=cats\x00OTEL_RESOURCE_ATTRIBUTES=a=b\x00OTEL_SERVICE_NAME=cu"
	put(exec.Environ[:], env)
	exec.EnvironLen = uint32(len(env))
	cut := int(unsafe.Offsetof(exec.Environ)) + len(env)
	fork := bpf.SocketsForkEvent{Header: header(bpf.SocketsEventTypeEVENT_FORK), Parent: bpf.SocketsTaskId{Pid: 9}}
	exit := bpf.SocketsExitEvent{Header: header(bpf.SocketsEventTypeEVENT_EXIT)}
	d, to := newDecoder(t), &processes{}
	for _, b := range [][]byte{bytes.Clone(bytesOf(&exec, "")[:cut]), bytesOf(&fork, ""), bytesOf(&exit, "")} {
		if err := DecodeProcess(b, d.clock, to); err != nil {
			t.Fatal(err)
		}
	}
	want := []any{
		&event.Exec{
			Task: tasked, Parent: 4, Comm: "cat", Executable: "/bin/cat", Args: []string{"cat", "-n", "/x"}, CgroupID: 8, Time: at,
			Environ: []string{"OTEL_SERVICE_NAME=cats", "OTEL_RESOURCE_ATTRIBUTES=a=b"},
		},
		&event.Fork{Parent: event.Task{PID: 9}, Child: tasked, Time: at},
		&event.Exit{Task: tasked, Time: at},
	}
	if !reflect.DeepEqual(to.all, want) {
		t.Errorf("got  %+v\nwant %+v", to.all, want)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(bytesOf(&bpf.SocketsDataEvent{Header: header(bpf.SocketsEventTypeEVENT_DATA), Size: 6, Head: 6}, "abcdef"))
	f.Add(bytesOf(&bpf.SocketsExecEvent{Header: header(bpf.SocketsEventTypeEVENT_EXEC), ArgsLen: 1 << 30}, ""))
	f.Fuzz(func(t *testing.T, b []byte) {
		aligned := bytesOf(&struct{}{}, string(b)+" ")[:len(b)]
		d := newDecoder(t)
		ev, err := d.Decode(aligned)
		if s, ok := ev.(*event.Segment); ok && err == nil && len(s.Data)+len(s.Tail) > s.Size {
			t.Errorf("%d+%d bytes of %d", len(s.Data), len(s.Tail), s.Size)
		}
		_ = DecodeProcess(aligned, d.clock, &processes{})
	})
}

func BenchmarkDecodeData(b *testing.B) {
	record := bytesOf(&bpf.SocketsDataEvent{Header: header(bpf.SocketsEventTypeEVENT_DATA), Size: 200, Head: 200}, string(make([]byte, 200)))
	d := newDecoder(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Decode(record); err != nil {
			b.Fatal(err)
		}
	}
}
