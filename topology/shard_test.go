package topology

import (
	"net/netip"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/protocol"
)

// TestSides feeds one call on one connection, as both ends tell it, in the orders in which their events may come.
func TestSides(t *testing.T) {
	local := link{
		client: 1, server: 2, flow: flow("127.0.0.1:40000", "127.0.0.1:80"), clientTask: task(10), serverTask: task(20),
	}
	c := get(10*time.Millisecond, 4*time.Millisecond, "/a")
	x, y := c.exchange(local, protocol.ClientSide), c.exchange(local, protocol.ServerSide)
	closed := func(id event.ConnID, at time.Duration) *event.Closed { return &event.Closed{Conn: id, Time: after(at)} }
	oc, os, ac := local.openClient(0), local.openServer(0), local.accept(0, 0)
	for name, steps := range map[string][]any{
		"client first":                     {oc, os, ac, x, y},
		"server's exchange first":          {oc, os, ac, y, x},
		"server opened first":              {os, oc, ac, y, x},
		"no accept seen":                   {oc, os, y, x},
		"client closed before the server":  {oc, os, ac, x, closed(1, time.Second), y, closed(2, time.Minute)},
		"client closed and forgotten":      {oc, os, ac, x, closed(1, time.Second), closed(9, time.Hour), y},
		"server closed before the client":  {oc, os, ac, y, closed(2, time.Second), x, closed(1, time.Second)},
		"exchanges after the closes":       {oc, os, ac, closed(1, time.Second), closed(2, time.Second), y, x},
		"client announced late, other way": {os, ac, oc, x, y},
		"roles not known":                  {noRole(oc), noRole(os), y, x},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirectory()
			d.process(10, "web")
			d.process(20, "cart")
			topo := newTopology(t, Config{}, d)
			play(topo.Shard(0), steps)
			e := only(t, topo)
			if e.Requests != 1 || e.Sent != 100 || e.Received != 1000 {
				t.Errorf("requests %d, sent %d, received %d; want 1, 100, 1000", e.Requests, e.Sent, e.Received)
			}
			if e.ClientSeconds.Count != 1 || e.ServerSeconds.Count != 1 {
				t.Errorf("latencies: client %d, server %d; want 1 each", e.ClientSeconds.Count, e.ServerSeconds.Count)
			}
			if e.ClientSeconds.Sum != 4*time.Millisecond || e.ServerSeconds.Sum != 2*time.Millisecond {
				t.Errorf("client %s, server %s; want 4ms, 2ms", e.ClientSeconds.Sum, e.ServerSeconds.Sum)
			}
			if got := (EdgeKey{e.Client, e.Server, e.Protocol}).ID(); got != "shop/web~~shop/cart~~http" {
				t.Errorf("edge %s", got)
			}
			if e.Type != ConnectionPlain {
				t.Errorf("connection type %q", e.Type)
			}
		})
	}
}

// TestLateClient announces the client's end when the server's has already counted, under the address it knew: the call
// still counts once.
func TestLateClient(t *testing.T) {
	l := link{client: 1, server: 2, flow: flow("127.0.0.1:40000", "127.0.0.1:80"), clientTask: task(10), serverTask: task(20)}
	one := get(10*time.Millisecond, 4*time.Millisecond, "/a")
	two := get(20*time.Millisecond, 4*time.Millisecond, "/a")
	d := newDirectory()
	d.process(10, "web")
	d.process(20, "cart")
	topo := newTopology(t, Config{}, d)
	play(topo.Shard(0), []any{
		l.openServer(0), l.accept(0, 0), one.exchange(l, protocol.ServerSide), l.openClient(0),
		one.exchange(l, protocol.ClientSide), two.exchange(l, protocol.ServerSide), two.exchange(l, protocol.ClientSide),
	})
	got := map[string]uint64{}
	for _, e := range topo.Snapshot(after(time.Minute)).Edges {
		got[EdgeKey{e.Client, e.Server, e.Protocol}.ID()] = e.Requests
	}
	if got["127.0.0.1~~shop/cart~~http"] != 1 || got["shop/web~~shop/cart~~http"] != 1 || len(got) != 2 {
		t.Errorf("requests %v, want one on each of the two edges", got)
	}
}

