package replay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/toposcope/toposcope/collector/packet"
)

// pcapng reads the format of draft-ietf-opsawg-pcapng: blocks, of which a section's interfaces and packets matter here.
type pcapng struct {
	order      binary.ByteOrder
	interfaces []device
	before     uint64 // packets that interfaces of sections before dropped
	section    bool   // one was begun
	buf        []byte
}

// device is an interface of the section.
type device struct {
	link    packet.LinkType
	snaplen uint32
	unit    uint64 // of times, in parts of a second
	offset  int64  // seconds
	dropped uint64
}

// Types of blocks, and of options.
const (
	blockSection    = 0x0a0d0d0a
	blockInterface  = 1
	blockPacket     = 2 // obsolete
	blockSimple     = 3
	blockStatistics = 5
	blockEnhanced   = 6

	optionEnd        = 0
	optionResolution = 9  // of an interface
	optionOffset     = 14 // of an interface
	optionIfDrop     = 5  // of statistics
	optionOSDrop     = 7  // of statistics
)

const (
	blockHeader = 8
	blockFrame  = 12 // header and trailer, which repeats the length
	// maxBlock bounds a block that is read into memory: a packet and its options.
	maxBlock = maxPacket + 1<<20
	// maxInterfaces bounds the interfaces of a section.
	maxInterfaces = 1 << 16

	orderMagic        = 0x1a2b3c4d
	orderMagicSwapped = 0x4d3c2b1a
)

var errDamaged = errors.New("the file is damaged")

func (r *pcapng) next(f *File, p *packet.Packet) error {
	for {
		kind, length, err := r.header(f)
		if err != nil {
			return err
		}
		switch kind {
		case blockSection, blockInterface, blockPacket, blockSimple, blockStatistics, blockEnhanced:
		default:
			if err := f.skip(int64(length)); err != nil {
				return err
			}
			continue
		}
		if length > maxBlock {
			return fmt.Errorf("a block is said to have %d bytes: %w", length, errDamaged)
		}
		body, err := f.bytes(int(length), &r.buf)
		if err != nil {
			return within(err)
		}
		if got := r.order.Uint32(body[length-4:]); got != length+blockHeader {
			return fmt.Errorf("a block's two lengths differ, %d and %d: %w", length+blockHeader, got, errDamaged)
		}
		found, err := r.block(f, kind, body[:length-4], p)
		if found || err != nil {
			return err
		}
	}
}

// header reads a block's type, and the length of what is left of it. A section's tells the byte order, too.
func (r *pcapng) header(f *File) (kind, length uint32, err error) {
	h, err := f.bytes(blockHeader, &r.buf)
	if err != nil {
		return 0, 0, err
	}
	var head [blockHeader]byte
	copy(head[:], h)
	kind = r.order.Uint32(head[:]) // a section's is the same either way
	if kind == blockSection {
		magic, err := f.in.Peek(4)
		if len(magic) < 4 {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, 0, err
		}
		switch binary.LittleEndian.Uint32(magic) {
		case orderMagic:
			r.order = binary.LittleEndian
		case orderMagicSwapped:
			r.order = binary.BigEndian
		default:
			return 0, 0, fmt.Errorf("a section has no byte order: %w", errDamaged)
		}
	}
	length = r.order.Uint32(head[4:])
	if length < blockFrame || length%4 != 0 {
		return 0, 0, fmt.Errorf("a block is said to have %d bytes: %w", length, errDamaged)
	}
	return kind, length - blockHeader, nil
}

// block reads one block; found: it is a packet.
func (r *pcapng) block(f *File, kind uint32, b []byte, p *packet.Packet) (found bool, err error) {
	switch kind {
	case blockSection:
		return false, r.begin(f, b)
	case blockInterface:
		return false, r.device(b)
	case blockStatistics:
		return false, r.statistics(f, b)
	case blockEnhanced:
		if len(b) < 20 {
			return false, errDamaged
		}
		return true, r.packet(f, p, r.order.Uint32(b), b[4:])
	case blockPacket:
		if len(b) < 20 {
			return false, errDamaged
		}
		return true, r.packet(f, p, uint32(r.order.Uint16(b)), b[4:])
	default:
		return true, r.simple(f, b, p)
	}
}

func (r *pcapng) begin(f *File, b []byte) error {
	if len(b) < 16 {
		return errDamaged
	}
	if major := r.order.Uint16(b[4:]); major != 1 {
		return fmt.Errorf("a section is of version %d, which is not known", major)
	}
	for i := range r.interfaces {
		r.before += r.interfaces[i].dropped
	}
	r.interfaces, r.section = r.interfaces[:0], true
	return nil
}

