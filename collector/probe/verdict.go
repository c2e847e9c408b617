package probe

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/toposcope/toposcope/bpf"
	"github.com/toposcope/toposcope/collector/event"
)

// verdictTable is the kernel's array of verdicts, mapped: a verdict costs a store and no system call.
type verdictTable struct {
	memory []byte
	slots  []bpf.SocketsVerdict
}

func openVerdicts(m *ebpf.Map) (*verdictTable, error) {
	n := int(m.MaxEntries())
	size := n * int(unsafe.Sizeof(bpf.SocketsVerdict{}))
	page := os.Getpagesize()
	memory, err := unix.Mmap(m.FD(), 0, (size+page-1)/page*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping the verdicts: %w", err)
	}
	return &verdictTable{memory, unsafe.Slice((*bpf.SocketsVerdict)(unsafe.Pointer(&memory[0])), n)}, nil
}

// set writes a slot. The owner goes last and is cleared first, so that the kernel never joins one connection's number with
// another's verdict.
func (t *verdictTable) set(conn event.ConnID, v bpf.SocketsVerdict) {
	slot := &t.slots[uint64(conn)%uint64(len(t.slots))]
	atomic.StoreUint64(&slot.Conn, 0)
	slot.Head, slot.Tail, slot.Refused = v.Head, v.Tail, v.Refused
	atomic.StoreUint64(&slot.Conn, uint64(conn))
}

// clear empties conn's slot, unless another connection has it by now.
func (t *verdictTable) clear(conn event.ConnID) {
	atomic.CompareAndSwapUint64(&t.slots[uint64(conn)%uint64(len(t.slots))].Conn, uint64(conn), 0)
}

func (t *verdictTable) close() {
	if t.memory != nil {
		_ = unix.Munmap(t.memory) // nothing is left to do with it
		t.memory, t.slots = nil, nil
	}
}

// Limits of what the kernel copies of one call, as bpf/include/event.h has them.
const (
	maxHead  = 16384
	maxTail  = 256
	maxWhole = 262144
)

// Copy tells the kernel how many bytes of each turn of conn to copy: head from the start, tail from the end of a call that was
// cut. Call it from the goroutine of conn's shard.
func (p *Probe) Copy(conn event.ConnID, head, tail int) {
	if isPacketConn(conn) {
		p.refusePacketConn(conn, false) // packets are copied whole
		return
	}
	p.verdicts.set(conn, bpf.SocketsVerdict{Head: uint32(min(head, maxHead)), Tail: uint16(min(tail, maxTail))})
}

// CopyAll tells the kernel to copy 256 KiB of each call, or an eighth of a ring when that is less, and tail bytes at the end of a call
// that was cut, for a protocol that cannot skip what it has not seen. Call it from the goroutine of conn's shard.
func (p *Probe) CopyAll(conn event.ConnID, tail int) {
	if isPacketConn(conn) {
		p.refusePacketConn(conn, false)
		return
	}
	// More than maxHead is what makes it a limit of each call instead of each turn.
	p.verdicts.set(conn, bpf.SocketsVerdict{
		Head: max(min(maxWhole, p.ringSize()/8), maxHead+1), Tail: uint16(min(tail, maxTail)),
	})
}

// Undecide takes a verdict back: the kernel copies of conn what it copies of a connection of which nothing is known. Call it from the
// goroutine of conn's shard.
func (p *Probe) Undecide(conn event.ConnID) {
	if isPacketConn(conn) {
		p.refusePacketConn(conn, false)
		return
	}
	p.verdicts.clear(conn)
}

// Refuse tells the kernel to send nothing more of conn. Call it from the goroutine of conn's shard.
func (p *Probe) Refuse(conn event.ConnID) {
	if isPacketConn(conn) {
		p.refusePacketConn(conn, true)
		return
	}
	p.verdicts.set(conn, bpf.SocketsVerdict{Refused: 1})
}

func (p *Probe) refusePacketConn(conn event.ConnID, on bool) {
	if i := shardOfPacketConn(conn); i < len(p.shards) {
		p.shards[i].packets.refuse(conn, on)
	}
}
