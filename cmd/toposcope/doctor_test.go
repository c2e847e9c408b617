package main

import (
	"strings"
	"testing"

	"github.com/toposcope/toposcope/collector/privilege"
)

// TestDoctorPrivileges takes capabilities away: what is missing is told by its name and with a remedy.
func TestDoctorPrivileges(t *testing.T) {
	full := privilege.Held{Capabilities: privilege.Profiles()[0].Capabilities, ReadEvents: true, PerfEvents: true}
	for _, f := range privileges(full) {
		if f.Verdict == "failure" || strings.HasPrefix(f.Check, "profile ") && f.Verdict != "ok" {
			t.Errorf("with profile full: %+v", f)
		}
	}
	for _, c := range full.Capabilities.List() {
		held := full
		held.Capabilities &^= privilege.SetOf(c)
		held.ReadEvents = held.Has(privilege.DACReadSearch)
		findings := privileges(held)
		if f := found(t, findings, c.String()); f.Verdict != "warning" || f.Remedy == "" || !strings.Contains(f.Detail, "missing") {
			t.Errorf("without %s: %+v", c, f)
		}
		if f := found(t, findings, "profile full"); f.Verdict != "warning" || f.Detail != "missing: "+c.String() {
			t.Errorf("without %s: %+v", c, f)
		}
	}
	f := found(t, privileges(privilege.Held{}), "privileges")
	if f.Verdict != "failure" || f.Remedy == "" || !strings.Contains(f.Detail, "CAP_BPF") {
		t.Errorf("without anything: %+v", f)
	}
}

// TestDoctorParanoid wants the setting named that makes CAP_PERFMON worthless, where there is one.
func TestDoctorParanoid(t *testing.T) {
	held := privilege.Held{Capabilities: privilege.Profiles()[0].Capabilities, ReadEvents: true}
	if f := found(t, privileges(held), "kernel.perf_event_paranoid"); f.Verdict != "warning" || f.Remedy == "" {
		t.Errorf("%+v", f)
	}
	f := found(t, privileges(held), privilege.SysAdmin.String())
	if f.Verdict != "warning" || !strings.Contains(f.Detail, "kprobe, tracepoint, syscall") {
		t.Errorf("%+v", f)
	}
}

func found(t *testing.T, findings []finding, check string) finding {
	t.Helper()
	for _, f := range findings {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("nothing is said of %s", check)
	return finding{}
}
