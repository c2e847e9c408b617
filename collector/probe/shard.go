package probe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/ring"
)

// pollInterval is how long an event may lie in a ring that has not reached its watermark.
const pollInterval = 10 * time.Millisecond

// shard reads one ring and feeds one handler; both belong to its goroutine.
type shard struct {
	reader  *ringbuf.Reader
	decoder *ring.Decoder
	procs   *processReader
	log     *slog.Logger
	posted  chan func(*shard) // work for the shard's goroutine from others
	packets *intake

	handler Handler
	open    map[event.ConnID]uint64 // by their order of opening
	opened  uint64
	awaited []awaited
	bad     uint64
}

// awaited is work that waits until the ring has been read up to where it was.
type awaited struct {
	unread int // bytes
	work   func()
}

func newShard(r *ringbuf.Reader, clock *ring.Clock, procs *processReader, log *slog.Logger) *shard {
	return &shard{
		reader: r, decoder: ring.NewDecoder(clock), procs: procs, log: log,
		posted: make(chan func(*shard), 64), open: map[event.ConnID]uint64{},
	}
}

// post hands work to the shard's goroutine; false when too much is waiting, and then the next round does it.
func (s *shard) post(f func(*shard)) bool {
	select {
	case s.posted <- f:
		return true
	default:
		return false
	}
}

func (s *shard) run(ctx context.Context, h Handler) error {
	s.handler = h
	s.packets.handle = h.Handle
	stop := context.AfterFunc(ctx, func() { s.reader.SetDeadline(time.Unix(1, 0)); _ = s.reader.Flush() })
	defer stop()
	record := ringbuf.Record{RawSample: make([]byte, 64<<10)}
	for ctx.Err() == nil {
		s.reader.SetDeadline(time.Now().Add(pollInterval))
		if err := s.drain(ctx, &record); err != nil {
			return err
		}
		s.procs.drain(ring.Now() - uint64(2*pollInterval)) // what is younger may be ahead of another shard's bytes
		s.work()
		now := time.Now()
		s.packets.tick(now)
		h.Tick(now)
	}
	return nil
}

// disorder is by how much process records may be out of order: their time is taken before their room in the ring. One that is told
// too early does no harm, since whose bytes they were is asked by their time.
const disorder = 5 * time.Millisecond

// batch is how many records may be read before the clock is looked at again.
const batch = 1024

func (s *shard) drain(ctx context.Context, record *ringbuf.Record) error {
	for n := 0; n < batch; n++ {
		err := s.reader.ReadInto(record)
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, ringbuf.ErrFlushed):
			return nil
		case errors.Is(err, ringbuf.ErrClosed) && ctx.Err() != nil:
			return nil
		default:
			return err
		}
		s.procs.drain(ring.Time(record.RawSample) + uint64(disorder)) // a process is known before its first bytes are handled
		s.take(record.RawSample)
		if len(s.awaited) > 0 {
			s.tookBytes((len(record.RawSample) + recordHeader + 7) &^ 7)
		}
	}
	return nil
}

func (s *shard) take(record []byte) {
	if ring.IsPacket(record) {
		s.packets.take(record)
		return
	}
	ev, err := s.decoder.Decode(record)
	if err != nil {
		if s.bad++; s.bad == 1 {
			s.log.Error("A record from the kernel could not be decoded; objects and binary do not match", "err", err)
		}
		return
	}
	switch ev := ev.(type) {
	case *event.Opened:
		s.opened++
		s.open[ev.Conn] = s.opened
	case *event.Closed:
		delete(s.open, ev.Conn)
	}
	s.handler.Handle(ev)
}

// work does what others posted.
func (s *shard) work() {
	for {
		select {
		case f := <-s.posted:
			f(s)
		default:
			return
		}
	}
}

// recordHeader is what the kernel puts before each record of a ring.
const recordHeader = 8

