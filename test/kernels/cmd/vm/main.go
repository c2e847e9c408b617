// Command vm runs one static program as root inside a distribution kernel, without KVM, and passes its output and exit
// status on. See the README of the package kernels.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/toposcope/toposcope/test/kernels"
)

// statusTrouble is the exit status when the guest could not run the program.
const statusTrouble = 125

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status, err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		status = statusTrouble
	}
	os.Exit(status)
}

func run(ctx context.Context, args []string) (int, error) {
	job := kernels.Job{Output: os.Stdout, Files: map[string]string{}}
	fs := flag.NewFlagSet("vm", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintln(fs.Output(), "usage: vm [flags] [--] program [args]")
		fs.PrintDefaults()
	}
	name := fs.String("kernel", "6.1", "kernel to boot")
	console := fs.Bool("console", false, "show the whole console instead of the program's output alone")
	fs.DurationVar(&job.Timeout, "timeout", 5*time.Minute, "limit from boot to end")
	fs.IntVar(&job.Memory, "memory", 0, "the guest's memory in MiB (default 2048)")
	fs.StringVar(&job.Dir, "dir", "", "working folder in the guest (default /job)")
	fs.Func("bin", "further static program for the guest's PATH; repeatable", func(s string) error {
		job.Binaries = append(job.Binaries, s)
		return nil
	})
	fs.Func("file", "GUEST=HOST: copy a file or folder into the guest; repeatable", func(s string) error {
		guest, host, ok := strings.Cut(s, "=")
		if !ok {
			return errors.New("want GUEST=HOST")
		}
		job.Files[guest] = host
		return nil
	})
	fs.Func("env", "KEY=VALUE for the program; repeatable", func(s string) error {
		job.Env = append(job.Env, s)
		return nil
	})
	fs.Func("module", "kernel module to insert first; repeatable", func(s string) error {
		job.Modules = append(job.Modules, s)
		return nil
	})
	if err := fs.Parse(args); err != nil {
		return 0, err
	}
	if job.Cmd = fs.Args(); len(job.Cmd) == 0 {
		return 0, errors.New("no program given")
	}
	if *console {
		job.Output, job.Trace = nil, os.Stdout
	}
	k, err := kernels.Find(*name)
	if err != nil {
		return 0, err
	}
	return boot(ctx, k, job, *console)
}

// boot runs the job and returns its exit status.
func boot(ctx context.Context, k kernels.Kernel, job kernels.Job, console bool) (int, error) {
	// A name with a slash is a program of the host; one without is looked up in the guest (-bin, busybox).
	if prog := job.Cmd[0]; strings.ContainsRune(prog, filepath.Separator) {
		job.Binaries = append(job.Binaries, prog)
		job.Cmd[0] = kernels.GuestPath(prog)
	}
	res, err := kernels.Run(ctx, k, job)
	if err != nil {
		if !console && len(res.Console) > 0 {
			fmt.Fprintf(os.Stderr, "%s\n", res.Console)
		}
		return 0, err
	}
	fmt.Fprintf(os.Stderr, "vm: %s: status %d, boot %.1f s, whole %.1f s\n",
		res.Release, res.Status, res.Boot.Seconds(), res.Whole.Seconds())
	return res.Status, nil
}
