package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// resolver is a client of DNS that reads /etc/resolv.conf.
type resolver struct {
	name    string
	command []string
	// results are what it prints, if it does.
	results []string
	lookups []lookup
	tcp     bool
}

// both are the lookups that a program makes which asks for addresses of either family.
func both(name, code string) []lookup {
	return []lookup{{name, "A", code, 1}, {name, "AAAA", code, 1}}
}

var resolvers = []resolver{
	{
		name:    "getent",
		command: []string{"sh", "-c", "getent ahosts www.shop.test; getent ahosts api.partner.test; getent ahosts nobody.shop.test; getent hosts 192.0.2.10; true"},
		lookups: slices.Concat(both("www.shop.test", "NOERROR"), both("api.partner.test", "NOERROR"), both("nobody.shop.test", "NXDOMAIN"),
			[]lookup{{"10.2.0.192.in-addr.arpa", "PTR", "NOERROR", 1}}),
	},
	{
		name:    "python",
		command: []string{"python3", "testdata/resolve.py", "www.shop.test", "api.partner.test", "v4.shop.test", "nobody.shop.test"},
		results: []string{"ok", "ok", "ok", "none"},
		lookups: slices.Concat(both("www.shop.test", "NOERROR"), both("api.partner.test", "NOERROR"), both("v4.shop.test", "NOERROR"),
			both("nobody.shop.test", "NXDOMAIN")),
	},
	{
		name: "go",
		command: []string{
			"RESOLVE", "ip", "www.shop.test", "ip4", "api.partner.test", "ip6", "v4.shop.test", "ip", "nobody.shop.test", "mx", "shop.test",
			"txt", "text.shop.test", "srv", "_http._tcp.shop.test", "ptr", "192.0.2.10",
		},
		results: []string{"ok", "ok", "none", "none", "ok", "ok", "ok", "ok"},
		lookups: slices.Concat(both("www.shop.test", "NOERROR"), both("nobody.shop.test", "NXDOMAIN"), []lookup{
			{"api.partner.test", "A", "NOERROR", 1},
			{"v4.shop.test", "AAAA", "NOERROR", 1},
			{"shop.test", "MX", "NOERROR", 1},
			{"text.shop.test", "TXT", "NOERROR", 1},
			{"_http._tcp.shop.test", "SRV", "NOERROR", 1},
			{"10.2.0.192.in-addr.arpa", "PTR", "NOERROR", 1},
		}),
	},
	{
		name: "go-over-tcp", command: []string{"RESOLVE", "txt", "big.shop.test"}, results: []string{"ok"}, tcp: true,
		lookups: []lookup{{"big.shop.test", "TXT", "NOERROR", 2}},
	},
	{
		name:    "node-lookup",
		command: []string{"node", nodeScript("resolve.mjs"), "lookup", "www.shop.test", "lookup", "api.partner.test", "lookup", "nobody.shop.test"},
		results: []string{"ok", "ok", "none"},
		lookups: slices.Concat(both("www.shop.test", "NOERROR"), both("api.partner.test", "NOERROR"), both("nobody.shop.test", "NXDOMAIN")),
	},
	{
		name: "node-resolve",
		command: []string{
			"node", nodeScript("resolve.mjs"), "resolve4", "www.shop.test", "resolve6", "www.shop.test", "resolveMx", "shop.test",
			"resolveTxt", "text.shop.test", "resolveSrv", "_http._tcp.shop.test", "resolveCaa", "caa.shop.test",
			"resolveNaptr", "naptr.shop.test", "reverse", "192.0.2.10", "resolve4", "nobody.shop.test", "resolve6", "v4.shop.test",
		},
		results: []string{"ok", "ok", "ok", "ok", "ok", "ok", "ok", "ok", "none", "none"},
		lookups: slices.Concat(both("www.shop.test", "NOERROR"), []lookup{
			{"shop.test", "MX", "NOERROR", 1},
			{"text.shop.test", "TXT", "NOERROR", 1},
			{"_http._tcp.shop.test", "SRV", "NOERROR", 1},
			{"caa.shop.test", "CAA", "NOERROR", 1},
			{"naptr.shop.test", "NAPTR", "NOERROR", 1},
			{"10.2.0.192.in-addr.arpa", "PTR", "NOERROR", 1},
			{"nobody.shop.test", "A", "NXDOMAIN", 1},
			{"v4.shop.test", "AAAA", "NOERROR", 1},
		}),
	},
}

// resolving is a command with an /etc/resolv.conf, and an nsswitch.conf, of its own.
func (n *nameNet) resolving(t *testing.T, conf string, command ...string) []string {
	t.Helper()
	dir := t.TempDir()
	if command[0] == "RESOLVE" {
		command[0] = filepath.Join(tools, "resolve")
	}
	script := ""
	for name, text := range map[string]string{"resolv.conf": conf, "nsswitch.conf": "hosts: files dns\n"} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		script += "mount --bind " + file + " /etc/" + name + " && "
	}
	// "ip netns exec" has given it mounts of its own.
	return n.inside(append([]string{"sh", "-c", script + `exec "$@"`, "sh"}, command...)...)
}

