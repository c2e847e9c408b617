package labeler

import (
	"net/netip"
	"os"
	"reflect"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler/process"
)

// Source knows one thing about processes. The sources of a Labeler make a chain: each fills in what it knows, and leaves
// what an earlier one has set (Name, Namespace, InstanceID). PID, Host, Executable and Command are set before, and what is
// still empty after the last is filled in from the program itself.
//
// Label is called from one goroutine at a time, when a process is first seen, at its exec and when rules change, never on
// the path of traffic. It must not keep r, nor block on anything but a local file.
type Source interface {
	Label(p *process.Program, r *Resource)
}

// Watch is told which processes are watched, so that the kernel can decide before it copies a byte. A process that was never
// told of has its parent's decision, else the default. Calls come from any goroutine, one at a time, and must not call the
// Labeler.
type Watch interface {
	// SetDefault is called once at first and whenever rules change, before the processes are judged anew.
	SetDefault(Action)
	// SetPID is called when a process is first judged, at its fork, at its exec and when its rules, labels or listeners
	// change, unless the decision is the default and always was.
	SetPID(pid uint32, a Action)
	// Forget is called at the end of a process.
	Forget(pid uint32)
}

// Options are a Labeler's. Zero values take the defaults.
type Options struct {
	// Host is this host's name, host_name; os.Hostname when empty.
	Host string
	// ProcFS is where proc is mounted; "/proc".
	ProcFS string
	// SelfPID is Toposcope's own process, whose traffic is left out; 0 for none.
	SelfPID uint32
	// Sources are asked in this order; see labeler/all.
	Sources []Source
	// MaxProcesses bounds running processes (65,536), MaxEnded those that have ended (16,384), KeepEnded how long these
	// are still named (one minute), MaxListeners listening sockets (65,536).
	MaxProcesses, MaxEnded, MaxListeners int
	KeepEnded                            time.Duration
	// MaxExternal is how many names and private addresses outside this host are told apart (1,000); further ones are "external".
	MaxExternal int
	// Names knows what addresses are called; nil: nobody does.
	Names Names
	// Now is the clock; time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Host == "" {
		o.Host, _ = os.Hostname() // without a name it stays "localhost", below
	}
	if o.Host == "" {
		o.Host = "localhost"
	}
	if o.ProcFS == "" {
		o.ProcFS = "/proc"
	}
	if o.KeepEnded <= 0 {
		o.KeepEnded = time.Minute
	}
	if o.MaxListeners <= 0 {
		o.MaxListeners = 1 << 16
	}
	if o.MaxExternal <= 0 {
		o.MaxExternal = 1000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Labeler names both ends of an exchange. All methods may be called from any goroutine; events of one process are to come in
// their order.
type Labeler struct {
	opt           Options
	unknown, host *Resource
	processes     *process.Table[identity]
	directory     *Directory
	externals     externals
	ownNetNS      uint32

	mu     sync.Mutex // held while judging: all below, and what of an identity and a program is not atomic
	filter *Filter
	labels labeling
	watch  Watch
}

// identity is what a Labeler hangs on a process.
type identity struct {
	resource atomic.Pointer[Resource] // nil until it is asked for or judged
	former   atomic.Pointer[former]   // before the last exec; nil when there was none
	watched  atomic.Bool
	action   Action
	told     bool // the Watch has heard of it
}

// former is who a process was until an exec.
type former struct {
	resource *Resource
	until    time.Time
}

type proc = process.Process[identity]

// New makes a Labeler that includes every process but its own. Run keeps it current.
func New(o Options) *Labeler {
	o = o.withDefaults()
	l := &Labeler{
		opt:     o,
		unknown: &Resource{Name: "unknown", InstanceID: "unknown", Kind: KindUnknown, Host: o.Host},
		host:    &Resource{Name: o.Host, InstanceID: o.Host, Kind: KindHost, Host: o.Host},
		processes: process.NewTable[identity](process.Config{
			ProcFS: o.ProcFS, MaxRunning: o.MaxProcesses, MaxEnded: o.MaxEnded, KeepEnded: o.KeepEnded, Now: o.Now,
		}),
		directory: NewDirectory(o.MaxListeners, o.KeepEnded),
		ownNetNS:  ownNamespace(o.ProcFS),
		filter:    &Filter{},
	}
	l.externals.init(o.MaxExternal)
	return l
}

// Process names the process of a task: never nil, the same pointer for as long as the process is who it is, and the unknown
// resource for the zero Task or one that left no trace.
func (l *Labeler) Process(t event.Task) *Resource {
	if t.PID == 0 {
		return l.unknown
	}
	if p := l.processes.Lookup(t); p != nil {
		if r := p.Value.resource.Load(); r != nil {
			return r
		}
	}
	if p := l.meet(t); p != nil {
		return p.Value.resource.Load()
	}
	return l.unknown
}

// ProcessAt is Process for what happened at a time: events of different shards are not in one order, and an exec may have been
// told before bytes that are older.
func (l *Labeler) ProcessAt(t event.Task, at time.Time) *Resource {
	if p := l.processes.Lookup(t); p != nil {
		if f := p.Value.former.Load(); f != nil && at.Before(f.until) {
			return f.resource
		}
	}
	return l.Process(t)
}

// Watched tells whether the filter includes the process of a task. One that left no trace is not.
func (l *Labeler) Watched(t event.Task) bool {
	if t.PID == 0 {
		return false
	}
	p := l.processes.Lookup(t)
	if p == nil || p.Value.resource.Load() == nil {
		if p = l.meet(t); p == nil {
			return false
		}
	}
	return p.Value.watched.Load()
}

// meet names and judges a process at first sight.
func (l *Labeler) meet(t event.Task) *proc {
	p := l.processes.Find(t)
	if p == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ensure(p)
	return p
}

// ensure names and judges p if that has not been done.
func (l *Labeler) ensure(p *proc) {
	if p.Value.resource.Load() == nil {
		l.relabel(p)
	}
}

// relabel names and judges p by what is known now. Nobody sees a new pointer unless something changed.
func (l *Labeler) relabel(p *proc) {
	program := p.Program()
	r := l.describe(p, program)
	if old := p.Value.resource.Load(); old == nil || !reflect.DeepEqual(old, r) {
		p.Value.resource.Store(r)
	}
	action, _ := l.filter.decide(r, program.PID, program.Ports)
	l.decide(p, action)
}

func (l *Labeler) describe(p *proc, program *process.Program) *Resource {
	r := &Resource{
		Name: program.ServiceName, Namespace: program.ServiceNamespace, Kind: KindService,
		PID: p.PID, Start: p.Start, Host: l.opt.Host,
		Executable: program.BaseName(), ExecutablePath: program.Executable, Command: program.Comm,
		Self: l.opt.SelfPID != 0 && (p.PID == l.opt.SelfPID || program.PID == l.opt.SelfPID),
	}
	for _, s := range l.opt.Sources {
		s.Label(program, r)
	}
	if r.Name == "" {
		r.Name = program.Name
	}
	if r.InstanceID == "" {
		if program.InstancePort != 0 {
			r.InstanceID = l.opt.Host + ":" + strconv.Itoa(int(program.InstancePort))
		} else {
			r.InstanceID = r.Executable + "@" + l.opt.Host
		}
	}
	r.Labels = l.labels.labelsOf(r, program.PID, program.Ports)
	return r
}

// decide puts a verdict on p in force.
func (l *Labeler) decide(p *proc, a Action) {
	p.Value.action = a
	p.Value.watched.Store(a == Include)
	if l.watch != nil && (a != l.filter.standard || p.Value.told) {
		l.watch.SetPID(p.PID, a)
		p.Value.told = true
	}
}

// SetFilter puts another filter in force and judges every process anew.
func (l *Labeler) SetFilter(f *Filter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.filter = f
	if l.watch != nil {
		l.watch.SetDefault(f.Default())
	}
	l.relabelAll()
}

// SetLabels puts other business labels in force, for every process there is.
func (l *Labeler) SetLabels(rules []LabelRule) error {
	labels, err := newLabeling(rules)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.labels = labels
	l.relabelAll()
	return nil
}

// SetWatch tells w all that has been decided, and from now on whatever is.
func (l *Labeler) SetWatch(w Watch) {
	if l.opt.SelfPID != 0 {
		l.meet(event.Task{PID: l.opt.SelfPID}) // before the first scan, so that none of our own traffic is ever seen
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watch = w
	w.SetDefault(l.filter.Default())
	l.relabelAll()
}

// Relabel asks the sources again about every process: one of them has learnt something.
func (l *Labeler) Relabel() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.relabelAll()
}

func (l *Labeler) relabelAll() {
	l.processes.Running(l.relabel)
	l.processes.Ended(func(p *proc) {
		if old := p.Value.resource.Load(); old != nil {
			if r := l.describe(p, p.Program()); !reflect.DeepEqual(old, r) {
				p.Value.resource.Store(r)
			}
		}
	})
}

// namespace takes a namespace that is not known for this one.
func (l *Labeler) namespace(netns uint32) uint32 {
	if netns == 0 {
		return l.ownNetNS
	}
	return netns
}

// Address names who holds an address, as seen from a network namespace (0: not known), and tells whether that is a process
// that is watched. at is when the connection was made. A process that listens there is named; else this host; else the
// address is external, and called what it was asked for by.
func (l *Labeler) Address(a netip.AddrPort, netns uint32, at time.Time) (r *Resource, watched bool) {
	if t, ok := l.directory.Lookup(a, l.namespace(netns), at); ok {
		if r := l.Process(t); r != l.unknown {
			return r, l.Watched(t)
		}
		return l.host, false
	}
	if l.directory.Local(a.Addr()) {
		return l.host, false
	}
	addr := a.Addr().Unmap().WithZone("")
	if l.opt.Names != nil {
		if name, ok := l.opt.Names.Name(addr, l.namespace(netns), 0, at); ok {
			return l.externals.named(name, l.opt.Now), false
		}
	}
	return l.externals.name(addr, l.opt.Now), false
}