// TestOneSide has the other end elsewhere: on a watched machine, on one that is not, unknown, or excluded here.
func TestOneSide(t *testing.T) {
	l := link{client: 1, server: 2, flow: flow("10.0.0.1:40000", "10.0.0.2:80"), clientTask: task(10), serverTask: task(20)}
	c := get(0, 4*time.Millisecond, "/a")
	far := &labeler.Resource{Name: "far", Kind: labeler.KindService}
	for _, tc := range []struct {
		name     string
		side     protocol.Side
		far      *labeler.Resource
		watched  bool
		requests uint64
		edge     string
		kind     ConnectionType
	}{
		{"client calls a watched server", protocol.ClientSide, far, true, 1, "shop/web~~far~~http", ConnectionPlain},
		{"client calls an unwatched server", protocol.ClientSide, far, false, 1, "shop/web~~far~~http", ConnectionPlain},
		{"client calls an address", protocol.ClientSide, nil, false, 1, "shop/web~~10.0.0.2~~http", ConnectionVirtual},
		{"watched client calls the server", protocol.ServerSide, far, true, 0, "far~~shop/cart~~http", ConnectionPlain},
		{"unwatched client calls the server", protocol.ServerSide, far, false, 1, "far~~shop/cart~~http", ConnectionPlain},
		{"address calls the server", protocol.ServerSide, nil, false, 1, "10.0.0.1~~shop/cart~~http", ConnectionVirtual},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDirectory()
			d.process(10, "web")
			d.process(20, "cart")
			if tc.far != nil {
				at := l.flow.Remote
				if tc.side == protocol.ServerSide {
					at = l.flow.Local
				}
				d.addresses[at] = entry{tc.far, tc.watched}
			}
			topo := newTopology(t, Config{}, d)
			s := topo.Shard(0)
			if tc.side == protocol.ClientSide {
				s.Handle(l.openClient(0))
			} else {
				s.Handle(l.openServer(0))
				s.Handle(l.accept(0, 0))
			}
			s.Exchange(c.exchange(l, tc.side))
			e := only(t, topo)
			if e.Requests != tc.requests {
				t.Errorf("requests %d, want %d", e.Requests, tc.requests)
			}
			if e.ClientSeconds.Count+e.ServerSeconds.Count != 1 {
				t.Errorf("latencies: client %d, server %d; want one in all", e.ClientSeconds.Count, e.ServerSeconds.Count)
			}
			if got := (EdgeKey{e.Client, e.Server, e.Protocol}).ID(); got != tc.edge {
				t.Errorf("edge %s, want %s", got, tc.edge)
			}
			if e.Type != tc.kind {
				t.Errorf("connection type %q, want %q", e.Type, tc.kind)
			}
		})
	}
}

// TestUnknownPeerOnThisHost has a client that left no trace: capture told of it, so its end counts.
func TestUnknownPeerOnThisHost(t *testing.T) {
	l := link{client: 1, server: 2, flow: flow("127.0.0.1:40000", "127.0.0.1:80"), clientTask: task(10), serverTask: task(20)}
	d := newDirectory()
	d.processes[10] = &labeler.Resource{Name: "unknown", Kind: labeler.KindUnknown}
	d.unwatched[10] = true // as a labeler says of what it does not know
	d.process(20, "cart")
	topo := newTopology(t, Config{}, d)
	c := get(0, time.Millisecond, "/a")
	play(topo.Shard(0), []any{
		l.openClient(0), l.openServer(0), l.accept(0, 0),
		c.exchange(l, protocol.ServerSide), c.exchange(l, protocol.ClientSide),
	})
	if e := only(t, topo); e.Requests != 1 {
		t.Errorf("%d requests, want 1", e.Requests)
	}
}

