package topology

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// registry holds every aggregate by its identity and keeps them within the limits. It is asked only when a shard meets a
// new combination of ends or labels.
type registry struct {
	limits    Limits
	instances bool
	// series is how many of limits.Series are in use. It is taken under mu; a histogram's share is added with its first
	// value, which may exceed the limit by as much.
	series atomic.Int64

	mu         sync.Mutex
	edges      map[edgeID]*edge
	byInstance map[instanceEdgeID]*instanceEdge
	operations map[string]*operation
	pairs      map[PairKey]*pair
	processes  map[ServiceKey]map[processID]*process
	// peers are the other ends of each service, instancesOf the instances of each, valuesOf the values of each open-ended
	// label of each: what the per-service limits count.
	peers       map[ServiceKey]map[ServiceKey]int
	instancesOf map[ServiceKey]map[string]struct{}
	valuesOf    map[valueKey]map[string]struct{}
	dropped     [dropReasons]uint64
}

// dropReason is a limit that was reached.
type dropReason int

const (
	dropSeries dropReason = iota
	dropPeers
	dropInstances
	dropValues
	dropRoutes
	dropReasons
)

func (r dropReason) String() string {
	return [dropReasons]string{"series", "peers", "instances", "values", "routes"}[r]
}

// What an aggregate costs of limits.Series. A histogram is eleven classic buckets, +Inf, count, sum and the native one.
const (
	histogramSeries = len(bounds) + 4
	edgeSeries      = 6 + histogramSeries
	instanceSeries  = 2
	pairSeries      = 6 + histogramSeries
	processSeries   = 1
	operationSeries = histogramSeries
)

// valueKey is an open-ended label of a service's operations.
type valueKey struct {
	ServiceKey
	label string
}

var otherKey = ServiceKey{Name: Other}

func (r *registry) init(cfg Config) {
	r.limits, r.instances = cfg.Limits, !cfg.NoInstanceEdges
	r.edges = map[edgeID]*edge{}
	r.byInstance = map[instanceEdgeID]*instanceEdge{}
	r.operations = map[string]*operation{}
	r.pairs = map[PairKey]*pair{}
	r.processes = map[ServiceKey]map[processID]*process{}
	r.peers = map[ServiceKey]map[ServiceKey]int{}
	r.instancesOf = map[ServiceKey]map[string]struct{}{}
	r.valuesOf = map[valueKey]map[string]struct{}{}
}

// take asks for n more series.
func (r *registry) take(n int) bool {
	if r.series.Load()+int64(n) > int64(r.limits.Series) {
		r.dropped[dropSeries]++
		return false
	}
	r.series.Add(int64(n))
	return true
}

// admit folds the end that would be one peer too many for the other.
func (r *registry) admit(client, server ServiceKey) (ServiceKey, ServiceKey) {
	if r.tooMany(client, server) {
		r.dropped[dropPeers]++
		server = otherKey
	}
	if r.tooMany(server, client) {
		r.dropped[dropPeers]++
		client = otherKey
	}
	return client, server
}

func (r *registry) tooMany(of, peer ServiceKey) bool {
	if of == otherKey || peer == otherKey {
		return false
	}
	peers := r.peers[of]
	_, known := peers[peer]
	return !known && len(peers) >= r.limits.PeersPerService
}

// meet notes that two services are each other's peers; part takes it back.
func (r *registry) meet(a, b ServiceKey) {
	for _, p := range [2][2]ServiceKey{{a, b}, {b, a}} {
		if r.peers[p[0]] == nil {
			r.peers[p[0]] = map[ServiceKey]int{}
		}
		r.peers[p[0]][p[1]]++
	}
}

func (r *registry) part(a, b ServiceKey) {
	for _, p := range [2][2]ServiceKey{{a, b}, {b, a}} {
		peers := r.peers[p[0]]
		if peers[p[1]]--; peers[p[1]] <= 0 {
			delete(peers, p[1])
		}
		if len(peers) == 0 {
			delete(r.peers, p[0])
		}
	}
}

// capped is value while label may have one more of that service, else Other.
func capped[K comparable](r *registry, sets map[K]map[string]struct{}, of K, value string, limit int, why dropReason) string {
	if value == "" {
		return ""
	}
	set := sets[of]
	if _, ok := set[value]; ok {
		return value
	}
	if len(set) >= limit {
		r.dropped[why]++
		return Other
	}
	if set == nil {
		set = map[string]struct{}{}
		sets[of] = set
	}
	set[value] = struct{}{}
	return value
}

// instance is an instance id as series have it, Other past the limit.
func (r *registry) instance(key ServiceKey, id string) string {
	if key == otherKey {
		return ""
	}
	id = clean(id)
	return capped(r, r.instancesOf, key, id, r.limits.InstancesPerService, dropInstances)
}

// expire removes what has had no news since before, and frees its share of the limits.
func (r *registry) expire(before time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := before.UnixNano()
	for k, e := range r.edges {
		if cost, gone := e.expire(t); gone {
			delete(r.edges, k)
			r.part(k.Client, k.Server)
			r.series.Add(-int64(cost))
		}
	}
	for k, e := range r.byInstance {
		if e.expire(t) {
			delete(r.byInstance, k)
			r.series.Add(-int64(instanceSeries))
		}
	}
	for k, o := range r.operations {
		if o.expire(t) {
			delete(r.operations, k)
			r.series.Add(-int64(operationSeries))
		}
	}
	for k, p := range r.pairs {
		if cost, gone := p.expire(t); gone {
			delete(r.pairs, k)
			r.part(k.Client, k.Server)
			r.series.Add(-int64(cost))
		}
	}
	for _, processes := range r.processes {
		for _, p := range processes {
			if p.expire(t) {
				r.remove(p)
			}
		}
	}
	r.forget()
}

// forget rebuilds the sets behind the per-service limits from what is still there.
func (r *registry) forget() {
	clear(r.instancesOf)
	clear(r.valuesOf)
	add := func(k ServiceKey, id string) {
		if id == "" || id == Other {
			return
		}
		if r.instancesOf[k] == nil {
			r.instancesOf[k] = map[string]struct{}{}
		}
		r.instancesOf[k][id] = struct{}{}
	}
	for k := range r.byInstance {
		add(k.Client, k.ClientInstance)
		add(k.Server, k.ServerInstance)
	}
	for _, processes := range r.processes {
		for k := range processes {
			add(k.ServiceKey, k.instance)
		}
	}
	for _, o := range r.operations {
		for i, f := range o.fields() {
			v := o.values[i]
			if f.open && v != "" && v != Other {
				k := valueKey{o.service, f.label}
				if r.valuesOf[k] == nil {
					r.valuesOf[k] = map[string]struct{}{}
				}
				r.valuesOf[k][v] = struct{}{}
			}
		}
		add(o.service, o.instance)
	}
}

// maxValue bounds a label's value in bytes.
const maxValue = 128

// clean makes a string from outside fit for a label: UTF-8, and not too long.
func clean(s string) string {
	if len(s) > maxValue {
		cut := maxValue
		for cut > maxValue-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut]
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return s
}
