// Package ring decodes the kernel's records, as bpf/include/event.h lays them out, into events.
//
// It checks every length against the record that holds it: a record that does not fit is an error, never a panic.
package ring

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/toposcope/toposcope/bpf"
	"github.com/toposcope/toposcope/collector/event"
)

// ErrRecord says that a record's bytes are not what its type promises.
var ErrRecord = errors.New("malformed record")

// Decoder turns one shard's records into events. It is used by one goroutine, and an event it returns is valid until the
// next call: the steady stream allocates nothing.
type Decoder struct {
	clock *Clock

	opened   event.Opened
	accepted event.Accepted
	segment  event.Segment
	closed   event.Closed
	failed   event.ConnectFailed
	listen   event.Listening
}

// NewDecoder returns a decoder that takes wall-clock times from clock.
func NewDecoder(clock *Clock) *Decoder { return &Decoder{clock: clock} }

// as reads a T from the start of b. The kernel's layout is the host's, so a copy is a decoding.
func as[T any](b []byte) (*T, error) {
	if len(b) < int(unsafe.Sizeof(*new(T))) {
		return nil, fmt.Errorf("%w: %d bytes", ErrRecord, len(b))
	}
	return (*T)(unsafe.Pointer(unsafe.SliceData(b))), nil
}

// Bytes is a record that did not come by a ring.
func Bytes(r *bpf.SocketsCloseEvent) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(r)), unsafe.Sizeof(*r))
}

// Decode decodes a connection's record. b must be aligned to 8 bytes, as a heap buffer is. The Data of a Segment points into b.
func (d *Decoder) Decode(b []byte) (event.Event, error) {
	header, err := as[bpf.SocketsEventHeader](b)
	if err != nil {
		return nil, err
	}
	switch bpf.SocketsEventType(header.Type) {
	case bpf.SocketsEventTypeEVENT_DATA:
		return d.data(b)
	case bpf.SocketsEventTypeEVENT_OPEN:
		return d.open(b)
	case bpf.SocketsEventTypeEVENT_ACCEPT:
		return d.accept(b)
	case bpf.SocketsEventTypeEVENT_CLOSE:
		return d.close(b)
	case bpf.SocketsEventTypeEVENT_CONNECT_FAILED:
		return d.connectFailed(b)
	case bpf.SocketsEventTypeEVENT_LISTEN:
		return d.listening(b)
	default:
		return nil, fmt.Errorf("%w: type %d", ErrRecord, header.Type)
	}
}

// Now is the clock that records are stamped by, in nanoseconds.
func Now() uint64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0 // it cannot fail: the clock exists
	}
	return uint64(ts.Nano())
}

// Time is when a record's event happened, in nanoseconds of CLOCK_MONOTONIC; 0 when the record is malformed.
func Time(b []byte) uint64 {
	header, err := as[bpf.SocketsEventHeader](b)
	if err != nil {
		return 0
	}
	return header.Time
}

func (d *Decoder) data(b []byte) (event.Event, error) {
	r, err := as[bpf.SocketsDataEvent](b)
	if err != nil {
		return nil, err
	}
	payload := b[unsafe.Sizeof(*r):]
	head, tail := uint64(r.Head), uint64(r.Tail)
	if head+tail > uint64(len(payload)) || head+tail > r.Size || r.Size > 1<<31 {
		return nil, fmt.Errorf("%w: %d+%d bytes of %d in %d", ErrRecord, head, tail, r.Size, len(payload))
	}
	s := &d.segment
	s.Conn = event.ConnID(r.Header.Conn)
	s.Source = event.SourceSocket
	s.Dir = event.Dir(r.Header.Direction & 1)
	s.Seq, s.Off, s.Size = r.Seq, r.Off, int(r.Size)
	s.Turn, s.Turns = r.Turn, true
	s.Task = task(r.Header.Task)
	s.Data = payload[:head:head]
	s.Tail = payload[head : head+tail : head+tail]
	s.Time = d.clock.Wall(r.Header.Time)
	return s, nil
}

func (d *Decoder) open(b []byte) (event.Event, error) {
	r, err := as[bpf.SocketsOpenEvent](b)
	if err != nil {
		return nil, err
	}
	d.opened = event.Opened{
		Conn:     event.ConnID(r.Header.Conn),
		Flow:     flow(r.Flow),
		Role:     event.Role(r.Header.Role),
		Existing: bpf.SocketsEventFlag(r.Header.Flags)&bpf.SocketsEventFlagFLAG_EXISTING != 0,
		Owner:    task(r.Header.Task),
		Time:     d.clock.Wall(r.Header.Time),
	}
	if r.Connecting != 0 && r.Header.Time > r.Connecting {
		d.opened.ConnectDuration = time.Duration(r.Header.Time - r.Connecting)
	}
	if r.Active != 0 {
		d.opened.LastActive = d.clock.Wall(r.Active)
	}
	return &d.opened, nil
}

