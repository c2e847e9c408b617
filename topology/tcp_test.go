package topology

import (
	"net/netip"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/protocol"
)

func shop(t testing.TB, cfg Config) (*Topology, *Shard, *directory) {
	d := newDirectory()
	d.process(10, "web")
	d.process(20, "cart")
	topo := newTopology(t, cfg, d)
	return topo, topo.Shard(0), d
}

// onePair is the single pair of the topology.
func onePair(t *testing.T, topo *Topology) PairState {
	t.Helper()
	s := topo.Snapshot(after(time.Minute))
	if len(s.Pairs) != 1 {
		t.Fatalf("%d pairs, want 1: %+v", len(s.Pairs), s.Pairs)
	}
	return s.Pairs[0]
}

// TestConnections plays a connection's life at both ends and checks what is counted at its end and in between.
func TestConnections(t *testing.T) {
	l := link{client: 1, server: 2, flow: flow("127.0.0.1:40000", "127.0.0.1:80"), clientTask: task(10), serverTask: task(20)}
	oc, os := l.openClient(0), l.openServer(0)
	oc.ConnectDuration = 300 * time.Microsecond
	stats := func(id event.ConnID, at time.Duration, sent, received, retransmits uint64) *event.Stats {
		return &event.Stats{
			Conn: id, Time: after(at), Sent: sent, Received: received, Retransmits: retransmits, RTT: 2 * time.Millisecond,
		}
	}
	closed := func(id event.ConnID, at time.Duration, sent, received, retransmits uint64) *event.Closed {
		return &event.Closed{Conn: id, Time: after(at), Stats: *stats(id, at, sent, received, retransmits)}
	}
	life := []any{
		l.accept(10*time.Second, 10*time.Second),
		stats(1, 11*time.Second, 100, 900, 1), stats(2, 11*time.Second, 900, 100, 2),
	}
	ends := []any{closed(1, 12*time.Second, 150, 1000, 1), closed(2, 12*time.Second, 1000, 150, 3)}
	for name, open := range map[string][]any{"client first": {oc, os}, "server first": {os, oc}} {
		t.Run(name, func(t *testing.T) {
			topo, s, _ := shop(t, Config{})
			play(s, open)
			play(s, life)
			p := onePair(t, topo)
			if p.Active != 1 || p.Connects != 1 || p.Sent != 100 || p.Received != 900 || p.Retransmits != 3 {
				t.Errorf("open: %+v", p)
			}
			play(s, ends)
			p = onePair(t, topo)
			if p.Active != 0 || p.Connects != 1 || p.Sent != 150 || p.Received != 1000 || p.Retransmits != 4 || p.Failures != 0 {
				t.Errorf("closed: %+v", p)
			}
			if p.Client.Name != "web" || p.Server.Name != "cart" {
				t.Errorf("%v → %v", p.Client, p.Server)
			}
			if p.Accept.Count != 1 || p.Accept.Sum != 10*time.Second {
				t.Errorf("accept %d, %s", p.Accept.Count, p.Accept.Sum)
			}
			if p.Connect.Count != 1 || p.Connect.Sum != 300*time.Microsecond {
				t.Errorf("connect %d, %s", p.Connect.Count, p.Connect.Sum)
			}
			if p.RTT.Count != 2 || p.RTT.Sum != 4*time.Millisecond {
				t.Errorf("round-trip time %d, %s", p.RTT.Count, p.RTT.Sum)
			}
		})
	}
}

// TestQuietConnection counts a connection on which nothing happens, once its other end has had time to show.
func TestQuietConnection(t *testing.T) {
	l := link{client: 1, flow: flow("10.0.0.1:40000", "10.0.0.2:80"), clientTask: task(10)}
	topo, s, d := shop(t, Config{})
	d.addresses[l.flow.Remote] = entry{&labeler.Resource{Name: "far", Kind: labeler.KindHost}, false}
	s.Handle(l.openClient(0))
	if n := len(topo.Snapshot(start).Pairs); n != 0 {
		t.Errorf("%d pairs at once, want none yet", n)
	}
	s.Tick(after(bindAfter))
	if p := onePair(t, topo); p.Active != 1 || p.Connects != 1 || p.Server.Name != "far" {
		t.Errorf("%+v", p)
	}
}

