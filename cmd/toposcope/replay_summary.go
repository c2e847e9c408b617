package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/toposcope/toposcope/collector/packet"
	"github.com/toposcope/toposcope/collector/replay"
	"github.com/toposcope/toposcope/topology"
)

// writeSummary prints who talked to whom, and what of the capture could not be told.
func writeSummary(w io.Writer, name string, p *playback, file replay.Stats) error {
	out := bufio.NewWriter(w)
	c := p.player.Counters()
	end := p.now()
	if p.began.IsZero() {
		fmt.Fprintf(out, "%s holds no packet\n", name)
		return out.Flush()
	}
	fmt.Fprintf(out, "%s: %d packets in %s from %s\n\n", name, c.Packets, end.Sub(p.began).Round(time.Millisecond),
		p.began.UTC().Format(time.RFC3339))
	edges := p.topology.Snapshot(end).Edges
	if len(edges) == 0 {
		fmt.Fprintln(out, "No exchange of a protocol that is known.")
	} else {
		writeEdges(out, edges)
	}
	notes := slices.Concat(missing(p, c, file), notDecoded(p, c))
	if len(notes) > 0 {
		fmt.Fprintln(out)
	}
	for _, n := range notes {
		fmt.Fprintln(out, n)
	}
	return out.Flush()
}

// writeEdges prints a table of edges, the busiest first.
func writeEdges(w io.Writer, edges []topology.EdgeState) {
	slices.SortFunc(edges, func(a, b topology.EdgeState) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), strings.Compare(a.ID(), b.ID()))
	})
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLIENT\tSERVER\tPROTOCOL\tREQUESTS\tFAILED\tREJECTED\tLOST\tP50\tP95")
	for i := range edges {
		e := &edges[i]
		latency := e.ClientSeconds.Distribution()
		latency.Add(e.ServerSeconds.Distribution())
		p50, p95 := "-", "-"
		if latency.Count > 0 {
			p50, p95 = seconds(*latency.Quantile(0.5)), seconds(*latency.Quantile(0.95))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\n", e.Client.Name, e.Server.Name, e.Protocol, e.Requests, e.Failed, e.Rejected,
			e.Lost, p50, p95)
	}
	t.Flush()
}

// seconds prints a latency to three digits.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	for unit := time.Second; unit > 1; unit /= 10 {
		if d >= unit {
			return d.Round(max(unit/100, 1)).String()
		}
	}
	return d.String()
}

// missing tells what is known to be missing.
func missing(p *playback, c packet.Counters, file replay.Stats) (notes []string) {
	note := func(n uint64, format string, args ...any) {
		if n > 0 {
			notes = append(notes, fmt.Sprintf(format, args...))
		}
	}
	if file.Truncated {
		notes = append(notes, "The file ends within a packet.")
	}
	note(file.Dropped, "%d packets were dropped before they reached the file, by its own account.", file.Dropped)
	note(file.BadTimes, "%d packets have a time that makes no sense.", file.BadTimes)
	note(c.Cut, "%d packets were not captured whole.", c.Cut)
	note(c.Holes, "%d runs of bytes, %d bytes together, are missing from TCP streams.", c.Holes, c.HoleBytes)
	note(c.FragmentsLost, "%d fragments are of datagrams of which the rest is missing.", c.FragmentsLost)
	t := p.tracker.Counters()
	for _, s := range p.specs {
		note(t.StreamGaps[s.Name], "%s: %d gaps in its streams.", s.Name, t.StreamGaps[s.Name])
		note(t.ParseErrors[s.Name], "%s: %d runs of bytes that break its rules.", s.Name, t.ParseErrors[s.Name])
		note(t.Unresolved[s.Name], "%s: %d exchanges in which a name or a status is not known.", s.Name, t.Unresolved[s.Name])
	}
	return notes
}

// notDecoded tells what was there and says nothing.
func notDecoded(p *playback, c packet.Counters) (notes []string) {
	notes = p.undecoded.notes(p.opened)
	var parts []string
	for _, k := range []struct {
		n    uint64
		what string
	}{
		{c.NotIP, "not IP"},
		{c.NotTransport, "neither TCP nor UDP"},
		{c.UnknownLink, "of a link type that is not known"},
		{c.Malformed, "malformed or cut within their headers"},
		{c.Stray, "of connections that are over"},
		{c.OutOfWindow, "out of their connection's window"},
	} {
		if k.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", k.n, k.what))
		}
	}
	if len(parts) > 0 {
		notes = append(notes, "Packets passed over: "+strings.Join(parts, ", ")+".")
	}
	return notes
}
