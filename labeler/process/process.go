// Package process knows the processes of a host: which program each one runs, since when, and what a human would call it.
//
// Facts come from exec, fork and exit events, and from /proc for whatever was there before. They are taken at first sight
// and kept for a while after the end, so that a process that has gone is still named. Arguments and environment are read,
// the few things that name a service are taken from them, and the rest is forgotten: they hold secrets.
package process

import (
	"slices"
	"unique"
)

// Facts are what is known of a program in execution. They never change; an exec makes new ones.
type Facts struct {
	// Executable is the path of the program in its own mount namespace, "" for a kernel thread.
	Executable string
	// Comm is the kernel's 15-byte name.
	Comm string
	// Name is what a human would call the program: "nginx", "checkout.jar", "python app.py". Never empty, at most
	// MaxName bytes, printable.
	Name string
	// ServiceName and ServiceNamespace are what OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say, "" when unset.
	ServiceName, ServiceNamespace string

	cgroup unique.Handle[string]
}

// Cgroup is the text of /proc/PID/cgroup: one line per hierarchy, "" when it could not be read. See cgroups(7).
func (f *Facts) Cgroup() string {
	if f.cgroup == (unique.Handle[string]{}) {
		return ""
	}
	return f.cgroup.Value()
}

// BaseName is the executable's file name, for a kernel thread its Comm.
func (f *Facts) BaseName() string {
	return firstOf(clean(baseName(f.Executable)), f.Comm)
}

// NewFacts is for tests of label sources: facts as if read from /proc.
func NewFacts(executable, comm, cgroup string, args ...string) Facts {
	return Facts{Executable: executable, Comm: comm, Name: Name(executable, comm, args), cgroup: unique.Make(cgroup)}
}

// Program is one exec and all the processes forked from it since: a prefork server's master and workers are one program.
type Program struct {
	Facts
	// PID is the process that called exec, or the first one seen.
	PID uint32

	// Ports and InstancePort belong to the owner of the table, under its lock: the TCP ports that the program listens on,
	// sorted, and the one that names the instance (0: none so far).
	Ports        []uint16
	InstancePort uint16

	members []member // those that run, oldest first
}

type member struct {
	pid   uint32
	start uint64
}

func (p *Program) join(pid uint32, start uint64) {
	p.members = append(p.members, member{pid, start})
}

func (p *Program) leave(pid uint32, start uint64) {
	if i := slices.Index(p.members, member{pid, start}); i >= 0 {
		p.members = slices.Delete(p.members, i, i+1)
	}
}
