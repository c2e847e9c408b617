package main

import (
	"fmt"
	"io"
)

// comparison is a line of the table that sets Toposcope beside its peers. Their figures were measured by us on a machine of this kind
// (two CPUs, both ends on one host, 16 connections, pairs alternated): coroot-node-agent, and OBI with its Go uprobes.
type comparison struct {
	name, goal, coroot, obi string
	ours                    string
}

// printPeers writes Toposcope's figures next to those of its peers.
func printPeers(out io.Writer, without, with []trial, bpf float64, c counted) {
	var added, kept, slower []float64
	for i := range with {
		added = append(added, (with[i].allCPU()/with[i].requests-without[i].allCPU()/without[i].requests)*1e6)
		kept = append(kept, with[i].perSecond/without[i].perSecond)
		slower = append(slower, with[i].p99/without[i].p99)
	}
	perMillion := values(with, func(t trial) float64 { return t.ownCPU / t.requests * 1e6 })
	resident := values(with, func(t trial) float64 { return t.memory.WithoutRings() / mebi })
	fmt.Fprint(out, "\n| | Toposcope | goal | coroot-node-agent | OBI |\n|---|---:|---:|---:|---:|\n")
	for _, r := range []comparison{
		{"added CPU µs a request, BPF and agent", "≤ 9", "31–49", "39–40", withInterval("%.1f", added)},
		{"throughput kept, both cores full", "≥ 0.95", "0.93 (0.62–0.96)", "0.24–0.38", withInterval("%.2f", kept)},
		{"p99 against that without", "", "", "", withInterval("%.2f", slower)},
		{"BPF µs a request, both ends", "≤ 4", "14.9–21.8", "23.0–23.6", fmt.Sprintf("%.2f", bpf*1e6)},
		{"agent CPU s per million requests, both ends", "≤ 5", "16–27", "16–17", withInterval("%.1f", perMillion)},
		{"agent RSS MiB, without ring pages", "≤ 60", "101–103", "71–74", withInterval("%.0f", resident)},
		{"counted of what was sent at a fixed rate", "1.000", "0.928–0.986", "0.987–1.000", fmt.Sprintf("%.3f", c.share())},
	} {
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s |\n", r.name, r.ours, r.goal, r.coroot, r.obi)
	}
}

// withInterval is the median with its 95 % interval.
func withInterval(format string, values []float64) string {
	low, high := interval(values)
	return fmt.Sprintf(format+" ("+format+"–"+format+")", median(values), low, high)
}
