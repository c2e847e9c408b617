package main

import (
	"strings"
	"testing"
)

func TestFlat(t *testing.T) {
	for _, test := range []struct {
		name   string
		values []float64
		want   bool
	}{
		{"the same", []float64{10, 10, 10, 10, 10, 10, 10, 10}, true},
		{"fills, then stays", []float64{1, 5, 100, 100, 100, 100, 101, 100}, true},
		{"grows", []float64{100, 120, 140, 160, 180, 200, 220, 240}, false},
		{"one peak", []float64{100, 100, 100, 100, 900, 100, 100, 100}, true},
	} {
		c := course{values: test.values, ratio: 1.1, slack: 5}
		if got := c.flat(); got != test.want {
			t.Errorf("%s: flat is %t, want %t", test.name, got, test.want)
		}
	}
}

func TestExplained(t *testing.T) {
	for _, test := range []struct {
		name             string
		round            round
		exact, explained bool
	}{
		{"all counted", round{tallies: []tally{{"a", 10, 10, -1}, {"s", 10, -1, 10}}}, true, true},
		{"lost and known", round{tallies: []tally{{"a", 10, 8, -1}, {"s", 10, -1, 8}}, lost: 2}, false, true},
		{"lost and unknown", round{tallies: []tally{{"a", 10, 8, -1}, {"s", 10, -1, 10}}}, false, false},
		{"counted twice", round{tallies: []tally{{"a", 10, 11, -1}, {"s", 10, -1, 10}}, lost: 5}, false, false},
	} {
		if got := test.round.exact(); got != test.exact {
			t.Errorf("%s: exact is %t", test.name, got)
		}
		if got := test.round.explained(); got != test.explained {
			t.Errorf("%s: explained is %t", test.name, got)
		}
	}
}

func TestPrintCounts(t *testing.T) {
	r := round{tallies: []tally{{"a", 10, 9, -1}, {"s", 10, -1, 10}}, lost: 1}
	var out strings.Builder
	if err := printCounts(&out, []round{r, r}); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"| a | 20 | 18 |  |", "| s | 20 |  | 20 |", "Exact in 0 of 2 rounds; exchanges known to be missing: 2."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
