package kernels

import (
	"fmt"
	"slices"
)

// Kernel is a kernel to boot, as the package archive offers it, and what it must be good for.
type Kernel struct {
	// Name is what people call it: the upstream series, "6.1"; with the architecture where that is not amd64.
	Name string
	// Arch is the architecture, in Debian's name and Go's.
	Arch string
	// Packages are globs (path.Match) over package names. Of each, the highest version wins.
	Packages []string
	// Suite is the release whose archive has it. Its security archive is looked at too, but for backports.
	Suite string
	// Ways must each count everything exactly there.
	Ways []string
	// Without are Toposcope's programs that are refused for want of their hook. All others must load, unless packets are the only way.
	Without []string
	// Protocols are those of the load; none means all that the guest program speaks.
	Protocols []string
}

// All lists the kernels that the tests know, oldest first, those of other architectures last. Debian's 7.2, which is preemptible, is not
// among them yet: docs/kernels.md says why.
func All() []Kernel {
	three, http := []string{"fexit", "kprobe", "syscall"}, []string{"http"}
	// tcp_sendmsg_locked has a tracepoint since 6.16; bpf_rdonly_cast, sock_send_length and bpf_dynptr_from_skb are of 6.2 to 6.4;
	// tcp_sendpage went with 6.5. A kprobe loads without its function. An iterator needs bpf_sock_from_file, of 5.11.
	early := []string{"tracepoint_send", "tracepoint_sent", "tracepoint_receive", "tracepoint_consumed", "datagram_sender"}
	both := []string{"fentry_sendpage", "fexit_sendpage", "tracepoint_send"}
	earliest := append([]string{"existing_servers"}, early...)
	// One package; since Debian 13's backports it is two, linux-binary-… and linux-modules-….
	one := func(name string) []string { return []string{"linux-image-" + name} }
	return []Kernel{
		{Name: "5.10", Arch: "amd64", Suite: "bullseye", Packages: one("5.10.*-cloud-amd64"), Ways: three, Without: earliest},
		{Name: "6.1", Arch: "amd64", Suite: "bookworm", Packages: one("6.1.*-cloud-amd64"), Ways: three, Without: early},
		{Name: "6.12", Arch: "amd64", Suite: "bookworm", Packages: one("6.12.*-cloud-amd64"), Ways: three, Without: both},
		{Name: "6.12-arm64", Arch: "arm64", Suite: "bookworm", Packages: one("6.12.*-cloud-arm64"), Ways: three, Without: both, Protocols: http},
	}
}

// Packets is the way of capture that is left where no function, tracepoint or system call may be hooked.
const Packets = "packet"

// Hooked tells whether any way but packets must work.
func (k Kernel) Hooked() bool { return !slices.Equal(k.Ways, []string{Packets}) }

// Default is the kernel of "make test", and of whoever names none.
const Default = "6.1"

// Find returns the kernel of that name.
func Find(name string) (Kernel, error) {
	all := All()
	i := slices.IndexFunc(all, func(k Kernel) bool { return k.Name == name })
	if i < 0 {
		return Kernel{}, fmt.Errorf("no kernel named %q", name)
	}
	return all[i], nil
}

// machine is how a guest of an architecture is emulated.
type machine struct {
	emulator string
	args     []string
	console  string // the serial line's device, for the kernel's command line
	boot     string // further words of that
}

// machines are those without KVM, by Debian's name of the architecture. The boards have next to no devices to look for.
func machines() map[string]machine {
	return map[string]machine{
		// A clock that the emulator steers is not steady enough for the kernel's watchdog of the time-stamp counter.
		"amd64": {emulator: "qemu-system-x86_64", args: []string{"-M", "q35", "-cpu", "max"}, console: "ttyS0", boot: "tsc=unstable"},
		// Pointer authentication by the architected cipher takes most of an emulated processor's time.
		"arm64": {emulator: "qemu-system-aarch64", args: []string{"-M", "virt", "-cpu", "max,pauth-impdef=on"}, console: "ttyAMA0"},
	}
}
