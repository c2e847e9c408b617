package dns_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/protocol/dns"
)

var dawn = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// parseStep reads "START DURATION PID/TID TYPE NAME CODE", where a code is as in answers, "nodata" for NOERROR without records,
// "cut" for an answer that did not fit and "-" for none.
func parseStep(t *testing.T, line string) *dns.Step {
	t.Helper()
	var start, took, kind, name, code string
	s := &dns.Step{}
	if _, err := fmt.Sscanf(line, "%s %s %d/%d %s %s %s", &start, &took, &s.Task.PID, &s.Task.TID, &kind, &name, &code); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	from, err := time.ParseDuration(start)
	if err != nil {
		t.Fatal(err)
	}
	d, err := time.ParseDuration(took)
	if err != nil {
		t.Fatal(err)
	}
	s.Start, s.Name, s.Type, s.Code = dawn.Add(from), []byte(name), []byte(kind), code
	s.End = s.Start.Add(d)
	switch code {
	case "NOERROR":
		s.Found = true
	case "nodata":
		s.Code = "NOERROR"
	case "cut":
		s.Code, s.Found, s.Truncated = "NOERROR", true, true
	case "-":
		s.Code = ""
	}
	return s
}

// outcomes collects resolutions as "TYPE NAME CODE STEPS FROM TO".
type outcomes struct{ got []string }

func (o *outcomes) add(r *dns.Resolution) {
	code := r.Code
	switch {
	case code == "":
		code = "-"
	case code == "NOERROR" && !r.Found:
		code = "nodata"
	}
	o.got = append(o.got, fmt.Sprintf("%s %s %s %d %v %v", r.Type, r.Name, code, r.Steps, r.Start.Sub(dawn), r.End.Sub(dawn)))
}

func lines(text string) (list []string) {
	for _, l := range strings.Split(text, "\n") {
		if l = strings.TrimSpace(l); l != "" {
			list = append(list, l)
		}
	}
	return list
}

