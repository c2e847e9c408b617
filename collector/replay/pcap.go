package replay

import (
	"encoding/binary"
	"fmt"

	"github.com/toposcope/toposcope/collector/packet"
)

// pcap reads the classic format (draft-ietf-opsawg-pcap).
type pcap struct {
	order binary.ByteOrder
	unit  int64 // nanoseconds of a time's fraction
	link  packet.LinkType
	buf   []byte
}

const (
	pcapHeader = 24
	pcapRecord = 16
)

func newPcap(f *File) (*pcap, error) {
	r := &pcap{order: binary.LittleEndian, unit: 1000}
	h, err := f.bytes(pcapHeader, &r.buf)
	if err != nil {
		if end(err) {
			return nil, fmt.Errorf("%s ends within its header", f.name)
		}
		return nil, fmt.Errorf("reading %s: %w", f.name, err)
	}
	magic := binary.LittleEndian.Uint32(h)
	if magic == magicMicrosSwapped || magic == magicNanosSwapped {
		r.order = binary.BigEndian
	}
	if magic == magicNanos || magic == magicNanosSwapped {
		r.unit = 1
	}
	if major := r.order.Uint16(h[4:]); major != 2 {
		return nil, fmt.Errorf("%s is a capture of version %d, which is not known", f.name, major)
	}
	r.link = packet.LinkType(r.order.Uint32(h[20:])) // the upper bits tell of check sums
	return r, nil
}

func (r *pcap) next(f *File, p *packet.Packet) error {
	h, err := f.bytes(pcapRecord, &r.buf)
	if err != nil {
		return err
	}
	seconds, fraction := r.order.Uint32(h), r.order.Uint32(h[4:])
	captured, length := r.order.Uint32(h[8:]), r.order.Uint32(h[12:])
	if captured > maxPacket {
		return fmt.Errorf("the next is said to have %d bytes: the file is damaged", captured)
	}
	p.Data, err = f.bytes(int(captured), &r.buf)
	if err != nil {
		return within(err)
	}
	f.stamp(p, int64(seconds), int64(fraction)*r.unit)
	p.Link, p.Length = r.link, max(int(min(length, maxPacket)), len(p.Data))
	return nil
}
