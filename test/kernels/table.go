package kernels

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// generatedFrom begins the part of docs/kernels.md that Table makes; what is above is written by hand.
const generatedFrom = "<!-- Generated from here on by `make test-kernels` -->\n"

// Page is docs/kernels.md: the old page's part by hand, and below it the tables of proofs, which are stable.
func Page(old string, proofs map[string]Proof) string {
	hand, _, _ := strings.Cut(old, generatedFrom)
	return hand + generatedFrom + Table(proofs)
}

// Table renders proofs in Markdown: the kernels, the programs, the conditions.
func Table(proofs map[string]Proof) string {
	var b strings.Builder
	b.WriteString("\n## Kernels\n\nIn a guest of each kernel Toposcope watched real servers and clients by each way of capture; " +
		"every count was exact.\n\n")
	b.WriteString("| kernel | Debian's | ways of capture | exchanges by each way | programs loaded | the verifier's longest walk |\n")
	b.WriteString("|---|---|---|---|---|---|\n")
	for _, k := range All() {
		p := proofs[k.Name]
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n",
			k.Name, p.Release, waysCell(p), exchangesCell(p.Outcomes), loadedCell(p), longestCell(p))
	}
	fmt.Fprintf(&b, "\n## Conditions\n\nWhat `capture.method: auto` does on %s where the host lacks or forbids something.\n\n",
		proofs[ProofOfConditions].Release)
	b.WriteString("| condition | outcome |\n|---|---|\n")
	for _, o := range proofs[ProofOfConditions].Outcomes {
		outcome := "captures by " + o.Method + ": " + exchangesCell([]Outcome{o}) + ", exact"
		if o.Method == Packets {
			outcome += " at the servers; clients of short connections are unknown"
		}
		if o.Refused != "" {
			outcome = "exit 1: `" + o.Refused + "`"
		}
		fmt.Fprintf(&b, "| %s | %s |\n", o.Name, outcome)
	}
	b.WriteString("\n## Programs\n\nInstructions that the verifier walked through; it allows a million. " +
		"A dash: refused, for want of the hook.\n\n")
	programs(&b, proofs)
	return b.String()
}

func waysCell(p Proof) string {
	if len(p.Outcomes) == 0 {
		return "not proven yet"
	}
	var names []string
	for _, o := range p.Outcomes {
		name := o.Name
		if o.Method == Packets {
			name += " (exact at the servers)"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// exchangesCell is of the first outcome: all ways get the same load.
func exchangesCell(all []Outcome) string {
	if len(all) == 0 {
		return ""
	}
	var cells []string
	for _, protocol := range slices.Sorted(maps.Keys(all[0].Exchanges)) {
		cells = append(cells, fmt.Sprintf("%s %d", protocol, all[0].Exchanges[protocol]))
	}
	return strings.Join(cells, ", ")
}

func loadedCell(p Proof) string {
	loaded := 0
	for _, prog := range p.Programs {
		if prog.Error == "" {
			loaded++
		}
	}
	return fmt.Sprintf("%d of %d", loaded, len(p.Programs))
}

func longestCell(p Proof) string {
	if len(p.Programs) == 0 {
		return ""
	}
	most := slices.MaxFunc(p.Programs, func(a, b Program) int { return int(a.Instructions) - int(b.Instructions) })
	return fmt.Sprintf("%s: %d", most.Name, most.Instructions)
}

// programs writes a row for each program and a column for each kernel.
func programs(b *strings.Builder, proofs map[string]Proof) {
	type key struct{ object, name string }
	cells := map[key]map[string]string{}
	b.WriteString("| object | program |")
	for _, k := range All() {
		b.WriteString(" " + k.Name + " |")
		for _, p := range proofs[k.Name].Programs {
			at := key{p.Object, p.Name}
			if cells[at] == nil {
				cells[at] = map[string]string{}
			}
			cells[at][k.Name] = "–"
			if p.Error == "" {
				cells[at][k.Name] = strconv.FormatUint(p.Instructions, 10)
			}
		}
	}
	b.WriteString("\n|---|---|" + strings.Repeat("--:|", len(All())) + "\n")
	rows := slices.SortedFunc(maps.Keys(cells), func(a, b key) int {
		return strings.Compare(a.object+"/"+a.name, b.object+"/"+b.name)
	})
	for _, at := range rows {
		fmt.Fprintf(b, "| %s | %s |", at.object, at.name)
		for _, k := range All() {
			b.WriteString(" " + cells[at][k.Name] + " |")
		}
		b.WriteString("\n")
	}
}
