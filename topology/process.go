package topology

import (
	"sync/atomic"
	"time"

	"github.com/toposcope/toposcope/labeler"
)

// processID is a process as its info series names it.
type processID struct {
	ServiceKey
	instance string
	pid      uint32
}

// process is a process with traffic. Its last time is all that ever changes, so that losing a race with expire costs one
// info series for as long as the shard's memory of it lasts.
type process struct {
	processID
	resource *labeler.Resource // guarded by the registry's lock; its strings are fit for labels
	first    int64             // Unix nanoseconds
	gone     atomic.Bool
	last     atomic.Int64
}

// settled is for how long a process must have had traffic to get an info series beside those of its instance's others. Of
// an instance that is short-lived commands only, one stands for all: a series per command helps nobody.
const settled = 10 * time.Second

func (p *process) settled() bool { return p.last.Load()-p.first >= int64(settled) }

func (p *process) expire(before int64) bool {
	if p.last.Load() >= before {
		return false
	}
	p.gone.Store(true)
	return true
}

// process finds or makes what is known of the process res; nil when it is none or one too many.
func (r *registry) process(res *labeler.Resource, at time.Time) *process {
	if res.PID == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := keyOf(res)
	id := processID{key, r.instance(key, res.InstanceID), res.PID}
	if p, ok := r.processes[key][id]; ok {
		p.resource = cleaned(res) // the number may be another process's by now
		return p
	}
	if id.instance == Other || len(r.processes[key]) >= r.limits.InstancesPerService && !r.replace(key) {
		r.dropped[dropInstances]++
		return nil
	}
	if !r.take(processSeries) {
		return nil
	}
	p := &process{processID: id, resource: cleaned(res), first: at.UnixNano()}
	p.last.Store(p.first)
	if r.processes[key] == nil {
		r.processes[key] = map[processID]*process{}
	}
	r.processes[key][id] = p
	return p
}

// replace makes room for a process of the service: the one that is not settled and quiet for longest goes, but not the
// oldest of all, which may stand for its instance.
func (r *registry) replace(key ServiceKey) bool {
	var victim, oldest *process
	for _, p := range r.processes[key] {
		if oldest == nil || p.first < oldest.first {
			oldest = p
		}
	}
	for _, p := range r.processes[key] {
		if p != oldest && !p.settled() && (victim == nil || p.last.Load() < victim.last.Load()) {
			victim = p
		}
	}
	if victim == nil {
		return false
	}
	r.remove(victim)
	return true
}

func (r *registry) remove(p *process) {
	p.gone.Store(true)
	delete(r.processes[p.ServiceKey], p.processID)
	if len(r.processes[p.ServiceKey]) == 0 {
		delete(r.processes, p.ServiceKey)
	}
	r.series.Add(-int64(processSeries))
}

// shown are the processes that get an info series: the settled ones, and of an instance without any the oldest.
func (r *registry) shown() []ProcessState {
	type instance struct {
		ServiceKey
		id string
	}
	var out []ProcessState
	alone := map[instance]*process{}
	seen := map[instance]bool{}
	for _, processes := range r.processes {
		for _, p := range processes {
			i := instance{p.ServiceKey, p.instance}
			if p.settled() {
				seen[i] = true
				out = append(out, ProcessState{p.ServiceKey, p.instance, p.resource})
			} else if was := alone[i]; was == nil || p.first < was.first || p.first == was.first && p.pid < was.pid {
				alone[i] = p
			}
		}
	}
	for i, p := range alone {
		if !seen[i] {
			out = append(out, ProcessState{p.ServiceKey, p.instance, p.resource})
		}
	}
	return out
}

// cleaned is a copy of r whose strings are fit for labels.
func cleaned(r *labeler.Resource) *labeler.Resource {
	c := *r
	for _, s := range []*string{
		&c.Name, &c.Namespace, &c.InstanceID, &c.Executable, &c.Unit, &c.ContainerName, &c.Host, &c.K8sNamespace, &c.K8sPod,
		&c.K8sContainer, &c.K8sWorkload, &c.K8sWorkloadKind, &c.K8sNode,
	} {
		*s = clean(*s)
	}
	return &c
}