func TestUnwatchedPeerOnThisHost(t *testing.T) {
	l := link{client: 1, server: 2, flow: flow("127.0.0.1:40000", "127.0.0.1:80"), clientTask: task(10), serverTask: task(20)}
	d := newDirectory()
	d.process(10, "cron")
	d.process(20, "cart")
	d.unwatched[10] = true
	topo := newTopology(t, Config{}, d)
	play(topo.Shard(0), []any{
		l.openClient(0), l.openServer(0), l.accept(0, 0),
		get(0, time.Millisecond, "/a").exchange(l, protocol.ServerSide),
	})
	if e := only(t, topo); e.Requests != 1 || e.Client.Name != "cron" {
		t.Errorf("requests %d from %q, want 1 from cron", e.Requests, e.Client.Name)
	}
}

// TestTwoNodes has an agent at each end, as different topologies: together they count a call once.
func TestTwoNodes(t *testing.T) {
	l := link{client: 1, server: 2, flow: flow("10.0.0.1:40000", "10.0.0.2:80"), clientTask: task(10), serverTask: task(20)}
	c := get(0, 4*time.Millisecond, "/a")
	at := func(open *event.Opened, side protocol.Side, name string, pid uint32, far netip.AddrPort, farName string) EdgeState {
		d := newDirectory()
		d.process(pid, name)
		d.addresses[far] = entry{&labeler.Resource{Name: farName, Namespace: "shop", Kind: labeler.KindService}, true}
		topo := newTopology(t, Config{}, d)
		topo.Shard(0).Handle(open)
		topo.Shard(0).Exchange(c.exchange(l, side))
		return only(t, topo)
	}
	a := at(l.openClient(0), protocol.ClientSide, "web", 10, l.flow.Remote, "cart")
	b := at(l.openServer(0), protocol.ServerSide, "cart", 20, l.flow.Local, "web")
	if a.Client != b.Client || a.Server != b.Server || a.Type != b.Type {
		t.Errorf("edges differ: %v → %v, %v → %v", a.Client, a.Server, b.Client, b.Server)
	}
	if a.Requests+b.Requests != 1 {
		t.Errorf("requests %d and %d, want 1 in all", a.Requests, b.Requests)
	}
	if a.ClientSeconds.Count != 1 || b.ServerSeconds.Count != 1 || a.ServerSeconds.Count+b.ClientSeconds.Count != 0 {
		t.Error("latencies are not each side's own")
	}
}

func TestSelfCall(t *testing.T) {
	l := link{client: 1, server: 2, flow: flow("127.0.0.1:40000", "127.0.0.1:80"), clientTask: task(10), serverTask: task(10)}
	d := newDirectory()
	d.process(10, "web")
	topo := newTopology(t, Config{}, d)
	c := get(0, 4*time.Millisecond, "/a")
	play(topo.Shard(0), []any{
		l.openClient(0), l.openServer(0), l.accept(0, 0),
		c.exchange(l, protocol.ServerSide), c.exchange(l, protocol.ClientSide),
	})
	e := only(t, topo)
	if e.Client != e.Server || e.Requests != 1 {
		t.Errorf("%v → %v: %d requests, want one from web to itself", e.Client, e.Server, e.Requests)
	}
	g := Between(nil, topo.Snapshot(after(10*time.Second)))
	if len(g.Nodes) != 1 || g.Nodes[0].RequestsPerSecond != 0.1 {
		t.Errorf("nodes %+v", g.Nodes)
	}
}

func TestOwnTrafficIsLeftOut(t *testing.T) {
	l := link{client: 1, server: 2, flow: flow("127.0.0.1:40000", "127.0.0.1:80"), clientTask: task(10), serverTask: task(20)}
	d := newDirectory()
	d.process(10, "web")
	d.process(20, "toposcope").Self = true
	topo := newTopology(t, Config{}, d)
	c := get(0, 4*time.Millisecond, "/a")
	play(topo.Shard(0), []any{
		l.openClient(0), l.openServer(0), l.accept(0, 0),
		c.exchange(l, protocol.ServerSide), c.exchange(l, protocol.ClientSide),
		&event.Closed{Conn: 1, Time: after(time.Second)}, &event.Closed{Conn: 2, Time: after(time.Second)},
	})
	s := topo.Snapshot(after(time.Second))
	if len(s.Edges)+len(s.Operations)+len(s.Pairs)+len(s.Processes) != 0 {
		t.Errorf("series of own traffic: %+v", s)
	}
	if s.LeftOut[leftOutSelf].Count != 2 {
		t.Errorf("left out %+v, want 2 for self", s.LeftOut)
	}
}