// The search list of these cases is that of a pod: shop.svc.cluster.local svc.cluster.local cluster.local, and the node's own
// corp.example, with ndots:5.
var walks = []struct {
	name, steps string
	want        string // in order; those after "--" only come at a Tick long after
}{
	{
		name: "glibc: one thread, both families on one socket, the next name when both are there",
		steps: `
			0ms 1ms 9/9 A    db.shop.svc.cluster.local NXDOMAIN
			0ms 2ms 9/9 AAAA db.shop.svc.cluster.local NXDOMAIN
			2ms 1ms 9/9 A    db.svc.cluster.local      NXDOMAIN
			2ms 1ms 9/9 AAAA db.svc.cluster.local      NXDOMAIN
			3ms 1ms 9/9 A    db.cluster.local          NXDOMAIN
			3ms 1ms 9/9 AAAA db.cluster.local          NXDOMAIN
			4ms 1ms 9/9 A    db.corp.example           NOERROR
			4ms 1ms 9/9 AAAA db.corp.example           nodata`,
		want: `
			A db NOERROR 4 0s 5ms
			--
			AAAA db nodata 4 0s 5ms`,
	},
	{
		name: "glibc: nothing anywhere, and the next lookup of the thread tells that it is over",
		steps: `
			0ms 1ms 9/9 A db.shop.svc.cluster.local NXDOMAIN
			1ms 1ms 9/9 A db.svc.cluster.local      NXDOMAIN
			2ms 1ms 9/9 A db.cluster.local          NXDOMAIN
			3ms 1ms 9/9 A db.corp.example           NXDOMAIN
			4ms 1ms 9/9 A db                        NXDOMAIN
			9ms 1ms 9/9 A cart.shop.svc.cluster.local NOERROR`,
		want: `
			A db NXDOMAIN 5 0s 5ms
			A cart.shop.svc.cluster.local NOERROR 1 9ms 10ms`,
	},
	{
		name: "glibc: enough dots, so the name as it is comes first",
		steps: `
			0ms 1ms 9/9 A api.pay.corp.example                        NXDOMAIN
			1ms 1ms 9/9 A api.pay.corp.example.shop.svc.cluster.local NXDOMAIN
			2ms 1ms 9/9 A api.pay.corp.example.svc.cluster.local      NOERROR`,
		want: `A api.pay.corp.example NOERROR 3 0s 3ms`,
	},
	{
		name: "glibc: several labels before the search domain",
		steps: `
			0ms 1ms 9/9 A db.infra.shop.svc.cluster.local NXDOMAIN
			1ms 1ms 9/9 A db.infra.svc.cluster.local      NOERROR`,
		want: `A db.infra NOERROR 2 0s 2ms`,
	},
	{
		name: "glibc: an error of the server, the same question to the next server, the walk goes on",
		steps: `
			0ms   1ms 9/9 A db.shop.svc.cluster.local SERVFAIL
			1ms   1ms 9/9 A db.shop.svc.cluster.local NXDOMAIN
			2ms   1ms 9/9 A db.svc.cluster.local      NOERROR`,
		want: `A db NOERROR 2 0s 3ms`,
	},
	{
		name: "glibc: no answer in 5 s, the same question once more",
		steps: `
			0ms    5s    9/9 A db.shop.svc.cluster.local -
			5001ms 1ms   9/9 A db.shop.svc.cluster.local NXDOMAIN
			5002ms 1ms   9/9 A db.svc.cluster.local      NOERROR`,
		want: `A db NOERROR 2 0s 5.003s`,
	},
	{
		name: "glibc: that nobody answered is known after the repetition was answered",
		steps: `
			5001ms 1ms   9/9 A db.corp.example NOERROR
			0ms    5050ms 9/9 A db.corp.example -`,
		want: `A db.corp.example NOERROR 1 5.001s 5.002s`,
	},
	{
		name: "glibc: an answer that is too long comes again over TCP",
		steps: `
			0ms 1ms 9/9 A big.shop.svc.cluster.local cut
			1ms 2ms 9/9 A big.shop.svc.cluster.local NOERROR`,
		want: `A big.shop.svc.cluster.local NOERROR 1 0s 3ms`,
	},
	{
		name: "glibc: two threads look for the same",
		steps: `
			0ms 2ms 9/10 A db.shop.svc.cluster.local NXDOMAIN
			1ms 2ms 9/11 A db.shop.svc.cluster.local NXDOMAIN
			2ms 2ms 9/10 A db.svc.cluster.local      NOERROR
			3ms 2ms 9/11 A db.svc.cluster.local      NOERROR`,
		want: `
			A db NOERROR 2 0s 4ms
			A db NOERROR 2 1ms 5ms`,
	},
	{
		name: "musl: every server is asked at the same time, the first answer counts and the walk goes on",
		steps: `
			0ms 1ms 9/9 A    db.shop.svc.cluster.local NXDOMAIN
			0ms 1ms 9/9 AAAA db.shop.svc.cluster.local NXDOMAIN
			0ms 3ms 9/9 A    db.shop.svc.cluster.local NXDOMAIN
			0ms 3ms 9/9 AAAA db.shop.svc.cluster.local SERVFAIL
			1ms 3ms 9/9 A    db.svc.cluster.local      NOERROR
			1ms 4ms 9/9 A    db.svc.cluster.local      -
			1ms 3ms 9/9 AAAA db.svc.cluster.local      NOERROR
			1ms 4ms 9/9 AAAA db.svc.cluster.local      -`,
		want: `
			A db NOERROR 2 0s 4ms
			AAAA db NOERROR 2 0s 4ms`,
	},
	{
		name: "Go: a goroutine for each family, on any thread",
		steps: `
			0ms 1ms 9/12 A    db.shop.svc.cluster.local NXDOMAIN
			0ms 1ms 9/13 AAAA db.shop.svc.cluster.local NXDOMAIN
			1ms 1ms 9/13 A    db.svc.cluster.local      NXDOMAIN
			1ms 1ms 9/12 AAAA db.svc.cluster.local      NXDOMAIN
			2ms 1ms 9/14 A    db.cluster.local          NXDOMAIN
			2ms 1ms 9/12 AAAA db.cluster.local          NXDOMAIN
			3ms 1ms 9/12 A    db                        NXDOMAIN
			3ms 1ms 9/14 AAAA db                        NXDOMAIN
			9ms 1ms 9/12 A    cart.shop.svc.cluster.local NOERROR`,
		want: `
			A cart.shop.svc.cluster.local NOERROR 1 9ms 10ms
			--
			A db NXDOMAIN 4 0s 4ms
			AAAA db NXDOMAIN 4 0s 4ms`,
	},
	{
		name: "Go: lookups of many goroutines take turns on the threads",
		steps: `
			0ms  2ms 9/12 A db.shop.svc.cluster.local   NXDOMAIN
			1ms  2ms 9/13 A mail.shop.svc.cluster.local NXDOMAIN
			2ms  2ms 9/13 A db.svc.cluster.local        NXDOMAIN
			3ms  2ms 9/12 A mail.svc.cluster.local      NXDOMAIN
			4ms  2ms 9/12 A db.cluster.local            NXDOMAIN
			5ms  2ms 9/13 A mail.cluster.local          NXDOMAIN
			6ms  2ms 9/13 A db                          NOERROR
			7ms  2ms 9/12 A mail                        NOERROR`,
		want: `
			A db NOERROR 4 0s 8ms
			A mail NOERROR 4 1ms 9ms`,
	},
	{
		name: "Go: from a domain to one that is not above it, on another thread: once it was seen in a search",
		steps: `
			0s    1ms 9/12 A one.cluster.local NXDOMAIN
			1ms   1ms 9/13 A one.corp.example  NXDOMAIN
			2ms   1ms 9/13 A one               NOERROR
			20s   1ms 9/12 A two.svc.cluster.local NXDOMAIN
			20001ms 1ms 9/13 A two.cluster.local NXDOMAIN
			20002ms 1ms 9/12 A two               NXDOMAIN
			40s     1ms 9/12 A three.cluster.local NXDOMAIN
			40001ms 1ms 9/13 A three.corp.example  NOERROR`,
		want: `
			A one NOERROR 2 1ms 3ms
			A one.cluster.local NXDOMAIN 1 0s 1ms
			A two NXDOMAIN 3 20s 20.003s
			A three NOERROR 2 40s 40.002s`,
	},
	{
		name:  "no walk is needed",
		steps: `0ms 7ms 9/9 AAAA www.corp.example NOERROR`,
		want:  `AAAA www.corp.example NOERROR 1 0s 7ms`,
	},
	{
		name:  "the asker is not known",
		steps: `0ms 7ms 0/0 A www.corp.example NXDOMAIN`,
		want:  `A www.corp.example NXDOMAIN 1 0s 7ms`,
	},
	{
		name: "the thread is not known",
		steps: `
			0ms 1ms 9/0 A db.shop.svc.cluster.local NXDOMAIN
			1ms 1ms 9/0 A db.svc.cluster.local NOERROR`,
		want: `A db NOERROR 2 0s 2ms`,
	},
	{
		name: "the same again is another lookup",
		steps: `
			0ms  1ms 9/9 A gone.corp.example NXDOMAIN
			50ms 1ms 9/9 A gone.corp.example NXDOMAIN
			99ms 1ms 9/9 A here.corp.example NOERROR
			100ms 1ms 9/9 A here.corp.example NOERROR`,
		want: `
			A gone.corp.example NXDOMAIN 1 0s 1ms
			A gone.corp.example NXDOMAIN 1 50ms 51ms
			A here.corp.example NOERROR 1 99ms 100ms
			A here.corp.example NOERROR 1 100ms 101ms`,
	},
	{
		name: "the same walk once more is another lookup",
		steps: `
			0ms 1ms 9/9 A gone.corp.example NXDOMAIN
			1ms 1ms 9/9 A gone              NXDOMAIN
			2ms 1ms 9/9 A gone.corp.example NXDOMAIN
			3ms 1ms 9/9 A gone              NXDOMAIN
			4ms 1ms 9/9 A gone.corp.example NOERROR`,
		want: `
			A gone NXDOMAIN 2 0s 2ms
			A gone NXDOMAIN 2 2ms 4ms
			A gone.corp.example NOERROR 1 4ms 5ms`,
	},
	{
		name: "what begins before the answer is no step after it",
		steps: `
			0ms 3ms 9/9 A db.shop.svc.cluster.local NXDOMAIN
			1ms 3ms 9/8 A db.svc.cluster.local NOERROR`,
		want: `
			A db.svc.cluster.local NOERROR 1 1ms 4ms
			--
			A db.shop.svc.cluster.local NXDOMAIN 1 0s 3ms`,
	},
	{
		name: "too long after",
		steps: `
			0s 1ms 9/9 A db.shop.svc.cluster.local NXDOMAIN
			3s 1ms 9/9 A db.svc.cluster.local      NOERROR`,
		want: `
			A db.shop.svc.cluster.local NXDOMAIN 1 0s 1ms
			A db.svc.cluster.local NOERROR 1 3s 3.001s`,
	},
	{
		name: "another process",
		steps: `
			0ms 1ms 9/9 A db.shop.svc.cluster.local NXDOMAIN
			1ms 1ms 8/8 A db.svc.cluster.local      NOERROR`,
		want: `
			A db.svc.cluster.local NOERROR 1 1ms 2ms
			--
			A db.shop.svc.cluster.local NXDOMAIN 1 0s 1ms`,
	},
	{
		name: "blocklists, services and addresses are not searched for",
		steps: `
			0ms 1ms 9/9 A 44.33.22.11.zen.example    NXDOMAIN
			1ms 1ms 9/9 A 44.33.22.11.bl.example     NXDOMAIN
			2ms 1ms 9/9 SRV _ldap._tcp.a.example  NXDOMAIN
			3ms 1ms 9/9 SRV _ldap._tcp.b.example  NXDOMAIN
			4ms 1ms 9/9 PTR 4.3.2.1.in-addr.arpa  NXDOMAIN
			5ms 1ms 9/9 PTR 4.3.2.9.in-addr.arpa  NXDOMAIN`,
		want: `
			A 44.33.22.11.zen.example NXDOMAIN 1 0s 1ms
			A 44.33.22.11.bl.example NXDOMAIN 1 1ms 2ms
			SRV _ldap._tcp.a.example NXDOMAIN 1 2ms 3ms
			PTR 4.3.2.1.in-addr.arpa NXDOMAIN 1 4ms 5ms
			PTR 4.3.2.9.in-addr.arpa NXDOMAIN 1 5ms 6ms
			--
			SRV _ldap._tcp.b.example NXDOMAIN 1 3ms 4ms`,
	},
	{
		name: "a dot within a label is no border",
		steps: `
			0ms 1ms 9/9 A a\.db.shop.svc.cluster.local NXDOMAIN
			1ms 1ms 9/9 A a\.db.svc.cluster.local      NOERROR`,
		want: `A a\.db NOERROR 2 0s 2ms`,
	},
	{
		name: "nobody answers anything",
		steps: `
			0s 5s 9/9 A db.shop.svc.cluster.local -
			5s 5s 9/9 A db.shop.svc.cluster.local -`,
		want: `
			--
			A db.shop.svc.cluster.local - 1 0s 10s`,
	},
}

