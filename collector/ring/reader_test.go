package ring

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ringSize is that of the rings of these tests.
const ringSize = 4096

// writer writes into a ring in memory, as the kernel does.
type writer struct {
	consumer, producer uintptr
	data               []byte
	reader             *Reader
}

func newWriter(at uintptr) *writer {
	w := &writer{consumer: at, producer: at, data: make([]byte, 2*ringSize)}
	w.reader = newReader(&w.consumer, &w.producer, w.data)
	return w
}

// put writes a record with bits in its header; false when there is no room.
func (w *writer) put(record []byte, bits uint32) bool {
	taken := headerSize + (uintptr(len(record))+7)&^7
	if w.producer+taken-atomic.LoadUintptr(&w.consumer) > ringSize {
		return false
	}
	w.header(w.producer, uint32(len(record))|bits)
	for i, b := range record {
		w.set(w.producer+headerSize+uintptr(i), b)
	}
	w.producer += taken
	return true
}

func (w *writer) header(at uintptr, v uint32) {
	var word [4]byte
	binary.NativeEndian.PutUint32(word[:], v)
	for i, b := range word {
		w.set(at+uintptr(i), b)
	}
}

// set writes a byte of the ring, which is mapped twice.
func (w *writer) set(at uintptr, b byte) {
	w.data[at%ringSize], w.data[at%ringSize+ringSize] = b, b
}

// TestReader goes around the ring some times, with records of all lengths that have room.
func TestReader(t *testing.T) {
	w := newWriter(3 * ringSize)
	for i := range 500 {
		var want [][]byte
		for j := range 3 {
			record := bytes.Repeat([]byte{byte(i + j)}, i*37%1200)
			bits := uint32(0)
			if (i+j)%5 == 0 {
				bits = discardBit
			}
			if !w.put(record, bits) {
				t.Fatalf("no room in round %d", i)
			}
			if bits == 0 {
				want = append(want, record)
			}
		}
		for _, record := range want {
			if got := w.reader.Next(); got == nil || !bytes.Equal(got, record) {
				t.Fatalf("round %d: a record of %d bytes, want %d", i, len(got), len(record))
			}
		}
		if got := w.reader.Next(); got != nil {
			t.Fatalf("round %d: %d bytes too many", i, len(got))
		}
		if w.reader.Read() != w.reader.Written() {
			t.Fatalf("round %d: read up to %d of %d", i, w.reader.Read(), w.reader.Written())
		}
		w.reader.Release()
		if n := w.reader.Unread(); n != 0 {
			t.Fatalf("round %d: %d bytes unread", i, n)
		}
	}
}

// TestReaderRelease keeps what was read from being written over until it is given back.
func TestReaderRelease(t *testing.T) {
	w := newWriter(0)
	for w.put(make([]byte, 56), 0) {
	}
	if w.reader.Next() == nil || w.put(nil, 0) {
		t.Error("a record was written over while it was read")
	}
	for range ringSize / 64 / 2 {
		w.reader.Next()
	}
	if w.consumer == 0 || w.consumer > uintptr(w.reader.Read())-64 {
		t.Errorf("%d bytes given back of %d that were read, the last record among them or none", w.consumer, w.reader.Read())
	}
	w.reader.Release()
	if uint64(w.consumer) != w.reader.Read() {
		t.Errorf("%d bytes given back, want %d", w.consumer, w.reader.Read())
	}
}

// TestReaderBusy stops before a record that is being written, and at lengths that are none.
func TestReaderBusy(t *testing.T) {
	w := newWriter(0)
	w.put([]byte("first"), 0)
	w.put([]byte("second"), busyBit)
	w.put([]byte("third"), 0)
	if got := w.reader.Next(); string(got) != "first" {
		t.Fatalf("%q", got)
	}
	if got := w.reader.Next(); got != nil {
		t.Fatalf("%q was being written", got)
	}
	w.header(16, uint32(len("second")))
	for _, want := range []string{"second", "third"} {
		if got := w.reader.Next(); string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	w.put([]byte("fourth"), 0)
	w.header(48, 1<<29)
	if got := w.reader.Next(); got != nil {
		t.Errorf("a record of %d bytes in a ring of %d", len(got), ringSize)
	}
}

// TestReaderWait is woken by what can be read of a descriptor, by the time, by a ring that fills, and by its end.
func TestReaderWait(t *testing.T) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	w := newWriter(0)
	if err := w.reader.watch(fd); err != nil {
		t.Fatal(err)
	}
	wait := func(what string, d time.Duration) {
		t.Helper()
		done := make(chan error, 1)
		go func() { done <- w.reader.Wait(d) }()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s did not end the wait", what)
		}
	}
	wait("time", time.Millisecond)
	time.AfterFunc(20*time.Millisecond, func() { _, _ = unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0}) })
	wait("the kernel", time.Hour)
	w.put(make([]byte, ringSize/4), 0)
	wait("a quarter of the ring", time.Hour)
	if err := w.reader.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.reader.Wait(time.Hour); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

func TestReaderDoesNotAllocate(t *testing.T) {
	w := newWriter(0)
	record := make([]byte, 200)
	n := testing.AllocsPerRun(1000, func() {
		w.put(record, 0)
		w.put(record, 0)
		for w.reader.Next() != nil {
		}
		w.reader.Release()
	})
	if n != 0 {
		t.Errorf("%g allocations, want none", n)
	}
}

// Behind a record that is still being written nothing can be read, however full the ring is: the wait is one for time, not a loop.
func TestReaderWaitsBehindBusyRecord(t *testing.T) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	w := newWriter(0)
	if err := w.reader.watch(fd); err != nil {
		t.Fatal(err)
	}
	w.put([]byte("x"), busyBit)
	w.put(make([]byte, ringSize/4), 0)
	if w.reader.Next() != nil {
		t.Fatal("a record that is being written was read")
	}
	if w.reader.look(0) {
		t.Error("the reader was to read at once, and cannot")
	}
	if err := w.reader.Wait(time.Hour); err != nil { // a moment is all that it takes to write a record
		t.Error(err)
	}
}
