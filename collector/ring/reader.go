package ring

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Reader reads the records of one ring where the kernel has put them, without a copy (BPF_MAP_TYPE_RINGBUF, kernel/bpf/ringbuf.c).
// It is used by one goroutine, but for Unread and Close.
type Reader struct {
	file  *os.File
	raw   syscall.RawConn
	wait  func(uintptr) bool // r.look, made once
	woken bool
	done  atomic.Bool
	stuck atomic.Bool // the next record is being written: however full the ring is, nothing can be read

	consumer, producer *uintptr // in pages that the kernel shares
	data               []byte   // the ring, twice, one after the other: no record is cut by its end
	at                 uintptr  // what lies before has been read
	told               uintptr  // what lies before is the kernel's again
}

// headerSize is what the kernel puts before each record: its length with the two bits below, and an offset of the kernel's own.
const headerSize = 8

// The bits of a length: a record that is being written, and one that is to be passed over.
const (
	busyBit    = 1 << 31
	discardBit = 1 << 30
)

// OpenReader maps the ring of size bytes whose map is fd. The caller may close fd.
func OpenReader(fd, size int) (*Reader, error) {
	page := os.Getpagesize()
	consumer, err := unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping a ring's reading position: %w", err)
	}
	producer, err := unix.Mmap(fd, int64(page), page+2*size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mapping a ring: %w", err), unix.Munmap(consumer))
	}
	r := newReader((*uintptr)(unsafe.Pointer(&consumer[0])), (*uintptr)(unsafe.Pointer(&producer[0])), producer[page:])
	// Not by Close: another goroutine may be reading.
	runtime.AddCleanup(r, func(struct{}) { _, _ = unix.Munmap(consumer), unix.Munmap(producer) }, struct{}{})
	if err := r.watch(fd); err != nil {
		return nil, fmt.Errorf("waiting for a ring: %w", err)
	}
	return r, nil
}

// newReader reads a ring in memory: data is mapped twice in a row.
func newReader(consumer, producer *uintptr, data []byte) *Reader {
	at := atomic.LoadUintptr(consumer)
	r := &Reader{consumer: consumer, producer: producer, data: data, at: at, told: at}
	r.wait = r.look
	return r
}

// watch hands a descriptor of the ring to the runtime's poller. A goroutine that waits there holds no thread; one that is in
// epoll_wait itself does, and keeps the scheduler's monitor awake, which took a third of what an idle Toposcope did.
func (r *Reader) watch(fd int) error {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(own, true); err != nil { // or the runtime does not poll it
		return errors.Join(err, unix.Close(own))
	}
	r.file = os.NewFile(uintptr(own), "ring")
	if r.raw, err = r.file.SyscallConn(); err == nil {
		err = r.file.SetReadDeadline(time.Time{})
	}
	if err != nil {
		return errors.Join(err, r.file.Close())
	}
	return nil
}

// Close ends all waiting. What has been read stays valid as long as r is in use.
func (r *Reader) Close() error {
	r.done.Store(true)
	return r.file.Close()
}

// Wait returns after d, or when the kernel wakes its readers, or when a quarter of the ring is unread and can be read. A wake-up for less
// than that may come between the last Next and Wait, and is then forgotten: d bounds the delay. After Close the error is os.ErrClosed.
func (r *Reader) Wait(d time.Duration) error {
	r.woken = false
	if r.stuck.Load() {
		d = min(d, stuckWait)
	}
	err := r.file.SetReadDeadline(time.Now().Add(d))
	if err == nil {
		err = r.raw.Read(r.wait)
	}
	switch {
	case r.done.Load(): // what the file then says is nobody's error
		return os.ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	}
	return err
}

// stuckWait is for how long a record that is being written is waited for before it is looked at again.
const stuckWait = time.Millisecond

// look is asked before the poller waits and after it was woken. A wake-up that came while records were being read is forgotten
// by then, hence the look at the ring.
func (r *Reader) look(uintptr) bool {
	if r.woken || !r.stuck.Load() && r.Unread() >= len(r.data)/2/4 {
		return true
	}
	r.woken = true
	return false
}

// Unread is how many bytes of the ring are in use: by records that were not released, and by room for those that are being written.
// It may be called from any goroutine.
func (r *Reader) Unread() int {
	consumer := atomic.LoadUintptr(r.consumer) // first, or the other may be behind it
	return int(atomic.LoadUintptr(r.producer) - consumer)
}

// Written is how far the ring has been written, in bytes since it was made.
func (r *Reader) Written() uint64 { return uint64(atomic.LoadUintptr(r.producer)) }

// Read is how far the ring has been read; see Written.
func (r *Reader) Read() uint64 { return uint64(r.at) }

// Next is the next record, aligned to 8 bytes; nil when there is none, or it is still being written. It is valid until the next
// call of Next or Release, and must not be written to: the memory is mapped for reading. Room goes back to the kernel in larger
// pieces, since each time costs its next record a cache miss.
func (r *Reader) Next() []byte {
	size := uintptr(len(r.data) / 2)
	if r.at-r.told >= size/8 {
		r.Release()
	}
	for {
		left := atomic.LoadUintptr(r.producer) - r.at
		if left < headerSize {
			return nil
		}
		at := r.at & (size - 1)
		header := atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.data[at]))) // what it announces was written before it
		busy := header&busyBit != 0
		if busy != r.stuck.Load() { // asked first, so that its line of memory is not written for each record
			r.stuck.Store(busy)
		}
		if busy {
			return nil
		}
		length := uintptr(header &^ (busyBit | discardBit))
		taken := headerSize + (length+7)&^7
		if taken > left {
			return nil // the kernel never does that
		}
		r.at += taken
		if header&discardBit == 0 {
			return r.data[at+headerSize : at+headerSize+length : at+headerSize+length]
		}
	}
}

// Release gives the room of all that was read back to the kernel.
func (r *Reader) Release() {
	if r.told != r.at {
		r.told = r.at
		atomic.StoreUintptr(r.consumer, r.at)
	}
}
