package labeler

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxAddresses bounds what is kept of one network namespace; a node of a large cluster has some thousand.
const maxAddresses = 1 << 14

// SetAddresses says which addresses a network namespace has. Loopback addresses are every namespace's and need not be told.
func (d *Directory) SetAddresses(netns uint32, addrs []netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for a := range d.local[netns] {
		d.holders[a] = slices.DeleteFunc(d.holders[a], func(n uint32) bool { return n == netns })
		if len(d.holders[a]) == 0 {
			delete(d.holders, a)
		}
	}
	d.local[netns] = make(map[netip.Addr]bool, len(addrs))
	for _, a := range addrs {
		d.learn(a.Unmap().WithZone(""), netns)
	}
}

// forgetNamespaces drops the addresses of namespaces that are not in use any more.
func (d *Directory) forgetNamespaces(used func(netns uint32) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for netns, addrs := range d.local {
		if used(netns) {
			continue
		}
		for a := range addrs {
			d.holders[a] = slices.DeleteFunc(d.holders[a], func(n uint32) bool { return n == netns })
			if len(d.holders[a]) == 0 {
				delete(d.holders, a)
			}
		}
		delete(d.local, netns)
	}
}

// learn adds an address, under the lock.
func (d *Directory) learn(a netip.Addr, netns uint32) {
	set := d.local[netns]
	if a.IsUnspecified() || a.IsLoopback() || set[a] || len(set) >= maxAddresses {
		return
	}
	if set == nil {
		set = make(map[netip.Addr]bool)
		d.local[netns] = set
	}
	set[a] = true
	d.holders[a] = append(d.holders[a], netns)
}

// has tells whether a is an address of the namespace, under the lock.
func (d *Directory) has(a netip.Addr, netns uint32) bool {
	return a.IsLoopback() || a.IsUnspecified() || d.local[netns][a]
}

// Local tells whether a is an address of this host: loopback, or held by any of its network namespaces.
func (d *Directory) Local(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if a.IsLoopback() || a.IsUnspecified() {
		return true
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.holders[a]) > 0
}

// knows tells whether the namespace's addresses have been told.
func (d *Directory) knows(netns uint32) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	_, ok := d.local[netns]
	return ok
}

// namespaces gives, for each namespace with a listener, a task in it.
func (d *Directory) namespaces() map[uint32]uint32 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	pids := make(map[uint32]uint32)
	for key, list := range d.spans {
		for i := range list {
			if list[i].to == 0 && list[i].task.PID != 0 {
				pids[key.netns] = list[i].task.PID
			}
		}
	}
	return pids
}

// ownNamespace is the inode of the network namespace that this process is in; 0 where there is no such thing.
func ownNamespace(procfs string) uint32 {
	link, err := os.Readlink(filepath.Join(procfs, "self", "ns", "net"))
	if err != nil {
		return 0
	}
	inode, ok := strings.CutPrefix(link, "net:[")
	n, err := strconv.ParseUint(strings.TrimSuffix(inode, "]"), 10, 32)
	if !ok || err != nil {
		return 0
	}
	return uint32(n)
}

// ownAddresses are the addresses of the namespace that this process is in.
func ownAddresses() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("listing this host's addresses: %w", err)
	}
	var addrs []netip.Addr
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				addrs = append(addrs, addr.Unmap())
			}
		}
	}
	return addrs, nil
}

// addressesOf reads the addresses of the namespace that a process is in, which needs no entering of it.
func addressesOf(procfs string, pid uint32) ([]netip.Addr, error) {
	dir := filepath.Join(procfs, strconv.FormatUint(uint64(pid), 10), "net")
	var addrs []netip.Addr
	for name, parse := range map[string]func(io.Reader) ([]netip.Addr, error){"fib_trie": parseTrie, "if_inet6": parseInet6} {
		f, err := os.Open(filepath.Join(dir, name))
		if os.IsNotExist(err) {
			continue // no IPv6, or the process has ended
		}
		if err != nil {
			return nil, fmt.Errorf("reading the addresses of process %d: %w", pid, err)
		}
		found, err := parse(io.LimitReader(f, 16<<20)) // a router's table is long, and the local addresses come last
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("reading %s of process %d: %w", name, pid, err)
		}
		addrs = append(addrs, found...)
	}
	return addrs, nil
}

// parseTrie reads /proc/PID/net/fib_trie: a local address is a leaf "|-- ADDRESS" followed by "/32 host LOCAL".
func parseTrie(r io.Reader) (addrs []netip.Addr, err error) {
	var leaf string
	lines := bufio.NewScanner(r)
	for lines.Scan() && len(addrs) < 2*maxAddresses {
		line := strings.TrimSpace(lines.Text())
		if text, ok := strings.CutPrefix(line, "|-- "); ok {
			leaf = text
		} else if line == "/32 host LOCAL" {
			if a, err := netip.ParseAddr(leaf); err == nil { // each comes twice, in the main and the local table
				addrs = append(addrs, a)
			}
		}
	}
	return addrs, lines.Err()
}

// parseInet6 reads /proc/PID/net/if_inet6: 32 hex digits, then the interface's index and what does not matter here.
func parseInet6(r io.Reader) (addrs []netip.Addr, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() && len(addrs) < maxAddresses {
		digits, _, _ := strings.Cut(lines.Text(), " ")
		if len(digits) != 32 {
			continue
		}
		var b [16]byte
		for i := range b {
			n, err := strconv.ParseUint(digits[2*i:2*i+2], 16, 8)
			if err != nil {
				return nil, fmt.Errorf("the address %q: %w", digits, err)
			}
			b[i] = byte(n)
		}
		addrs = append(addrs, netip.AddrFrom16(b))
	}
	return addrs, lines.Err()
}
