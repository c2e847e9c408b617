package protocol

import (
	"net/netip"

	"github.com/toposcope/toposcope/collector/event"
)

// peer is the other end of a datagram on an unconnected socket.
type peer = netip.AddrPort

func (t *Tracker) datagram(c *conn, s *event.Segment) {}
