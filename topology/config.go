package topology

import (
	"net/netip"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/topology/route"
)

// Resolver gives the ends of a connection their names. *labeler.Labeler is one. Shards call it from goroutines of their
// own for each exchange, so it must be quick and safe. Equal identities are the same pointer.
type Resolver interface {
	// Process is who the task is; nil, or a Resource of KindUnknown, when nothing is known of it.
	Process(t event.Task) *labeler.Resource
	// Address is who held the address when a connection was made, seen from a network namespace, and whether that end is watched: by this
	// agent or, by what the directory of listeners tells, another. nil when nothing is known.
	Address(a netip.AddrPort, netns uint32, at time.Time) (*labeler.Resource, bool)
}

// Watcher may be implemented by a Resolver whose capture announces connections of processes that it does not watch.
// Without it, an end whose connection was announced counts as watched. It is asked of known processes only.
type Watcher interface {
	Watched(t event.Task) bool
}

// Historian may be implemented by a Resolver that knows who a task was at a time; its last exec may be younger than the bytes
// that are asked about.
type Historian interface {
	ProcessAt(t event.Task, at time.Time) *labeler.Resource
}

// Limits bound what is kept. Past one of them a label's value is Other, and the drop is counted.
type Limits struct {
	Series              int // all series of edges, operations and connections; default 50,000
	RoutesPerService    int // also of each other open-ended label of operations; default 100
	PeersPerService     int // default 1,000
	InstancesPerService int // default 200
	// Connections is how many open connections a shard remembers; default 1,000,000.
	Connections int
}

// Config is what a Topology is told at start. The zero value means the defaults.
type Config struct {
	// Protocols are those that capture can decode; a gap names its connection's protocol only by Spec.Name.
	Protocols []*protocol.Spec
	Routes    []route.Rule
	Limits    Limits
	// Idle is after how long without news a series is removed. It starts again from zero should it come back. Default 15
	// minutes.
	Idle time.Duration
	// NoInstanceEdges leaves the edges by instance out.
	NoInstanceEdges bool
	// ProcessPID puts process_pid on the operation series.
	ProcessPID bool
	// BusinessLabels are the names of the business labels on operation series; others that a Resource has are left out.
	BusinessLabels []string
	// Now is the clock that tells when counting began; default time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	set := func(at *int, v int) {
		if *at <= 0 {
			*at = v
		}
	}
	set(&c.Limits.Series, 50_000)
	set(&c.Limits.RoutesPerService, 100)
	set(&c.Limits.PeersPerService, 1000)
	set(&c.Limits.InstancesPerService, 200)
	set(&c.Limits.Connections, 1_000_000)
	if c.Idle <= 0 {
		c.Idle = 15 * time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}
