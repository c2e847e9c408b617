package probe

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/toposcope/toposcope/collector/event"
)

// socketTable says who holds which TCP and UDP sockets, as /proc had it at one time: for packets, which do not tell, where no
// program may be hooked into the kernel. It is immutable.
type socketTable struct {
	version   uint64
	conns     map[event.Flow]event.Task // TCP
	listeners map[localEnd]event.Task
	datagrams map[localEnd]event.Task // UDP; the zero Task where several processes share an address
}

// localEnd is an address that a socket is bound to. A wildcard is 0.0.0.0 or ::.
type localEnd struct {
	addr  netip.AddrPort
	netns uint32
}

// Bounds of a table.
const (
	maxTableSockets = 1 << 17
	maxTableFDs     = 1 << 18
)

// take finds who is bound to a flow's local end, by its address or by a wildcard.
func (t *socketTable) take(ends map[localEnd]event.Task, f event.Flow) (event.Task, bool) {
	local := f.Local
	for _, addr := range []netip.Addr{local.Addr(), wildcard(local.Addr()), netip.IPv6Unspecified()} {
		if task, ok := ends[localEnd{netip.AddrPortFrom(addr, local.Port()), f.NetNS}]; ok {
			return task, true
		}
	}
	return event.Task{}, false
}

func wildcard(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// owner finds the task that has the local end of a flow.
func (t *socketTable) owner(f event.Flow, datagram bool) event.Task {
	if datagram {
		task, _ := t.take(t.datagrams, f)
		return task
	}
	if task, ok := t.conns[f]; ok {
		return task
	}
	task, _ := t.take(t.listeners, f)
	return task
}

func (t *socketTable) listens(f event.Flow) bool {
	_, ok := t.take(t.listeners, f)
	return ok
}

// readSockets reads the table of the network namespaces given, each with the number of a process in it.
func readSockets(ctx context.Context, procfs string, namespaces map[uint32]uint32) (*socketTable, error) {
	holders, err := socketHolders(ctx, procfs)
	if err != nil {
		return nil, err
	}
	t := &socketTable{
		conns: map[event.Flow]event.Task{}, listeners: map[localEnd]event.Task{}, datagrams: map[localEnd]event.Task{},
	}
	var errs []error
	for netns, pid := range namespaces {
		for _, name := range []string{"tcp", "tcp6", "udp", "udp6"} {
			path := filepath.Join(procfs, strconv.FormatUint(uint64(pid), 10), "net", name)
			errs = append(errs, t.read(path, strings.HasPrefix(name, "udp"), netns, holders))
		}
	}
	return t, errors.Join(errs...)
}

// read adds what one of a namespace's files lists.
func (t *socketTable) read(path string, datagram bool, netns uint32, holders map[uint64]event.Task) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil // no IPv6, or the process has ended
	}
	if err != nil {
		return fmt.Errorf("reading the sockets of a network namespace: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() && len(t.conns)+len(t.listeners)+len(t.datagrams) < maxTableSockets {
		s, ok := parseSocket(lines.Text())
		if !ok {
			continue // the heading
		}
		t.add(s, datagram, netns, holders[s.inode])
	}
	return nil // that the process has ended while its file was read is no error
}

func (t *socketTable) add(s procSocket, datagram bool, netns uint32, holder event.Task) {
	end := localEnd{s.local, netns}
	switch {
	case datagram:
		if other, ok := t.datagrams[end]; ok && other.PID != holder.PID {
			holder = event.Task{}
		}
		t.datagrams[end] = holder
	case s.state == tcpListen:
		t.listeners[end] = holder
	case !holder.IsZero():
		t.conns[event.Flow{Local: s.local, Remote: s.remote, NetNS: netns}] = holder
	}
}

// procSocket is a line of /proc/net/tcp, tcp6, udp or udp6.
type procSocket struct {
	local, remote netip.AddrPort
	state         uint64
	inode         uint64
}

const tcpListen = 10

// parseSocket reads a line: number, local and remote address, state, …, inode as the tenth field.
func parseSocket(line string) (s procSocket, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 10 {
		return s, false
	}
	var errs [4]error
	s.local, errs[0] = parseEnd(fields[1])
	s.remote, errs[1] = parseEnd(fields[2])
	s.state, errs[2] = strconv.ParseUint(fields[3], 16, 8)
	s.inode, errs[3] = strconv.ParseUint(fields[9], 10, 64)
	return s, errors.Join(errs[:]...) == nil
}

var errEnd = errors.New("no address and port")

// parseEnd reads ADDRESS:PORT in hexadecimal, the address as words of the host's byte order.
func parseEnd(s string) (netip.AddrPort, error) {
	digits, port, ok := strings.Cut(s, ":")
	var b [16]byte
	if !ok || len(digits) != 8 && len(digits) != 32 {
		return netip.AddrPort{}, errEnd
	}
	n := len(digits) / 2
	for i := 0; i < n; i += 4 {
		word, err := strconv.ParseUint(digits[2*i:2*i+8], 16, 32)
		if err != nil {
			return netip.AddrPort{}, errEnd
		}
		binary.NativeEndian.PutUint32(b[i:], uint32(word))
	}
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, errEnd
	}
	addr, _ := netip.AddrFromSlice(b[:n])
	return netip.AddrPortFrom(addr.Unmap(), uint16(p)), nil
}

// socketHolders finds, for each socket's inode, a process that has it open.
func socketHolders(ctx context.Context, procfs string) (map[uint64]event.Task, error) {
	pids, err := processes(procfs)
	if err != nil {
		return nil, err
	}
	holders := map[uint64]event.Task{}
	left := maxTableFDs
	for _, pid := range pids {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		dir := filepath.Join(procfs, strconv.FormatUint(uint64(pid), 10))
		fds, err := names(filepath.Join(dir, "fd"))
		if err != nil {
			continue // it has ended, or is a kernel thread
		}
		var task event.Task
		for _, fd := range fds {
			if left--; left < 0 {
				return holders, nil
			}
			link, err := os.Readlink(filepath.Join(dir, "fd", fd))
			inode, isSocket := strings.CutPrefix(link, "socket:[")
			if err != nil || !isSocket {
				continue
			}
			n, err := strconv.ParseUint(strings.TrimSuffix(inode, "]"), 10, 64)
			if err != nil {
				continue
			}
			if task.PID == 0 {
				task = event.Task{PID: pid, Start: startOf(dir)}
			}
			if _, ok := holders[n]; !ok {
				holders[n] = task
			}
		}
	}
	return holders, nil
}

// processes lists the process numbers of a proc file system.
func processes(procfs string) ([]uint32, error) {
	all, err := names(procfs)
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var pids []uint32
	for _, name := range all {
		if pid, err := strconv.ParseUint(name, 10, 32); err == nil {
			pids = append(pids, uint32(pid))
		}
	}
	return pids, nil
}

func names(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// userTick is the unit of a start time in /proc/PID/stat, in nanoseconds: USER_HZ is 100 on every architecture that has BPF.
const userTick = 10_000_000

// startOf reads when a process started, in nanoseconds since boot, cut to a tick; 0 when it has ended.
func startOf(dir string) uint64 {
	f, err := os.Open(filepath.Join(dir, "stat"))
	if err != nil {
		return 0
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4<<10))
	if err != nil {
		return 0
	}
	stat := string(b)
	const field = 22 - 3 // what follows the name, which may hold anything, begins with the third
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= field {
		return 0
	}
	ticks, err := strconv.ParseUint(fields[field], 10, 64)
	if err != nil {
		return 0
	}
	return ticks * userTick
}
