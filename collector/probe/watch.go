package probe

import (
	"errors"
	"fmt"
	"maps"

	"github.com/cilium/ebpf"

	"github.com/toposcope/toposcope/bpf"
)

// Action is what the kernel does with a process's traffic.
type Action uint8

// Actions, as the watch maps hold them.
const (
	Exclude = Action(bpf.SocketsActionACTION_EXCLUDE)
	Include = Action(bpf.SocketsActionACTION_INCLUDE)
	// Pending copies nothing until the process is judged.
	Pending = Action(bpf.SocketsActionACTION_PENDING)
)

// WatchAll lets every process be watched, without asking the watch maps; it is the state after New.
func (p *Probe) WatchAll() error { return p.filter(false, Include) }

// WatchBy makes the kernel ask the watch maps on every call; unlisted is what happens to a process that is in none. From then on
// a process that calls exec is Pending until WatchPID says what it is.
func (p *Probe) WatchBy(unlisted Action) error { return p.filter(true, unlisted) }

func (p *Probe) filter(on bool, unlisted Action) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.filtering, p.unlisted = on, unlisted
	p.packets.filter.Store(&filterState{on, unlisted})
	p.packets.version.Add(1)
	p.procs.hurry.Store(on)
	return p.writeSettings(p.enabled)
}

// WatchPID sets what happens to a process and, from now on, to the children it forks.
func (p *Probe) WatchPID(pid uint32, a Action) error {
	if err := p.maps[bpf.SocketsMapWatchedPids].Put(pid, uint8(a)); err != nil {
		return fmt.Errorf("writing process %d to the watch map: %w", pid, err)
	}
	p.packets.version.Add(1)
	return nil
}

// ForgetPID removes a process from the watch map.
func (p *Probe) ForgetPID(pid uint32) error {
	if err := p.maps[bpf.SocketsMapWatchedPids].Delete(pid); ignoreMissing(err) != nil {
		return fmt.Errorf("removing process %d from the watch map: %w", pid, err)
	}
	p.packets.version.Add(1)
	return nil
}

// PendingPIDs are the processes that wait to be judged.
func (p *Probe) PendingPIDs() ([]uint32, error) {
	var (
		list   []uint32
		pid    uint32
		action uint8
	)
	it := p.maps[bpf.SocketsMapWatchedPids].Iterate()
	for it.Next(&pid, &action) {
		if Action(action) == Pending {
			list = append(list, pid)
		}
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("reading the watch map: %w", err)
	}
	return list, nil
}

// WatchCgroup sets what happens to the processes of a cgroup (v2 id) that are not listed themselves.
func (p *Probe) WatchCgroup(id uint64, a Action) error {
	if err := p.maps[bpf.SocketsMapWatchedCgroups].Put(id, uint8(a)); err != nil {
		return fmt.Errorf("writing cgroup %d to the watch map: %w", id, err)
	}
	return nil
}

// WayCheck is whether one way of capture works on this host.
type WayCheck struct {
	Name, What string
	// Err is nil when all its programs load and attach. Missing are optional programs that this kernel has no place for.
	Err     error
	Missing map[string]error
}

// CheckWays attaches each way in turn, with small rings and with nobody watched, and detaches it again.
func CheckWays() ([]WayCheck, error) {
	p, err := New(Options{RingBytes: 1 << 16, Shards: 1})
	if err != nil {
		return nil, err
	}
	defer p.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.readTypes()()
	var checks []WayCheck
	for _, w := range ways() {
		clear(p.failures)
		err := p.attachWithBase(w)
		p.detach()
		c := WayCheck{Name: w.name, What: w.what, Err: err}
		if err == nil {
			c.Missing = maps.Clone(p.failures)
		}
		checks = append(checks, c)
	}
	return checks, nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}
