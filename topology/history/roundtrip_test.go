package history_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/topology"
	"github.com/toposcope/toposcope/topology/history"
)

var specs = []*protocol.Spec{
	{Name: "http", System: protocol.SystemHTTP},
	{Name: "mysql", System: protocol.SystemDB},
	{Name: "kafka", System: protocol.SystemMessaging},
}

// socket is one end of a connection that the traffic of a test goes over; peer is 0 where it is not on this host.
type socket struct {
	client, server event.ConnID
	spec           *protocol.Spec
	web, cart      event.Task
	resent         uint64
}

// traffic makes random calls between processes of this host and addresses beyond.
type traffic struct {
	*rand.Rand
	w     *world
	links []*socket
	next  event.ConnID
	at    time.Duration
}

func newTraffic(w *world, seed uint64) *traffic {
	g := &traffic{Rand: rand.New(rand.NewPCG(seed, 7)), w: w}
	names := []string{"web", "cart", "python app.py", "a/b", "ünï", "worker"}
	for pid := range uint32(12) {
		name := names[pid%6]
		w.dir.processes[pid+1] = &labeler.Resource{
			Name: name, Namespace: []string{"shop", "", "ops"}[pid%3], InstanceID: fmt.Sprintf("%s@h%d", name, pid/6), PID: pid + 1,
			Kind: []labeler.Kind{labeler.KindService, labeler.KindWorkload}[pid%2], Executable: name, Host: fmt.Sprintf("h%d", pid/6),
			Unit: "unit.service", K8sPod: []string{"", "pod-1"}[pid%2],
		}
	}
	kinds := []labeler.Kind{labeler.KindExternal, labeler.KindHost, labeler.KindUnknown, labeler.KindWorkload}
	for i := range 8 {
		w.dir.addresses[g.address(i)] = &labeler.Resource{Name: fmt.Sprintf("far-%d", i), Kind: kinds[i%4]}
	}
	return g
}

func (g *traffic) address(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 443)
}

// open makes a connection: between two processes, to an address, or from one.
func (g *traffic) open() {
	s := g.w.Shard(0)
	l := &socket{spec: specs[g.IntN(len(specs))], web: event.Task{PID: uint32(g.IntN(12) + 1)}, cart: event.Task{PID: uint32(g.IntN(12) + 1)}}
	near := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(1024+len(g.links)))
	f := event.Flow{Local: near, Remote: netip.MustParseAddrPort("127.0.0.1:80"), NetNS: 1}
	kind := g.IntN(3)
	switch kind {
	case 1:
		f.Remote = g.address(g.IntN(8))
	case 2:
		f.Local, f.Remote = g.address(g.IntN(8)), near
	}
	if kind != 2 {
		g.next++
		l.client = g.next
		s.Handle(&event.Opened{Conn: l.client, Flow: f, Role: event.RoleClient, Owner: l.web, Time: g.now()})
	}
	if kind != 1 {
		g.next++
		l.server = g.next
		s.Handle(&event.Opened{Conn: l.server, Flow: f.Mirror(), Role: event.RoleServer, Time: g.now()})
		s.Handle(&event.Accepted{Conn: l.server, Task: l.cart, Time: g.now(), Wait: time.Millisecond})
	}
	g.links = append(g.links, l)
}

func (g *traffic) now() time.Time { return start.Add(g.at) }

// call makes one call, now and then lost, or resent.
func (g *traffic) call() {
	l := g.links[g.IntN(len(g.links))]
	s := g.w.Shard(0)
	x := protocol.Exchange{Protocol: l.spec, Outcome: protocol.Outcome(max(0, g.IntN(12)-9))}
	began := g.now()
	took := time.Duration(g.ExpFloat64() * float64(20*time.Millisecond))
	x.Request = &protocol.Message{Start: began, End: began, Size: int64(g.IntN(1000))}
	x.Response = &protocol.Message{Start: began.Add(took), End: began.Add(took), Size: int64(g.IntN(100000))}
	if g.IntN(20) == 0 {
		x.Request.End, x.Response, x.Outcome, x.Error = began.Add(took), nil, protocol.Failed, protocol.ErrorUnanswered
	}
	x.Request.Waiting, x.Request.Upkeep = g.IntN(5) == 0, g.IntN(5) == 0
	x.Request.Attrs.SetString(protocol.HTTPRequestMethod, "GET")
	x.Request.Attrs.SetString(protocol.URLPath, fmt.Sprintf("/items/%d", g.IntN(1000)))
	ends := []protocol.Side{protocol.ClientSide, protocol.ServerSide}
	if g.IntN(2) == 0 {
		ends[0], ends[1] = ends[1], ends[0]
	}
	for _, side := range ends {
		if x.Side, x.Conn, x.Task = side, l.client, l.web; side == protocol.ServerSide {
			x.Conn, x.Task = l.server, l.cart
		}
		if x.Conn == 0 {
			continue
		}
		s.Exchange(&x)
		if g.IntN(30) == 0 {
			s.Gap(x.Conn, l.spec.Name, uint64(g.IntN(3)+1))
		}
		if g.IntN(10) == 0 {
			l.resent += uint64(g.IntN(3))
			s.Handle(&event.Stats{Conn: x.Conn, Time: g.now(), Retransmits: l.resent, RTT: time.Millisecond})
		}
	}
}

