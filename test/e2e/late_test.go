package e2e

import (
	"fmt"
	"testing"

	"github.com/toposcope/toposcope/test/load/servers"
)

// lateTests are questions whose end takes seconds to come; they wait beside other tests.
type lateTests struct {
	digs []*process
}

// lostNames is how many names are asked for whose answer never leaves the server, which the kernel sees to; dig asks for each
// once more.
const lostNames = 3

func startLate(t *testing.T, n *nameNet) *lateTests {
	t.Helper()
	l := &lateTests{}
	// A server whose every second answer is lost on its way.
	const lossy = "127.0.0.21"
	startServer(t, servers.Config{Kind: servers.CoreDNS, Name: "coredns-lossy", Listen: lossy + ":53", Inside: n.inside()})
	run(t, n.inside("iptables", "-A", "OUTPUT", "-p", "udp", "-s", lossy, "--sport", "53",
		"-m", "statistic", "--mode", "nth", "--every", "2", "--packet", "0", "-j", "DROP"))
	ask := func(client, host string, lookups []lookup, options ...string) {
		l.digs = append(l.digs, n.dig(t, client, digLines(host, lookups, options...)))
	}
	ask("dig-lossy", lossy, []lookup{{"www.shop.test", "A", "", lostNames}}, "+tries=2", "+timeout=1")
	ask("dig-silent", n.hosts["unbound"], []lookup{{"a.silent.test", "A", "", 2}}, "+timeout=1")
	ask("dig-patient", n.hosts["coredns"], []lookup{{"a.late.test", "A", "", 1}}, "+timeout=10")
	ask("dig-impatient", n.hosts["coredns"], []lookup{{"a.late.test", "A", "", 1}}, "+timeout=1")
	return l
}

// check waits until what was asked shows.
func (l *lateTests) check(t *testing.T, s *toposcope) {
	for _, d := range l.digs {
		d.ended(t)
	}
	for _, test := range []struct {
		name, client, server string
		lookups              []lookup
	}{
		{"lost answers", "dig-lossy", "coredns-lossy", []lookup{{"www.shop.test", "A", "", lostNames}, {"www.shop.test", "A", "NOERROR", lostNames}}},
		{"silent server", "dig-silent", "unbound", []lookup{{"a.silent.test", "A", "", 2}}},
		{"late answer", "dig-patient", "coredns", []lookup{{"a.late.test", "A", "NOERROR", 1}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := asked(test.client, test.server, test.lookups...)
			e.sharedServer = true
			e.await(t, s, nil)
		})
	}
	t.Run("late answer took its time", func(t *testing.T) {
		now, err := s.metrics()
		if err != nil {
			t.Fatal(err)
		}
		const delay = 1.5 // seconds, by CoreDNS's configuration
		if got := now.sum("dns_lookup_duration_seconds_sum", of("dig-patient")...); got < delay {
			t.Errorf("the answer took %.3f s, but the server waits %.1f s", got, delay)
		}
	})
	t.Run("answer after its asker has gone", func(t *testing.T) { checkImpatient(t, s) })
}

// checkImpatient: dig asked once and ended before the answer came. The one lookup is unanswered, or is the late answer's where
// capture saw that come in.
func checkImpatient(t *testing.T, s *toposcope) {
	eventually(t, settle, func() error {
		now, err := s.metrics()
		if err != nil {
			return err
		}
		const name = "dns_lookup_duration_seconds_count"
		total := now.sum(name, of("dig-impatient")...)
		unanswered := now.sum(name, append(of("dig-impatient"), "error_type", "unanswered")...)
		answered := now.sum(name, append(of("dig-impatient"), "dns_response_code", "NOERROR")...)
		edges := now.sum("traces_service_graph_request_total", edge("dig-impatient", "coredns")...)
		if total != 1 || edges != 1 || unanswered+answered != 1 {
			return fmt.Errorf("one question is %g lookups and %g on the edge: %g unanswered, %g answered%s", total, edges, unanswered, answered,
				now.with(name, of("dig-impatient")...))
		}
		return nil
	})
}
