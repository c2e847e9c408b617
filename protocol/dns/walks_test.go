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