// resolve starts a resolver on names that a server knows.
func (n *nameNet) resolve(t *testing.T, r resolver, client, conf string) *process {
	t.Helper()
	command := n.resolving(t, conf, slices.Clone(r.command)...)
	return startProcess(t, client, command[0], command[1:]...)
}

// checkResults waits for a resolver's end.
func checkResults(t *testing.T, r resolver, p *process) {
	t.Helper()
	if lines := p.ended(t); r.results != nil && !slices.Equal(lines, r.results) {
		t.Errorf("%s says %q, want %q", r.name, lines, r.results)
	}
}

// testResolver lets a resolver ask all servers side by side.
func testResolver(t *testing.T, s *toposcope, n *nameNet, r resolver) {
	var expected []*traffic
	for server, host := range n.hosts {
		client := r.name + "-to-" + server
		p := n.resolve(t, r, client, "nameserver "+host+"\n")
		expected = append(expected, asked(client, server, r.lookups...))
		defer checkResults(t, r, p)
	}
	awaitShared(t, s, nil, expected)
}

// searchList is Kubernetes' kind of resolv.conf: every name with fewer than five dots is first looked for in each domain.
const searchList = "search shop.svc.test svc.test test\noptions ndots:5\n"

// names are looked for by every walker, and found in the last domain of the list, as they are, and nowhere.
var names = []string{"api.partner", "api.partner.test", "nobody.test"}

// walks are the steps for each of names, and the code of the last; the others are NXDOMAIN.
var walks = []struct {
	code  string
	steps []string
}{
	{"NOERROR", []string{"api.partner.shop.svc.test", "api.partner.svc.test", "api.partner.test"}},
	{"NOERROR", []string{"api.partner.test.shop.svc.test", "api.partner.test.svc.test", "api.partner.test.test", "api.partner.test"}},
	{"NXDOMAIN", []string{"nobody.test.shop.svc.test", "nobody.test.svc.test", "nobody.test.test", "nobody.test"}},
}

var walkers = []resolver{
	{name: "getent", command: []string{"sh", "-c", "for name in " + strings.Join(names, " ") + "; do getent ahosts $name; done; true"}},
	{name: "python", command: append([]string{"python3", "testdata/resolve.py"}, names...), results: found},
	{name: "go", command: append([]string{"RESOLVE"}, each("ip", names)...), results: found},
	{name: "node-lookup", command: append([]string{"node", nodeScript("resolve.mjs")}, each("lookup", names)...), results: found},
}

var found = []string{"ok", "ok", "none"}

// each puts kind before every name.
func each(kind string, names []string) (all []string) {
	for _, name := range names {
		all = append(all, kind, name)
	}
	return all
}

// walkLookups are all the lookups of a walker. A name that several walks come by is asked for in each.
func walkLookups() []lookup {
	var all []lookup
	index := map[string]int{}
	for _, w := range walks {
		for i, step := range w.steps {
			code := "NXDOMAIN"
			if i == len(w.steps)-1 {
				code = w.code
			}
			if at, ok := index[step]; ok && all[at].code == code {
				all[at].count++
				all[at+1].count++
				continue
			}
			index[step] = len(all)
			all = append(all, both(step, code)...)
		}
	}
	return all
}

// walksUnderWay are walkers that have begun. That a walk which found nothing is over shows some seconds after its end: they go on
// beside other tests.
type walksUnderWay struct {
	server  string
	running []*process
}

func startWalks(t *testing.T, n *nameNet) *walksUnderWay {
	t.Helper()
	w := &walksUnderWay{server: "coredns"}
	for _, r := range walkers {
		w.running = append(w.running, n.resolve(t, r, "walk-of-"+r.name, "nameserver "+n.hosts[w.server]+"\n"+searchList))
	}
	return w
}

// check: the lookups of a walk through the search list are counted by their codes, and no edge has failed; for the user it is one
// resolution of each type.
func (w *walksUnderWay) check(t *testing.T, s *toposcope) {
	for i, r := range walkers {
		t.Run("search list with "+r.name, func(t *testing.T) {
			client := "walk-of-" + r.name
			checkResults(t, r, w.running[i])
			e := asked(client, w.server, walkLookups()...)
			e.sharedServer = true
			e.await(t, s, nil)
			eventually(t, settle, func() error {
				now, err := s.metrics()
				if err != nil {
					return err
				}
				return checkResolutions(now, client)
			})
		})
	}
}

func checkResolutions(now metrics, client string) error {
	const name = "toposcope_dns_resolution_duration_seconds_count"
	var errs []error
	want := func(n int, pairs ...string) {
		if got := now.sum(name, append(of(client), pairs...)...); got != float64(n) {
			errs = append(errs, fmt.Errorf("%s%v is %g, want %d%s", name, pairs, got, n, now.with(name, of(client)...)))
		}
	}
	want(2 * len(names))
	for i, name := range names {
		for _, kind := range []string{"A", "AAAA"} {
			want(1, "dns_question_name", name, "dns_question_type", kind, "dns_response_code", walks[i].code)
		}
	}
	return errors.Join(errs...)
}
