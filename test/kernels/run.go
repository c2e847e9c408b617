package kernels

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Marker begins a framed line: a JSON object follows up to the line's end. The guest's init sends {"start": release}
// and {"exit": status}; a program sends its results as {"result": any value}.
const Marker = "@toposcope "

// consoleLimit bounds what is kept of a guest's console, in bytes: its end.
const consoleLimit = 8 << 20

// Job is what to run in a guest.
type Job struct {
	// Binaries are static programs of the host; each appears in the guest at GuestPath, which is also in its PATH.
	Binaries []string
	// Files are further files and folders: path in the guest → path on the host.
	Files map[string]string
	// Modules are kernel modules to insert first, with those they need.
	Modules []string
	// Cmd is the command and its arguments. Its working folder is Dir (default: /job), its environment that of the
	// guest and Env ("KEY=value").
	Cmd []string
	Env []string
	Dir string
	// Timeout bounds everything from the start of the emulator; 0 means five minutes.
	Timeout time.Duration
	// Memory of the guest in MiB; 0 means 2048.
	Memory int
	// Output receives what the command prints, standard output and error, line by line. May be nil.
	Output io.Writer
	// Trace receives the whole console as it comes. May be nil.
	Trace io.Writer
}

// Result is what became of a Job.
type Result struct {
	// Status is the command's exit status; 128 plus the signal's number when it was killed.
	Status int
	// Release is the guest's kernel release.
	Release string
	// Results are the values of the command's {"result": …} lines, in order.
	Results []json.RawMessage
	// Console is all that the guest wrote, the kernel's messages included (the last 8 MiB).
	Console []byte
	// Boot is from the emulator's start to the command's, Whole to the end.
	Boot, Whole time.Duration
}

// Run boots the kernel and runs the job in it as root. An exit status other than 0 is no error. The error wraps
// ErrUnavailable when this host cannot provide the emulator, the kernel or busybox; whatever the error, Result.Console
// has what the guest wrote until then.
func Run(ctx context.Context, k Kernel, job Job) (Result, error) {
	m, ok := machines()[k.Arch]
	if !ok {
		return Result{}, fmt.Errorf("kernel %s: no machine of architecture %q", k.Name, k.Arch)
	}
	qemu, err := exec.LookPath(m.emulator)
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	im, err := fetchKernel(ctx, k)
	if err != nil {
		return Result{}, err
	}
	busybox, err := fetchBusybox(ctx, k.Arch)
	if err != nil {
		return Result{}, err
	}
	modules, err := moduleFiles(im.modules, job.Modules)
	if err != nil {
		return Result{}, err
	}
	dir, err := os.MkdirTemp("", "toposcope-guest-")
	if err != nil {
		return Result{}, fmt.Errorf("making the initramfs: %w", err)
	}
	defer os.RemoveAll(dir)
	initrd := filepath.Join(dir, "initramfs")
	if err := saveInitramfs(initrd, k.Arch, busybox, modules, job); err != nil {
		return Result{}, fmt.Errorf("making the initramfs: %w", err)
	}
	if job.Timeout == 0 {
		job.Timeout = 5 * time.Minute
	}
	ctx, cancel := context.WithTimeoutCause(ctx, job.Timeout, fmt.Errorf("no end within %v", job.Timeout))
	defer cancel()
	res, err := boot(ctx, qemu, m.command(im.vmlinuz, initrd, job.Memory), job)
	if err != nil {
		return res, fmt.Errorf("running in a guest with kernel %s: %w", im.version, err)
	}
	return res, nil
}

func saveInitramfs(name, arch, busybox string, modules []string, job Job) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	return errors.Join(writeInitramfs(w, arch, busybox, modules, job), w.Flush(), f.Close())
}

// command is the emulator's arguments. One processor: two have crashed 6.12 in text patching under emulation.
func (m machine) command(kernel, initrd string, memory int) []string {
	if memory == 0 {
		memory = 2048
	}
	return append(slices.Clone(m.args),
		"-accel", "tcg", "-m", strconv.Itoa(memory), "-smp", "1",
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-kernel", kernel, "-initrd", initrd,
		"-append", strings.TrimSpace("console="+m.console+" panic=-1 quiet "+m.boot),
	)
}

// boot runs the emulator until the job has told its exit status.
func boot(ctx context.Context, qemu string, args []string, job Job) (Result, error) {
	// The emulator must not outlive a killed test: the kernel sends the signal when the starting thread ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, qemu, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return Result{}, fmt.Errorf("starting the emulator: %w", err)
	}
	s := session{job: job, began: time.Now()}
	if err := cmd.Start(); err != nil {
		return Result{}, fmt.Errorf("starting the emulator: %w", err)
	}
	readErr := s.read(stdout)
	if s.ended {
		_ = cmd.Process.Kill() // nothing in the guest is worth a power-off
	}
	waitErr := cmd.Wait()
	s.res.Whole = time.Since(s.began)
	switch {
	case readErr != nil:
		return s.res, readErr
	case s.ended:
		return s.res, nil
	case ctx.Err() != nil:
		return s.res, fmt.Errorf("%w (started: %t)", context.Cause(ctx), s.started)
	default:
		return s.res, fmt.Errorf("the guest ended without an exit status (panic?): emulator: %w: %s",
			errors.Join(waitErr, errors.New("exited")), bytes.TrimSpace(stderr.Bytes()))
	}
}
