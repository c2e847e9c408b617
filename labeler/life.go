package labeler

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler/process"
)

// How often Run looks after what events may have missed.
const (
	expireEvery = 5 * time.Second
	scanEvery   = time.Minute
)

// Run scans the processes there are and then keeps the labeler current until ctx ends: it forgets what has ended long ago,
// and looks for processes and addresses whose coming or going was never told. It returns nil then.
func (l *Labeler) Run(ctx context.Context) error {
	if err := l.Scan(); err != nil {
		return err
	}
	expire, scan := time.NewTicker(expireEvery), time.NewTicker(scanEvery)
	defer expire.Stop()
	defer scan.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-expire.C:
			l.Expire()
		case <-scan.C:
			if err := l.Scan(); err != nil {
				return err
			}
		}
	}
}

// Scan reads all processes from /proc, names and judges those that are new, and takes leave of those that have gone. It
// refreshes the addresses of every network namespace in use.
func (l *Labeler) Scan() error {
	lost, err := l.processes.Scan()
	if err != nil {
		return fmt.Errorf("labeling processes: %w", err)
	}
	for i := range lost {
		l.Exit(&lost[i])
	}
	l.mu.Lock()
	l.processes.Running(l.ensure)
	l.mu.Unlock()
	l.refreshAddresses()
	return nil
}

// Expire forgets what ended longer ago than Options.KeepEnded.
func (l *Labeler) Expire() {
	now := l.opt.Now()
	l.processes.Expire()
	l.directory.Expire(now, func(t event.Task) bool { return l.processes.Lookup(t) != nil })
	l.externals.expire(now)
}

// refreshAddresses reads the addresses of each network namespace that has a listener, and of this one.
func (l *Labeler) refreshAddresses() {
	used := l.directory.namespaces()
	for netns, pid := range used {
		l.readAddresses(netns, pid)
	}
	if addrs, err := ownAddresses(); err == nil { // else the last ones stay
		l.directory.SetAddresses(l.ownNetNS, addrs)
	}
	l.directory.forgetNamespaces(func(n uint32) bool { return used[n] != 0 || n == l.ownNetNS })
}

func (l *Labeler) readAddresses(netns, pid uint32) {
	if netns == l.ownNetNS {
		return // read by other means, see refreshAddresses
	}
	if addrs, err := addressesOf(l.opt.ProcFS, pid); err == nil && len(addrs) > 0 { // else it has ended, and the next scan finds another
		l.directory.SetAddresses(netns, addrs)
	}
}

// Exec takes in that a process runs another program: it is named and judged anew.
func (l *Labeler) Exec(e *event.Exec) {
	var old *process.Program
	var was *Resource
	if p := l.processes.Lookup(e.Task); p != nil {
		old, was = p.Program(), p.Value.resource.Load()
	}
	p := l.processes.Exec(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recount(p.Program())
	if was != nil {
		p.Value.former.Store(&former{was, e.Time})
	}
	l.relabel(p)
	if old != nil && l.recount(old) {
		l.relabelProgram(old)
	}
}

// Fork takes in a new process. It is its parent's equal until its exec, the verdict of the filter included; the name is
// made when it is first asked for.
func (l *Labeler) Fork(e *event.Fork) {
	child := l.processes.Fork(e)
	if child == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if child.Value.resource.Load() != nil {
		return // it talked before we heard of it
	}
	parent := l.processes.Lookup(e.Parent)
	if parent == nil {
		l.ensure(child)
		return
	}
	l.ensure(parent)
	child.Value.told = parent.Value.told // the kernel has copied what it knew of the parent
	l.decide(child, parent.Value.action)
}

// Exit takes in the end of a process. It is still named for Options.KeepEnded; listeners that others of its program hold on
// to become theirs.
func (l *Labeler) Exit(e *event.Exit) {
	p, heir := l.processes.Exit(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	if heir != nil {
		l.directory.Handover(taskOf(p), taskOf(heir))
	}
	// A PID that has come up again by now is not the ended one's any more.
	if l.watch != nil && l.processes.Lookup(event.Task{PID: e.Task.PID}) == nil {
		l.watch.Forget(e.Task.PID)
	}
}

func taskOf(p *proc) event.Task { return event.Task{PID: p.PID, Start: p.Start} }

// Listening takes in that a listener was opened or closed. It may give the instance its name, and change the verdict of a
// filter that asks for ports.
func (l *Labeler) Listening(e *event.Listening) {
	if e.NetNS == 0 {
		here := *e
		here.NetNS, e = l.ownNetNS, &here
	}
	var p *proc
	if e.Task.PID != 0 {
		p = l.processes.Find(e.Task)
	}
	if e.Open && !l.directory.knows(e.NetNS) {
		l.readAddresses(e.NetNS, e.Task.PID)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	before, had := l.directory.opener(e.Local, e.NetNS)
	if e.Open && had && p != nil && l.runs(before, p.Program()) {
		return // told again, or by another process of the program
	}
	l.directory.Listening(e)
	for _, t := range []event.Task{e.Task, before} {
		if p := l.processes.Lookup(t); p != nil && l.recount(p.Program()) {
			l.relabelProgram(p.Program())
		}
	}
}

// Accepted takes in that a task accepted a connection whose own end is local. It is what names the server where another
// process opened the listener.
func (l *Labeler) Accepted(local netip.AddrPort, netns uint32, t event.Task, at time.Time) {
	if t.PID == 0 {
		return
	}
	p := l.processes.Lookup(t)
	if p == nil {
		if p = l.meet(t); p == nil {
			return
		}
	}
	program := p.Program()
	l.directory.Served(local, l.namespace(netns), t, at, func(other event.Task) bool { return l.runs(other, program) })
}

// runs tells whether the process of t runs program.
func (l *Labeler) runs(t event.Task, program *process.Program) bool {
	p := l.processes.Lookup(t)
	return p != nil && p.Program() == program
}

// recount asks the directory what a program listens on, and tells whether that changed.
func (l *Labeler) recount(program *process.Program) bool {
	var ports []uint16
	for _, p := range l.processes.Members(nil, program) {
		ports = append(ports, l.directory.Ports(taskOf(p))...)
	}
	slices.Sort(ports)
	ports = slices.Compact(ports)
	if slices.Equal(ports, program.Ports) {
		return false
	}
	program.Ports = ports
	// The name of an instance never goes back when a listener closes, so that it changes a few times at most.
	for _, port := range ports {
		if program.InstancePort == 0 || rank(port) < rank(program.InstancePort) {
			program.InstancePort = port
		}
	}
	return true
}

// rank orders ports by how well they name an instance: the lowest first, and those that the system hands out at random last.
func rank(port uint16) int {
	if port >= 32768 {
		return int(port) + 1<<16
	}
	return int(port)
}

func (l *Labeler) relabelProgram(program *process.Program) {
	for _, p := range l.processes.Members(nil, program) {
		l.relabel(p)
	}
}
