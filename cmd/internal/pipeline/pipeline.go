// Package pipeline joins the stages on one host: capture's events go, shard by shard, through the tracker, which finds
// exchanges, to the topology, which counts them. It is shared by the commands.
package pipeline

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/probe"
	"github.com/toposcope/toposcope/collector/ring"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/topology"
)

// Names knows who holds an address; *labeler.Labeler is one.
type Names interface {
	Address(netip.AddrPort, uint32, time.Time) (*labeler.Resource, bool)
	Watched(event.Task) bool
	Listening(*event.Listening)
	// Accepted says that a task accepted a connection whose own end is local.
	Accepted(local netip.AddrPort, netns uint32, t event.Task, at time.Time)
}

// Pipeline is what lies between capture and the metrics.
type Pipeline struct {
	probe  *probe.Probe
	names  Names
	shards []*Shard
}

// New makes a pipeline with a shard for each of the probe's. answers may be nil.
func New(p *probe.Probe, specs []*protocol.Spec, cfg protocol.Config, names Names, answers Answers, t *topology.Topology) *Pipeline {
	pl := &Pipeline{probe: p, names: names}
	lookups := NewLookups(answers, apart)
	for i := range p.Shards() {
		counts := t.Shard(i)
		pl.shards = append(pl.shards, &Shard{
			tracker: protocol.NewTracker(specs, cfg, verdicts{p}, sink{counts, lookups}),
			counts:  counts, names: names, probe: p, lookups: lookups,
			waiting: map[event.ConnID]event.Flow{}, filtered: map[event.ConnID]struct{}{},
		})
	}
	return pl
}

// Run captures until ctx ends.
func (p *Pipeline) Run(ctx context.Context, processes ring.Processes) error {
	handlers := make([]probe.Handler, len(p.shards))
	for i, s := range p.shards {
		handlers[i] = s
	}
	return p.probe.Run(ctx, handlers, processes)
}

// Counters are the trackers', shard by shard.
func (p *Pipeline) Counters() []protocol.Counters {
	all := make([]protocol.Counters, len(p.shards))
	for i, s := range p.shards {
		all[i] = s.tracker.Counters()
	}
	return all
}

// Filtered is how many open connections the filter leaves out.
func (p *Pipeline) Filtered() (n int64) {
	for _, s := range p.shards {
		n += s.nFiltered.Load()
	}
	return n
}

// Shard handles the events of one shard of capture, from one goroutine.
type Shard struct {
	probe   *probe.Probe
	tracker *protocol.Tracker
	counts  *topology.Shard
	names   Names
	lookups *Lookups
	waiting map[event.ConnID]event.Flow // on an accept queue

	ticked    time.Time
	filtered  map[event.ConnID]struct{} // of processes that are not watched
	nFiltered atomic.Int64
}

var _ probe.Handler = (*Shard)(nil)

// Handle passes an event on. A connection is known to the topology before its exchanges come, and until the last has come.
func (s *Shard) Handle(ev event.Event) {
	switch ev := ev.(type) {
	case *event.Opened:
		s.counts.Handle(ev)
		if ev.Role == event.RoleServer && !ev.Existing {
			s.waiting[ev.Conn] = ev.Flow
		}
		if s.ours(ev) {
			s.probe.Refuse(ev.Conn) // what talks to Toposcope itself is nobody's business
			return
		}
		if s.excluded(ev) {
			s.filtered[ev.Conn] = struct{}{}
			s.nFiltered.Store(int64(len(s.filtered)))
		}
		s.tracker.Handle(ev)
	case *event.Accepted:
		if flow, ok := s.waiting[ev.Conn]; ok {
			delete(s.waiting, ev.Conn)
			s.names.Accepted(flow.Local, flow.NetNS, ev.Task, ev.Time)
		}
		s.counts.Handle(ev)
	case *event.Closed:
		delete(s.waiting, ev.Conn)
		delete(s.filtered, ev.Conn)
		s.nFiltered.Store(int64(len(s.filtered)))
		s.tracker.Handle(ev)
		s.counts.Handle(ev)
	case *event.Listening:
		if !ev.Task.IsZero() { // else it only tells the length of a queue
			s.names.Listening(ev)
		}
		s.counts.Handle(ev)
	default:
		s.counts.Handle(ev)
		s.tracker.Handle(ev)
	}
}

// Tick passes the time on.
func (s *Shard) Tick(now time.Time) {
	s.tracker.Tick(now)
	s.counts.Tick(now)
	if now.Sub(s.ticked) >= apart {
		s.ticked = now
		s.lookups.Tick(now, s.counts)
	}
}

// excluded tells whether the filter leaves a connection's own end out: by who connected, or who listens there.
func (s *Shard) excluded(ev *event.Opened) bool {
	if !ev.Owner.IsZero() {
		return !s.names.Watched(ev.Owner)
	}
	r, watched := s.names.Address(ev.Flow.Local, ev.Flow.NetNS, ev.Time)
	return r != nil && !r.Self && r.PID != 0 && !watched
}

func (s *Shard) ours(ev *event.Opened) bool {
	r, _ := s.names.Address(ev.Flow.Remote, ev.Flow.NetNS, ev.Time)
	return r != nil && r.Self
}

// verdicts tells the kernel what the tracker decided.
type verdicts struct{ probe *probe.Probe }

var _ protocol.Verdicts = verdicts{}

func (v verdicts) SetVerdict(c event.ConnID, d protocol.Verdict) {
	switch {
	case d.Refused:
		v.probe.Refuse(c)
	case d.Undecided:
		v.probe.Undecide(c)
	case d.Whole:
		v.probe.CopyAll(c, d.Tail)
	default:
		v.probe.Copy(c, d.Head, d.Tail)
	}
}
