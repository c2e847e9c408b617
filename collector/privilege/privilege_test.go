package privilege

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const deploy = "../../deploy/"

// TestDocument wants the table of deploy/privileges.md to be the one in force, and its profiles too.
func TestDocument(t *testing.T) {
	b, err := os.ReadFile(deploy + "privileges.md")
	if err != nil {
		t.Fatal(err)
	}
	if text := string(b); !strings.Contains(text, rows()) {
		t.Errorf("the table of privileges.md should be:\n%s", rows())
	}
	for _, p := range Profiles() {
		row := fmt.Sprintf("| %s | `%s` | %s | [%[1]s.conf](systemd/%[1]s.conf) |\n", p.Name, p.Capabilities, p.What)
		if !strings.Contains(string(b), row) {
			t.Errorf("privileges.md should have:\n%s", row)
		}
	}
}

// rows are the table's, one for each thing that a capability is used for.
func rows() string {
	type use struct{ name, purpose string }
	var (
		uses             []use
		needed, lessened = map[use][]string{}, map[use][]string{}
		without          = map[use]string{}
	)
	for _, way := range Ways() {
		for _, n := range Needs(way) {
			u := use{n.Capability.String(), n.For}
			if !slices.Contains(uses, u) {
				uses = append(uses, u)
			}
			if n.Required() {
				needed[u] = append(needed[u], way)
			} else {
				lessened[u] = append(lessened[u], way)
				without[u] = n.Without
			}
		}
	}
	slices.SortStableFunc(uses, func(a, b use) int { return strings.Compare(a.name, b.name) })
	var b strings.Builder
	for _, u := range uses {
		less := strings.Join(lessened[u], ", ")
		if less != "" {
			less += ": " + without[u]
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", u.name, u.purpose, strings.Join(needed[u], ", "), less)
	}
	return b.String()
}

// TestUnits wants the drop-ins of systemd to give each profile and nothing else, and a place for the data: a dynamic user may write nowhere
// else.
func TestUnits(t *testing.T) {
	for _, p := range Profiles() {
		b, err := os.ReadFile(filepath.Join(deploy, "systemd", p.Name+".conf"))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{
			"AmbientCapabilities=" + p.Capabilities.String(), "CapabilityBoundingSet=" + p.Capabilities.String(), "NoNewPrivileges=yes",
			"DynamicUser=yes", "StateDirectory=toposcope", "WorkingDirectory=%S/toposcope",
		} {
			if !slices.Contains(strings.Split(string(b), "\n"), line) {
				t.Errorf("%s.conf lacks %q", p.Name, line)
			}
		}
	}
}

// TestTable wants every capability to have a name, and no way to need what no process could tell it lacks.
func TestTable(t *testing.T) {
	for _, way := range Ways() {
		list := Needs(way)
		if len(list) == 0 {
			t.Errorf("%s needs nothing", way)
		}
		optional := false
		for _, n := range list {
			if !strings.HasPrefix(n.Capability.String(), "CAP_") || !strings.HasPrefix(n.For, "to ") {
				t.Errorf("%s: %+v", way, n)
			}
			if n.Required() && optional {
				t.Errorf("%s: %s comes after what the way can do without", way, n.Capability)
			}
			optional = optional || !n.Required()
		}
	}
	if Needs("none") != nil {
		t.Error("a way that does not exist needs something")
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		held    Held
		way     string
		missing string // in the error; empty: none
	}{
		{Held{}, "fexit", "CAP_BPF is missing to load programs and make maps, CAP_PERFMON is missing"},
		{Held{Capabilities: SetOf(BPF, Perfmon)}, "fexit", ""},
		{Held{Capabilities: SetOf(SysAdmin)}, "fexit", ""},
		{Held{Capabilities: SetOf(BPF, Perfmon), PerfEvents: true}, "syscall", "CAP_DAC_READ_SEARCH"},
		{Held{Capabilities: SetOf(BPF, Perfmon), PerfEvents: true, ReadEvents: true}, "syscall", ""},
		{Held{Capabilities: SetOf(BPF, Perfmon), ReadEvents: true}, "syscall", "CAP_SYS_ADMIN is missing to open perf events"},
		{Held{Capabilities: SetOf(BPF, Perfmon, DACReadSearch), PerfEvents: true}, "kprobe", "CAP_DAC_OVERRIDE"},
		{Held{Capabilities: SetOf(BPF, Perfmon, DACOverride), PerfEvents: true}, "syscall", ""},
		{Held{Capabilities: SetOf(BPF, NetRaw)}, "auto", ""},
		{Held{Capabilities: SetOf(BPF, NetAdmin)}, "auto", "CAP_NET_RAW"},
	} {
		err := c.held.Check(c.way)
		if (err == nil) != (c.missing == "") || err != nil && !strings.Contains(err.Error(), c.missing) {
			t.Errorf("%s with %s: %v, want %q", c.way, c.held.Capabilities, err, c.missing)
		}
	}
}

func TestProfile(t *testing.T) {
	for _, p := range Profiles() {
		if got, ok := (Held{Capabilities: p.Capabilities}).Profile(); !ok || got.Name != p.Name {
			t.Errorf("%s is %+v, %v", p.Name, got, ok)
		}
	}
	if p, ok := (Held{Capabilities: SetOf(BPF)}).Profile(); ok {
		t.Errorf("CAP_BPF alone is %s", p.Name)
	}
}

func TestEffective(t *testing.T) {
	path := filepath.Join(t.TempDir(), "status")
	for text, want := range map[string]Set{
		"Name:\tx\nCapInh:\tffffffffffffffff\nCapEff:\t000000c000083004\nCapBnd:\t0\n": SetOf(DACReadSearch, NetAdmin, NetRaw, SysPtrace, Perfmon, BPF),
		"CapEff:\t0000000000000000\n": 0,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := effective(path); err != nil || got != want {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
	for _, text := range []string{"", "CapEff:\tzz\n", "CapEff:\n", "CapEff:\t1ffffffffffffffff\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := effective(path); !errors.Is(err, errStatus) {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	if _, err := effective(path + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
