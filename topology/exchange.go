package topology

import (
	"time"
	"unsafe"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/protocol"
)

// Exchange counts x: on its edge, by the rule of sides, and as an operation of the process that was observed.
//
// The requests of an edge, with their outcomes, bytes and instances, are counted by the client's exchange where the
// client's end is watched, else by the server's. Latency is each side's own and always counted. Bytes are those of the
// messages, not of the connection, whose series are apart. What a driver does to look after its connection is counted
// apart from the requests, and in no latency; neither is a wait for something to happen.
func (s *Shard) Exchange(x *protocol.Exchange) {
	c := s.conn(x.Conn)
	if c == nil {
		s.unopened(x)
		return
	}
	at := x.End()
	local, remote, watched := s.ends(c, x, at)
	if local.Self || remote.Self {
		s.t.leftOut[leftOutSelf].Add(1)
		return
	}
	s.learnRole(c, x.Side, at)
	client, server := local, remote
	if x.Side == protocol.ServerSide {
		client, server = remote, local
	}
	took := at.Sub(x.Start())
	if took < 0 {
		s.t.leftOut[leftOutNegative].Add(1)
		took = 0
	}
	owned := s.owns(c, x, watched)
	ref := s.ref(c, client, server, x.Protocol, at)
	for !s.count(ref, x, owned, took, at) {
		s.dropRef(c, client, server, x.Protocol)
		ref = s.ref(c, client, server, x.Protocol, at)
	}
	s.touch(&ref.client, client, at)
	s.touch(&ref.server, server, at)
	s.operate(ref, local, x, took, at)
}

// unopened counts an exchange on a connection whose opening was lost. Who is at the other end, and so which end should
// count the edge, is not known; what the process served or asked for is.
func (s *Shard) unopened(x *protocol.Exchange) {
	s.t.leftOut[leftOutUnopened].Add(1)
	local := s.t.resolver.Process(x.Task)
	if !known(local) || local.Self {
		return
	}
	server := s.unknown.Name
	if x.Side == protocol.ServerSide {
		server = clean(local.Name)
	}
	s.operate(&edgeRef{routes: s.t.routes.Service(server)}, local, x, max(x.End().Sub(x.Start()), 0), x.End())
}

// learnRole takes a connection's role from its first exchange where capture could not tell.
func (s *Shard) learnRole(c *conn, side protocol.Side, at time.Time) {
	if c.role != event.RoleUnknown {
		return
	}
	c.role = event.RoleClient
	if side == protocol.ServerSide {
		c.role = event.RoleServer
	}
	s.bind(c, at)
}

// owns says whether this end's exchange is the one to count. Where the server's end had to count since no client's end was
// known, and one is announced late, the client's exchanges that were counted already are skipped.
func (s *Shard) owns(c *conn, x *protocol.Exchange, watched bool) bool {
	if x.Side == protocol.ServerSide {
		if watched {
			return false
		}
		c.claimed++
		c.claimedUntil = x.Start().UnixNano()
		return true
	}
	if p := c.peer; p != nil && p.claimed > 0 && x.Start().UnixNano() <= p.claimedUntil {
		p.claimed--
		return false
	}
	return true
}

// ref finds the edge of a call, from the connection's last call, the shard's memory or the registry.
func (s *Shard) ref(c *conn, client, server *labeler.Resource, spec *protocol.Spec, at time.Time) *edgeRef {
	if m := &c.memo; m.ref != nil && m.client == client && m.server == server && m.spec == spec {
		return m.ref
	}
	k := edgeRefKey{client, server, spec}
	ref, ok := s.edges[k]
	if !ok {
		if len(s.edges) >= memory {
			clear(s.edges)
		}
		r := &s.t.registry
		e := r.edge(client, server, connectionType(spec.System, client, server), spec.Name, at)
		ref = &edgeRef{
			edge: e, instance: r.instanceEdge(e, client, server, at),
			client: r.process(client, at), server: r.process(server, at),
			routes: s.t.routes.Service(e.Server.Name),
		}
		s.edges[k] = ref
	}
	c.memo = memo{client, server, spec, ref}
	return ref
}

// dropRef forgets an edge that was removed for having been idle.
func (s *Shard) dropRef(c *conn, client, server *labeler.Resource, spec *protocol.Spec) {
	delete(s.edges, edgeRefKey{client, server, spec})
	c.memo = memo{}
}

// count adds a call to its edge; false when the edge has been removed, and nothing is counted.
func (s *Shard) count(ref *edgeRef, x *protocol.Exchange, owned bool, took time.Duration, at time.Time) bool {
	e := ref.edge
	now := at.UnixNano()
	cost := 0
	e.mu.Lock()
	if e.gone {
		e.mu.Unlock()
		return false
	}
	if owned {
		cost += e.count(x, at)
	}
	switch {
	case x.Upkeep() || x.Waiting(): // neither says how fast the server is
	case x.Side == protocol.ClientSide:
		cost += e.client.observe(took, at)
	default:
		cost += e.server.observe(took, at)
	}
	e.cost += cost
	e.last = max(e.last, now)
	e.mu.Unlock()
	if cost != 0 {
		s.t.registry.series.Add(int64(cost))
	}
	if owned && !x.Upkeep() {
		s.countInstance(ref, x, now)
	}
	return true
}

