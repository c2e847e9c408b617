package topology

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/topology/route"
)

// Topology aggregates calls. Each of its shards belongs to one goroutine; the aggregates they share have a lock each, held
// for some 20 ns at a time, so that a reader never stops a shard and nothing has to be merged.
type Topology struct {
	cfg      Config
	resolver Resolver
	watched  Watcher   // nil: every announced end is
	history  Historian // nil: the resolver knows only the present
	routes   *route.Templates
	started  time.Time

	registry  registry
	listeners listeners
	datagrams datagrams

	mu     sync.Mutex // guards shards
	shards map[int]*Shard

	leftOut [leftOutReasons]atomic.Uint64
}

// leftOut says why an exchange is on no edge.
type leftOut int

const (
	// leftOutSelf: an end is Toposcope's own.
	leftOutSelf leftOut = iota
	// leftOutUnopened: the connection's opening was lost, so its other end, and who should count it, is not known.
	leftOutUnopened
	// leftOutNegative: the exchange was counted, but it ended before it began and was taken to last 0 s.
	leftOutNegative
	// leftOutConnections counts connections, not exchanges: those beyond Limits.Connections, whose exchanges are unopened.
	leftOutConnections
	leftOutReasons
)

func (r leftOut) String() string {
	return [leftOutReasons]string{"self", "unopened", "negative_duration", "connections"}[r]
}

// New makes a Topology. It fails on a route rule that is malformed.
func New(cfg Config, r Resolver) (*Topology, error) {
	cfg = cfg.withDefaults()
	cfg.BusinessLabels = slices.Clone(cfg.BusinessLabels)
	slices.Sort(cfg.BusinessLabels)
	cfg.BusinessLabels = slices.Compact(cfg.BusinessLabels)
	routes, err := route.New(route.Options{Max: cfg.Limits.RoutesPerService, Rules: cfg.Routes})
	if err != nil {
		return nil, fmt.Errorf("making route templates: %w", err)
	}
	t := &Topology{
		cfg: cfg, resolver: r, routes: routes, started: cfg.Now(),
		shards: map[int]*Shard{},
	}
	t.watched, _ = r.(Watcher)
	t.history, _ = r.(Historian)
	t.registry.init(cfg)
	return t, nil
}

// Shard is the i-th shard. It must be used from one goroutine only, and both ends of a connection within this host must
// come to the same one.
func (t *Topology) Shard(i int) *Shard {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.shards[i]
	if !ok {
		s = newShard(t)
		t.shards[i] = s
	}
	return s
}

// specOf is the protocol called name, nil when it is none that was configured.
func (t *Topology) specOf(name string) *protocol.Spec {
	for _, p := range t.cfg.Protocols {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// connectionType is the kind of edge between two ends.
func connectionType(s protocol.System, client, server *labeler.Resource) ConnectionType {
	switch {
	case s == protocol.SystemDB:
		return ConnectionDatabase
	case s == protocol.SystemMessaging:
		return ConnectionMessaging
	case !ours(client) || !ours(server):
		return ConnectionVirtual
	default:
		return ConnectionPlain
	}
}

func ours(r *labeler.Resource) bool {
	return r.Kind == labeler.KindService || r.Kind == labeler.KindWorkload
}

func keyOf(r *labeler.Resource) ServiceKey {
	return ServiceKey{Namespace: clean(r.Namespace), Name: clean(r.Name)}
}
