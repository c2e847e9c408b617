package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/toposcope/toposcope/cmd/internal/config"
	"github.com/toposcope/toposcope/cmd/internal/pipeline"
	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/replay"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/labeler/dnsname"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/all"
	"github.com/toposcope/toposcope/topology"
)

// playback is what a capture's events go through: the same stages as on a host, with the packets' times for the clock, and
// addresses in the place of processes.
type playback struct {
	player   *replay.Player
	tracker  *protocol.Tracker
	counts   *topology.Shard
	topology *topology.Topology
	names    *addresses
	lookups  *pipeline.Lookups
	specs    []*protocol.Spec

	lines *exchangeLines // nil: exchanges are not printed
	// onTick is told the packets' time after the stages, nil for nobody. stop ends the playback with an error.
	onTick func(now time.Time) error
	stop   context.CancelCauseFunc

	flows     map[event.ConnID]event.Flow // of open connections, when exchanges are printed
	undecoded undecoded
	opened    uint64 // connections
	began     time.Time
	clock     atomic.Int64 // the packets' time, Unix nanoseconds; 0 before the first
}

var (
	_ replay.Handler         = (*playback)(nil)
	_ protocol.Sink          = (*playback)(nil)
	_ protocol.HandshakeSink = (*playback)(nil)
)

// forever is how long series are kept where nothing but their sum is wanted: captures may be of any length.
const forever = 100 * 365 * 24 * time.Hour

// manySeries bounds what is summed up when nothing is stored.
const manySeries = 1_000_000

// newPlayback makes the stages. serve says that the series are for a store, and so are kept as on a live host.
func newPlayback(cfg *config.Config, serve bool) (*playback, error) {
	p := &playback{
		specs: protocol.Select(all.Specs(cfg.Keep()), cfg.Capture.Protocols), names: newAddresses(), flows: map[event.ConnID]event.Flow{},
	}
	tc := topology.Config{
		Protocols: p.specs, Routes: cfg.RouteRules(), Limits: cfg.Limits.Topology(), NoInstanceEdges: !cfg.Metrics.InstanceEdges,
		BusinessLabels: labeler.LabelNames(cfg.Labels), Now: p.now,
	}
	if !serve { // only the sums are wanted, and no series costs a store anything
		tc.Idle, tc.NoInstanceEdges = forever, true
		tc.Limits.Series = max(tc.Limits.Series, manySeries)
	}
	var err error
	if p.topology, err = topology.New(tc, p.names); err != nil {
		return nil, err
	}
	p.counts = p.topology.Shard(0)
	answers := dnsname.New(dnsname.Config{})
	p.names.named, p.lookups = answers, pipeline.NewLookups(answers, 0)
	p.tracker = protocol.NewTracker(p.specs, protocol.Config{Keep: cfg.Keep()}, &p.undecoded, p)
	return p, nil
}

// now is the packets' time, before the first the time of day. It may be called from any goroutine.
func (p *playback) now() time.Time {
	if n := p.clock.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Now()
}

// nanos is t as Unix nanoseconds, but never 0, which stands for none.
func nanos(t time.Time) int64 { return max(t.UnixNano(), 1) }

// Handle implements replay.Handler.
func (p *playback) Handle(ev event.Event) {
	switch e := ev.(type) {
	case *event.Opened:
		p.opened++
		p.names.opened(e)
		if p.lines != nil {
			p.flows[e.Conn] = e.Flow
		}
		p.counts.Handle(ev)
		p.tracker.Handle(ev)
	case *event.Closed:
		p.tracker.Handle(ev)
		p.counts.Handle(ev)
		delete(p.flows, e.Conn)
	default:
		p.counts.Handle(ev)
		p.tracker.Handle(ev)
	}
}

// Tick implements replay.Handler.
func (p *playback) Tick(now time.Time) {
	if p.began.IsZero() {
		p.began = now
	}
	p.clock.Store(nanos(now))
	p.tracker.Tick(now)
	p.counts.Tick(now)
	p.lookups.Tick(now, p.counts)
	if p.lines != nil {
		if err := p.lines.tick(); err != nil {
			p.stop(err)
		}
	}
	if p.onTick != nil {
		if err := p.onTick(now); err != nil {
			p.stop(err)
		}
	}
}

// Exchange implements protocol.Sink.
func (p *playback) Exchange(x *protocol.Exchange) {
	p.counts.Exchange(x)
	p.lookups.Exchange(x, p.counts)
	if p.lines == nil {
		return
	}
	flow := p.flows[x.Conn]
	if x.Peer.IsValid() {
		flow.Remote = x.Peer
	}
	if err := p.lines.write(x, flow); err != nil {
		p.stop(err)
	}
}

// Gap implements protocol.Sink.
func (p *playback) Gap(c event.ConnID, name string, n uint64) { p.counts.Gap(c, name, n) }

// Handshake implements protocol.HandshakeSink.
func (p *playback) Handshake(h *protocol.Handshake) {
	p.lookups.Handshake(h, p.counts)
	p.undecoded.handshake(h)
}
