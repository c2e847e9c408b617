package privilege

// Profile is a set of capabilities to run with, as a user of no further rights.
type Profile struct {
	// Name is "full" or "network".
	Name string
	// What says what is seen with it.
	What         string
	Capabilities Set
}

// Profiles are the two that are proven, the larger first. Neither has CAP_SYS_ADMIN: it adds the packets of other network namespaces to
// capture by packet, and nothing else. Nor has full CAP_DAC_OVERRIDE, which capture by kprobe alone needs, and no user root.
func Profiles() []Profile {
	return []Profile{
		{
			"full", "connections, datagrams and the names of all processes",
			SetOf(BPF, Perfmon, NetAdmin, NetRaw, SysPtrace, DACReadSearch),
		},
		{"network", "packets of this network namespace, without the names of others' processes", SetOf(BPF, NetRaw)},
	}
}

// Missing are the capabilities of a profile that the process does not have.
func (h Held) Missing(p Profile) (list []Capability) {
	for _, c := range p.Capabilities.List() {
		if !h.Has(c) {
			list = append(list, c)
		}
	}
	return list
}

// Profile is the largest profile that the process has in full; false when it has none.
func (h Held) Profile() (Profile, bool) {
	for _, p := range Profiles() {
		if len(h.Missing(p)) == 0 {
			return p, true
		}
	}
	return Profile{}, false
}