// count adds an exchange to the counters of e, whose lock is held; cost is the number of series that it needs more.
func (e *edge) count(x *protocol.Exchange, at time.Time) (cost int) {
	e.sent += size(x.Request)
	if x.Response != nil {
		e.received += size(x.Response)
	}
	if x.Upkeep() {
		return e.upkeep.count(at)
	}
	if x.Waiting() {
		cost = e.waiting.count(at)
	}
	e.requests++
	switch x.Outcome {
	case protocol.Failed:
		e.failed++
	case protocol.Rejected:
		e.rejected++
	}
	return cost
}

func size(m *protocol.Message) uint64 { return uint64(max(m.Size, 0)) }

func (s *Shard) countInstance(ref *edgeRef, x *protocol.Exchange, now int64) {
	if i := ref.instance; i != nil && !i.count(x.Outcome == protocol.Failed, now) {
		ref.instance = s.t.registry.revive(i, now)
		if ref.instance != nil {
			ref.instance.count(x.Outcome == protocol.Failed, now)
		}
	}
}

// touchEvery is how exactly the last traffic of a process is known: all shards write it.
const touchEvery = 100 * time.Millisecond

// touch keeps the info series of a process, and brings it back when it was removed for having been idle.
func (s *Shard) touch(p **process, res *labeler.Resource, at time.Time) {
	if *p == nil {
		return
	}
	if (*p).gone.Load() {
		if *p = s.t.registry.process(res, at); *p == nil {
			return
		}
	}
	if now := at.UnixNano(); now-(*p).last.Load() >= int64(touchEvery) {
		(*p).last.Store(now)
	}
}

// operate counts x as an operation of the process that was observed.
func (s *Shard) operate(ref *edgeRef, local *labeler.Resource, x *protocol.Exchange, took time.Duration, at time.Time) {
	m := operationMetric(x.Protocol.System, x.Side)
	if m == noOperation || m == DNSLookup && x.Request.Kind == protocol.OneWay { // a multicast question is no lookup
		return
	}
	k := operationRefKey{resource: local, metric: m}
	for i, f := range schemaOf(m) {
		k.values[i] = s.value(ref, x, f)
	}
	s.observe(&k, took, at)
}

// recentOperation is one of the operations that came last.
type recentOperation struct {
	key       operationRefKey
	operation *operation
}

// recentOperations is a power of two, recentLabels how many labels choose among them.
const (
	recentOperations = 256
	recentLabels     = 4
)

// recentSlot is where k may be. Its strings are interned, so that where they lie tells them apart well enough.
func (s *Shard) recentSlot(k *operationRefKey) *recentOperation {
	h := uintptr(unsafe.Pointer(k.resource))>>4 + uintptr(k.metric)
	for _, v := range k.values[:recentLabels] {
		h = h*31 + uintptr(unsafe.Pointer(unsafe.StringData(v)))
	}
	return &s.recent[(h^h>>8^h>>16)%recentOperations]
}

// observe counts an operation that took so long.
func (s *Shard) observe(k *operationRefKey, took time.Duration, at time.Time) {
	recent := s.recentSlot(k)
	if recent.operation != nil && recent.key == *k && recent.operation.observe(took, at.UnixNano()) {
		return
	}
	*recent = recentOperation{*k, s.observeOne(*k, took, at)}
}

// observeOne is observe for one that is looked up.
func (s *Shard) observeOne(k operationRefKey, took time.Duration, at time.Time) *operation {
	for {
		o, ok := s.operations[k]
		if !ok {
			if len(s.operations) >= memory {
				clear(s.operations)
			}
			o = s.t.registry.operation(k.resource, k.metric, k.values, &s.t.cfg, at)
			s.operations[k] = o
		}
		if o.observe(took, at.UnixNano()) {
			return o
		}
		delete(s.operations, k)
	}
}

// value is the label f of x.
func (s *Shard) value(ref *edgeRef, x *protocol.Exchange, f field) string {
	switch f.from {
	case fromMethod:
		return method(x.Request.Attrs.Get(f.key))
	case fromRoute:
		if path := x.Request.Attrs.Get(f.key); path != nil {
			return ref.routes.Template(path)
		}
	case fromRequest:
		return s.intern(x.Request.Attrs.Get(f.key))
	case fromStatus:
		if x.Response != nil {
			return status(x.Response.Attrs.Get(f.key))
		}
	case fromResponse:
		if x.Response != nil {
			return s.intern(x.Response.Attrs.Get(f.key))
		}
	case fromError:
		return errorType(x)
	}
	return ""
}

// errorType is the value of error_type. The label alone must tell a failed operation of a database or of messaging: what such a
// server rejects is a redirection or the coordination of a cluster, and has ended no operation with an error.
func errorType(x *protocol.Exchange) string {
	switch x.Protocol.System {
	case protocol.SystemDB, protocol.SystemMessaging:
		if x.Outcome == protocol.Rejected {
			return ""
		}
	}
	return x.Error
}