func TestUnopenedConnection(t *testing.T) {
	d := newDirectory()
	d.process(10, "web")
	topo := newTopology(t, Config{}, d)
	topo.Shard(0).Exchange(get(0, time.Millisecond, "/").exchange(link{client: 7, clientTask: task(10)}, protocol.ClientSide))
	s := topo.Snapshot(after(time.Second))
	if len(s.Edges) != 0 || s.LeftOut[leftOutUnopened].Count != 1 {
		t.Errorf("edges %+v, left out %+v", s.Edges, s.LeftOut)
	}
	if len(s.Operations) != 1 || s.Operations[0].Seconds.Count != 1 {
		t.Errorf("operations %+v; what the process asked for is known", s.Operations)
	}
}

func TestNegativeDurationIsClamped(t *testing.T) {
	l := link{client: 1, flow: flow("127.0.0.1:40000", "127.0.0.1:80"), clientTask: task(10)}
	d := newDirectory()
	d.process(10, "web")
	topo := newTopology(t, Config{}, d)
	play(topo.Shard(0), []any{l.openClient(0), get(time.Second, -time.Millisecond, "/").exchange(l, protocol.ClientSide)})
	e := only(t, topo)
	if e.ClientSeconds.Count != 1 || e.ClientSeconds.Sum != 0 {
		t.Errorf("latency %+v", e.ClientSeconds)
	}
	if n := topo.Snapshot(start).LeftOut[leftOutNegative].Count; n != 1 {
		t.Errorf("%d counted, want 1", n)
	}
}

// TestVeth joins two namespaces' ends of one connection, which see the same addresses, but not two loopbacks.
func TestVeth(t *testing.T) {
	for _, tc := range []struct {
		client, server string
		edges          int
	}{
		{"10.1.0.2:40000", "10.1.0.1:80", 1},
		{"127.0.0.1:40000", "127.0.0.1:80", 2},
		{"[fd00::2]:40000", "[fd00::1]:80", 1},
		{"[::1]:40000", "[::1]:80", 2},
	} {
		l := link{client: 1, server: 2, flow: flow(tc.client, tc.server), clientTask: task(10), serverTask: task(20)}
		d := newDirectory()
		d.process(10, "web")
		d.process(20, "cart")
		topo := newTopology(t, Config{}, d)
		server := l.openServer(0)
		server.Flow.NetNS = 2
		c := get(0, time.Millisecond, "/")
		play(topo.Shard(0), []any{
			l.openClient(0), server, l.accept(0, 0),
			c.exchange(l, protocol.ServerSide), c.exchange(l, protocol.ClientSide),
		})
		if s := topo.Snapshot(after(time.Second)); len(s.Edges) != tc.edges {
			t.Errorf("%s to %s: %d edges, want %d", tc.client, tc.server, len(s.Edges), tc.edges)
		}
	}
}

