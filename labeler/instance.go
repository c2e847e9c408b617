package labeler

import (
	"cmp"
	"slices"

	"github.com/toposcope/toposcope/labeler/process"
)

// Instance is a running process as the labeler sees it.
type Instance struct {
	Resource  *Resource
	Listening []uint16 // TCP ports, sorted; not to be changed
	Action    Action
	// Rule is the index of the filter rule that decided, -1 for the default.
	Rule int
}

// Instances are the running processes, by PID: what "check filters" prints.
func (l *Labeler) Instances() []Instance { return l.instances(nil) }

// Select is Instances as another filter would judge them. It puts nothing in force.
func (l *Labeler) Select(f *Filter) []Instance { return l.instances(f) }

func (l *Labeler) instances(f *Filter) (list []Instance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f == nil {
		f = l.filter
	}
	l.processes.Running(func(p *proc) {
		l.ensure(p)
		r, program := p.Value.resource.Load(), p.Program()
		action, rule := f.decide(r, program.PID, program.Ports)
		list = append(list, Instance{r, program.Ports, action, rule})
	})
	slices.SortFunc(list, func(a, b Instance) int { return cmp.Compare(a.Resource.PID, b.Resource.PID) })
	return list
}

// Stats are a labeler's size, and what it could not keep or tell.
type Stats struct {
	Processes process.Stats
	// Listeners are those kept, ListenersDropped those that found no room.
	Listeners        int
	ListenersDropped uint64
	// Externals are the addresses named each by itself; ExternalOverflow counts how often one past the bound was named.
	Externals        int
	ExternalOverflow uint64
}

// Stats may be called at any time.
func (l *Labeler) Stats() Stats {
	n, dropped := l.directory.Len()
	return Stats{l.processes.Stats(), n, dropped, l.externals.len(), l.externals.overflow.Load()}
}
