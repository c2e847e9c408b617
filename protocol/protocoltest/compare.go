package protocoltest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/toposcope/toposcope/protocol"
)

// String writes g as a line of an expect section, with all its attributes.
func (g *got) String() string {
	var b strings.Builder
	b.WriteString(g.outcome)
	if g.err != "" {
		fmt.Fprintf(&b, "(%s)", g.err)
	}
	response := "-"
	if g.response >= 0 {
		response = strconv.FormatInt(g.response, 10)
	}
	fmt.Fprintf(&b, " %v %d/%s", g.duration, g.request, response)
	if g.waiting {
		b.WriteString(" waiting")
	}
	if g.upkeep {
		b.WriteString(" upkeep")
	}
	for i, list := range g.attrs {
		if i == 1 && g.response >= 0 {
			b.WriteString(" |")
		}
		for _, a := range list {
			v := a.Value
			if v == "" || v == "-" || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r == '"' || r > '~' }) {
				v = strconv.Quote(v)
			}
			fmt.Fprintf(&b, " %s=%s", a.Key, v)
		}
	}
	return b.String()
}

func list(g []got) string {
	var lines []string
	for i := range g {
		lines = append(lines, "  "+g[i].String())
	}
	return strings.Join(lines, "\n")
}

// check compares g with what is wanted.
func (w *Want) check(g *got) error {
	if g.outcome != w.Outcome || g.err != w.Error {
		return fmt.Errorf("ended %s(%s), want %s(%s)", g.outcome, g.err, w.Outcome, w.Error)
	}
	if g.duration != w.Duration {
		return fmt.Errorf("took %v, want %v", g.duration, w.Duration)
	}
	if g.request != w.Request || g.response != w.Response {
		return fmt.Errorf("sizes are %d/%d, want %d/%d", g.request, g.response, w.Request, w.Response)
	}
	if g.waiting != w.Waiting || g.upkeep != w.Upkeep {
		return fmt.Errorf("waiting %v and upkeep %v, want %v and %v", g.waiting, g.upkeep, w.Waiting, w.Upkeep)
	}
	for i, list := range w.Attrs {
		for _, a := range list {
			v, ok := find(g.attrs[i], a.Key)
			switch {
			case a.Value == "-" && ok:
				return fmt.Errorf("%s is set to %q", a.Key, v)
			case a.Value != "-" && (!ok || v != a.Value):
				return fmt.Errorf("%s is %q, want %q", a.Key, v, a.Value)
			}
		}
	}
	return nil
}

func find(list []Attr, key string) (string, bool) {
	for _, a := range list {
		if a.Key == key {
			return a.Value, true
		}
	}
	return "", false
}

// same compares exchanges in full.
func same(a, b *got) bool {
	return a.outcome == b.outcome && a.err == b.err && a.duration == b.duration && a.request == b.request &&
		a.response == b.response && a.waiting == b.waiting && a.upkeep == b.upkeep && slices.Equal(a.attrs[0], b.attrs[0]) &&
		slices.Equal(a.attrs[1], b.attrs[1])
}

// inOrder compares an exchange that a loss, or capture that began late, may have cost what it refers to: names, and no more.
func inOrder(part, full *got) bool {
	if part.unresolved {
		return part.request == full.request && part.response == full.response && agrees(part, full)
	}
	return same(part, full)
}

// likely compares an exchange that a loss may have cost a part of, where messages are interleaved and one can do without the
// bytes of another.
func likely(part, full *got) bool {
	if part.truncated || part.unresolved {
		return agrees(part, full)
	}
	return same(part, full)
}

// agrees compares an exchange of which parts were not captured with the whole one: what was seen must be the same. A text
// that the capture limit cut may be the beginning of the whole.
func agrees(part, full *got) bool {
	if !part.truncated && !part.unresolved && (part.request != full.request || part.response != full.response) {
		return false
	}
	if !part.unresolved && (part.waiting != full.waiting || part.upkeep != full.upkeep) {
		return false
	}
	if part.duration != full.duration || !part.unresolved && (part.outcome != full.outcome || part.err != full.err) {
		return false
	}
	for i := range part.attrs {
		for _, a := range part.attrs[i] {
			if part.unresolved && a.Value == protocol.Unknown {
				continue
			}
			v, ok := find(full.attrs[i], a.Key)
			if !ok || v != a.Value && (!part.truncated || !strings.HasPrefix(v, a.Value)) {
				return false
			}
		}
	}
	return true
}
