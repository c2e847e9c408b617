package topology

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// TestAnyOrder plays connections whose two ends each tell their story in order, the two interleaved at random: every call
// counts once, and every connection.
func TestAnyOrder(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		topo, s, _ := shop(t, Config{})
		var stories [][]any
		var calls, closed uint64
		connections := 1 + r.IntN(6)
		for i := range connections {
			l := link{
				client: event.ConnID(2*i + 1), server: event.ConnID(2*i + 2), clientTask: task(10), serverTask: task(20),
				flow: flow("127.0.0.1:1", "127.0.0.1:80"),
			}
			l.flow.Local = netip.AddrPortFrom(l.flow.Local.Addr(), uint16(1000+i))
			client, server := []any{l.openClient(0)}, []any{l.openServer(0), l.accept(0, 0)}
			for j := range r.IntN(6) {
				c := get(time.Duration(10*j)*time.Millisecond, 4*time.Millisecond, "/")
				client = append(client, c.exchange(l, protocol.ClientSide))
				server = append(server, c.exchange(l, protocol.ServerSide))
				calls++
			}
			if r.IntN(2) == 0 {
				client = append(client, &event.Closed{Conn: l.client, Time: after(time.Second)})
				server = append(server, &event.Closed{Conn: l.server, Time: after(time.Second)})
				closed++
			}
			stories = append(stories, client, server)
		}
		for len(stories) > 0 {
			i := r.IntN(len(stories))
			play(s, stories[i][:1])
			if stories[i] = stories[i][1:]; len(stories[i]) == 0 {
				stories = append(stories[:i], stories[i+1:]...)
			}
		}
		s.Tick(after(5 * time.Second))
		snap := topo.Snapshot(after(5 * time.Second))
		var clients, servers, connects uint64
		var active int64
		for _, e := range snap.Edges {
			clients += e.ClientSeconds.Count
			servers += e.ServerSeconds.Count
		}
		for _, p := range snap.Pairs {
			connects += p.Connects
			active += p.Active
		}
		if requests(snap) != calls || clients != calls || servers != calls {
			t.Fatalf("seed %d: %d requests, %d at clients, %d at servers; want %d", seed, requests(snap), clients, servers, calls)
		}
		if connects != uint64(connections) || active != int64(connections)-int64(closed) {
			t.Fatalf("seed %d: %d connects, %d active; want %d, %d", seed, connects, active, connections, connections-int(closed))
		}
	}
}
