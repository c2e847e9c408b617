package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// course is how one figure went over the rounds.
type course struct {
	name   string
	format string
	values []float64
	// slack is how much more it may be in the end than in the second quarter: a share, and something for small numbers.
	ratio, slack float64
}

// quarters are the medians of the second and the last quarter: the first is when caches fill.
func (c course) quarters() (second, last float64) {
	n := len(c.values)
	return median(c.values[n/4 : max(n/2, n/4+1)]), median(c.values[n*3/4:])
}

func (c course) flat() bool {
	second, last := c.quarters()
	return last <= second*c.ratio+c.slack
}

func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func courses(rounds []round) []course {
	collect := func(name, format string, ratio, slack float64, of func(usage) float64) course {
		c := course{name: name, format: format, ratio: ratio, slack: slack}
		for _, r := range rounds {
			c.values = append(c.values, of(r.usage))
		}
		return c
	}
	list := []course{
		collect("goroutines", "%.0f", 1, 5, func(u usage) float64 { return u.goroutines }),
		collect("open files", "%.0f", 1, 5, func(u usage) float64 { return u.files }),
		collect("heap in use, MiB", "%.1f", 1.2, 4, func(u usage) float64 { return u.heap / (1 << 20) }),
		collect("resident without ring pages, MiB", "%.0f", 1.1, 4, func(u usage) float64 { return u.resident / (1 << 20) }),
		collect("series in /metrics", "%.0f", 1.05, 20, func(u usage) float64 { return u.seriesInAll() }),
	}
	for _, name := range watchedMaps {
		list = append(list, collect("entries of the map "+name, "%.0f", 1.1, 50, func(u usage) float64 { return u.maps[name] }))
	}
	return list
}

// report writes the tables; what is wrong is an error.
func (s *soak) report(out io.Writer, first, second []round, revived revival) error {
	if len(first) < 4 || len(second) == 0 {
		return errors.New("too few rounds to tell anything: a longer -duration is needed")
	}
	var problems []error
	fmt.Fprintf(out, "\n%s, rounds of %s: %d, then a kill -9, then %d; capture by %s\n\n", s.duration, s.round, len(first), len(second), s.method)
	fmt.Fprint(out, "| until the kill | first round | second quarter | last quarter | most | flat |\n|---|---:|---:|---:|---:|---|\n")
	for _, c := range courses(first) {
		before, last := c.quarters()
		fmt.Fprintf(out, "| %s | "+c.format+" | "+c.format+" | "+c.format+" | "+c.format+" | %t |\n",
			c.name, c.values[0], before, last, slices.Max(c.values), c.flat())
		if !c.flat() {
			problems = append(problems, fmt.Errorf("%s grew from "+c.format+" to "+c.format, c.name, before, last))
		}
	}
	fmt.Fprintf(out, "\nSeries that came since the second quarter began: %s.\n", grown(first[len(first)/4].usage.series, first[len(first)-1].usage.series))
	problems = append(problems, printCounts(out, slices.Concat(first, second)))
	fmt.Fprintf(out, "\nAfter the kill -9 it was ready in %s, with %g samples of its build_info from before.\n",
		revived.took.Round(time.Millisecond), revived.before)
	if revived.before == 0 {
		problems = append(problems, errors.New("the store lost what was in it before the kill -9"))
	}
	return errors.Join(problems...)
}

// grown says of which names there are more series than before, the most first.
func grown(before, now map[string]int) string {
	more := map[string]int{}
	for name, n := range now {
		if n > before[name] {
			more[name] = n - before[name]
		}
	}
	if len(more) == 0 {
		return "none"
	}
	names := slices.SortedFunc(maps.Keys(more), func(a, b string) int { return cmp.Or(cmp.Compare(more[b], more[a]), cmp.Compare(a, b)) })
	var list []string
	for _, name := range names[:min(len(names), 5)] {
		list = append(list, fmt.Sprintf("%s %d", name, more[name]))
	}
	return strings.Join(list, ", ")
}

// printCounts writes what was sent and counted over all rounds.
func printCounts(out io.Writer, rounds []round) (err error) {
	fmt.Fprint(out, "\n| | sent | counted at the client's end | at the server's end |\n|---|---:|---:|---:|\n")
	sum := slices.Clone(rounds[0].tallies)
	lost, exact := rounds[0].lost, 0
	for i, r := range rounds {
		if r.exact() {
			exact++
		}
		if !r.explained() {
			err = errors.Join(err, fmt.Errorf("round %d: %s", i+1, r))
		}
		if i == 0 {
			continue
		}
		lost += r.lost
		for j, t := range r.tallies {
			sum[j].sent += t.sent
			sum[j].client += t.client
			sum[j].server += t.server
		}
	}
	for _, t := range sum {
		fmt.Fprintf(out, "| %s | %.0f | %s | %s |\n", t.name, t.sent, orNone(t.client), orNone(t.server))
	}
	fmt.Fprintf(out, "\nExact in %d of %d rounds; exchanges known to be missing: %.0f.\n", exact, len(rounds), lost)
	return err
}

// orNone writes a count; those that are not taken are negative.
func orNone(n float64) string {
	if n < 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", n)
}
