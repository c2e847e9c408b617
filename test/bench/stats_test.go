package main

import (
	"math"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/test/subject"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		in   []float64
		want float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{3, 1}, 2},
		{[]float64{9, 1, 2}, 2},
	} {
		if got := median(test.in); got != test.want {
			t.Errorf("median(%v) = %g, want %g", test.in, got, test.want)
		}
	}
}

func TestInterval(t *testing.T) {
	same := []float64{2, 2, 2, 2}
	if low, high := interval(same); low != 2 || high != 2 {
		t.Errorf("interval(%v) = %g, %g, want 2, 2", same, low, high)
	}
	var spread []float64
	for i := range 101 {
		spread = append(spread, float64(i))
	}
	// The median's standard error is about 1.25 σ/√n = 3.6 here.
	low, high := interval(spread)
	if low < 35 || low > 45 || high < 55 || high > 65 {
		t.Errorf("interval(0..100) = %g, %g", low, high)
	}
}

func TestPrintCosts(t *testing.T) {
	a := trial{requests: 1000, perSecond: 500, p50: 0.001, p99: 0.01, loadCPU: 0.1}
	b := trial{requests: 1000, perSecond: 400, p50: 0.002, p99: 0.02, loadCPU: 0.15, ownCPU: 0.05, memory: subject.Memory{Rings: 16 * mebi, Files: 20 * mebi, Own: 28 * mebi}}
	var out strings.Builder
	printCosts(&out, []trial{a, a}, []trial{b, b})
	for _, want := range []string{
		"| requests/s | 500 | 400 | -100 | -100 … -100 |",
		"| CPU of server and client, µs/request | 100.0 | 150.0 | 50.0 | 50.0 … 50.0 |",
		"| CPU added in all, µs/request | 100.0 | 200.0 | 100.0 | 100.0 … 100.0 |",
		"| resident memory, MiB | 64 |",
		"| of it ring pages | 16 |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestParsePrograms(t *testing.T) {
	const listing = `[{"id":7,"name":"known"},{"id":9,"name":"on_send","run_time_ns":3000,"run_cnt":6},{"id":10,"name":"idle"}]`
	got, err := parsePrograms([]byte(listing))
	if err != nil {
		t.Fatal(err)
	}
	news := newer(map[int]program{7: {ID: 7}}, got)
	if len(news) != 1 || news[0].Name != "on_send" || math.Abs(news[0].RunTime-3000) > 0 {
		t.Errorf("got %+v, want on_send alone: it is new and has run", news)
	}
}

func TestPrintPeers(t *testing.T) {
	a := trial{requests: 1000, perSecond: 500, p99: 0.01, loadCPU: 0.1}
	b := trial{requests: 1000, perSecond: 400, p99: 0.02, loadCPU: 0.15, ownCPU: 0.05, memory: subject.Memory{Rings: 16 * mebi, Files: 20 * mebi, Own: 28 * mebi}}
	var out strings.Builder
	printPeers(&out, []trial{a, a}, []trial{b, b}, 4.5e-6, counted{sent: 1000, client: 1000, server: 990})
	for _, want := range []string{
		"| added CPU µs a request, BPF and agent | 100.0 (100.0–100.0) |",
		"| throughput kept, both cores full | 0.80 (0.80–0.80) |",
		"| p99 against that without | 2.00 (2.00–2.00) |",
		"| BPF µs a request, both ends | 4.50 |",
		"| agent CPU s per million requests, both ends | 50.0 (50.0–50.0) |",
		"| agent RSS MiB, without ring pages | 48 (48–48) |",
		"| counted of what was sent at a fixed rate | 0.990 |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
