package process

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/toposcope/toposcope/collector/event"
)

// Find is Lookup, and reads /proc for a process that the table does not know yet. nil: it has gone without a trace.
func (t *Table[V]) Find(task event.Task) *Process[V] {
	return t.findWithin(task, 8)
}

// findWithin goes at most depth parents up.
func (t *Table[V]) findWithin(task event.Task, depth int) *Process[V] {
	if p := t.Lookup(task); p != nil {
		return p
	}
	s, err := t.proc.stat(task.PID)
	if err != nil || task.Start != 0 && !SameStart(s.start, task.Start) {
		t.misses.Add(1)
		return nil
	}
	return t.meet(task, s, depth)
}

// meet takes in a process at first sight.
func (t *Table[V]) meet(task event.Task, s stat, depth int) *Process[V] {
	facts := t.proc.facts(task.PID, s.comm)
	var inherited *Program
	if s.flags&flagForkNoExec != 0 && depth > 0 {
		if parent := t.findWithin(event.Task{PID: s.parent}, depth-1); parent != nil {
			// An orphan's parent is not who forked it: then the executables differ.
			if program := parent.Program(); program.Executable == facts.Executable && facts.Executable != "" {
				inherited = program
			}
		}
	}
	p := &Process[V]{PID: task.PID, Start: task.Start, exact: task.Start != 0}
	if !p.exact {
		p.Start = s.start
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.findNear(p.PID, p.Start); known != nil {
		return known // an event or another goroutine was faster
	}
	if inherited == nil {
		inherited = &Program{Facts: facts, PID: p.PID}
	}
	t.add(p, inherited)
	return p
}

// Exec takes in that a process runs another program.
func (t *Table[V]) Exec(e *event.Exec) *Process[V] {
	facts := t.factsOf(e)
	program := &Program{Facts: facts, PID: e.Task.PID}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.find(e.Task); p != nil {
		t.enter(p, program)
		return p
	}
	p := &Process[V]{PID: e.Task.PID, Start: e.Task.Start, exact: e.Task.Start != 0}
	t.add(p, program)
	return p
}

// factsOf reads /proc, which knows more than the event; the event itself serves when the process has ended already.
func (t *Table[V]) factsOf(e *event.Exec) Facts {
	if s, err := t.proc.stat(e.Task.PID); err == nil && (e.Task.Start == 0 || SameStart(s.start, e.Task.Start)) {
		if f := t.proc.facts(e.Task.PID, s.comm); f.Executable != "" {
			return f
		}
	}
	f := Facts{Comm: clean(e.Comm), Executable: e.Executable}
	before := t.lookupProgram(e.Task)
	if before == nil {
		before = t.lookupProgram(event.Task{PID: e.Parent})
	}
	if before != nil { // an exec keeps the control group and, nearly always, the environment
		f.cgroup, f.ServiceName, f.ServiceNamespace = before.cgroup, before.ServiceName, before.ServiceNamespace
	}
	if len(e.Args) > 0 && strings.HasPrefix(e.Args[0], "/") { // a script: the event has its path, the arguments its interpreter's
		if _, ok := interpreterOf(path.Base(e.Args[0])); ok {
			f.Executable = e.Args[0]
		}
	}
	if len(e.Environ) > 0 {
		f.ServiceName, f.ServiceNamespace = serviceOf([]byte(strings.Join(e.Environ, "\x00") + "\x00"))
	}
	f.Name = Name(f.Executable, e.Comm, e.Args)
	f.Executable = strings.ToValidUTF8(f.Executable, "_")
	return f
}

// Fork takes in a new process: it runs its parent's program until it calls exec. nil: neither can be found any more.
func (t *Table[V]) Fork(e *event.Fork) *Process[V] {
	parent := t.Find(e.Parent)
	if parent == nil {
		return t.Find(e.Child)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.find(e.Child); p != nil {
		return p
	}
	p := &Process[V]{PID: e.Child.PID, Start: e.Child.Start, exact: e.Child.Start != 0}
	t.add(p, parent.Program())
	return p
}

// Exit takes in the end of a process. heir is the oldest that still runs the same program, nil when there is none.
// Both are nil for a process that the table does not know.
func (t *Table[V]) Exit(e *event.Exit) (p, heir *Process[V]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p = t.find(e.Task)
	if p == nil || !p.ended.IsZero() {
		return nil, nil
	}
	t.end(p)
	return p, t.heir(p.Program())
}

func (t *Table[V]) heir(program *Program) *Process[V] {
	if len(program.members) == 0 {
		return nil
	}
	oldest := program.members[0]
	return t.find(event.Task{PID: oldest.pid, Start: oldest.start})
}

// Scan reads all of /proc: it takes in the processes that the table does not know, and returns those that it had for
// running and that have ended, their end never told; the caller hands each to Exit.
func (t *Table[V]) Scan() (lost []event.Exit, err error) {
	type listed struct {
		pid uint32
		stat
	}
	var all []listed
	if err := t.proc.each(func(pid uint32, s stat) { all = append(all, listed{pid, s}) }); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b listed) int { return cmp.Compare(a.start, b.start) }) // parents first
	present := make(map[uint32]uint64, len(all))
	for _, l := range all {
		present[l.pid] = l.start
		if p := t.Lookup(event.Task{PID: l.pid}); p == nil || !SameStart(p.Start, l.start) {
			t.meet(event.Task{PID: l.pid}, l.stat, 8)
		}
	}
	t.Running(func(p *Process[V]) {
		if start, ok := present[p.PID]; ok && SameStart(start, p.Start) {
			return
		}
		s, err := t.proc.stat(p.PID) // it may have begun since the listing
		if err != nil || s.state == 'Z' || !SameStart(s.start, p.Start) {
			lost = append(lost, event.Exit{Task: event.Task{PID: p.PID, Start: p.Start}, Time: t.cfg.Now()})
		}
	})
	return lost, nil
}