func (r *pcapng) device(b []byte) error {
	if len(b) < 8 || !r.section {
		return errDamaged
	}
	if len(r.interfaces) == maxInterfaces {
		return fmt.Errorf("a section has more than %d interfaces: %w", maxInterfaces, errDamaged)
	}
	d := device{link: packet.LinkType(r.order.Uint16(b)), snaplen: r.order.Uint32(b[4:]), unit: 1e6}
	ok := r.options(b[8:], func(code uint16, value []byte) bool {
		switch {
		case code == optionResolution && len(value) >= 1:
			d.unit = resolution(value[0])
		case code == optionOffset && len(value) >= 8:
			d.offset = int64(r.order.Uint64(value))
		}
		return d.unit != 0
	})
	if !ok {
		return fmt.Errorf("an interface's options make no sense: %w", errDamaged)
	}
	r.interfaces = append(r.interfaces, d)
	return nil
}

// resolution is how many units a second has: a power of 10, or with the first bit of 2. 0: more than can be counted.
func resolution(v byte) uint64 {
	exponent := v & 0x7f
	if v&0x80 != 0 {
		if exponent > 63 {
			return 0
		}
		return 1 << exponent
	}
	if exponent > 19 {
		return 0
	}
	n := uint64(1)
	for range exponent {
		n *= 10
	}
	return n
}

// options calls visit with each option until it returns false; ok: it never did, and they are well-formed.
func (r *pcapng) options(b []byte, visit func(code uint16, value []byte) bool) (ok bool) {
	for len(b) >= 4 {
		code, n := r.order.Uint16(b), int(r.order.Uint16(b[2:]))
		if code == optionEnd {
			return true
		}
		padded := (n + 3) &^ 3
		if b = b[4:]; padded > len(b) || !visit(code, b[:n]) {
			return false
		}
		b = b[padded:]
	}
	return true
}

// packet reads an enhanced packet from its time on, which the obsolete kind has in common with it.
func (r *pcapng) packet(f *File, p *packet.Packet, id uint32, b []byte) error {
	if uint64(id) >= uint64(len(r.interfaces)) {
		return fmt.Errorf("the next is of interface %d of %d: %w", id, len(r.interfaces), errDamaged)
	}
	d := &r.interfaces[id]
	at := uint64(r.order.Uint32(b))<<32 | uint64(r.order.Uint32(b[4:]))
	captured, length := r.order.Uint32(b[8:]), r.order.Uint32(b[12:])
	if b = b[16:]; uint64(captured) > uint64(len(b)) {
		return fmt.Errorf("the next is said to have %d bytes: %w", captured, errDamaged)
	}
	seconds, nanos := d.time(at)
	f.stamp(p, seconds, nanos)
	p.Data = b[:captured]
	p.Link, p.Length = d.link, max(int(min(length, maxPacket)), len(p.Data))
	return nil
}

// time is seconds since 1970, and nanoseconds. One that overflows is negative, and with that recognised.
func (d *device) time(at uint64) (seconds, nanos int64) {
	high, low := bits.Mul64(at%d.unit, 1e9)
	n, _ := bits.Div64(high, low, d.unit) // the remainder is less than the unit, so it fits
	s := at / d.unit
	if s > 1<<62 || d.offset < -1<<62 || d.offset > 1<<62 {
		return -1, 0
	}
	return int64(s) + d.offset, int64(n)
}

// simple reads a packet of the first interface that has no time.
func (r *pcapng) simple(f *File, b []byte, p *packet.Packet) error {
	if len(b) < 4 || len(r.interfaces) == 0 {
		return errDamaged
	}
	d := &r.interfaces[0]
	length := r.order.Uint32(b)
	captured := min(uint64(length), uint64(len(b)-4))
	if d.snaplen > 0 {
		captured = min(captured, uint64(d.snaplen))
	}
	p.Time = f.last
	p.Data = b[4 : 4+captured]
	p.Link, p.Length = d.link, max(int(min(length, maxPacket)), len(p.Data))
	return nil
}

// statistics reads how many packets an interface dropped, so far.
func (r *pcapng) statistics(f *File, b []byte) error {
	if len(b) < 12 {
		return errDamaged
	}
	id := r.order.Uint32(b)
	if uint64(id) >= uint64(len(r.interfaces)) {
		return fmt.Errorf("statistics of interface %d of %d: %w", id, len(r.interfaces), errDamaged)
	}
	var dropped uint64
	r.options(b[12:], func(code uint16, value []byte) bool {
		if (code == optionIfDrop || code == optionOSDrop) && len(value) >= 8 {
			dropped += r.order.Uint64(value)
		}
		return true
	})
	r.interfaces[id].dropped = dropped
	f.stats.Dropped = r.before
	for i := range r.interfaces {
		f.stats.Dropped += r.interfaces[i].dropped
	}
	return nil
}
