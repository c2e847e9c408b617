package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// namespace is a network namespace with a packet socket in it. Its sockets keep the namespace alive: close it once nobody else is
// in it.
type namespace struct {
	inode   uint32
	pid     uint32 // of a process in it
	packets int    // AF_PACKET socket with the filter
	route   int    // NETLINK_ROUTE socket, told of changes of addresses
	addrs   map[netip.Addr]bool
}

// errNamespace says that a process is no longer in the namespace that it was found in.
var errNamespace = errors.New("the process has left the network namespace")

// openNamespace opens the sockets within the namespace of a process. The filter is in force before the first packet comes.
func openNamespace(procfs string, pid, inode uint32, filter *ebpf.Program) (*namespace, error) {
	ns := &namespace{inode: inode, pid: pid, packets: -1, route: -1, addrs: map[netip.Addr]bool{}}
	err := within(filepath.Join(procfs, strconv.FormatUint(uint64(pid), 10), "ns/net"), inode, func() error { return ns.open(filter) })
	if err != nil {
		ns.close()
		return nil, err
	}
	return ns, nil
}

// within calls f in the network namespace that path stands for, in a thread of its own if it has to enter it.
func within(path string, inode uint32, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		back, err := enter(path, inode)
		if err == nil {
			err = f()
		}
		if back() == nil {
			runtime.UnlockOSThread() // else the thread ends with this goroutine: it is no good for anybody else
		}
		result <- err
	}()
	return <-result
}

// enter moves the thread into a namespace; back moves it back.
func enter(path string, inode uint32) (back func() error, err error) {
	stay := func() error { return nil }
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return stay, fmt.Errorf("opening the own network namespace: %w", err)
	}
	target, err := os.Open(path)
	if err != nil {
		home.Close()
		return stay, errors.Join(errNamespace, err)
	}
	defer target.Close()
	if n, err := inodeOf(target); err != nil || n != inode {
		home.Close()
		return stay, errors.Join(errNamespace, err)
	}
	if n, err := inodeOf(home); err == nil && n == inode {
		return home.Close, nil
	}
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		home.Close()
		return stay, fmt.Errorf("entering a network namespace: %w", err)
	}
	return func() error {
		defer home.Close()
		return unix.Setns(int(home.Fd()), unix.CLONE_NEWNET)
	}, nil
}

func inodeOf(f *os.File) (uint32, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	return uint32(s.Ino), nil
}

// networkOf is the inode of the network namespace that a process is in; 0 when it has ended.
func networkOf(procfs string, pid uint32) uint32 {
	link, err := os.Readlink(filepath.Join(procfs, strconv.FormatUint(uint64(pid), 10), "ns/net"))
	var inode uint32
	if err == nil {
		_, err = fmt.Sscanf(link, "net:[%d]", &inode)
	}
	if err != nil {
		return 0
	}
	return inode
}

func (ns *namespace) open(filter *ebpf.Program) (err error) {
	// Protocol 0 receives nothing: bind, which names the protocol, comes when the filter is there.
	ns.packets, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("opening a packet socket: %w", err)
	}
	if err := unix.SetsockoptInt(ns.packets, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, filter.FD()); err != nil {
		return fmt.Errorf("attaching the filter to a packet socket: %w", err)
	}
	ns.route, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("opening a route socket: %w", err)
	}
	wait := unix.NsecToTimeval(time.Second.Nanoseconds())
	err = errors.Join(
		unix.SetsockoptTimeval(ns.route, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		unix.Bind(ns.route, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR}),
	)
	if err != nil {
		return fmt.Errorf("listening for addresses: %w", err)
	}
	return nil
}

// begin lets the packets come.
func (ns *namespace) begin() error {
	all := &unix.SockaddrLinklayer{Protocol: uint16(unix.ETH_P_ALL)<<8 | uint16(unix.ETH_P_ALL)>>8} // in network order, on any host
	if err := unix.Bind(ns.packets, all); err != nil {
		return fmt.Errorf("binding a packet socket: %w", err)
	}
	return nil
}

func (ns *namespace) close() {
	for _, fd := range []int{ns.packets, ns.route} {
		if fd >= 0 {
			_ = unix.Close(fd) // nothing was written that could be lost
		}
	}
}

// maxNamespaceAddrs bounds the addresses of one namespace.
const maxNamespaceAddrs = 1 << 14

// readAddrs asks the kernel for the namespace's addresses. What it told of changes until then is answered by that.
func (ns *namespace) readAddrs() (map[netip.Addr]bool, error) {
	request := struct {
		unix.NlMsghdr
		unix.IfAddrmsg
	}{NlMsghdr: unix.NlMsghdr{Type: unix.RTM_GETADDR, Flags: unix.NLM_F_REQUEST | unix.NLM_F_DUMP, Seq: 1}}
	request.Len = uint32(unsafe.Sizeof(request))
	b := unsafe.Slice((*byte)(unsafe.Pointer(&request)), unsafe.Sizeof(request))
	if err := unix.Sendto(ns.route, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("asking for addresses: %w", err)
	}
	addrs := map[netip.Addr]bool{}
	buf := make([]byte, 64<<10)
	for {
		n, _, err := unix.Recvfrom(ns.route, buf, 0)
		if errors.Is(err, unix.ENOBUFS) {
			continue // changes that came too fast: the answer has them
		}
		if err != nil {
			return nil, fmt.Errorf("reading addresses: %w", err)
		}
		messages, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			return nil, fmt.Errorf("reading addresses: %w", err)
		}
		for i := range messages {
			switch m := &messages[i]; {
			case m.Header.Seq != 1: // a change
			case m.Header.Type == unix.NLMSG_DONE:
				return addrs, nil
			case m.Header.Type == unix.NLMSG_ERROR:
				return nil, errors.New("the kernel does not tell the addresses of a network namespace")
			default:
				addAddr(addrs, m)
			}
		}
	}
}

func addAddr(addrs map[netip.Addr]bool, m *syscall.NetlinkMessage) {
	if m.Header.Type != unix.RTM_NEWADDR || len(addrs) >= maxNamespaceAddrs {
		return
	}
	attrs, err := syscall.ParseNetlinkRouteAttr(m)
	if err != nil {
		return
	}
	for _, a := range attrs { // on a point-to-point link IFA_ADDRESS is the other end's
		if a.Attr.Type == unix.IFA_LOCAL || a.Attr.Type == unix.IFA_ADDRESS && m.Data[0] == unix.AF_INET6 {
			if addr, ok := netip.AddrFromSlice(a.Value); ok {
				addrs[addr.Unmap()] = true
			}
		}
	}
}
