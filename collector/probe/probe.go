// Package probe loads the kernel programs, attaches them by the best way the host allows, and hands their events to the
// pipeline, shard by shard. It is the only importer of cilium/ebpf.
package probe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sync/errgroup"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/privilege"
	"github.com/toposcope/toposcope/collector/ring"
)

// Handler takes the events of one shard, from one goroutine. An event is valid until Handle returns.
type Handler interface {
	Handle(event.Event)
	// Tick comes about every 10 ms, also when nothing happens.
	Tick(now time.Time)
}

// Options of a Probe. The zero value of each field is its default.
type Options struct {
	// Method is a way's name, or "auto" (default): the best that this host allows.
	Method string
	// RingBytes is the room of all rings together (16 MiB); Shards their number (the number of CPUs, 8 at most).
	RingBytes, Shards int
	// UndecidedHead is how many bytes of a turn are copied while a connection's protocol is not known (16 KiB).
	UndecidedHead int
	// StatsInterval is how often connections' totals and accept queues are read (15 s).
	StatsInterval time.Duration
	// DatagramPorts are the ports of servers whose datagrams are captured; without any, none are. Datagrams is the name of a way
	// to see them, or "auto" (default): the one that goes with Method, or the best that this host allows.
	DatagramPorts []uint16
	Datagrams     string
	// MaxNamespaces is how many network namespaces are captured where that takes a socket in each (1,024).
	MaxNamespaces int
	// Self is the PID whose traffic is left out (this process's).
	Self   int
	Logger *slog.Logger

	unchecked bool // leave it to the kernel to refuse what is not permitted
	maxConns  int  // of the kernel's table of connections, 0: what the object asks for; see Counters.Lost for those beyond
}

// Probe is capture on this host. Create it with New, then call Run once.
type Probe struct {
	opts  Options
	log   *slog.Logger
	held  privilege.Held
	clock *ring.Clock

	maps   map[string]*ebpf.Map
	rings  []*ebpf.Map
	shards []*shard
	procs  *processReader

	verdicts *verdictTable
	packets  packets
	untyped  error // why no program that needs the kernel's types can be loaded

	mu       sync.Mutex // guards what follows: attaching, detaching and asking
	programs []*program
	types    *btf.Cache // of the kernel, while programs are loaded
	method   string
	// datagrams is the way that datagrams are captured by, "" for none.
	datagrams string
	enabled   bool
	// filtering and unlisted are the filter in force; see WatchBy.
	filtering bool
	unlisted  Action
	shedding  shedding
	failures  map[string]error // by program, of those that did not attach

	closing sync.Once
	ready   atomic.Bool
	started atomic.Bool
}

// New makes the maps and rings. Nothing is attached before Run. The error names what the host refuses and the remedy.
func New(opts Options) (*Probe, error) {
	opts = withDefaults(opts)
	if _, err := wayNamed(opts.Method, ways()); err != nil {
		return nil, err
	}
	if _, err := wayNamed(opts.Datagrams, allDatagramWays()); err != nil {
		return nil, fmt.Errorf("datagrams: %w", err)
	}
	held, err := privilege.Read()
	if opts.unchecked {
		held = privilege.Everything()
	}
	if err == nil {
		err = held.Check(opts.Method)
	}
	if err != nil {
		return nil, fmt.Errorf("capture is not permitted: %w", err)
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("locked memory, which kernels before 5.11 account maps to, is limited: "+
			"CAP_SYS_RESOURCE is missing to raise the limit, or LimitMEMLOCK=infinity in the systemd unit: %w", err)
	}
	clock, err := ring.NewClock()
	if err != nil {
		return nil, err
	}
	p := &Probe{opts: opts, log: opts.Logger, held: held, clock: clock, failures: map[string]error{}}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		p.untyped = errors.New("the kernel's type information is missing at /sys/kernel/btf/vmlinux: use a kernel built with CONFIG_DEBUG_INFO_BTF")
	}
	if err := p.makeMaps(); err != nil {
		p.Close()
		return nil, err
	}
	if err := p.makeReaders(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Shards is the number of handlers that Run wants.
func (p *Probe) Shards() int { return p.opts.Shards }

// Run attaches the programs, tells of what exists already and feeds the handlers until ctx ends; then it detaches.
// handlers has one entry a shard.
func (p *Probe) Run(ctx context.Context, handlers []Handler, processes ring.Processes) error {
	if len(handlers) != len(p.shards) || !p.started.CompareAndSwap(false, true) {
		return fmt.Errorf("running capture: %d handlers for %d shards, or run twice", len(handlers), len(p.shards))
	}
	defer p.Close()
	p.procs.to = newcomers{processes, p}
	group, ctx := errgroup.WithContext(ctx)
	for i, s := range p.shards {
		group.Go(func() error { return s.run(ctx, handlers[i]) })
	}
	group.Go(func() error { return p.procs.run(ctx) })
	group.Go(func() error {
		if err := p.SetEnabled(ctx, true); err != nil {
			return err
		}
		p.ready.Store(true)
		return p.watchTotals(ctx)
	})
	return group.Wait()
}

// Close detaches everything and frees the maps. Run calls it; closing again does nothing.
func (p *Probe) Close() {
	p.closing.Do(p.close)
}

func (p *Probe) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.detach()
	for _, s := range p.shards {
		s.reader.Close()
	}
	if p.procs != nil {
		p.procs.reader.Close()
	}
	if p.verdicts != nil {
		p.verdicts.close()
	}
	for _, r := range p.rings {
		r.Close()
	}
	for _, m := range p.maps {
		m.Close()
	}
	p.packets.close()
}

// Enabled says whether programs are attached.
func (p *Probe) Enabled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.enabled
}

// SetEnabled attaches every program, or detaches them: the kill switch. Connections are forgotten when capture stops and found
// again when it starts.
func (p *Probe) SetEnabled(_ context.Context, on bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on == p.enabled {
		return nil
	}
	if !on {
		err := p.writeSettings(false) // from here on the programs do nothing
		p.detach()
		return errors.Join(err, p.forgetConns())
	}
	// Programs attach one after the other, over some 100 ms: until the last is there each does nothing, or a connection would be
	// seen in one direction and not in the other.
	if err := p.writeSettings(false); err != nil {
		return err
	}
	err := p.attach()
	if err == nil {
		err = p.writeSettings(true)
	}
	if err != nil {
		p.detach()
		return errors.Join(err, p.forgetConns())
	}
	p.enabled = true
	if p.method == packetMethod {
		return nil // they are found by their packets
	}
	return p.findExisting()
}

// Ready is nil once capture is attached, else the reason why not.
func (p *Probe) Ready() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.ready.Load():
		return errors.New("capture is being attached")
	case !p.enabled:
		return errors.New("capture is switched off (PUT /api/v1/capture)")
	default:
		return nil
	}
}

func withDefaults(o Options) Options {
	if o.Method == "" {
		o.Method = "auto"
	}
	if o.Datagrams == "" {
		o.Datagrams = "auto"
	}
	if o.MaxNamespaces <= 0 {
		o.MaxNamespaces = 1024
	}
	if o.RingBytes <= 0 {
		o.RingBytes = 16 << 20
	}
	if o.Shards <= 0 {
		o.Shards = min(onlineCPUs(), maxShards)
	}
	if o.UndecidedHead <= 0 {
		o.UndecidedHead = 16 << 10
	}
	if o.StatsInterval <= 0 {
		o.StatsInterval = 15 * time.Second
	}
	if o.Self == 0 {
		o.Self = os.Getpid()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
