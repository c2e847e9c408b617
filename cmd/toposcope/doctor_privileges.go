package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/toposcope/toposcope/collector/privilege"
)

// privileges are what this process may do: the profile that it has, each capability that capture can put to use, and the settings of
// the kernel that change what they are worth.
func privileges(held privilege.Held) []finding {
	user := finding{"privileges", "ok", fmt.Sprintf("user %d without the capabilities of any profile", os.Geteuid()), ""}
	if p, ok := held.Profile(); ok {
		user.Detail = fmt.Sprintf("user %d with profile %s: %s", os.Geteuid(), p.Name, p.What)
	}
	if err := held.Check("auto"); err != nil {
		user.Verdict, user.Detail, user.Remedy = "failure", user.Detail+": "+err.Error(), "run as root: sudo toposcope doctor"
	}
	findings := []finding{user}
	for _, p := range privilege.Profiles() {
		findings = append(findings, profile(held, p))
	}
	for _, c := range capabilities() {
		findings = append(findings, capability(held, c))
	}
	return append(findings, settings(held)...)
}

func profile(held privilege.Held, p privilege.Profile) finding {
	missing := privilege.SetOf(held.Missing(p)...)
	if missing == 0 {
		return finding{"profile " + p.Name, "ok", p.Capabilities.String(), ""}
	}
	return finding{"profile " + p.Name, "warning", "missing: " + missing.String(), "AmbientCapabilities=" + p.Capabilities.String() + " in the systemd unit"}
}

// capabilities are those that any way needs, by number.
func capabilities() []privilege.Capability {
	var all privilege.Set
	for _, way := range privilege.Ways() {
		for _, n := range privilege.Needs(way) {
			all |= privilege.SetOf(n.Capability)
		}
	}
	return all.List()
}

// capability says what one is for; of one that is missing, which ways cannot capture without it, and what the others do not see. That a
// capability is missing which no profile has is a warning only where a way needs it.
func capability(held privilege.Held, c privilege.Capability) finding {
	var uses, refused, unseen []string
	for _, way := range privilege.Ways() {
		for _, n := range privilege.Needs(way) {
			switch {
			case n.Capability != c:
			case held.Meets(n):
				uses = append(uses, n.For)
			case n.Required():
				uses, refused = append(uses, n.For), append(refused, way)
			default:
				unseen = append(unseen, n.Without)
			}
		}
	}
	f := finding{c.String(), "ok", join(uses), ""}
	if len(refused)+len(unseen) == 0 {
		if !held.Has(c) {
			f.Detail = "missing, and not needed here " + f.Detail
		}
		return f
	}
	f.Detail = "missing"
	if len(refused) > 0 {
		f.Detail += " " + join(uses) + "; without it no capture by " + strings.Join(refused, ", ")
	}
	if len(unseen) > 0 {
		f.Detail += "; not seen: " + join(unseen)
	}
	inProfile := slices.ContainsFunc(privilege.Profiles(), func(p privilege.Profile) bool { return p.Capabilities.Has(c) })
	switch {
	case !inProfile && len(refused) > 0: // it may do more than is good for it
		f.Verdict = "warning"
		f.Remedy = "let another way capture, or run as root"
	case inProfile:
		f.Verdict = "warning"
		f.Remedy = fmt.Sprintf("run as root, or add it: AmbientCapabilities=%s (systemd), --cap-add=%s (Docker)", c, strings.TrimPrefix(c.String(), "CAP_"))
	}
	return f
}

// listed are the capabilities that needs are for.
func listed(needs []privilege.Need) string {
	var set privilege.Set
	for _, n := range needs {
		set |= privilege.SetOf(n.Capability)
	}
	return set.String()
}

// join makes one text of those that differ.
func join(list []string) string {
	var different []string
	for _, s := range list {
		if !slices.Contains(different, s) {
			different = append(different, s)
		}
	}
	return strings.Join(different, "; ")
}

// settings are the kernel's that change what capabilities are worth; one that this kernel does not have is left out.
func settings(held privilege.Held) (findings []finding) {
	add := func(name, path string, judge func(value string) (verdict, remedy string)) {
		b, err := os.ReadFile(path)
		if err != nil {
			return
		}
		value := strings.TrimSpace(string(b))
		verdict, remedy := "ok", ""
		if judge != nil {
			verdict, remedy = judge(value)
		}
		findings = append(findings, finding{name, cmp.Or(verdict, "ok"), value, remedy})
	}
	add("kernel.unprivileged_bpf_disabled", "/proc/sys/kernel/unprivileged_bpf_disabled", nil)
	add("kernel.perf_event_paranoid", "/proc/sys/kernel/perf_event_paranoid", func(string) (string, string) {
		if held.PerfEvents || !held.Has(privilege.Perfmon) {
			return "ok", ""
		}
		return "warning", "sysctl kernel.perf_event_paranoid=2: above it CAP_PERFMON is not enough for capture by kprobe, tracepoint and syscall"
	})
	add("lockdown", "/sys/kernel/security/lockdown", func(value string) (string, string) {
		if strings.Contains(value, "[confidentiality]") {
			return "warning", "boot with lockdown=integrity: under confidentiality no program may read the kernel's memory, and packets alone are captured"
		}
		return "ok", ""
	})
	return findings
}