// TestReusedPorts has the same addresses carry a second connection, to another process.
func TestReusedPorts(t *testing.T) {
	f := flow("127.0.0.1:40000", "127.0.0.1:80")
	one := link{client: 1, server: 2, flow: f, clientTask: task(10), serverTask: task(20)}
	two := link{client: 3, server: 4, flow: f, clientTask: task(30), serverTask: task(40)}
	d := newDirectory()
	d.process(10, "web")
	d.process(20, "cart")
	d.process(30, "batch")
	d.process(40, "stock")
	topo := newTopology(t, Config{}, d)
	s := topo.Shard(0)
	for i, l := range []link{one, two} {
		at := time.Duration(i) * time.Second
		c := get(at+time.Millisecond, time.Millisecond, "/")
		play(s, []any{
			l.openClient(at), l.openServer(at), l.accept(at, 0),
			c.exchange(l, protocol.ServerSide), c.exchange(l, protocol.ClientSide),
			&event.Closed{Conn: l.client, Time: after(at + 500*time.Millisecond)},
			&event.Closed{Conn: l.server, Time: after(at + 500*time.Millisecond)},
		})
	}
	got := map[string]uint64{}
	for _, e := range topo.Snapshot(after(time.Minute)).Edges {
		got[EdgeKey{e.Client, e.Server, e.Protocol}.ID()] = e.Requests
	}
	if len(got) != 2 || got["shop/web~~shop/cart~~http"] != 1 || got["shop/batch~~shop/stock~~http"] != 1 {
		t.Errorf("edges %v", got)
	}
	s.Tick(after(time.Hour))
	// The client's end of a third and the server's of a fourth, which has nothing to do with it.
	three := link{client: 5, flow: f, clientTask: task(10)}
	four := link{server: 6, flow: f, serverTask: task(40)}
	play(s, []any{
		three.openClient(time.Hour), &event.Closed{Conn: 5, Time: after(time.Hour + time.Second)},
		four.openServer(time.Hour + 2*time.Second),
		get(time.Hour+3*time.Second, time.Millisecond, "/").exchange(four, protocol.ServerSide),
	})
	for _, e := range topo.Snapshot(after(time.Hour + time.Minute)).Edges {
		if e.Requests != 1 || e.Client.Name != "127.0.0.1" {
			t.Errorf("%d requests from %s, want 1 from the address", e.Requests, e.Client.Name)
		}
	}
	s.Tick(after(2 * time.Hour))
	play(s, []any{&event.Closed{Conn: 6, Time: after(2 * time.Hour)}})
	s.Tick(after(3 * time.Hour))
	if len(s.conns)+len(s.flows)+len(s.lingering)+len(s.pending) != 0 {
		t.Errorf("remembered after an hour: %d connections, %d flows, %d lingering, %d pending", len(s.conns), len(s.flows),
			len(s.lingering), len(s.pending))
	}
}

// TestUpkeep: what a driver does for its connections is no request unless it fails.
func TestUpkeep(t *testing.T) {
	for _, c := range []struct {
		name                      string
		outcome                   protocol.Outcome
		waiting, unanswered       bool
		requests, failed, upkeeps uint64
		seconds                   uint64
	}{
		{name: "ok", upkeeps: 1},
		{name: "rejected", outcome: protocol.Rejected, upkeeps: 1},
		{name: "failed", outcome: protocol.Failed, requests: 1, failed: 1, seconds: 1},
		{name: "unanswered", outcome: protocol.Failed, unanswered: true, requests: 1, failed: 1, seconds: 1},
		{name: "a wait that its connection has ended", waiting: true, unanswered: true, upkeeps: 1},
		{name: "a wait that fails", outcome: protocol.Failed, waiting: true, requests: 1, failed: 1},
	} {
		l := link{client: 1, server: 2, flow: flow("127.0.0.1:40000", "127.0.0.1:80"), clientTask: task(10), serverTask: task(20)}
		x := get(10*time.Millisecond, 4*time.Millisecond, "/a").exchange(l, protocol.ClientSide)
		x.Request.Upkeep, x.Request.Waiting, x.Outcome = true, c.waiting, c.outcome
		if c.unanswered {
			x.Response = nil
		}
		d := newDirectory()
		d.process(10, "web")
		d.process(20, "cart")
		topo := newTopology(t, Config{}, d)
		play(topo.Shard(0), []any{l.openClient(0), l.openServer(0), l.accept(0, 0), x})
		e := only(t, topo)
		if e.Requests != c.requests || e.Failed != c.failed || e.Upkeep != c.upkeeps || e.ClientSeconds.Count != c.seconds {
			t.Errorf("%s: %d requests, %d failed, %d upkeep, %d latencies", c.name, e.Requests, e.Failed, e.Upkeep, e.ClientSeconds.Count)
		}
	}
}
