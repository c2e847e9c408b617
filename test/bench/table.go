package main

import (
	"fmt"
	"io"
)

// row is a line of the table of costs.
type row struct {
	name   string
	format string
	value  func(t trial) float64
}

var rows = []row{
	{"requests/s", "%.0f", func(t trial) float64 { return t.perSecond }},
	{"p50, µs", "%.0f", func(t trial) float64 { return t.p50 * 1e6 }},
	{"p99, µs", "%.0f", func(t trial) float64 { return t.p99 * 1e6 }},
	{"CPU of server and client, µs/request", "%.1f", func(t trial) float64 { return t.loadCPU / t.requests * 1e6 }},
	{"CPU of Toposcope, µs/request", "%.1f", func(t trial) float64 { return t.ownCPU / t.requests * 1e6 }},
	{"CPU added in all, µs/request", "%.1f", func(t trial) float64 { return t.allCPU() / t.requests * 1e6 }},
}

// printCosts writes medians, and the median of the pairs' differences with its interval.
func printCosts(out io.Writer, without, with []trial) {
	fmt.Fprintln(out, "| | without | with | difference | 95 % interval |")
	fmt.Fprintln(out, "|---|---:|---:|---:|---:|")
	for _, r := range rows {
		var a, b, difference []float64
		for i := range with {
			a, b = append(a, r.value(without[i])), append(b, r.value(with[i]))
			difference = append(difference, r.value(with[i])-r.value(without[i]))
		}
		low, high := interval(difference)
		fmt.Fprintf(out, "| %s | "+r.format+" | "+r.format+" | "+r.format+" | "+r.format+" … "+r.format+" |\n",
			r.name, median(a), median(b), median(difference), low, high)
	}
	fmt.Fprintf(out, "\n| with Toposcope | median |\n|---|---:|\n")
	for _, r := range []row{
		{"resident memory, MiB", "%.0f", func(t trial) float64 { return t.memory.Total() / mebi }},
		{"of it ring pages", "%.0f", func(t trial) float64 { return t.memory.Rings / mebi }},
		{"of it the program's file", "%.0f", func(t trial) float64 { return t.memory.Files / mebi }},
		{"events from the kernel per request", "%.2f", func(t trial) float64 { return t.events / t.requests }},
		{"wake-ups of Toposcope's threads per 1,000 requests", "%.1f", func(t trial) float64 { return t.wakes / t.requests * 1000 }},
		{"events lost in a run", "%.0f", func(t trial) float64 { return t.eventsLost }},
	} {
		fmt.Fprintf(out, "| %s | "+r.format+" |\n", r.name, median(values(with, r.value)))
	}
}

const mebi = 1 << 20

func values(trials []trial, of func(trial) float64) (list []float64) {
	for _, t := range trials {
		list = append(list, of(t))
	}
	return list
}

// printPrograms writes what each program took, as the kernel counts it.
func printPrograms(out io.Writer, programs []program, requests float64) {
	fmt.Fprintln(out, "\n| BPF program | runs/request | ns/run | µs/request |")
	fmt.Fprintln(out, "|---|---:|---:|---:|")
	for _, p := range programs {
		fmt.Fprintf(out, "| %s | %.2f | %.0f | %.2f |\n", p.Name, p.RunCount/requests, p.RunTime/p.RunCount, p.RunTime/requests/1e3)
	}
	fmt.Fprintf(out, "| all | | | %.2f |\n", perRequest(programs, requests)*1e6)
}