func TestServersEndCountsUnwatchedClients(t *testing.T) {
	for _, watched := range []bool{false, true} {
		l := link{server: 2, flow: flow("10.0.0.1:40000", "10.0.0.2:80"), serverTask: task(20)}
		topo, s, d := shop(t, Config{})
		d.addresses[l.flow.Local] = entry{&labeler.Resource{Name: "far"}, watched}
		play(s, []any{
			l.openServer(0), l.accept(time.Millisecond, time.Millisecond),
			&event.Closed{Conn: 2, Time: after(time.Second), Stats: event.Stats{Sent: 900, Received: 100, RTT: time.Millisecond}},
		})
		p := onePair(t, topo)
		want := uint64(1)
		if watched {
			want = 0
		}
		if p.Connects != want || p.Sent != 100*want || p.Received != 900*want || p.RTT.Count != want || p.Accept.Count != 1 {
			t.Errorf("watched %t: %+v", watched, p)
		}
	}
}

// TestUnwatchedEnds has capture announce connections of processes that the filter leaves out.
func TestUnwatchedEnds(t *testing.T) {
	for _, tc := range []struct {
		name            string
		web, cart       bool // watched
		pairs, connects uint64
	}{{"both", true, true, 1, 1}, {"client", true, false, 1, 1}, {"server", false, true, 1, 1}, {"none", false, false, 0, 0}} {
		l := link{client: 1, server: 2, flow: flow("127.0.0.1:40000", "127.0.0.1:80"), clientTask: task(10), serverTask: task(20)}
		topo, s, d := shop(t, Config{})
		d.unwatched[10], d.unwatched[20] = !tc.web, !tc.cart
		play(s, []any{
			l.openClient(0), l.openServer(0), l.accept(0, 0),
			&event.Closed{Conn: 1, Time: after(time.Second)}, &event.Closed{Conn: 2, Time: after(time.Second)},
		})
		pairs, connects := uint64(0), uint64(0)
		for _, p := range topo.Snapshot(after(time.Second)).Pairs {
			pairs++
			connects += p.Connects
			if p.Active != 0 {
				t.Errorf("%s watched: %d active", tc.name, p.Active)
			}
		}
		if pairs != tc.pairs || connects != tc.connects {
			t.Errorf("%s watched: %d pairs, %d connects; want %d, %d", tc.name, pairs, connects, tc.pairs, tc.connects)
		}
	}
}

// TestExistingConnection is active but was not connected now, and takes its role from its first exchange.
func TestExistingConnection(t *testing.T) {
	l := link{client: 1, server: 2, flow: flow("127.0.0.1:40000", "127.0.0.1:80"), clientTask: task(10), serverTask: task(20)}
	topo, s, _ := shop(t, Config{})
	c := get(time.Second, time.Millisecond, "/")
	play(s, []any{
		noRole(l.openServer(0)), noRole(l.openClient(0)),
		&event.Stats{Conn: 1, Time: after(time.Second), Sent: 10, Received: 20},
		c.exchange(l, protocol.ServerSide), c.exchange(l, protocol.ClientSide),
		&event.Stats{Conn: 1, Time: after(2 * time.Second), Sent: 30, Received: 60},
		&event.Stats{Conn: 2, Time: after(2 * time.Second), Sent: 60, Received: 30},
	})
	p := onePair(t, topo)
	if p.Active != 1 || p.Connects != 0 || p.Sent != 30 || p.Received != 60 {
		t.Errorf("%+v", p)
	}
}

