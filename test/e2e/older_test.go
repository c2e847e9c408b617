package e2e

import (
	"errors"
	"fmt"
	"testing"

	"github.com/toposcope/toposcope/test/load/rpc"
	"github.com/toposcope/toposcope/test/load/servers"
)

// olderCases are calls on connections that were used before Toposcope started: what HPACK's tables hold from that time it cannot
// know. It learns what is said anew.
var olderCases = []callCase{
	{
		name: "go/older", client: servers.GRPC, server: servers.GRPC, before: true, count: 4000, streams: 10, connections: 2,
		warm:  []string{"test.Shop/Get", "test.Shop/Get", "test.Shop/List messages=3", "test.Orders/Place code=5"},
		calls: everyCall,
	},
	{
		// None of the codes but OK has been said before, nor any method but one.
		name: "go/older-by-one-call", client: servers.GRPC, server: servers.GRPC, before: true, count: 4000, streams: 10,
		warm: []string{"test.Shop/Put"}, calls: everyCall,
	},
	{
		// HPACK's tables hold 4 KiB, which Node's client fills soon: paths and all are said anew again and again.
		name: "node/older", client: servers.GRPCNode, server: servers.GRPCNode, before: true, count: 1000, streams: 10,
		warm: everyCall, calls: everyCall,
	},
}

// unknown stands for what cannot be known.
const unknown = "unknown"

// testOlder: every call is counted once. Its method and its code are right or unknown, and what was never said before
// Toposcope started is known.
func testOlder(t *testing.T, s *toposcope, p *caller) {
	e := calls(p.clientName, p.serverName, p.run(t))
	var client, server *learnt
	eventually(t, settle, func() (err error) {
		now, err := s.metrics()
		if err != nil {
			return err
		}
		client, server = p.learnt(now, e.clientMetric, e.client), p.learnt(now, e.serverMetric, e.server)
		return errors.Join(checkTotals(now, e), client.check(e.client), server.check(e.server))
	})
	report(t, s, e)
	for side, l := range map[string]*learnt{"client": client, "server": server} {
		t.Logf("at the %s: methods known of %.3f, codes of %.3f", side, l.share(l.seen.methods), l.share(l.seen.codes))
	}
}

// checkTotals compares what does not depend on names.
func checkTotals(now metrics, e *traffic) (err error) {
	both := append(edge(e.client, e.server), "protocol", e.protocol)
	for _, test := range []struct {
		name  string
		pairs []string
	}{
		{"traces_service_graph_request_total", both},
		{"traces_service_graph_request_client_seconds_count", both},
		{"traces_service_graph_request_server_seconds_count", both},
		{"traces_service_graph_request_total", edge(e.client, "")},
		{"traces_service_graph_request_total", edge("", e.server)},
	} {
		if got := now.sum(test.name, test.pairs...); got != float64(e.total()) {
			err = errors.Join(err, fmt.Errorf("%s%v is %g, want %d", test.name, test.pairs, got, e.total()))
		}
	}
	return err
}

// book counts calls by method, by code, and by both.
type book struct {
	total          int
	methods, codes map[string]int
	both           map[[2]string]int
}

func newBook() *book {
	return &book{methods: map[string]int{}, codes: map[string]int{}, both: map[[2]string]int{}}
}

func (b *book) add(method, code string, n int) {
	b.total += n
	b.methods[method] += n
	b.codes[code] += n
	b.both[[2]string{method, code}] += n
}

// learnt is what is known of calls on older connections, one way or the other.
type learnt struct {
	sent, seen *book
	// said are the methods and codes that were said before.
	said map[string]bool
	// first is how many calls may pass until one proves which unknown name is that of the codes: each kind once on each connection,
	// and those that are under way then.
	first int
	lines string // the series
}

func (p *caller) learnt(now metrics, metric, service string) *learnt {
	l := &learnt{
		sent: newBook(), seen: newBook(), said: map[string]bool{}, first: max(p.connections, 1) * (len(p.calls) + p.streams),
		lines: now.with(metric+"_count", of(service)...),
	}
	for i := range p.count {
		c := p.parsed[i%len(p.parsed)]
		l.sent.add(c.Method, rpc.Name(c.Wanted()), 1)
	}
	for _, c := range p.parsedWarm {
		l.said[c.Method], l.said[rpc.Name(c.Wanted())] = true, true
	}
	for _, m := range now {
		if m.name == metric+"_count" && m.value > 0 && m.matches(of(service)) {
			l.seen.add(m.labels["rpc_method"], m.labels["rpc_response_status_code"], int(m.value))
		}
	}
	return l
}

func (l *learnt) check(service string) error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(service+": "+format, args...))
	}
	if l.seen.total != l.sent.total {
		wrong("%d calls, want %d", l.seen.total, l.sent.total)
	}
	for key, n := range l.seen.both {
		if key[0] != unknown && key[1] != unknown && n > l.sent.both[key] {
			wrong("%d calls of %s with %s, but %d were sent", n, key[0], key[1], l.sent.both[key])
		}
	}
	for method, n := range l.seen.methods {
		if sent := l.sent.methods[method]; method != unknown && (n > sent || n < sent && !l.said[method]) {
			wrong("%d calls of %s, but %d were sent, said before: %v", n, method, sent, l.said[method])
		}
	}
	missed := 0
	for code, sent := range l.sent.codes {
		if n := l.seen.codes[code]; n > sent {
			wrong("%d calls with %s, but %d were sent", n, code, sent)
		} else if !l.said[code] {
			missed += sent - n
		}
	}
	if missed > l.first {
		wrong("the codes of %d calls are unknown, though they were first said when Toposcope ran", missed)
	}
	if len(errs) > 0 {
		errs = append(errs, errors.New("series:"+l.lines))
	}
	return errors.Join(errs...)
}

// share is which part of the calls counts names for.
func (l *learnt) share(counts map[string]int) float64 {
	return 1 - float64(counts[unknown])/float64(l.seen.total)
}
