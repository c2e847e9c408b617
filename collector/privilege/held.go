package privilege

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Held is what this process may do.
type Held struct {
	// Capabilities are those in force.
	Capabilities Set
	// ReadEvents and WriteEvents tell whether the numbers of events in tracefs can be read, and kprobe_events written: by a capability, or
	// as the owner of the files, which root is. A file that is not there keeps nobody from it.
	ReadEvents, WriteEvents bool
	// PerfEvents is false where the kernel lets this process open no perf events of the whole machine.
	PerfEvents bool
}

// Read looks at what this process may do now.
func Read() (Held, error) {
	set, err := effective("/proc/self/status")
	if err != nil {
		return Held{}, err
	}
	return Held{
		Capabilities: set,
		ReadEvents:   permitted("events/syscalls/sys_exit_accept4/id", unix.R_OK),
		WriteEvents:  permitted("kprobe_events", unix.W_OK),
		PerfEvents:   perfEvents(),
	}, nil
}

// Everything is what root may do whom nothing is taken from.
func Everything() Held { return Held{^Set(0), true, true, true} }

// permitted asks the kernel whether a file of tracefs may be opened.
func permitted(name string, mode uint32) bool {
	for _, root := range []string{"/sys/kernel/tracing/", "/sys/kernel/debug/tracing/"} {
		err := unix.Faccessat(unix.AT_FDCWD, root+name, mode, unix.AT_EACCESS)
		if !errors.Is(err, unix.ENOENT) {
			return !errors.Is(err, unix.EACCES) // what is mounted for reading alone wants no capability
		}
	}
	return true
}

// perfEvents opens an event that counts nothing.
func perfEvents() bool {
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_DUMMY, Size: unix.PERF_ATTR_SIZE_VER0}
	fd, err := unix.PerfEventOpen(&attr, -1, 0, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return !errors.Is(err, unix.EACCES) // other errors are not about privileges, or those of a container's filter
	}
	_ = unix.Close(fd)
	return true
}

// Has tells whether the process has a capability, or one that the kernel takes in its place: CAP_SYS_ADMIN is what CAP_BPF and CAP_PERFMON
// were cut out of.
func (h Held) Has(c Capability) bool {
	switch c {
	case BPF, Perfmon:
		return h.Capabilities.Has(c) || h.Capabilities.Has(SysAdmin)
	case DACReadSearch:
		return h.Capabilities.Has(c) || h.Capabilities.Has(DACOverride)
	default:
		return h.Capabilities.Has(c)
	}
}

// Meets tells whether a need is met, by its capability or otherwise.
func (h Held) Meets(n Need) bool { return h.Has(n.Capability) || n.met != nil && n.met(h) }

// Lacking are the needs of a way that are not met and that it can do without: what it does not see.
func (h Held) Lacking(way string) []Need { return h.unmet(way, false) }

func (h Held) unmet(way string, required bool) (list []Need) {
	for _, n := range Needs(way) {
		if n.Required() == required && !h.Meets(n) {
			list = append(list, n)
		}
	}
	return list
}

// Check is nil when the process has what a way of capture cannot do without; "auto": when that is so of any way that captures
// connections. The error is one line that names every capability that is missing.
func (h Held) Check(way string) error {
	if way == "auto" {
		return h.checkAny()
	}
	list := h.unmet(way, true)
	if len(list) == 0 {
		return nil
	}
	reasons := make([]string, len(list))
	for i, n := range list {
		reasons[i] = n.Capability.String() + " is missing " + n.For
	}
	return errors.New(strings.Join(reasons, ", "))
}

func (h Held) checkAny() error {
	if slices.ContainsFunc(Ways(), func(way string) bool { return way != "cgroup" && h.Check(way) == nil }) {
		return nil
	}
	var lines []string
	for _, p := range Profiles() {
		lines = append(lines, fmt.Sprintf("for %s %s", p.Name, strings.Join(names(h.Missing(p)), ", ")))
	}
	return errors.New("capabilities are missing: " + strings.Join(lines, "; ") + " (or run as root)")
}
