package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/test/load/servers"
)

// lookup is a question, with the code of its answer; "" is none.
type lookup struct {
	name, kind, code string
	count            int
}

// asked is what a client of DNS has asked, and was answered.
func asked(client, server string, lookups ...lookup) *traffic {
	e := &traffic{client: client, server: server, protocol: "dns", clientMetric: "dns_lookup_duration_seconds", clientOnly: true}
	for _, l := range lookups {
		op := operation{
			pairs: []string{"dns_question_name", l.name, "dns_question_type", l.kind, "dns_response_code", l.code},
			count: l.count,
		}
		switch l.code {
		case "NOERROR":
		case "NXDOMAIN":
			op.outcome = rejected
		case "":
			op.outcome = failed
			op.pairs = append(op.pairs, "error_type", "unanswered")
		default:
			op.outcome = failed
		}
		e.operations = append(e.operations, op)
	}
	return e
}

// questions are asked of every name server by dig, each as often as said.
var questions = []lookup{
	{"www.shop.test", "A", "NOERROR", 10},
	{"www.shop.test", "AAAA", "NOERROR", 10},
	{"v4.shop.test", "AAAA", "NOERROR", 3},
	{"alias.shop.test", "CNAME", "NOERROR", 3},
	{"shop.test", "MX", "NOERROR", 3},
	{"_http._tcp.shop.test", "SRV", "NOERROR", 3},
	{"text.shop.test", "TXT", "NOERROR", 3},
	{"caa.shop.test", "CAA", "NOERROR", 3},
	{"naptr.shop.test", "NAPTR", "NOERROR", 3},
	{"web.shop.test", "HTTPS", "NOERROR", 3},
	{"10.2.0.192.in-addr.arpa", "PTR", "NOERROR", 3},
	{"nobody.shop.test", "A", "NXDOMAIN", 5},
	{"nobody.shop.test", "MX", "NXDOMAIN", 3},
	{"example", "A", "REFUSED", 3},
}

// digLines are the lines of a file for dig -f that ask the questions of a server.
func digLines(server string, lookups []lookup, options ...string) string {
	var b strings.Builder
	for _, l := range lookups {
		for range l.count {
			fmt.Fprintln(&b, "@"+server, l.name, l.kind, strings.Join(options, " "))
		}
	}
	return b.String()
}

// nameNet is a network namespace with name servers that are older than Toposcope.
type nameNet struct {
	inside func(command ...string) []string
	// hosts are the servers' addresses by their service name.
	hosts map[string]string
	// udpOnly is set where TCP is not tested.
	udpOnly bool
}

func startNameNet(t *testing.T) *nameNet {
	t.Helper()
	n := &nameNet{inside: network(t), hosts: map[string]string{}}
	for i, kind := range []servers.Kind{servers.CoreDNS, servers.Dnsmasq, servers.Unbound} {
		n.startServer(t, kind, fmt.Sprintf("127.0.0.%d", i+11))
	}
	return n
}

// startServer starts a name server called after its kind; dnsmasq sends on to CoreDNS what that alone knows.
func (n *nameNet) startServer(t *testing.T, kind servers.Kind, host string) {
	t.Helper()
	c := servers.Config{Kind: kind, Name: string(kind), Listen: host + ":53", Inside: n.inside()}
	if kind == servers.Dnsmasq {
		c.Backend = n.hosts[string(servers.CoreDNS)] + ":53"
	}
	startServer(t, c)
	n.hosts[string(kind)] = host
}

