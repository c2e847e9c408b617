package e2e

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/toposcope/toposcope/test/load/servers"
)

// join connects two network namespaces by a pair of interfaces with the addresses 10.77.0.1 and 10.77.0.2.
func join(t *testing.T, one, other func(command ...string) []string) {
	t.Helper()
	run(t, one("ip", "link", "add", "here", "type", "veth", "peer", "name", "there"))
	run(t, one("ip", "link", "set", "there", "netns", other()[3])) // of "ip netns exec NAME"
	for _, end := range []struct {
		inside          func(command ...string) []string
		device, address string
	}{{one, "here", "10.77.0.1/24"}, {other, "there", "10.77.0.2/24"}} {
		run(t, end.inside("ip", "address", "add", end.address, "dev", end.device))
		run(t, end.inside("ip", "link", "set", end.device, "up"))
		run(t, end.inside("ip", "route", "add", "224.0.0.0/4", "dev", end.device))
	}
}

// testAcross: a question that passes from one network namespace to another is seen in both and counted once, and both ends
// have their names.
func testAcross(t *testing.T, s *toposcope, n *nameNet) {
	here, there := network(t), network(t)
	join(t, here, there)
	const name, host = "dnsmasq-across", "10.77.0.2"
	startServer(t, servers.Config{Kind: servers.Dnsmasq, Name: name, Listen: host + ":53", Inside: there()})
	for _, d := range digs[:3] {
		if d.tcp && n.udpOnly {
			continue
		}
		client := "dig-across-" + d.name
		(&nameNet{inside: here}).dig(t, client, digLines(host, questions, d.option)).ended(t)
		e := asked(client, name, questions...)
		e.sharedServer = true
		e.await(t, s, nil)
	}
	for _, m := range []struct{ name, group, port string }{{"mdns", "224.0.0.251", "5353"}, {"llmnr", "224.0.0.252", "5355"}} {
		t.Run(m.name, func(t *testing.T) { testMulticast(t, s, m.name, m.group, m.port, here, there) })
	}
}

// testMulticast: what is asked of everybody on the link is owed no answer, and is not DNS's. Resolvers that are not made for it wish
// for recursion, which there is none of; such questions need not be counted.
func testMulticast(t *testing.T, s *toposcope, protocol, group, port string, here, there func(command ...string) []string) {
	const count, recursion = 5, "0x100"
	hears := there("python3", "testdata/dns.py", "hear", group, port, "10.77.0.2")
	h := startProcess(t, protocol+"-host", hears[0], hears[1:]...)
	h.line(t, "hearing")
	client := map[string]string{"0": protocol + "-client", recursion: protocol + "-resolver"}
	for flags, name := range client {
		calls := here("python3", "testdata/dns.py", "call", group, port, "10.77.0.1", "printer.local", fmt.Sprint(count), flags)
		startProcess(t, name, calls[0], calls[1:]...).ended(t)
	}
	for range len(client) * count {
		h.line(t, "heard")
	}
	eventually(t, settle, func() error {
		now, err := s.metrics()
		if err != nil {
			return err
		}
		const requests = "traces_service_graph_request_total"
		if got := now.sum(requests, append(edge(client["0"], ""), "protocol", protocol)...); got != count {
			return fmt.Errorf("%g questions counted, want %d%s", got, count, now.with(requests, edge(client["0"], "")...))
		}
		for _, name := range client {
			wrong := now.with(requests, append(edge(name, ""), "protocol", "dns")...) +
				now.with("traces_service_graph_request_failed_total", edge(name, "")...) +
				now.with("dns_lookup_duration_seconds_count", append(of(name), "error_type", "unanswered")...)
			if wrong != "" {
				t.Fatalf("a question to all is taken for one to a server:%s", wrong)
			}
		}
		return nil
	})
}

// testSplit: messages over TCP that come byte by byte, their lengths too.
func testSplit(t *testing.T, s *toposcope, n *nameNet) {
	const client, server = "python-split", "unbound"
	command := n.inside("python3", "testdata/dns.py", "split", n.hosts[server], "www.shop.test", "10")
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(cmd.Environ(), "OTEL_SERVICE_NAME="+client)
	mustRun(t, cmd)
	e := asked(client, server, lookup{"www.shop.test", "A", "NOERROR", 10})
	e.sharedServer = true
	e.await(t, s, nil)
}