// run has traffic for a while.
func (g *traffic) run(until time.Duration, calls int) {
	if until-g.at < time.Second {
		panic("too short a run")
	}
	step := (until - g.at - time.Second) / time.Duration(calls+1)
	for range calls {
		g.at += step
		if len(g.links) == 0 || g.IntN(20) == 0 {
			g.open()
		}
		g.call()
	}
	g.at = until
}

// TestRoundTrip compares the graph read back from the store with the live one: every field of every node and edge, over
// windows that begin before, between and at scrapes.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(30) {
		w := newWorld(t, topology.Config{Protocols: specs})
		g := newTraffic(w, seed)
		times := []time.Duration{15 * time.Second, 30 * time.Second, 45 * time.Second, 300 * time.Second}
		snapshots := []*topology.Snapshot{w.scrape(t, 0)}
		for _, at := range times {
			g.run(at, 20+g.IntN(200))
			snapshots = append(snapshots, w.scrape(t, at))
		}
		h := history.New(w.store, history.Options{})
		for i := range snapshots {
			for j := i + 1; j < len(snapshots); j++ {
				window := topology.Window{Start: snapshots[i].Time, End: snapshots[j].Time}
				got, err := h.Graph(context.Background(), history.Query{Window: window})
				if err != nil {
					t.Fatal(err)
				}
				same(t, fmt.Sprintf("seed %d, window %d to %d", seed, i, j), got, topology.Between(snapshots[i], snapshots[j]))
			}
		}
	}
}

// same compares what a user gets: the JSON, which has every field.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	g, err := json.MarshalIndent(got, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	w, err := json.MarshalIndent(want, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if string(g) != string(w) {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

// TestGraphHasEverything makes sure that the round trip compares graphs in which every field has a value.
func TestGraphHasEverything(t *testing.T) {
	w := newWorld(t, topology.Config{Protocols: specs})
	g := newTraffic(w, 1)
	a := w.scrape(t, 0)
	g.run(time.Minute, 2000)
	graph := topology.Between(a, w.scrape(t, time.Minute))
	kinds, types, health := map[string]int{}, map[string]int{}, map[topology.Health]int{}
	var rejected, lost, resent, sent, received, instances, waiting, upkeep float64
	for _, n := range graph.Nodes {
		kinds[n.Kind]++
		health[n.Health]++
		instances += float64(len(n.Instances))
	}
	for _, e := range graph.Edges {
		types[e.Protocol]++
		if e.RejectedRatio != nil {
			rejected += *e.RejectedRatio
		}
		lost += e.Lost
		waiting += e.WaitingPerSecond
		upkeep += e.UpkeepPerSecond
		resent += e.RetransmitsPerSecond
		sent += e.SentBytesPerSecond
		received += e.ReceivedBytesPerSecond
		if e.RequestsPerSecond > e.WaitingPerSecond && (e.P50Seconds == nil || e.P99Seconds == nil) {
			t.Errorf("edge %s has requests but no latency", e.ID)
		}
	}
	if len(kinds) < 5 || len(types) != 3 || rejected*lost*resent*sent*received*instances*waiting*upkeep == 0 {
		t.Errorf("kinds %v, protocols %v, waiting %g, upkeep %g, rejected %g, lost %g, resent %g, sent %g, received %g, instances %g", kinds, types,
			waiting, upkeep, rejected, lost, resent, sent, received, instances)
	}
}
