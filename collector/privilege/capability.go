package privilege

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Capability is one of the rights that Linux cuts root's power into (capabilities(7)), by its number.
type Capability uint8

// Capabilities that capture can put to use.
const (
	DACOverride   Capability = unix.CAP_DAC_OVERRIDE
	DACReadSearch Capability = unix.CAP_DAC_READ_SEARCH
	NetAdmin      Capability = unix.CAP_NET_ADMIN
	NetRaw        Capability = unix.CAP_NET_RAW
	SysPtrace     Capability = unix.CAP_SYS_PTRACE
	SysAdmin      Capability = unix.CAP_SYS_ADMIN
	Perfmon       Capability = unix.CAP_PERFMON
	BPF           Capability = unix.CAP_BPF
)

var capabilityNames = map[Capability]string{
	DACOverride: "CAP_DAC_OVERRIDE", DACReadSearch: "CAP_DAC_READ_SEARCH", NetAdmin: "CAP_NET_ADMIN", NetRaw: "CAP_NET_RAW",
	SysPtrace: "CAP_SYS_PTRACE", SysAdmin: "CAP_SYS_ADMIN", Perfmon: "CAP_PERFMON", BPF: "CAP_BPF",
}

// String is the name as the kernel's headers, systemd and setpriv have it, "CAP_BPF"; of one that capture has no use for, its number.
func (c Capability) String() string {
	if name, ok := capabilityNames[c]; ok {
		return name
	}
	return strconv.Itoa(int(c))
}

// Set is a set of capabilities: bit n is capability n, as in /proc/PID/status.
type Set uint64

// SetOf makes a set.
func SetOf(list ...Capability) (s Set) {
	for _, c := range list {
		s |= 1 << c
	}
	return s
}

// Has tells whether c is in the set itself; what the kernel takes in its place is Held's affair.
func (s Set) Has(c Capability) bool { return s&(1<<c) != 0 }

// List has the members in the order of their numbers.
func (s Set) List() (list []Capability) {
	for s != 0 {
		list = append(list, Capability(bits.TrailingZeros64(uint64(s))))
		s &= s - 1
	}
	return list
}

// String is the names with blanks between them, as systemd's AmbientCapabilities= takes them.
func (s Set) String() string { return strings.Join(names(s.List()), " ") }

func names(list []Capability) []string {
	all := make([]string, len(list))
	for i, c := range list {
		all[i] = c.String()
	}
	return all
}

var errStatus = errors.New("no effective capabilities in /proc/self/status")

// effective reads the set in force from a status file (proc_pid_status(5)): the line "CapEff:" and 16 hexadecimal digits.
func effective(path string) (Set, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("reading the own capabilities: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if digits, ok := strings.CutPrefix(line, "CapEff:"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 64)
			if err != nil {
				return 0, fmt.Errorf("%w: %w", errStatus, err)
			}
			return Set(n), nil
		}
	}
	return 0, errStatus
}
