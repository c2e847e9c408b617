package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/toposcope/toposcope/demo/supervisor"
	"github.com/toposcope/toposcope/demo/tally"
)

// printLoad tells what the customers sent.
func printLoad(out io.Writer, report supervisor.Report) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "METHOD\tROUTE\tSTATUS\tCOUNT")
	for _, r := range report.Calls {
		if r.Key.Client == loadName {
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\n", r.Key.Method, r.Key.Route, r.Key.Status, r.Count)
		}
	}
	_ = w.Flush()
	if report.NotSent > 0 {
		fmt.Fprintf(out, "%d requests were not sent: too many waited for an answer\n", report.NotSent)
	}
}

// writeReport writes all that services asked of each other: "calls" by HTTP, "grpc", "dns" by question, and "lookups" by what
// programs wanted to know.
func writeReport(f shopFlags, start time.Time, report supervisor.Report) error {
	text, err := json.MarshalIndent(struct {
		Seed    uint64    `json:"seed"`
		Rate    float64   `json:"rate"`
		Start   time.Time `json:"start"`
		End     time.Time `json:"end"`
		NotSent uint64    `json:"notSent"`
		tally.Pages
	}{f.seed, f.rate, start, time.Now(), report.NotSent, report.Pages}, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	if err := os.WriteFile(f.report, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