func TestWalks(t *testing.T) {
	for _, c := range walks {
		t.Run(c.name, func(t *testing.T) {
			o := &outcomes{}
			w := dns.NewWalks(dns.WalksConfig{}, o.add)
			for _, l := range lines(c.steps) {
				s := parseStep(t, l)
				w.Tick(s.End)
				w.Step(s)
			}
			o.got = append(o.got, "--")
			w.Tick(dawn.Add(time.Hour))
			want := lines(c.want)
			if !strings.Contains(c.want, "--") {
				want = append(want, "--")
			}
			if got := strings.Join(o.got, "\n"); got != strings.Join(want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
			}
		})
	}
}

// TestWalksInDisorder: held back, steps come to the same in any order.
func TestWalksInDisorder(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, c := range walks {
		if strings.Contains(c.name, "known after") {
			continue // put in order, it is an ordinary repetition
		}
		steps, want := lines(c.steps), lines(strings.ReplaceAll(c.want, "--", ""))
		slices.Sort(want)
		for range 20 {
			r.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
			o := &outcomes{}
			w := dns.NewWalks(dns.WalksConfig{Delay: time.Minute}, o.add)
			for _, l := range steps {
				w.Step(parseStep(t, l))
			}
			if len(o.got) > 0 {
				t.Errorf("%s: not held back: %v", c.name, o.got)
			}
			w.Tick(dawn.Add(time.Hour))
			if slices.Sort(o.got); !slices.Equal(o.got, want) {
				t.Errorf("%s: got\n%s\nwant\n%s", c.name, strings.Join(o.got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

// TestWalksBounded: each lookup is reported once, also where more are open than may be.
func TestWalksBounded(t *testing.T) {
	const most, count = 50, 3000
	for _, delay := range []time.Duration{0, time.Second} {
		ended := 0
		w := dns.NewWalks(dns.WalksConfig{Max: most, Delay: delay}, func(r *dns.Resolution) {
			if ended++; r.Steps != 1 || r.Code != "NXDOMAIN" {
				t.Errorf("%s: %d steps, %s", r.Name, r.Steps, r.Code)
			}
		})
		for i := range count {
			s := parseStep(t, fmt.Sprintf("%dms 1ms %d/1 A gone%d.example NXDOMAIN", i, 1+i%7, i))
			s.Task.TID = uint32(1 + i) // a thread each: none tells of another
			w.Step(s)
			if open := i + 1 - ended; delay == 0 && open > most {
				t.Fatalf("%d are open", open)
			}
		}
		w.Tick(dawn.Add(time.Hour))
		if ended != count {
			t.Errorf("%d of %d lookups have ended", ended, count)
		}
	}
}

func TestWalksAllocations(t *testing.T) {
	for _, delay := range []time.Duration{0, 10 * time.Millisecond} {
		w := dns.NewWalks(dns.WalksConfig{Delay: delay, Max: 16}, func(*dns.Resolution) {})
		first := parseStep(t, "0ms 1ms 9/9 A db.shop.svc.cluster.local NXDOMAIN")
		second := parseStep(t, "1ms 1ms 9/9 A db NOERROR")
		walk := func() {
			w.Step(first)
			w.Step(second)
			for _, s := range []*dns.Step{first, second} {
				s.Start, s.End = s.Start.Add(50*time.Millisecond), s.End.Add(50*time.Millisecond)
			}
			w.Tick(first.Start)
		}
		for range 100 {
			walk()
		}
		if n := testing.AllocsPerRun(100, walk); n != 0 {
			t.Errorf("with a delay of %v: %v allocations", delay, n)
		}
	}
}
