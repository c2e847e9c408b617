package probe

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/toposcope/toposcope/collector/event"
)

// namespaces has a packet socket in every network namespace with processes that are watched, as they come and go.
type namespaces struct {
	procfs string
	log    *slog.Logger
	limit  int
	// load makes the filter of a namespace.
	load func(inode uint32) (*ebpf.Program, error)
	// address tells the kernel that a namespace has an address, or has it no more.
	address func(inode uint32, a netip.Addr, has bool) error
	// watched tells whether a process is.
	watched func(event.Task) bool
	// told is called with each table of sockets that was read, from the goroutine that reads them. Not nil: they are read also when
	// nobody wants one.
	told func(*socketTable)

	poll, wake int
	hints      chan uint32 // processes that have just become another program: they may be in a new namespace
	wanted     atomic.Bool // somebody misses the owner of a socket
	table      atomic.Pointer[socketTable]
	own        uint32

	// Of the goroutine.
	routes  map[int]*namespace // by the descriptor of their route socket
	alone   bool               // other namespaces may not be entered
	read    time.Time          // when the table was read, and how long that took
	reading time.Duration

	mu      sync.Mutex // guards what follows
	open    map[uint32]*namespace
	leftOut int

	stop context.CancelFunc
	done chan struct{}
}

const (
	// rescanInterval is how often /proc is looked through for namespaces that no exec told of, and for those that are empty now.
	rescanInterval = 2 * time.Second
	// tableInterval is the least time between two readings of /proc for sockets, listenInterval the most while listeners are told.
	// Reading takes no more than a twentieth of the time.
	tableInterval  = 500 * time.Millisecond
	listenInterval = 5 * time.Second
	tableShare     = 20
	// startWait is for how long capture waits until the namespaces that are there have been opened.
	startWait = 5 * time.Second
)

// start opens the own namespace and begins to look for others. An error says why packets cannot be captured at all.
func (m *namespaces) start() (err error) {
	m.open, m.routes = map[uint32]*namespace{}, map[int]*namespace{}
	m.hints, m.done = make(chan uint32, 256), make(chan struct{})
	m.table.Store(&socketTable{})
	if m.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("waiting for network namespaces: %w", err)
	}
	if m.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		_ = unix.Close(m.poll)
		return fmt.Errorf("waiting for network namespaces: %w", err)
	}
	self := uint32(os.Getpid())
	m.own = networkOf(m.procfs, self)
	if err = m.listen(m.wake); err == nil {
		err = m.add(self, m.own)
	}
	if err != nil {
		m.release()
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	first := make(chan struct{})
	go func() {
		defer close(m.done)
		m.scan(ctx)
		m.readTable(ctx)
		close(first)
		m.run(ctx)
	}()
	select {
	case <-first:
	case <-time.After(startWait):
		m.log.Warn("There are many network namespaces: it takes a while until the packets of all are seen")
	}
	return nil
}

// close closes all sockets; nothing is captured once it returns.
func (m *namespaces) close() {
	m.stop()
	m.notify()
	<-m.done
	m.release()
}

func (m *namespaces) release() {
	m.closeUnused(nil)
	_ = unix.Close(m.wake)
	_ = unix.Close(m.poll)
}

