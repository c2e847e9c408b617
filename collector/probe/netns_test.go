package probe_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/probe"
)

// childVariable makes the test binary a child that lives in a network namespace of its own and does as it is told.
const childVariable = "TOPOSCOPE_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "obey":
		obey(os.Stdin, os.Stdout)
		return
	case "refused":
		dropCapabilities()
	}
	os.Exit(m.Run())
}

// obey carries out a command a line, and answers each with a line.
func obey(in io.Reader, out io.Writer) {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		verb, rest, _ := strings.Cut(lines.Text(), " ")
		err := map[string]func(string) error{"up": up, "serve": serve, "ask": askMany, "name": nameMany}[verb](rest)
		if err != nil {
			fmt.Fprintln(out, err)
			continue
		}
		fmt.Fprintln(out, "ok")
	}
}

// up brings the loopback interface up.
func up(string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

func serve(address string) error {
	s, err := net.ListenPacket("udp", address)
	if err == nil {
		go answer(s)
	}
	return err
}

// askMany asks "COUNT ADDRESS", from a socket of its own each.
func askMany(args string) error {
	var n int
	var address string
	if _, err := fmt.Sscan(args, &n, &address); err != nil {
		return err
	}
	b := make([]byte, 64<<10)
	for i := range n {
		c, err := net.Dial("udp", address)
		if err != nil {
			return err
		}
		err = errors.Join(c.SetDeadline(time.Now().Add(5*time.Second)), write(c, fmt.Sprintf("question %d", i)))
		if err == nil {
			_, err = c.Read(b)
		}
		c.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// nameMany asks "COUNT ADDRESS" from one socket that is not connected, as musl's resolver does.
func nameMany(args string) error {
	var n int
	var address string
	if _, err := fmt.Sscan(args, &n, &address); err != nil {
		return err
	}
	to, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return err
	}
	s, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return err
	}
	defer s.Close()
	b := make([]byte, 64<<10)
	for i := range n {
		_, err := s.WriteTo([]byte(fmt.Sprintf("question %d, named", i)), to)
		if err = errors.Join(err, s.SetDeadline(time.Now().Add(5*time.Second))); err != nil {
			return err
		}
		if _, _, err := s.ReadFrom(b); err != nil {
			return err
		}
	}
	return nil
}

func write(c net.Conn, text string) error {
	_, err := io.WriteString(c, text)
	return err
}

// child is a process in a network namespace of its own.
type child struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	netns uint32
	once  sync.Once
}

func newChild(t *testing.T) *child {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	c := &child{t: t, cmd: exec.Command("/proc/self/exe")}
	c.cmd.Env = append(os.Environ(), childVariable+"=obey")
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.end)
	c.tell("up")
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", c.cmd.Process.Pid))
	if err == nil {
		_, err = fmt.Sscanf(link, "net:[%d]", &c.netns)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *child) tell(format string, args ...any) {
	c.t.Helper()
	fmt.Fprintf(c.in, format+"\n", args...)
	line, err := c.out.ReadString('\n')
	if err != nil || line != "ok\n" {
		c.t.Fatalf("%s: %q, %v", fmt.Sprintf(format, args...), line, err)
	}
}

func (c *child) end() {
	c.once.Do(func() {
		c.in.Close()
		_ = c.cmd.Wait()
	})
}

// joined waits until capture has found so many namespaces, where it has to look for them.
func joined(t *testing.T, p *probe.Probe, n int) {
	t.Helper()
	if p.Status().Datagrams != "packet" && p.Status().Method != "packet" {
		return
	}
	eventually(t, func() error {
		if s := p.Status(); s.Namespaces != n || s.NamespacesLeftOut != 0 {
			return fmt.Errorf("%d namespaces and %d left out, want %d", s.Namespaces, s.NamespacesLeftOut, n)
		}
		return nil
	})
}

// hostNamespaces counts the network namespaces of this host's processes.
func hostNamespaces(t *testing.T) int {
	t.Helper()
	links, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, l := range links {
		if link, err := os.Readlink("/proc/" + l.Name() + "/ns/net"); err == nil && l.Name() != "thread-self" {
			found[link] = true
		}
	}
	return len(found)
}

