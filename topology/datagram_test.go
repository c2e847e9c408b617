package topology

import (
	"net/netip"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

var dns = &protocol.Spec{Name: "dns", System: protocol.SystemDNS}

// lookup is one question as the socket of conn tells it, asked of or by peer.
func lookup(conn event.ConnID, side protocol.Side, who event.Task, peer string, at time.Duration) *protocol.Exchange {
	x := &protocol.Exchange{
		Conn: conn, Side: side, Task: who, Protocol: dns, Peer: netip.MustParseAddrPort(peer),
		Request:  &protocol.Message{Size: 40, Start: after(at), End: after(at)},
		Response: &protocol.Message{Size: 60, Start: after(at + time.Millisecond), End: after(at + time.Millisecond)},
	}
	x.Request.Attrs.Set(protocol.DNSQuestionType, []byte("A"))
	x.Response.Attrs.Set(protocol.DNSResponseCode, []byte("NOERROR"))
	return x
}

func socket(conn event.ConnID, local string, netns uint32, owner event.Task, role event.Role) *event.Opened {
	return &event.Opened{
		Conn: conn, Flow: event.Flow{Local: netip.MustParseAddrPort(local), NetNS: netns}, Role: role, Datagram: true,
		Owner: owner, Time: start,
	}
}

// TestDatagrams joins the two ends of exchanges whose sockets have no other end of their own, and may be on different shards.
func TestDatagrams(t *testing.T) {
	for _, c := range []struct {
		name           string
		client, server *event.Opened
		asks, answers  string // addresses that the client asks, and that the server answers
		want           string
		requests       uint64
	}{
		{
			"on any address", socket(1, "0.0.0.0:40000", 7, task(10), event.RoleClient), socket(2, "[::]:53", 7, task(20), event.RoleServer),
			"127.0.0.1:53", "127.0.0.1:40000", "shop/web~~shop/resolver~~dns", 1,
		},
		{
			"from another namespace", socket(1, "10.0.0.2:40000", 7, task(10), event.RoleClient), socket(2, "10.0.0.1:53", 8, task(20), event.RoleServer),
			"10.0.0.1:53", "10.0.0.2:40000", "shop/web~~shop/resolver~~dns", 1,
		},
		{
			"asker not known", socket(1, "127.0.0.1:40000", 7, event.Task{}, event.RoleClient), socket(2, "127.0.0.1:53", 7, task(20), event.RoleServer),
			"127.0.0.1:53", "127.0.0.1:40000", "unknown~~shop/resolver~~dns", 1,
		},
		{
			"asker not watched", nil, socket(2, "10.0.0.1:53", 7, task(20), event.RoleServer),
			"", "10.0.0.9:40000", "10.0.0.9~~shop/resolver~~dns", 1,
		},
		{
			"server not watched", socket(1, "10.0.0.1:40000", 7, task(10), event.RoleClient), nil,
			"10.0.0.9:53", "", "shop/web~~10.0.0.9~~dns", 1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDirectory()
			d.process(10, "web")
			d.process(20, "resolver")
			topo := newTopology(t, Config{}, d)
			near, far := topo.Shard(0), topo.Shard(1)
			if c.client != nil {
				near.Handle(c.client)
			}
			if c.server != nil {
				far.Handle(c.server)
				far.Exchange(lookup(2, protocol.ServerSide, task(20), c.answers, time.Second))
			}
			if c.client != nil {
				near.Exchange(lookup(1, protocol.ClientSide, c.client.Owner, c.asks, time.Second))
			}
			e := only(t, topo)
			if got := (EdgeKey{e.Client, e.Server, e.Protocol}).ID(); got != c.want || e.Requests != c.requests {
				t.Errorf("%s with %d requests, want %s with %d", got, e.Requests, c.want, c.requests)
			}
		})
	}
}

// TestDatagramPortsAreUsedAgain: a port belongs to the socket that has it now.
func TestDatagramPortsAreUsedAgain(t *testing.T) {
	d := newDirectory()
	d.process(10, "web")
	d.process(11, "cart")
	d.process(20, "resolver")
	topo := newTopology(t, Config{}, d)
	s := topo.Shard(0)
	s.Handle(socket(1, "127.0.0.1:40000", 7, task(10), event.RoleClient))
	s.Handle(&event.Closed{Conn: 1, Time: after(time.Second)})
	s.Handle(socket(2, "127.0.0.1:40000", 7, task(11), event.RoleClient))
	s.Tick(after(time.Hour)) // forgets the first
	if got, ok := topo.datagrams.find(netip.MustParseAddrPort("127.0.0.1:40000"), 7); !ok || got != task(11) {
		t.Errorf("the port is %v's (known: %v), want the second socket's", got, ok)
	}
	s.Handle(&event.Closed{Conn: 2, Time: after(time.Hour)})
	s.Tick(after(2 * time.Hour))
	if n := len(topo.datagrams.ends); n != 0 {
		t.Errorf("%d sockets are remembered after their end", n)
	}
}

// TestResolution counts what a program waited for, beside its lookups.
func TestResolution(t *testing.T) {
	d := newDirectory()
	d.process(10, "web")
	topo := newTopology(t, Config{}, d)
	s := topo.Shard(0)
	r := Resolution{Task: task(10), Name: "cart", Type: "A", Code: "NOERROR", Start: after(0), End: after(8 * time.Millisecond)}
	s.Resolved(&r)
	s.Resolved(&r)
	r.Task = task(99) // who is that?
	s.Resolved(&r)
	ops := topo.Snapshot(after(time.Minute)).Operations
	if len(ops) != 1 || ops[0].Metric != DNSResolution || ops[0].Seconds.Count != 2 || ops[0].Seconds.Sum != 16*time.Millisecond {
		t.Fatalf("operations %+v, want one of 2 times 8ms", ops)
	}
	if got := ops[0].Values[:4]; got[0] != "A" || got[1] != "NOERROR" || got[2] != "cart" || got[3] != "" {
		t.Errorf("labels %q", got)
	}
}
