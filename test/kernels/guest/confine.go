package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// capability names are those of linux/capability.h, by number.
func capabilities() []string {
	return strings.Fields(`cap_chown cap_dac_override cap_dac_read_search cap_fowner cap_fsetid cap_kill cap_setgid cap_setuid
		cap_setpcap cap_linux_immutable cap_net_bind_service cap_net_broadcast cap_net_admin cap_net_raw cap_ipc_lock cap_ipc_owner
		cap_sys_module cap_sys_rawio cap_sys_chroot cap_sys_ptrace cap_sys_pacct cap_sys_admin cap_sys_boot cap_sys_nice
		cap_sys_resource cap_sys_time cap_sys_tty_config cap_mknod cap_lease cap_audit_write cap_audit_control cap_setfcap
		cap_mac_override cap_mac_admin cap_syslog cap_wake_alarm cap_block_suspend cap_audit_read cap_perfmon cap_bpf
		cap_checkpoint_restore`)
}

// privileges are what a command may have left. Keep and Drop are lists with commas between; Keep is nil where all but Drop is kept.
type privileges struct {
	keep, drop *string
	user       int
}

func (p *privileges) flags(fs *flag.FlagSet) {
	list := func(to **string) func(string) error {
		return func(s string) error {
			*to = &s
			_, err := p.kept()
			return err
		}
	}
	fs.Func("keep", "capabilities that Toposcope has left, with commas between; \"\" is none", list(&p.keep))
	fs.Func("drop", "capabilities that Toposcope has not, with commas between", list(&p.drop))
	fs.IntVar(&p.user, "user", 0, "user and group that Toposcope runs as; it has those capabilities that -keep says, by default none")
}

// args are the flags that say the same; nil: nothing is taken.
func (p *privileges) args() (args []string) {
	for _, list := range []struct {
		name  string
		value *string
	}{{"-keep=", p.keep}, {"-drop=", p.drop}} {
		if list.value != nil {
			args = append(args, list.name+*list.value)
		}
	}
	if p.user != 0 {
		args = append(args, "-user="+strconv.Itoa(p.user))
	}
	return args
}

// kept are the numbers of the capabilities that are left.
func (p *privileges) kept() ([]int, error) {
	names := capabilities()
	numbers := func(list *string) (all []int, err error) {
		if list == nil || *list == "" {
			return nil, nil
		}
		for name := range strings.SplitSeq(*list, ",") {
			i := slices.Index(names, strings.ToLower(name))
			if i < 0 {
				return nil, fmt.Errorf("unknown capability %q", name)
			}
			all = append(all, i)
		}
		return all, nil
	}
	keep, err := numbers(p.keep)
	if err != nil {
		return nil, err
	}
	drop, err := numbers(p.drop)
	if err != nil {
		return nil, err
	}
	if p.keep == nil && p.user == 0 {
		for i := range names {
			keep = append(keep, i)
		}
	}
	return slices.DeleteFunc(keep, func(i int) bool { return slices.Contains(drop, i) }), nil
}

// statusConfine is the exit status of confine when there is no command that could have one.
const statusConfine = 125

var errConfine = errors.New("not confined")

// confine takes privileges from this process and becomes the command: confine [flags] -- COMMAND ARGS….
func confine(args []string) error {
	var p privileges
	fs := flag.NewFlagSet("confine", flag.ContinueOnError)
	p.flags(fs)
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() == 0 {
		return errors.New("no command to confine")
	}
	keep, err := p.kept()
	if err != nil {
		return err
	}
	path, err := exec.LookPath(fs.Arg(0))
	if err != nil {
		return fmt.Errorf("%w: finding the command: %w", errConfine, err)
	}
	// Privileges are a thread's, and the new program takes those of the thread that becomes it.
	runtime.LockOSThread()
	if err := takePrivileges(p.user, keep); err != nil {
		return fmt.Errorf("%w: %w", errConfine, err)
	}
	return fmt.Errorf("%w: executing %s: %w", errConfine, path, syscall.Exec(path, fs.Args(), os.Environ()))
}

// takePrivileges leaves the calling thread's next program with the capabilities of keep. The superuser's programs gain what the
// bounding set has; those of others have the ambient ones.
func takePrivileges(user int, keep []int) error {
	for i := range capabilities() {
		if slices.Contains(keep, i) {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(i), 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) { // a newer one
			return fmt.Errorf("dropping capability %d: %w", i, err)
		}
	}
	if user == 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("keeping capabilities: %w", err)
	}
	// Not package syscall's: those change every thread.
	for _, call := range [][4]uintptr{
		{unix.SYS_SETGROUPS, 0, 0, 0},
		{unix.SYS_SETRESGID, uintptr(user), uintptr(user), uintptr(user)},
		{unix.SYS_SETRESUID, uintptr(user), uintptr(user), uintptr(user)},
	} {
		if _, _, errno := unix.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
			return fmt.Errorf("becoming user %d: %w", user, errno)
		}
	}
	var sets [2]unix.CapUserData
	for _, i := range keep {
		sets[i/32].Permitted |= 1 << (i % 32)
	}
	for i := range sets {
		sets[i].Effective, sets[i].Inheritable = sets[i].Permitted, sets[i].Permitted
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capset(&header, &sets[0]); err != nil {
		return fmt.Errorf("setting capabilities: %w", err)
	}
	for _, i := range keep {
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(i), 0, 0); err != nil {
			return fmt.Errorf("passing capability %d on: %w", i, err)
		}
	}
	return nil
}