func (d *Decoder) accept(b []byte) (event.Event, error) {
	r, err := as[bpf.SocketsAcceptEvent](b)
	if err != nil {
		return nil, err
	}
	d.accepted = event.Accepted{
		Conn: event.ConnID(r.Header.Conn),
		Task: task(r.Header.Task),
		Time: d.clock.Wall(r.Header.Time),
		Wait: time.Duration(r.Waited),
	}
	return &d.accepted, nil
}

func (d *Decoder) close(b []byte) (event.Event, error) {
	r, err := as[bpf.SocketsCloseEvent](b)
	if err != nil {
		return nil, err
	}
	d.closed = event.Closed{
		Conn:     event.ConnID(r.Header.Conn),
		Seq:      r.Seq,
		Turn:     r.Turn,
		Turns:    true,
		Sent:     r.Off[event.Sent],
		Received: r.Off[event.Received],
		Time:     d.clock.Wall(r.Header.Time),
		Stats:    stats(&r.Stats, d.clock.Wall(r.Header.Time)),
	}
	switch flags := bpf.SocketsEventFlag(r.Header.Flags); {
	case flags&bpf.SocketsEventFlagFLAG_TIMEOUT != 0:
		d.closed.Reason = event.CloseTimeout
	case flags&bpf.SocketsEventFlagFLAG_RESET != 0:
		d.closed.Reason = event.CloseReset
	}
	return &d.closed, nil
}

func (d *Decoder) connectFailed(b []byte) (event.Event, error) {
	r, err := as[bpf.SocketsConnectFailedEvent](b)
	if err != nil {
		return nil, err
	}
	d.failed = event.ConnectFailed{
		Flow:     flow(r.Flow),
		Task:     task(r.Header.Task),
		Time:     d.clock.Wall(r.Header.Time),
		Duration: time.Duration(r.Header.Time - r.Connecting),
		Errno:    int(r.Header.Error),
	}
	return &d.failed, nil
}

func (d *Decoder) listening(b []byte) (event.Event, error) {
	r, err := as[bpf.SocketsListenEvent](b)
	if err != nil {
		return nil, err
	}
	f := flow(r.Flow)
	d.listen = event.Listening{
		Local: f.Local,
		NetNS: f.NetNS,
		Task:  task(r.Header.Task),
		Open:  bpf.SocketsEventFlag(r.Header.Flags)&bpf.SocketsEventFlagFLAG_LISTENING != 0,
		Time:  d.clock.Wall(r.Header.Time),
	}
	return &d.listen, nil
}

// Stats decodes one struct conn_stats and says which shard owns the connection.
func Stats(b []byte, now time.Time) (s event.Stats, shard int, err error) {
	r, err := as[bpf.SocketsConnStats](b)
	if err != nil {
		return s, 0, err
	}
	return stats(r, now), int(r.Shard), nil
}

// StatsSize is the size of a struct conn_stats.
const StatsSize = int(unsafe.Sizeof(bpf.SocketsConnStats{}))

// QueueSize is the size of a struct listener_stats.
const QueueSize = int(unsafe.Sizeof(bpf.SocketsListenerStats{}))

// Queue decodes one struct listener_stats.
func Queue(b []byte, now time.Time) (event.Listening, error) {
	r, err := as[bpf.SocketsListenerStats](b)
	if err != nil {
		return event.Listening{}, err
	}
	f := flow(r.Flow)
	return event.Listening{Local: f.Local, NetNS: f.NetNS, Open: true, Queue: int(r.Queue), Time: now}, nil
}

func stats(r *bpf.SocketsConnStats, now time.Time) event.Stats {
	return event.Stats{
		Conn: event.ConnID(r.Conn), RTT: time.Duration(r.Rtt), Retransmits: r.Retransmits,
		Sent: r.Sent, Received: r.Received, Time: now,
	}
}

func task(t bpf.SocketsTaskId) event.Task { return event.Task{PID: t.Pid, TID: t.Tid, Start: t.Start} }

func flow(f bpf.SocketsFlow) event.Flow {
	return event.Flow{
		Local:  netip.AddrPortFrom(address(f.Local), f.LocalPort),
		Remote: netip.AddrPortFrom(address(f.Remote), f.RemotePort),
		NetNS:  f.Netns,
	}
}

func address(words [2]uint64) netip.Addr {
	var b [16]byte
	binary.NativeEndian.PutUint64(b[:8], words[0])
	binary.NativeEndian.PutUint64(b[8:], words[1])
	return netip.AddrFrom16(b).Unmap()
}

// Words is an address as the kernel's maps and records have it.
func Words(a netip.Addr) [2]uint64 {
	b := a.As16()
	return [2]uint64{binary.NativeEndian.Uint64(b[:8]), binary.NativeEndian.Uint64(b[8:])}
}

func text(chars []int8) string {
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(chars))), len(chars))
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