// datagramPort is the port of servers in namespaces of their own, where nobody else is.
const datagramPort = 53

// TestSameAddresses has two namespaces in which the same address asks the same: they must be kept apart. Then they go away.
func TestSameAddresses(t *testing.T) {
	for _, method := range datagramMethods {
		t.Run(method, func(t *testing.T) {
			before := newChild(t) // there when capture begins
			hosts := hostNamespaces(t)
			r, p := captureDatagrams(t, datagramPort, probe.Options{Datagrams: method})
			joined(t, p, hosts)
			after := newChild(t)
			joined(t, p, hosts+1)
			for n, c := range map[int]*child{7: before, 11: after} {
				c.tell("serve 127.0.0.1:%d", datagramPort)
				c.tell("ask %d 127.0.0.1:%d", n, datagramPort)
			}
			eventually(t, func() error {
				var errs []error
				for n, c := range map[int]*child{7: before, 11: after} {
					for _, role := range []event.Role{event.RoleClient, event.RoleServer} {
						if got := len(r.all(role, c.netns)); got != 2*n {
							errs = append(errs, fmt.Errorf("%s in %d: %d datagrams, want %d", role, c.netns, got, 2*n))
						}
						for _, g := range r.all(role, c.netns) {
							if g.Dir == event.Sent && g.Task.PID != uint32(c.cmd.Process.Pid) {
								errs = append(errs, fmt.Errorf("%s: task %+v", role, g.Task))
								break
							}
						}
					}
				}
				return errors.Join(append(errs, r.errors())...)
			})
			before.end()
			after.end()
			joined(t, p, hosts-1)
		})
	}
}

// sh runs a command in the child's namespace. What the host lacks for it skips the test.
func (c *child) sh(format string, args ...any) {
	c.t.Helper()
	command := fmt.Sprintf(format, args...)
	out, err := exec.Command("nsenter", "-t", fmt.Sprint(c.cmd.Process.Pid), "-n", "sh", "-c", command).CombinedOutput()
	if err != nil {
		c.t.Skipf("%s: %v: %s", command, err, out)
	}
}

// join makes a pair of interfaces, one end in each of two namespaces.
func (c *child) join(other *child, ours, theirs string) {
	c.t.Helper()
	c.sh("ip link add %s type veth peer name %s netns %d && ip link set %s up", ours, theirs, other.cmd.Process.Pid, ours)
	other.sh("ip link set %s up", theirs)
}

// TestBetweenNamespaces asks from one namespace to another, in packets and in fragments, and wants both ends in one shard.
func TestBetweenNamespaces(t *testing.T) {
	for _, method := range datagramMethods {
		t.Run(method, func(t *testing.T) {
			a, b := newChild(t), newChild(t)
			a.join(b, "veth0", "veth0")
			for i, c := range []*child{a, b} {
				c.sh("ip addr add 10.99.0.%d/24 dev veth0 && ip addr add fd99::%d/64 dev veth0 nodad", i+1, i+1)
			}
			r, p := captureDatagrams(t, datagramPort, probe.Options{Datagrams: method, Shards: 2})
			joined(t, p, hostNamespaces(t))
			const n = 20
			for _, address := range []string{"10.99.0.2", "[fd99::2]"} {
				b.tell("serve %s:%d", address, datagramPort)
				a.tell("ask %d %s:%d", n, address, datagramPort)
			}
			eventually(t, func() error {
				var errs []error
				for role, c := range map[event.Role]*child{event.RoleClient: a, event.RoleServer: b} {
					if got := len(r.all(role, c.netns)); got != 4*n {
						errs = append(errs, fmt.Errorf("%s: %d datagrams, want %d", role, got, 4*n))
					}
				}
				return errors.Join(append(errs, r.errors(), r.apart())...)
			})
		})
	}
}

