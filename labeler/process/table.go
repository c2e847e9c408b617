package process

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// Config bounds a Table. Zero values take the defaults.
type Config struct {
	// ProcFS is where proc is mounted; "/proc".
	ProcFS string
	// MaxRunning and MaxEnded bound the processes kept; 65,536 and 16,384. Past MaxRunning one that was not asked for of
	// late is forgotten (and read again when it is asked for), past MaxEnded the one that ended first.
	MaxRunning, MaxEnded int
	// KeepEnded is how long a process that has ended is still named; one minute.
	KeepEnded time.Duration
	// Now is the clock; time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.ProcFS == "" {
		c.ProcFS = "/proc"
	}
	if c.MaxRunning <= 0 {
		c.MaxRunning = 1 << 16
	}
	if c.MaxEnded <= 0 {
		c.MaxEnded = 1 << 14
	}
	if c.KeepEnded <= 0 {
		c.KeepEnded = time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Process is one process, from its fork to its end. Value is its table's owner's to use.
type Process[V any] struct {
	PID uint32
	// Start is in nanoseconds since boot, cut to a tick of 10 ms when it is known from /proc alone.
	Start uint64
	Value V

	exact   bool // Start is the kernel's own number
	program atomic.Pointer[Program]
	used    atomic.Bool // asked for since the hand came by, see evict

	// Guarded by Table.mu.
	ended   time.Time   // zero while it runs
	earlier *Process[V] // the one that had this PID before
	index   int         // in Table.running
}

// Program is what the process runs now.
func (p *Process[V]) Program() *Program { return p.program.Load() }

// is tells whether t names p. /proc cuts a start time to ticks, so that such a one may differ by a tick.
func (p *Process[V]) is(t event.Task) bool {
	if p.PID != t.PID {
		return false
	}
	return p.Start == t.Start || !p.exact && SameStart(p.Start, t.Start)
}

// touch keeps p from being evicted. It writes only when it must: the field is shared by all cores.
func (p *Process[V]) touch() {
	if !p.used.Load() {
		p.used.Store(true)
	}
}

// SameStart tells whether two start times, in nanoseconds since boot, may be one process's: /proc cuts them to a tick of 10 ms,
// so that they may differ by one. No PID comes up again that soon.
func SameStart(a, b uint64) bool { return max(a, b)-min(a, b) <= tick }

// recentSize is the size of the cache before the map: a power of two, indexed by the low bits of the PID.
const recentSize = 1 << 12

// Table holds the processes of a host, those that ended lately included. V is what its owner hangs on each.
//
// All methods may be called from any goroutine. Events of one process are to come in their order.
type Table[V any] struct {
	cfg    Config
	proc   *procFS
	recent [recentSize]atomic.Pointer[Process[V]]

	mu      sync.RWMutex
	byPID   map[uint32]*Process[V] // the latest of each PID
	running []*Process[V]
	hand    int           // of the clock that evicts
	ended   []*Process[V] // by the time of their end

	misses, evicted, recycled atomic.Uint64
}

// NewTable makes an empty table; Scan fills it.
func NewTable[V any](cfg Config) *Table[V] {
	cfg = cfg.withDefaults()
	return &Table[V]{cfg: cfg, proc: newProcFS(cfg.ProcFS), byPID: make(map[uint32]*Process[V])}
}

// Stats are a table's size and what it could not tell.
type Stats struct {
	Running, Ended int
	// Misses counts tasks that were asked for and had left no trace; Evicted, running processes forgotten for want of
	// room; Recycled, processes whose end was never told and whose PID came up again.
	Misses, Evicted, Recycled uint64
}

// Stats may be called at any time.
func (t *Table[V]) Stats() Stats {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return Stats{len(t.running), len(t.ended), t.misses.Load(), t.evicted.Load(), t.recycled.Load()}
}

// Lookup finds a process by PID and start time, or by PID alone when task.Start is 0: the one that runs now. It returns nil
// for one that the table does not know. It neither reads /proc nor allocates.
func (t *Table[V]) Lookup(task event.Task) *Process[V] {
	slot := &t.recent[task.PID%recentSize]
	if p := slot.Load(); p != nil && task.Start != 0 && p.is(task) {
		p.touch()
		return p
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	p := t.find(task)
	if p == nil {
		return nil
	}
	p.touch()
	slot.Store(p) // under the lock, so that forget cannot come between
	return p
}

// find is Lookup under the lock.
func (t *Table[V]) find(task event.Task) *Process[V] {
	latest := t.byPID[task.PID]
	if task.Start == 0 {
		if latest == nil || !latest.ended.IsZero() {
			return nil
		}
		return latest
	}
	for p := latest; p != nil; p = p.earlier {
		if p.is(task) {
			return p
		}
	}
	return nil
}

// findNear is find by a start time that may be cut to a tick.
func (t *Table[V]) findNear(pid uint32, start uint64) *Process[V] {
	for p := t.byPID[pid]; p != nil; p = p.earlier {
		if SameStart(p.Start, start) {
			return p
		}
	}
	return nil
}

// lookupProgram is what is known of the program that task runs; nil when it is not known.
func (t *Table[V]) lookupProgram(task event.Task) *Program {
	if p := t.Lookup(task); p != nil {
		return p.Program()
	}
	return nil
}

// Running calls yield with every process that has not ended, Ended with those that have. They hold no lock meanwhile.
func (t *Table[V]) Running(yield func(*Process[V])) {
	t.mu.RLock()
	list := append([]*Process[V](nil), t.running...)
	t.mu.RUnlock()
	for _, p := range list {
		yield(p)
	}
}

// Ended is described at Running.
func (t *Table[V]) Ended(yield func(*Process[V])) {
	t.mu.RLock()
	list := append([]*Process[V](nil), t.ended...)
	t.mu.RUnlock()
	for _, p := range list {
		yield(p)
	}
}

// Members appends to list the processes that run program, oldest first.
func (t *Table[V]) Members(list []*Process[V], program *Program) []*Process[V] {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, m := range program.members {
		if p := t.find(event.Task{PID: m.pid, Start: m.start}); p != nil {
			list = append(list, p)
		}
	}
	return list
}

// add makes a process known, under the lock.
func (t *Table[V]) add(p *Process[V], program *Program) {
	if before := t.byPID[p.PID]; before != nil {
		if before.ended.IsZero() {
			t.recycled.Add(1)
			t.end(before)
		}
		p.earlier = t.byPID[p.PID] // end may have dropped before for want of room
	}
	t.byPID[p.PID] = p
	p.index = len(t.running)
	t.running = append(t.running, p)
	t.enter(p, program)
	if len(t.running) > t.cfg.MaxRunning {
		t.evict(p)
	}
}

// enter makes p run program.
func (t *Table[V]) enter(p *Process[V], program *Program) {
	if old := p.program.Load(); old != nil {
		old.leave(p.PID, p.Start)
	}
	program.join(p.PID, p.Start)
	p.program.Store(program)
}

// end moves p to those that have ended.
func (t *Table[V]) end(p *Process[V]) {
	t.drop(p)
	p.ended = t.cfg.Now()
	t.ended = append(t.ended, p)
	if len(t.ended) > t.cfg.MaxEnded {
		t.expire(1 + t.cfg.MaxEnded/16) // several at once, for moving the rest up takes time
	}
}

// drop takes p off the running.
func (t *Table[V]) drop(p *Process[V]) {
	last := len(t.running) - 1
	t.running[p.index] = t.running[last]
	t.running[p.index].index = p.index
	t.running[last] = nil
	t.running = t.running[:last]
	p.Program().leave(p.PID, p.Start)
}

// evict forgets a running process, not new, that nobody asked for since the hand's last round.
func (t *Table[V]) evict(added *Process[V]) {
	for range 2 * len(t.running) {
		t.hand = (t.hand + 1) % len(t.running)
		p := t.running[t.hand]
		if p == added || p.used.Swap(false) {
			continue
		}
		t.drop(p)
		t.forget(p)
		t.evicted.Add(1)
		return
	}
}

// forget removes every way to p.
func (t *Table[V]) forget(p *Process[V]) {
	t.recent[p.PID%recentSize].CompareAndSwap(p, nil)
	latest := t.byPID[p.PID]
	if latest == p {
		if p.earlier == nil {
			delete(t.byPID, p.PID)
		} else {
			t.byPID[p.PID] = p.earlier
		}
		return
	}
	for ; latest != nil; latest = latest.earlier {
		if latest.earlier == p {
			latest.earlier = p.earlier
			return
		}
	}
}

// expire forgets the n processes that ended first.
func (t *Table[V]) expire(n int) {
	for _, p := range t.ended[:n] {
		t.forget(p)
	}
	rest := copy(t.ended, t.ended[n:])
	clear(t.ended[rest:])
	t.ended = t.ended[:rest]
}

// Expire forgets the processes that ended longer ago than Config.KeepEnded.
func (t *Table[V]) Expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	limit, n := t.cfg.Now().Add(-t.cfg.KeepEnded), 0
	for n < len(t.ended) && t.ended[n].ended.Before(limit) {
		n++
	}
	t.expire(n)
}
