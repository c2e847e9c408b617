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
	{"CPU added in all, µs/request", "%.1f", func(t trial) float64 { return (t.loadCPU + t.ownCPU) / t.requests * 1e6 }},
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
	var perMillion, resident, lost []float64
	for _, t := range with {
		perMillion = append(perMillion, t.ownCPU/t.requests*1e6)
		resident = append(resident, t.resident/(1<<20))
		lost = append(lost, t.eventsLost)
	}
	fmt.Fprintf(out, "\nToposcope's CPU seconds per million exchanges: %.1f. Resident memory: %.0f MiB. Events lost per run: %.0f.\n",
		median(perMillion), median(resident), median(lost))
}

// printPrograms writes what each program took, as the kernel counts it.
func printPrograms(out io.Writer, programs []program, requests float64) {
	fmt.Fprintln(out, "\n| BPF program | runs/request | ns/run | µs/request |")
	fmt.Fprintln(out, "|---|---:|---:|---:|")
	var sum float64
	for _, p := range programs {
		sum += p.RunTime
		fmt.Fprintf(out, "| %s | %.2f | %.0f | %.2f |\n", p.Name, p.RunCount/requests, p.RunTime/p.RunCount, p.RunTime/requests/1e3)
	}
	fmt.Fprintf(out, "| all | | | %.2f |\n", sum/requests/1e3)
}