// TestForwarded has a host that forwards, with a bridge: its own datagrams must count once, and others' not at all.
func TestForwarded(t *testing.T) {
	for _, method := range datagramMethods {
		t.Run(method, func(t *testing.T) {
			near, router, far := newChild(t), newChild(t), newChild(t)
			router.sh("echo 1 > /proc/sys/net/ipv4/ip_forward && ip link add br0 type bridge && ip link set br0 up && ip addr add 10.98.1.1/24 dev br0")
			router.join(near, "port0", "veth0")
			router.join(far, "veth1", "veth0")
			router.sh("ip link set port0 master br0 && ip addr add 10.98.2.1/24 dev veth1")
			near.sh("ip addr add 10.98.1.2/24 dev veth0 && ip route add default via 10.98.1.1")
			far.sh("ip addr add 10.98.2.2/24 dev veth0 && ip route add default via 10.98.2.1")
			r, p := captureDatagrams(t, datagramPort, probe.Options{Datagrams: method})
			joined(t, p, hostNamespaces(t))
			router.tell("serve 10.98.1.1:%d", datagramPort)
			far.tell("serve 10.98.2.2:%d", datagramPort)
			const n = 10
			near.tell("ask %d 10.98.1.1:%d", n, datagramPort)
			near.tell("ask %d 10.98.2.2:%d", n, datagramPort)
			eventually(t, func() error {
				var errs []error
				for name, end := range map[string]struct {
					c    *child
					role event.Role
					want int
				}{
					"client": {near, event.RoleClient, 4 * n}, "router": {router, event.RoleServer, 2 * n}, "server": {far, event.RoleServer, 2 * n},
				} {
					if got := len(r.all(end.role, end.c.netns)); got != end.want {
						errs = append(errs, fmt.Errorf("%s: %d datagrams, want %d", name, got, end.want))
					}
				}
				if got := r.all(event.RoleClient, router.netns); len(got) != 0 {
					errs = append(errs, fmt.Errorf("what was forwarded counts: %+v", got[0].Segment))
				}
				return errors.Join(append(errs, r.errors())...)
			})
			c := counters(t, p)
			if method == "packet" && (c.Copies == 0 || c.Foreign == 0) {
				t.Errorf("%+v: nothing was forwarded, or nothing seen twice", c)
			}
		})
	}
}

// TestTranslated has the addresses translated within the namespace, as Docker does for its resolver: the asker speaks to port 53,
// the packet goes to another.
func TestTranslated(t *testing.T) {
	for _, method := range []string{"fexit", "kprobe", "cgroup"} { // packets show the one way only
		t.Run(method, func(t *testing.T) {
			c := newChild(t)
			c.sh("iptables -t nat -A OUTPUT -d 127.0.0.11 -p udp --dport 53 -j DNAT --to-destination 127.0.0.11:40234 && " +
				"iptables -t nat -A POSTROUTING -s 127.0.0.11 -p udp --sport 40234 -j SNAT --to-source :53")
			r, _ := captureDatagrams(t, datagramPort, probe.Options{Datagrams: method})
			const n = 5
			c.tell("serve 127.0.0.11:40234")
			c.tell("ask %d 127.0.0.11:53", n)
			c.tell("name %d 127.0.0.11:53", n)
			eventually(t, func() error {
				got := r.all(event.RoleClient, c.netns)
				if len(got) != 4*n {
					return fmt.Errorf("%d datagrams, want %d", len(got), 4*n)
				}
				for _, g := range got {
					if g.Peer.String() != "127.0.0.11:53" {
						return fmt.Errorf("%s: peer %v", g.Dir, g.Peer)
					}
				}
				return r.errors()
			})
		})
	}
}

// apart tells of ends that are not in the shard of their other end.
func (r *datagrams) apart() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	const shard = 1<<63 | 0x7f<<56
	at := map[string]event.ConnID{} // by the client's address
	for id, s := range r.sockets {
		if s.open.Role == event.RoleClient {
			at[s.open.Flow.Local.String()] = id & shard
		}
	}
	for id, s := range r.sockets {
		for _, g := range s.grams {
			if of, ok := at[g.Peer.String()]; s.open.Role == event.RoleServer && ok && of != id&shard {
				return fmt.Errorf("%v is in shard %x, its server in %x", g.Peer, of, id&shard)
			}
		}
	}
	return nil
}
