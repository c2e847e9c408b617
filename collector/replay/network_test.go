package replay_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// network is a client, a router that loses packets, and a server, each in its namespace.
type network struct {
	t    *testing.T
	name string
}

func (n *network) space(role string) string { return n.name + role }

// do runs commands, one a line; their words are separated by blanks.
func (n *network) do(script string) {
	n.t.Helper()
	for line := range strings.Lines(script) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			n.t.Skipf("%s: %v: %s", strings.TrimSpace(line), err, out)
		}
	}
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for network namespaces")
	}
	for _, tool := range []string{"ip", "iptables", "tcpdump"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	n := &network{t: t, name: fmt.Sprintf("tr%d", os.Getpid())}
	for _, role := range []string{"c", "r", "s"} {
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", n.space(role)).Run() })
	}
	n.do(strings.NewReplacer("CC", n.space("c"), "RR", n.space("r"), "SS", n.space("s")).Replace(`
		ip netns add CC
		ip netns add RR
		ip netns add SS
		ip -n RR link add toc type veth peer name eth0 netns CC
		ip -n RR link add tos type veth peer name eth0 netns SS
		ip -n CC addr add 10.99.1.2/24 dev eth0
		ip -n SS addr add 10.99.2.2/24 dev eth0
		ip -n RR addr add 10.99.1.1/24 dev toc
		ip -n RR addr add 10.99.2.1/24 dev tos
		ip -n CC link set eth0 up gso_max_size 1600 gso_max_segs 1
		ip -n SS link set eth0 up gso_max_size 1600 gso_max_segs 1
		ip -n RR link set toc up
		ip -n RR link set tos up
		ip -n CC route add default via 10.99.1.1
		ip -n SS route add default via 10.99.2.1
		ip netns exec RR sysctl -q -w net.ipv4.ip_forward=1
		ip netns exec RR iptables -A FORWARD -p tcp -m statistic --mode random --probability 0.03 -j DROP
	`))
	return n
}

// capture records with tcpdump until stop is called.
func (n *network) capture(role, device, file string, flags ...string) (stop func()) {
	n.t.Helper()
	args := append([]string{"netns", "exec", n.space(role), "tcpdump", "-i", device, "-w", file, "-B", "65536", "-s", "2000", "-Z", "root", "--immediate-mode", "-U"}, flags...)
	cmd := exec.Command("ip", append(args, "tcp")...)
	errs, err := cmd.StderrPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(errs)
	for lines.Scan() && !strings.Contains(lines.Text(), "listening on") {
	}
	return func() {
		_ = cmd.Process.Signal(os.Interrupt)
		for lines.Scan() {
			if s := lines.Text(); strings.Contains(s, "dropped by kernel") && !strings.HasPrefix(s, "0 ") {
				defer n.t.Skipf("tcpdump: %s", s)
			}
		}
		_ = cmd.Wait()
	}
}

// run starts the test's own other roles.
func (n *network) run(ctx context.Context, role string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", n.space(role[:1]), os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// busy says whether an end has connections that are neither closed nor in TIME-WAIT (6), by the fourth column of /proc/net/tcp.
func (n *network) busy(role string) bool {
	n.t.Helper()
	out, err := exec.Command("ip", "netns", "exec", n.space(role), "cat", "/proc/net/tcp").Output()
	if err != nil {
		n.t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		if i > 0 && strings.Fields(line)[3] != "06" {
			return true
		}
	}
	return false
}

// resent is how many segments an end has sent again, by its kernel's count: the 12th number of TCP's line in /proc/net/snmp.
func (n *network) resent(role string) uint64 {
	n.t.Helper()
	out, err := exec.Command("ip", "netns", "exec", n.space(role), "cat", "/proc/net/snmp").Output()
	if err != nil {
		n.t.Fatal(err)
	}
	var numbers []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); f[0] == "Tcp:" {
			numbers = f // the second line of two
		}
	}
	v, err := strconv.ParseUint(numbers[12], 10, 64)
	if err != nil {
		n.t.Fatal(err)
	}
	return v
}
