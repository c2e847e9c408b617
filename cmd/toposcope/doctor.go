package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"golang.org/x/sys/unix"

	"github.com/toposcope/toposcope/collector/privilege"
	"github.com/toposcope/toposcope/collector/probe"
)

// finding is a line of the doctor's report.
type finding struct {
	Check string `json:"check"`
	// Verdict is ok, warning or failure.
	Verdict string `json:"verdict"`
	Detail  string `json:"detail"`
	Remedy  string `json:"remedy"`
}

func registerDoctor(app *kingpin.Application, commands map[string]func(context.Context) error) {
	c := app.Command("doctor", "Report what this host allows and what to do about what it does not.")
	output := c.Flag("output", "Form of the report.").Default("text").Enum("text", "json")
	commands[c.FullCommand()] = func(context.Context) error {
		findings := examine()
		if err := report(os.Stdout, findings, *output); err != nil {
			return err
		}
		for _, f := range findings {
			if f.Verdict == "failure" {
				return errors.New("this host does not allow capture; see the failures above")
			}
		}
		return nil
	}
}

func report(w io.Writer, findings []finding, output string) error {
	if output == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(findings)
	}
	for _, f := range findings {
		line := fmt.Sprintf("%-8s %-22s %s", f.Verdict, f.Check, f.Detail)
		if f.Remedy != "" {
			line += "\n" + strings.Repeat(" ", 32) + "→ " + f.Remedy
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// examine looks at what capture stands on, then tries each way; only the ways decide whether this host allows capture.
func examine() []finding {
	findings := []finding{
		kernel(), folder("type information (BTF)", "/sys/kernel/btf/vmlinux",
			"use a kernel built with CONFIG_DEBUG_INFO_BTF=y (every major distribution's since 2021): without it packets alone are captured"),
		cgroups(), folder("tracefs", "/sys/kernel/tracing/events",
			"mount -t tracefs nodev /sys/kernel/tracing (kprobes and system call tracepoints need it)"),
	}
	held, err := privilege.Read()
	if err != nil {
		return append(findings, finding{"privileges", "failure", err.Error(), "mount proc at /proc"})
	}
	findings = append(findings, privileges(held)...)
	if held.Check("auto") != nil {
		return findings // every way would only repeat it
	}
	return append(findings, waysOfCapture(held)...)
}

func kernel() finding {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return finding{"kernel", "warning", err.Error(), ""}
	}
	return finding{"kernel", "ok", unix.ByteSliceToString(u.Release[:]) + " " + runtime.GOARCH, ""}
}

// folder looks for something that some ways need.
func folder(check, path, remedy string) finding {
	switch _, err := os.Stat(path); {
	case err == nil:
		return finding{check, "ok", path, ""}
	case errors.Is(err, os.ErrPermission):
		return finding{check, "warning", path + " is not to be seen by this user", "see CAP_DAC_READ_SEARCH"}
	default:
		return finding{check, "warning", path + " is missing", remedy}
	}
}

func cgroups() finding {
	var fs unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &fs); err != nil {
		return finding{"cgroups", "warning", "not mounted at /sys/fs/cgroup", "mount them: containers and units cannot be named without"}
	}
	if fs.Type == unix.CGROUP2_SUPER_MAGIC {
		return finding{"cgroups", "ok", "version 2", ""}
	}
	if _, err := os.Stat("/sys/fs/cgroup/unified"); err == nil {
		return finding{"cgroups", "ok", "hybrid (version 1 with a version 2 hierarchy)", ""}
	}
	return finding{"cgroups", "ok", "version 1", ""}
}

// waysOfCapture attaches each way for a moment; one that works is enough.
func waysOfCapture(held privilege.Held) []finding {
	checks, err := probe.CheckWays()
	if err != nil {
		return []finding{{"capture", "failure", err.Error(), ""}}
	}
	var findings []finding
	best := ""
	for _, c := range checks {
		f := finding{"capture by " + c.Name, "ok", c.What, ""}
		switch {
		case c.Err != nil:
			f.Verdict, f.Detail = "warning", firstLine(c.Err)
		case best == "":
			best = c.Name
			f.Detail += "; the one that capture.method: auto takes"
		}
		for _, name := range slices.Sorted(maps.Keys(c.Missing)) {
			f.Detail += "; without " + name
		}
		if lacking := held.Lacking(c.Name); c.Err == nil && len(lacking) > 0 {
			f.Detail += "; sees less without " + listed(lacking)
		}
		findings = append(findings, f)
	}
	if best == "" {
		return append(findings, finding{"capture", "failure", "no way of capture works here", "allow one of the ways above"})
	}
	return append(findings, finding{"capture", "ok", "by " + best, ""})
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