// whenRead does work once all that is in the ring now has been handled.
func (s *shard) whenRead(work func()) {
	if unread := s.reader.AvailableBytes(); unread > 0 {
		s.awaited = append(s.awaited, awaited{unread, work})
		return
	}
	work()
}

func (s *shard) tookBytes(n int) {
	for i := range s.awaited {
		s.awaited[i].unread -= n
	}
	for len(s.awaited) > 0 && s.awaited[0].unread <= 0 {
		work := s.awaited[0].work
		s.awaited = s.awaited[1:]
		work()
	}
}

// closeMissing ends the connections, up to the number newest and the opened-th to be opened here, that are not among the living:
// their close was lost. What is still in the ring must have been handled: a close may be there.
func (s *shard) closeMissing(living map[event.ConnID]bool, newest event.ConnID, opened uint64) {
	for id, order := range s.open {
		if id <= newest && order <= opened && !living[id] {
			delete(s.open, id)
			s.handler.Handle(&event.Closed{Conn: id, Reason: event.CloseReset, Time: time.Now()})
		}
	}
}

// processReader drains the process ring, by whichever shard gets there first, in step with the shards' own events: an exec that
// came after a run of bytes is told after it.
type processReader struct {
	mu     sync.Mutex
	reader *ringbuf.Reader
	clock  *ring.Clock
	log    *slog.Logger
	to     ring.Processes
	record ringbuf.Record
	hurry  atomic.Bool   // processes are judged: each one that comes waits for its verdict
	busy   time.Time     // since when the next record is being written
	held   atomic.Uint64 // time of the record that was read and is not due yet; 0 when there is none
}

// drain tells what happened up to a time (CLOCK_MONOTONIC, ns).
func (p *processReader) drain(until uint64) {
	if held := p.held.Load(); held > until || held == 0 && p.reader.AvailableBytes() == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if p.held.Load() == 0 && !p.next() {
			return
		}
		if p.held.Load() > until {
			return
		}
		if err := ring.DecodeProcess(p.record.RawSample, p.clock, p.to); err != nil {
			p.log.Error("A process record from the kernel could not be decoded", "err", err)
		}
		p.held.Store(0) // not before: another shard must wait until this has been told
	}
}

// run hands process events on as soon as they come: a process that has become another program is not watched until it has been
// judged. Without it they wait for the next bytes of a shard, or its tick.
func (p *processReader) run(ctx context.Context, ringFD int) error {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("waiting for processes: %w", err)
	}
	defer unix.Close(poll)
	if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, ringFD, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(ringFD)}); err != nil {
		return fmt.Errorf("waiting for processes: %w", err)
	}
	events := make([]unix.EpollEvent, 1)
	for ctx.Err() == nil {
		if _, err := unix.EpollWait(poll, events, 100); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("waiting for processes: %w", err)
		}
		if p.hurry.Load() {
			p.drain(ring.Now())
		}
	}
	return nil
}

// patience is for how long a record that has its room and is still being written is waited for: those behind it, of programs that
// run already, cannot be read before.
const patience = 3 * time.Millisecond

// next reads the next record, if there is one.
func (p *processReader) next() bool {
	for !p.read() {
		if p.reader.AvailableBytes() == 0 {
			return false
		}
		switch now := time.Now(); {
		case p.busy.IsZero():
			p.busy = now
		case now.Sub(p.busy) > patience:
			return false // its writer is not to be had; nobody waits for it twice
		}
		time.Sleep(patience / 100)
	}
	p.busy = time.Time{}
	return true
}

// read reads the next record, without waiting for one.
func (p *processReader) read() bool {
	if p.reader.AvailableBytes() == 0 {
		return false
	}
	p.reader.SetDeadline(time.Unix(1, 0))
	if err := p.reader.ReadInto(&p.record); err != nil {
		return false
	}
	p.held.Store(max(ring.Time(p.record.RawSample), 1))
	return true
}
