package ring

import (
	"fmt"
	"unsafe"

	"github.com/toposcope/toposcope/bpf"
	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/packet"
)

// IsPacket tells a packet's record, which Packet decodes, from those that Decode does.
func IsPacket(b []byte) bool {
	return len(b) > 0 && bpf.SocketsEventType(b[0]) == bpf.SocketsEventTypeEVENT_PACKET
}

// Packet decodes a packet's record into p. Data points into b.
func (d *Decoder) Packet(b []byte, p *packet.Packet) error {
	r, err := as[bpf.SocketsPacketEvent](b)
	if err != nil {
		return err
	}
	data := b[unsafe.Sizeof(*r):]
	if int64(r.Head) > int64(len(data)) || r.Head > r.Size {
		return fmt.Errorf("%w: %d bytes of a packet of %d in %d", ErrRecord, r.Head, r.Size, len(data))
	}
	*p = packet.Packet{
		Time: d.clock.Wall(r.Header.Time), Link: packet.LinkRaw, Data: data[:r.Head:r.Head], Length: int(r.Size), NetNS: r.Netns,
		Direction: packet.Incoming, Task: task(r.Header.Task),
	}
	if event.Dir(r.Header.Direction) == event.Sent {
		p.Direction = packet.Outgoing
	}
	return nil
}
