package kernels

import "strings"

// Condition is something that hosts lack or forbid, and what must become of Toposcope there with capture.method: auto.
type Condition struct {
	// Name is what it is called in docs/kernels.md.
	Name string
	// Setup are shell commands that bring it about, in a mount namespace of their own; what else they change stays for the
	// conditions after it.
	Setup string
	// Flags are for the guest program's "try".
	Flags []string
	// Method is the way of capture that must be taken, and count everything exactly; or Refuses must be in the one line with which
	// Toposcope ends.
	Method  string
	Refuses string
}

// ConditionsKernel is the kernel under which the conditions are tried, all in one guest.
const ConditionsKernel = "6.12"

// Conditions lists them in the order in which they are tried: a lockdown can be tightened only.
func Conditions() []Condition {
	const version1 = `umount /sys/fs/cgroup
mount -t tmpfs cgroup /sys/fs/cgroup
for c in cpu pids; do mkdir /sys/fs/cgroup/$c; mount -t cgroup -o $c $c /sys/fs/cgroup/$c; done`
	return []Condition{
		{Name: "root, nothing forbidden", Method: "fexit"},
		{Name: "`kernel.perf_event_paranoid=3`", Setup: "sysctl -w kernel.perf_event_paranoid=3", Method: "fexit"},
		{Name: "`kernel.unprivileged_bpf_disabled=2`", Setup: "sysctl -w kernel.unprivileged_bpf_disabled=2", Method: "fexit"},
		{Name: "no bpffs", Setup: "umount /sys/fs/bpf", Method: "fexit"},
		{Name: "cgroups of version 1 only", Setup: version1, Method: "fexit"},
		{Name: "no tracefs, no debugfs", Setup: "umount /sys/kernel/tracing /sys/kernel/debug", Method: "fexit"},
		{Name: "no BTF", Setup: "mount -t tmpfs none /sys/kernel/btf", Method: Packets},
		{Name: "a user without capabilities", Flags: []string{"-user", "65534"}, Refuses: "CAP_BPF"},
		{Name: "`lockdown=integrity`", Setup: "echo integrity >/sys/kernel/security/lockdown", Method: "fexit"},
		{Name: "`lockdown=confidentiality`", Setup: "echo confidentiality >/sys/kernel/security/lockdown", Method: Packets},
	}
}

// Script is shell commands that try all conditions, one after the other, by the guest program's command try. One that cannot be
// brought about leaves no report.
func Script(conditions []Condition, try ...string) string {
	var b strings.Builder
	for _, c := range conditions {
		words := append([]string{"unshare", "-m", "sh", "-ec", c.Setup + "\nexec \"$@\"", "sh"}, try...)
		words = append(append(words, "-name", c.Name), c.Flags...)
		for _, w := range words {
			b.WriteString(quote(w) + " ")
		}
		b.WriteString("|| failed=1\n")
	}
	b.WriteString("exit $failed\n")
	return b.String()
}
