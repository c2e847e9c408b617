// Package privilege knows which capabilities each way of capture needs and what is not seen without those that it can do without, what
// this process has of them, and so what is missing. TestPrivileges of collector/probe drops them one by one and holds this table to
// what the kernel does.
package privilege

// Need is what a way of capture uses a capability for.
type Need struct {
	Capability Capability
	// For says what it is used for: "to …".
	For string
	// Without says what is not seen without it. Empty: this way cannot capture without it.
	Without string
	// met is set where another right than a capability does as well.
	met func(Held) bool
}

// Required tells whether the way cannot capture without it.
func (n Need) Required() bool { return n.Without == "" }

var (
	programs = Need{Capability: BPF, For: "to load programs and make maps"}
	tracing  = Need{Capability: Perfmon, For: "to load programs that read the kernel's memory"}
	// events are numbered in files of tracefs, which are root's.
	events = Need{
		Capability: DACReadSearch, For: "to read the numbers of events in tracefs as another user than root",
		met: func(h Held) bool { return h.ReadEvents },
	}
	// makeEvents: a kretprobe for thousands of calls at once can be asked for in a file of tracefs only.
	makeEvents = Need{
		Capability: DACOverride, For: "to write kprobe_events in tracefs as another user than root",
		met: func(h Held) bool { return h.WriteEvents },
	}
	// counters: Debian's kernels know settings above 2, which CAP_PERFMON does not open.
	counters = Need{
		Capability: SysAdmin, For: "to open perf events while kernel.perf_event_paranoid is above 2",
		met: func(h Held) bool { return h.PerfEvents || !h.Has(Perfmon) },
	}
	packetSockets = Need{Capability: NetRaw, For: "to open packet sockets"}

	// Those of others: other users', and the own user's that have more capabilities.
	executables = Need{
		Capability: SysPtrace, For: "to look at the processes of others",
		Without: "the executables and, on older kernels, the environments of others' processes that are older than capture",
	}
	environments = Need{
		Capability: DACReadSearch, For: "to read the environment of the processes of others",
		Without: "names that others' processes older than capture have in their environment (OTEL_SERVICE_NAME)",
	}
	datagrams = Need{
		Capability: NetAdmin, For: "to attach to the root cgroup",
		Without: "datagrams (DNS), but for those that the socket filter sees (capture by packet)",
	}
)

// table has the needs of each way, those first without which it cannot capture. "cgroup" is a way for datagrams alone.
var table = []struct {
	way   string
	needs []Need
}{
	{"fexit", []Need{programs, tracing, executables, environments}},
	{"kprobe", []Need{programs, tracing, makeEvents, counters, executables, environments}},
	{"tracepoint", []Need{programs, tracing, events, counters, datagrams, executables, environments}},
	{"syscall", []Need{programs, tracing, events, counters, datagrams, executables, environments}},
	{"packet", []Need{
		programs, packetSockets,
		{
			Capability: Perfmon, For: "to follow the starts and ends of processes",
			Without: "processes that end before /proc is read, and who sent a datagram from a socket that is closed again",
		},
		{
			Capability: SysPtrace, For: "to find the owners of sockets, and the network namespaces of processes",
			Without: "which processes of others talk: their ends stay unknown, and other network namespaces are not found",
		},
		{
			Capability: DACReadSearch, For: "to list the sockets of the processes of others",
			Without: "which processes of others talk: their ends stay unknown",
		},
		{
			Capability: SysAdmin, For: "to enter other network namespaces",
			Without: "packets of other network namespaces (containers)",
		},
	}},
	{"cgroup", []Need{programs, tracing, datagrams.required()}},
}

func (n Need) required() Need {
	n.Without = ""
	// Since 6.9 CAP_SYS_ADMIN does in its place (bpf_token_capable): then the kernel is asked.
	n.met = func(h Held) bool { return h.Has(SysAdmin) }
	return n
}

// Ways are the ways that Needs knows, in the order of preference.
func Ways() (list []string) {
	for _, row := range table {
		list = append(list, row.way)
	}
	return list
}

// Needs is what a way of capture uses capabilities for; nil for a way that is not known. One capability may be used for several things.
func Needs(way string) []Need {
	for _, row := range table {
		if row.way == way {
			return row.needs
		}
	}
	return nil
}
