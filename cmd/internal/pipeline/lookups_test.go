package pipeline_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/toposcope/toposcope/cmd/internal/pipeline"
	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/labeler/dnsname"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/topology"
)

// nobody knows no end.
type nobody struct{}

func (nobody) Process(event.Task) *labeler.Resource { return nil }

func (nobody) Address(netip.AddrPort, uint32, time.Time) (*labeler.Resource, bool) { return nil, false }

// TestHandshakeNames has clients call their servers by name on two connections to one address.
func TestHandshakeNames(t *testing.T) {
	topo, err := topology.New(topology.Config{}, nobody{})
	if err != nil {
		t.Fatal(err)
	}
	names := dnsname.New(dnsname.Config{})
	lookups, shard := pipeline.NewLookups(names, 0), topo.Shard(0)
	dawn := time.Unix(1e9, 0)
	server := netip.MustParseAddrPort("192.0.2.7:443")
	open := func(id event.ConnID, after time.Duration) time.Time {
		at := dawn.Add(after)
		shard.Handle(&event.Opened{Conn: id, Role: event.RoleClient, Time: at, Flow: event.Flow{
			Local: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(40000+id)), Remote: server, NetNS: 5,
		}})
		return at
	}
	want := func(at time.Time, want string) {
		t.Helper()
		if got, _ := names.Name(server.Addr(), 5, 0, at); got != want {
			t.Errorf("at %v the address is %q, want %q", at.Sub(dawn), got, want)
		}
	}
	first, second := open(1, 0), open(2, 10*time.Millisecond)
	hello := func(id event.ConnID, side protocol.Side, direct bool, name string) {
		lookups.Handshake(&protocol.Handshake{Conn: id, Side: side, Direct: direct, ServerName: []byte(name), At: dawn.Add(time.Second)}, shard)
	}
	hello(1, protocol.ServerSide, true, "ours.example")
	hello(1, protocol.ClientSide, false, "behind.example")
	hello(1, protocol.ClientSide, true, "")
	hello(3, protocol.ClientSide, true, "stranger.example")
	want(second, "")
	hello(2, protocol.ClientSide, true, "files.example")
	hello(1, protocol.ClientSide, true, "api.example")
	want(first, "api.example")
	want(second, "files.example")
}
