package topology

import (
	"net/netip"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/protocol"
)

// directory is a Resolver that knows what a test tells it.
type directory struct {
	processes map[uint32]*labeler.Resource
	addresses map[netip.AddrPort]entry
	unwatched map[uint32]bool
}

type entry struct {
	resource *labeler.Resource
	watched  bool
}

func (d *directory) Process(t event.Task) *labeler.Resource { return d.processes[t.PID] }

func (d *directory) Address(a netip.AddrPort, _ uint32, _ time.Time) (*labeler.Resource, bool) {
	e, ok := d.addresses[a]
	if !ok {
		r := &labeler.Resource{Name: a.Addr().String(), Kind: labeler.KindExternal}
		d.addresses[a] = entry{resource: r}
		return r, false
	}
	return e.resource, e.watched
}

func (d *directory) Watched(t event.Task) bool { return !d.unwatched[t.PID] }

func (d *directory) process(pid uint32, name string) *labeler.Resource {
	r := &labeler.Resource{
		Name: name, Namespace: "shop", InstanceID: name + "@h1", Kind: labeler.KindService, PID: pid, Start: uint64(pid),
		Executable: name, Host: "h1",
	}
	d.processes[pid] = r
	return r
}

func newDirectory() *directory {
	return &directory{
		processes: map[uint32]*labeler.Resource{}, addresses: map[netip.AddrPort]entry{}, unwatched: map[uint32]bool{},
	}
}

var (
	start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	http  = &protocol.Spec{Name: "http", System: protocol.SystemHTTP}
	mysql = &protocol.Spec{Name: "mysql", System: protocol.SystemDB}
)

func after(d time.Duration) time.Time { return start.Add(d) }

func newTopology(t testing.TB, cfg Config, r Resolver) *Topology {
	t.Helper()
	cfg.Protocols = []*protocol.Spec{http, mysql}
	cfg.Now = func() time.Time { return start }
	topo, err := New(cfg, r)
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// link is a connection between two sockets, either of which may be absent.
type link struct {
	client, server event.ConnID
	flow           event.Flow // the client's
	clientTask     event.Task
	serverTask     event.Task
}

func task(pid uint32) event.Task { return event.Task{PID: pid, TID: pid, Start: uint64(pid)} }

func flow(client, server string) event.Flow {
	return event.Flow{Local: netip.MustParseAddrPort(client), Remote: netip.MustParseAddrPort(server), NetNS: 1}
}

func (l link) openClient(at time.Duration) *event.Opened {
	return &event.Opened{Conn: l.client, Flow: l.flow, Role: event.RoleClient, Owner: l.clientTask, Time: after(at)}
}

func (l link) openServer(at time.Duration) *event.Opened {
	return &event.Opened{Conn: l.server, Flow: l.flow.Mirror(), Role: event.RoleServer, Time: after(at)}
}

func (l link) accept(at, wait time.Duration) *event.Accepted {
	return &event.Accepted{Conn: l.server, Task: l.serverTask, Time: after(at), Wait: wait}
}

// call is one exchange as its two ends see it, the server's within the client's.
type call struct {
	at, took time.Duration
	method   string
	path     string
	status   string
	outcome  protocol.Outcome
	err      string
	sent     int64
	received int64
}

func (c call) exchange(l link, side protocol.Side) *protocol.Exchange {
	x := &protocol.Exchange{
		Conn: l.client, Side: side, Task: l.clientTask, Protocol: http, Outcome: c.outcome, Error: c.err,
		Request:  &protocol.Message{Kind: protocol.Request, Start: after(c.at), End: after(c.at), Size: c.sent},
		Response: &protocol.Message{Kind: protocol.Response, Start: after(c.at + c.took), End: after(c.at + c.took), Size: c.received},
	}
	if side == protocol.ServerSide {
		x.Conn, x.Task = l.server, l.serverTask
		x.Request.Start = after(c.at + c.took/4)
		x.Response.End = after(c.at + c.took - c.took/4)
	}
	x.Request.Attrs.SetString(protocol.HTTPRequestMethod, c.method)
	x.Request.Attrs.SetString(protocol.URLPath, c.path)
	x.Response.Attrs.SetString(protocol.HTTPResponseStatusCode, c.status)
	return x
}

func get(at, took time.Duration, path string) call {
	return call{at: at, took: took, method: "GET", path: path, status: "200", sent: 100, received: 1000}
}

// only is the single edge of the topology.
func only(t *testing.T, topo *Topology) EdgeState {
	t.Helper()
	s := topo.Snapshot(after(time.Minute))
	if len(s.Edges) != 1 {
		t.Fatalf("%d edges, want 1: %+v", len(s.Edges), s.Edges)
	}
	return s.Edges[0]
}

func noRole(e *event.Opened) *event.Opened {
	c := *e
	c.Role, c.Existing = event.RoleUnknown, true
	if c.Owner.PID == 0 {
		c.Owner = task(20)
	}
	return &c
}

func play(s *Shard, steps []any) {
	for _, step := range steps {
		switch v := step.(type) {
		case event.Event:
			s.Handle(v)
		case *protocol.Exchange:
			s.Exchange(v)
		}
	}
}
