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

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/ring"
)

// pollInterval is how long an event may lie in a ring that has not reached its watermark. Four times as long costs a sixth less, and
// lost calls of gRPC clients that gave up, for a reason that is not understood yet.
const pollInterval = 10 * time.Millisecond

// shard reads one ring and feeds one handler; both belong to its goroutine.
type shard struct {
	reader  *ring.Reader
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
	until uint64 // by ring.Reader.Written
	work  func()
}

func newShard(r *ring.Reader, clock *ring.Clock, procs *processReader, log *slog.Logger) *shard {
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
	for more := false; ctx.Err() == nil; {
		if !more {
			if err := s.reader.Wait(pollInterval); err != nil {
				return ended(ctx, err)
			}
		}
		more = s.drain()
		s.work()
		now := time.Now()
		s.packets.tick(now)
		h.Tick(now)
	}
	return nil
}

// ended is why a ring is not read any more.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, os.ErrClosed) {
		return nil
	}
	return fmt.Errorf("waiting for events: %w", err)
}

// disorder is by how much process records may be out of order: their time is taken before their room in the ring. One that is told
// too early does no harm, since whose bytes they were is asked by their time.
const disorder = 5 * time.Millisecond

// batch is how many records may be read before the clock is looked at again.
const batch = 1024

// drain handles what is in the ring; more: there may be more than a batch.
func (s *shard) drain() (more bool) {
	for range batch {
		record := s.reader.Next()
		if record == nil {
			s.reader.Release()
			s.workAwaited()
			return false
		}
		s.procs.drain(ring.Time(record) + uint64(disorder)) // a process is known before its first bytes are handled
		s.take(record)
		if len(s.awaited) > 0 {
			s.workAwaited()
		}
	}
	return true
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

// whenRead does work once all that is in the ring now has been handled.
func (s *shard) whenRead(work func()) {
	if until := s.reader.Written(); until > s.reader.Read() {
		s.awaited = append(s.awaited, awaited{until, work})
		return
	}
	work()
}

func (s *shard) workAwaited() {
	for len(s.awaited) > 0 && s.awaited[0].until <= s.reader.Read() {
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
	reader *ring.Reader
	clock  *ring.Clock
	log    *slog.Logger
	to     ring.Processes
	record []byte        // was read and is not due yet; nil when there is none
	hurry  atomic.Bool   // processes are judged: each one that comes waits for its verdict
	busy   time.Time     // since when the next record is being written
	held   atomic.Uint64 // time of record, 0 when there is none
}

// drain tells what happened up to a time (CLOCK_MONOTONIC, ns).
func (p *processReader) drain(until uint64) {
	if held := p.held.Load(); held > until || held == 0 && p.reader.Unread() == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if p.record == nil && !p.next() {
			return
		}
		if p.held.Load() > until {
			return
		}
		if err := ring.DecodeProcess(p.record, p.clock, p.to); err != nil {
			p.log.Error("A process record from the kernel could not be decoded", "err", err)
		}
		p.record = nil
		p.reader.Release()
		p.held.Store(0) // not before: another shard must wait until this has been told
	}
}

// lag is how old a process's event becomes before it is told, unless bytes come that are younger: others may be on their way in a
// shard that has not looked yet.
const lag = 2 * pollInterval

// run hands process events on as soon as they come while processes are judged: one that has become another program is not watched
// until it has been. Else it looks often enough for most of them to be there still when /proc is read.
func (p *processReader) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if early := p.held.Load() - min(p.held.Load(), p.due()); early > 0 {
			time.Sleep(min(pollInterval, time.Duration(early))) // what has been read stays so, however much comes behind it
		} else if err := p.reader.Wait(pollInterval); err != nil {
			return ended(ctx, err)
		}
		p.drain(p.due())
	}
	return nil
}

// due is until when events are told that no bytes have asked for (CLOCK_MONOTONIC, ns).
func (p *processReader) due() uint64 {
	if p.hurry.Load() {
		return ring.Now()
	}
	return ring.Now() - uint64(lag)
}

// patience is for how long a record that has its room and is still being written is waited for: those behind it, of programs that
// run already, cannot be read before.
const patience = 3 * time.Millisecond

// next reads the next record, if there is one.
func (p *processReader) next() bool {
	for {
		if p.record = p.reader.Next(); p.record != nil {
			break
		}
		p.reader.Release() // of what was to be passed over
		if p.reader.Unread() == 0 {
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
	p.held.Store(max(ring.Time(p.record), 1))
	return true
}