func (m *namespaces) listen(fd int) error {
	err := unix.EpollCtl(m.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	if err != nil {
		return fmt.Errorf("waiting for network namespaces: %w", err)
	}
	return nil
}

// notify wakes the goroutine.
func (m *namespaces) notify() {
	_, _ = unix.Write(m.wake, binary.NativeEndian.AppendUint64(nil, 1)) // full: it will wake anyway
}

// hint says that a process may be in a new namespace. It never blocks.
func (m *namespaces) hint(pid uint32) {
	select {
	case m.hints <- pid:
		m.notify()
	default: // the next scan finds it
	}
}

// want asks for a new table of sockets.
func (m *namespaces) want() {
	if m.wanted.CompareAndSwap(false, true) {
		m.notify()
	}
}

func (m *namespaces) run(ctx context.Context) {
	events := make([]unix.EpollEvent, 16)
	scanned := time.Now()
	for ctx.Err() == nil {
		n, err := unix.EpollWait(m.poll, events, int(tableInterval.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			m.log.Error("Network namespaces are no longer followed", "err", err)
			return
		}
		for _, e := range events[:max(n, 0)] {
			if int(e.Fd) == m.wake {
				_, _ = unix.Read(m.wake, make([]byte, 8))
			} else if ns := m.routes[int(e.Fd)]; ns != nil {
				m.report(m.readAddrs(ns))
			}
		}
		m.followHints()
		if time.Since(scanned) >= rescanInterval {
			m.scan(ctx)
			scanned = time.Now()
		}
		m.refreshTable(ctx)
	}
}

func (m *namespaces) report(err error) {
	if err != nil && !errors.Is(err, errNamespace) {
		m.log.Warn("A network namespace is not captured", "err", err)
	}
}

func (m *namespaces) followHints() {
	for range cap(m.hints) {
		select {
		case pid := <-m.hints:
			if inode := networkOf(m.procfs, pid); inode != 0 && !m.has(inode) && m.watched(event.Task{PID: pid}) {
				m.report(m.add(pid, inode))
			}
		default:
			return
		}
	}
}

func (m *namespaces) has(inode uint32) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.open[inode] != nil
}

// scan looks through /proc: it opens what is new and closes what has no process any more.
func (m *namespaces) scan(ctx context.Context) {
	pids, err := processes(m.procfs)
	if err != nil {
		m.report(err)
		return
	}
	used := map[uint32]uint32{}
	for _, pid := range pids {
		inode := networkOf(m.procfs, pid)
		if inode != 0 && used[inode] == 0 && m.watched(event.Task{PID: pid}) {
			used[inode] = pid
		}
	}
	used[m.own] = cmp.Or(used[m.own], uint32(os.Getpid()))
	m.closeUnused(used)
	leftOut := 0
	for inode, pid := range used {
		if ctx.Err() != nil {
			return
		}
		if m.has(inode) {
			continue
		}
		m.report(m.add(pid, inode))
		if !m.has(inode) {
			leftOut++
		}
	}
	m.mu.Lock()
	m.leftOut = leftOut
	m.mu.Unlock()
}

func (m *namespaces) closeUnused(used map[uint32]uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for inode, ns := range m.open {
		if pid, ok := used[inode]; ok {
			ns.pid = pid
			continue
		}
		delete(m.routes, ns.route)
		delete(m.open, inode)
		ns.close()
		for a := range ns.addrs {
			m.report(m.address(inode, a, false))
		}
		m.log.Debug("A network namespace is not captured any more", "netns", inode)
	}
}

// add opens a namespace that a process is in.
func (m *namespaces) add(pid, inode uint32) error {
	m.mu.Lock()
	full := len(m.open) >= m.limit
	m.mu.Unlock()
	if full || m.alone && inode != m.own {
		return nil // counted by scan
	}
	filter, err := m.load(inode)
	if err != nil {
		return err
	}
	defer filter.Close() // the socket holds it
	ns, err := openNamespace(m.procfs, pid, inode, filter)
	if errors.Is(err, unix.EPERM) && inode != m.own {
		m.alone = true
		m.log.Warn("Other network namespaces may not be entered; their packets are not captured", "err", err)
		return nil
	}
	if err != nil {
		return err
	}
	if err := errors.Join(m.readAddrs(ns), m.listen(ns.route)); err != nil {
		m.log.Warn("The addresses of a network namespace are not known: packets to and from loopback addresses alone are captured",
			"netns", inode, "err", err)
	}
	if err := ns.begin(); err != nil {
		ns.close()
		return err
	}
	m.mu.Lock()
	m.open[inode], m.routes[ns.route] = ns, ns
	m.mu.Unlock()
	m.log.Debug("A network namespace is captured", "netns", inode, "pid", pid)
	return nil
}

// readAddrs tells the kernel what has changed of a namespace's addresses.
func (m *namespaces) readAddrs(ns *namespace) error {
	addrs, err := ns.readAddrs()
	if err != nil {
		return err
	}
	for a := range ns.addrs {
		if !addrs[a] {
			err = errors.Join(err, m.address(ns.inode, a, false))
		}
	}
	for a := range addrs {
		if !ns.addrs[a] {
			err = errors.Join(err, m.address(ns.inode, a, true))
		}
	}
	ns.addrs = addrs
	return err
}

// refreshTable reads the table of sockets when somebody wants it, and it is time.
func (m *namespaces) refreshTable(ctx context.Context) {
	since := time.Since(m.read)
	due := m.wanted.Load() || m.told != nil && since >= listenInterval
	if due && since >= max(tableInterval, tableShare*m.reading) {
		m.readTable(ctx)
	}
}

func (m *namespaces) readTable(ctx context.Context) {
	began := time.Now()
	m.wanted.Store(false) // before: who asks from now on wants the next one
	m.mu.Lock()
	pids := make(map[uint32]uint32, len(m.open))
	for inode, ns := range m.open {
		pids[inode] = ns.pid
	}
	m.mu.Unlock()
	t, err := readSockets(ctx, m.procfs, pids)
	m.read = time.Now()
	m.reading = m.read.Sub(began)
	if err != nil {
		m.log.Warn("The owners of sockets cannot be read", "err", err)
	}
	if t == nil {
		return
	}
	t.version = m.table.Load().version + 1
	m.table.Store(t)
	if m.told != nil {
		m.told(t)
	}
}

// counts says how many namespaces are captured, and how many with watched processes are not.
func (m *namespaces) counts() (open, leftOut int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.open), m.leftOut
}