// dig starts dig with the lines of a file.
func (n *nameNet) dig(t *testing.T, client, lines string, options ...string) *process {
	t.Helper()
	file := filepath.Join(t.TempDir(), "questions")
	if err := os.WriteFile(file, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	command := append(n.inside("dig", "+short", "+tries=1", "-f", file), options...)
	return startProcess(t, client, command[0], command[1:]...)
}

// ended waits for the end of a program that ends by itself and returns what it printed.
func (p *process) ended(t *testing.T) (lines []string) {
	t.Helper()
	for line := range p.lines {
		lines = append(lines, line)
	}
	return lines
}

// TestDNS: what resolvers asked is what Toposcope counts, by name, type and code, for the process that asked. Datagrams are also
// captured by the socket filter, which is the last way that Toposcope takes.
func TestDNS(t *testing.T) {
	requireHost(t, "dig", "dnsmasq", "unbound", "getent", "node", "python3", "ip", "iptables", "mount")
	bestMethod(t, testDNS)
	t.Run("packet", func(t *testing.T) { testDNS(t, "packet") })
}

func testDNS(t *testing.T, method string) {
	n := startNameNet(t)
	n.udpOnly = method == "packet"
	s := startToposcope(t, options{method: method})
	late, walks := startLate(t, n), startWalks(t, n)
	t.Run("dig", func(t *testing.T) { testDig(t, s, n) })
	t.Run("dig on the host", func(t *testing.T) { testDigOnHost(t, s, n) })
	t.Run("across", func(t *testing.T) { testAcross(t, s, n) })
	t.Run("forwarded", func(t *testing.T) { testForwarded(t, s, n) })
	if !n.udpOnly {
		t.Run("split", func(t *testing.T) { testSplit(t, s, n) })
	}
	for _, r := range resolvers {
		if !r.tcp || !n.udpOnly {
			t.Run(r.name, func(t *testing.T) { testResolver(t, s, n, r) })
		}
	}
	walks.check(t, s)
	late.check(t, s)
	checkNothingLost(t, s)
}

// digs are the ways in which dig asks a server. What is too large for UDP is asked for again over TCP.
var digs = []struct {
	name    string
	option  string
	lookups []lookup
	asked   []lookup // if not lookups
	tcp     bool
}{
	{"udp", "+notcp", questions, nil, false},
	{"plain", "+noedns", questions, nil, false},
	{"tcp", "+tcp", questions, nil, true},
	{"too-large", "+notcp", []lookup{{"big.shop.test", "TXT", "NOERROR", 5}}, []lookup{{"big.shop.test", "TXT", "NOERROR", 10}}, true},
}

// testDig asks all servers side by side.
func testDig(t *testing.T, s *toposcope, n *nameNet) {
	var running []*process
	var expected []*traffic
	for server, host := range n.hosts {
		for _, d := range digs {
			if d.tcp && n.udpOnly {
				continue
			}
			client := "dig-" + d.name + "-to-" + server
			running = append(running, n.dig(t, client, digLines(host, d.lookups, d.option)))
			lookups := d.asked
			if lookups == nil {
				lookups = d.lookups
			}
			expected = append(expected, asked(client, server, lookups...))
		}
	}
	awaitShared(t, s, running, expected)
}

// awaitShared waits for the end of programs, and until what they asked of servers that others ask too shows.
func awaitShared(t *testing.T, s *toposcope, running []*process, expected []*traffic) {
	t.Helper()
	for _, p := range running {
		p.ended(t)
	}
	for _, e := range expected {
		e.sharedServer = true
		e.await(t, s, nil)
	}
}

// testDigOnHost: a server that is younger than Toposcope, in the network where Toposcope is.
func testDigOnHost(t *testing.T, s *toposcope, n *nameNet) {
	const client, host = "dig-on-host", "127.77.0.1"
	startServer(t, servers.Config{Kind: servers.Dnsmasq, Name: "dnsmasq-on-host", Listen: host + ":53"})
	here := &nameNet{inside: func(command ...string) []string { return command }}
	lines, lookups := digLines(host, questions), slices.Clone(questions)
	if !n.udpOnly {
		lines += digLines(host, questions, "+tcp")
		for i := range lookups {
			lookups[i].count *= 2
		}
	}
	here.dig(t, client, lines).ended(t)
	asked(client, "dnsmasq-on-host", lookups...).await(t, s, nil)
}

// testForwarded: a name server that asks another is a client of that one.
func testForwarded(t *testing.T, s *toposcope, n *nameNet) {
	lookups := []lookup{{"a.broken.test", "A", "SERVFAIL", 5}, {"b.broken.test", "AAAA", "SERVFAIL", 5}}
	n.dig(t, "dig-forwarded", digLines(n.hosts["dnsmasq"], lookups)).ended(t)
	first, second := asked("dig-forwarded", "dnsmasq", lookups...), asked("dnsmasq", "coredns", lookups...)
	first.sharedServer, second.sharedServer = true, true
	first.await(t, s, nil)
	second.await(t, s, nil)
}