func TestConnectFailed(t *testing.T) {
	topo, s, d := shop(t, Config{})
	f := flow("10.0.0.1:40000", "10.0.0.2:81")
	d.addresses[f.Remote] = entry{&labeler.Resource{Name: "far"}, true}
	s.Handle(&event.ConnectFailed{Flow: f, Task: task(10), Time: after(time.Second), Duration: time.Second, Errno: 111})
	p := onePair(t, topo)
	if p.Failures != 1 || p.Connects != 0 || p.Active != 0 || p.Client.Name != "web" || p.Server.Name != "far" {
		t.Errorf("%+v", p)
	}
}

func TestAcceptQueue(t *testing.T) {
	topo, s, d := shop(t, Config{})
	d.process(30, "cart")
	local := netip.MustParseAddrPort("0.0.0.0:80")
	listen := func(port uint16, pid uint32, queue int, open bool, at time.Duration) *event.Listening {
		return &event.Listening{
			Local: netip.AddrPortFrom(local.Addr(), port), NetNS: 1, Task: task(pid), Open: open, Queue: queue, Time: after(at),
		}
	}
	cart := ServiceKey{"shop", "cart"}
	for i, step := range []struct {
		e    *event.Listening
		want int
	}{
		{listen(80, 20, 3, true, 1), 3},
		{listen(81, 30, 4, true, 2), 7},
		{listen(80, 0, 1, true, 3), 5},
		{listen(80, 20, 9, true, 2), 5}, // late
		{listen(81, 30, 0, false, 4), 1},
	} {
		s.Handle(step.e)
		if got := topo.Snapshot(start).AcceptQueues[cart]; got != step.want {
			t.Errorf("step %d: %d wait, want %d", i, got, step.want)
		}
	}
}

// TestGap counts what an edge is known to miss at the end that counts its requests.
func TestGap(t *testing.T) {
	l := link{client: 1, server: 2, flow: flow("127.0.0.1:40000", "127.0.0.1:80"), clientTask: task(10), serverTask: task(20)}
	topo, s, _ := shop(t, Config{})
	play(s, []any{l.openClient(0), l.openServer(0), l.accept(0, 0)})
	s.Gap(2, "http", 5) // the client's end counts
	s.Gap(1, "http", 3)
	s.Gap(1, "", 1)      // may be any protocol, but so far this edge spoke http
	s.Gap(77, "http", 1) // nobody's
	if e := only(t, topo); e.Lost != 4 || e.Requests != 0 || e.Protocol != "http" {
		t.Errorf("%+v", e)
	}
	g := Between(nil, topo.Snapshot(after(time.Second)))
	if len(g.Edges) != 1 || g.Edges[0].Lost != 4 || g.Edges[0].FailedRatio != nil {
		t.Errorf("edges %+v", g.Edges)
	}
}

// TestBounds closes many connections and opens too many.
func TestBounds(t *testing.T) {
	topo, s, _ := shop(t, Config{Limits: Limits{Connections: 100}})
	l := link{clientTask: task(10), serverTask: task(20)}
	for i := range 150 {
		l.client, l.flow = event.ConnID(i+1), flow("127.0.0.1:40000", "127.0.0.1:80")
		l.flow.Local = netip.AddrPortFrom(l.flow.Local.Addr(), uint16(40000+i))
		s.Handle(l.openClient(0))
	}
	if len(s.conns) != 100 || topo.Snapshot(start).LeftOut[leftOutConnections].Count != 50 {
		t.Errorf("%d remembered, left out %+v", len(s.conns), topo.Snapshot(start).LeftOut)
	}
	for i := range 150 {
		s.Handle(&event.Closed{Conn: event.ConnID(i + 1), Time: after(time.Second)})
	}
	s.Tick(after(time.Minute))
	if p := onePair(t, topo); p.Active != 0 || p.Connects != 100 {
		t.Errorf("%+v", p)
	}
	if len(s.conns)+len(s.flows)+len(s.pending)+len(s.lingering) != 0 {
		t.Errorf("%d connections, %d flows, %d pending, %d lingering", len(s.conns), len(s.flows), len(s.pending), len(s.lingering))
	}
}
