package dice

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// throw draws something of everything.
func throw(d *Dice) []any {
	var all []any
	for range 20 {
		trace := d.Trace()
		all = append(all, d.Chance(0.5), d.IntN(1000), d.Spread(time.Second), d.Interval(3), trace, d.Next(trace))
	}
	return all
}

// TestSame: what is drawn follows from the seed and the name, or from the trace and the name, and from nothing else.
func TestSame(t *testing.T) {
	trace := New(1, "x").Trace()
	for _, test := range []struct {
		name        string
		same, other func() *Dice
	}{
		{"seed", func() *Dice { return New(1, "a") }, func() *Dice { return New(2, "a") }},
		{"name", func() *Dice { return New(1, "a") }, func() *Dice { return New(1, "b") }},
		{"trace", func() *Dice { return trace.Dice("a") }, func() *Dice { return New(2, "x").Trace().Dice("a") }},
		{"span", func() *Dice { return trace.Dice("a") }, func() *Dice { return New(1, "y").Next(trace).Dice("a") }},
		{"process", func() *Dice { return trace.Dice("a") }, func() *Dice { return trace.Dice("b") }},
	} {
		if !slices.Equal(throw(test.same()), throw(test.same())) {
			t.Errorf("%s: the same dice fall differently", test.name)
		}
		if slices.Equal(throw(test.same()), throw(test.other())) {
			t.Errorf("%s: other dice fall the same", test.name)
		}
	}
}

func TestTrace(t *testing.T) {
	trace := New(1, "a").Trace()
	if got := ParseTrace(trace.String()); got != trace {
		t.Errorf("%s is read as %s", trace, got)
	}
	good := trace.String()
	for _, bad := range []string{
		"", "00", good + "0", "01" + good[2:], "00_" + good[3:], good[:35] + "x" + good[36:], good[:52] + "x" + good[53:],
		"00-" + strings.Repeat("g", 32) + good[35:], good[:53] + "zz",
		"00-" + strings.Repeat("0", 32) + "-" + strings.Repeat("0", 16) + "-01",
	} {
		first, second := ParseTrace(bad), ParseTrace(bad)
		if first == trace || first == second || first == (Trace{}) {
			t.Errorf("%q gives %s and then %s, want two drawn at random", bad, first, second)
		}
	}
}
