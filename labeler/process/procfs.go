package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"unique"
)

// Sizes that bound what is read of one process. A Java class path alone may take tens of KiB.
const (
	maxCommandLine = 128 << 10
	maxEnviron     = 256 << 10
	maxCgroup      = 8 << 10
)

// Flags of a task, from include/linux/sched.h; field 9 of /proc/PID/stat.
const (
	flagForkNoExec   = 0x00000040 // PF_FORKNOEXEC: forked, and no exec since
	flagKernelThread = 0x00200000 // PF_KTHREAD
)

// tick is the unit of a start time in /proc/PID/stat, in nanoseconds: USER_HZ is 100 on every architecture that has BPF.
const tick = 10_000_000

// procFS reads processes from a mounted proc file system.
type procFS struct {
	root    string
	buffers sync.Pool
}

func newProcFS(root string) *procFS {
	return &procFS{root: root, buffers: sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 4<<10)) }}}
}

// stat is what /proc/PID/stat says.
type stat struct {
	comm   string
	state  byte
	parent uint32
	flags  uint64
	start  uint64 // ns since boot, cut to a tick
}

func (fs *procFS) path(pid uint32, name string) string {
	return filepath.Join(fs.root, strconv.FormatUint(uint64(pid), 10), name)
}

// read calls use with at most limit bytes of a process's file; they are valid until use returns.
func (fs *procFS) read(pid uint32, name string, limit int64, use func([]byte)) error {
	f, err := os.Open(fs.path(pid, name))
	if err != nil {
		return err
	}
	defer f.Close()
	b := fs.buffers.Get().(*bytes.Buffer)
	defer fs.buffers.Put(b)
	b.Reset()
	if _, err := b.ReadFrom(io.LimitReader(f, limit)); err != nil {
		return fmt.Errorf("reading %s of process %d: %w", name, pid, err)
	}
	use(b.Bytes())
	return nil
}

func (fs *procFS) stat(pid uint32) (s stat, err error) {
	var bad error
	err = fs.read(pid, "stat", 4<<10, func(b []byte) { s, bad = parseStat(b) })
	if err == nil {
		err = bad
	}
	if err != nil {
		return stat{}, fmt.Errorf("reading process %d: %w", pid, err)
	}
	return s, nil
}

var errStat = errors.New("stat is not in the form of proc(5)")

// parseStat reads "PID (comm) state ppid …". A comm may hold blanks and parentheses, so the last one ends it.
func parseStat(b []byte) (stat, error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return stat{}, errStat
	}
	fields := strings.Fields(string(b[end+1:]))
	if len(fields) < 20 {
		return stat{}, errStat
	}
	parent, err1 := strconv.ParseUint(fields[1], 10, 32)
	flags, err2 := strconv.ParseUint(fields[6], 10, 64)
	ticks, err3 := strconv.ParseUint(fields[19], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return stat{}, fmt.Errorf("%w: %w", errStat, err)
	}
	return stat{
		comm: string(b[open+1 : end]), state: fields[0][0], parent: uint32(parent), flags: flags, start: ticks * tick,
	}, nil
}

// facts reads what names a process. Files that cannot be read (it is ending, or not ours to see) leave their facts empty. An
// ending process loses its executable, arguments and environment at once: with the executable read last, facts that have one are whole.
func (fs *procFS) facts(pid uint32, comm string) Facts {
	f := Facts{Comm: clean(comm)}
	_ = fs.read(pid, "cgroup", maxCgroup, func(b []byte) { f.cgroup = unique.Make(strings.ToValidUTF8(string(b), "_")) })
	_ = fs.read(pid, "environ", maxEnviron, func(b []byte) { f.ServiceName, f.ServiceNamespace = serviceOf(b) })
	var args []string
	_ = fs.read(pid, "cmdline", maxCommandLine, func(b []byte) { args = splitArgs(b) })
	f.Executable, _ = os.Readlink(fs.path(pid, "exe")) // fails for kernel threads and zombies, which have none
	f.Name = Name(f.Executable, comm, args)
	f.Executable = strings.ToValidUTF8(trimDeleted(f.Executable), "_")
	return f
}

// splitArgs cuts a command line at its NULs. A title that a program has written over it comes out as one argument.
func splitArgs(b []byte) []string {
	b = bytes.TrimRight(b, "\x00")
	if len(b) == 0 {
		return nil
	}
	return strings.Split(string(b), "\x00")
}

// each calls yield with the stat of every process there is, kernel threads left out.
func (fs *procFS) each(yield func(pid uint32, s stat)) error {
	dir, err := os.Open(fs.root)
	if err != nil {
		return fmt.Errorf("listing processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("listing processes: %w", err)
	}
	for _, name := range names {
		pid, err := strconv.ParseUint(name, 10, 32)
		if err != nil {
			continue
		}
		s, err := fs.stat(uint32(pid))
		if err != nil || s.flags&flagKernelThread != 0 || s.state == 'Z' {
			continue // ended since the listing, or never of interest
		}
		yield(uint32(pid), s)
	}
	return nil
}
