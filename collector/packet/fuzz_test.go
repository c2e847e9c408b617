package packet_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/packet"
)

// FuzzPackets: any bytes, as a run of packets (link type, direction, time, captured and true length, then the bytes), give
// events that keep their rules, within the bounds, and nothing is left of them after a day.
func FuzzPackets(f *testing.F) {
	k := conversation(f).end()
	var seed []byte
	add := func(p packet.Packet) {
		seed = binary.BigEndian.AppendUint16(seed, uint16(p.Link))
		seed = append(seed, byte(len(seed)%3), byte(len(seed)))
		seed = binary.BigEndian.AppendUint16(seed, uint16(len(p.Data)))
		seed = binary.BigEndian.AppendUint16(seed, uint16(p.Length))
		seed = append(seed, p.Data...)
	}
	for _, p := range k.packets {
		add(p)
	}
	f.Add(seed)
	for _, part := range cutUp(udp(f, asker6, resolver6, 1, "0123456789012345678901234567890123456789"), 16) {
		add(raw(epoch, part))
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, perEnd := range []bool{false, true} {
			cfg := packet.Config{PerEnd: perEnd, MaxFlows: 8, MaxHeld: 4096, MaxFlowHeld: 1024, MaxFragmented: 4}
			r := newRecorder(t)
			a := packet.New(cfg, r.handle)
			at := epoch
			const header = 8
			for rest := data; len(rest) >= header; {
				n := min(int(binary.BigEndian.Uint16(rest[4:])), len(rest)-header)
				p := packet.Packet{
					Link: packet.LinkType(binary.BigEndian.Uint16(rest)), Direction: packet.Direction(rest[2] % 3),
					Data: rest[header : header+n : header+n], Length: int(binary.BigEndian.Uint16(rest[6:])),
				}
				at = at.Add(time.Duration(int8(rest[3])) * time.Millisecond)
				p.Time = at
				rest = rest[header+n:]
				a.Packet(&p)
				if p.Direction == packet.Incoming {
					a.Tick(at)
				}
			}
			a.Flush(at)
			c := a.Counters()
			if c.HeldBytes > cfg.MaxHeld || c.Flows > cfg.MaxFlows || c.Sockets > cfg.MaxFlows {
				t.Fatalf("%+v", c)
			}
			a.Tick(at.Add(24 * time.Hour))
			if c = a.Counters(); c.Flows != 0 || c.Sockets != 0 || c.HeldBytes != 0 {
				t.Fatalf("after a day: %+v", c)
			}
		}
	})
}

// FuzzSegments plays one connection whose segments have any flags, lengths and numbers, near each other and near the wrap.
func FuzzSegments(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x01" + "\x13\x00\x00\x00\x01\x00\x01" + "\x10\x00\x01\x00\x01\x05\x01" + "\x11\x00\x01\x00\x06\x09\x40"))
	f.Add([]byte("\x10\x00\x07\x00\x01\x05\x01" + "\x11\x00\x09\x00\x20\x05\x7f" + "\x14\x00\x07\x00\x01\x05\x7f" + "\x15\x00\x02\x00\x01\x05\x01"))
	template := segment{src: clientEnd, dst: serverEnd, ack: 1}.bytes(f)
	mirror := segment{src: serverEnd, dst: clientEnd, ack: 1}.bytes(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, cfg := range []packet.Config{{}, {MaxFlowHeld: 40, MaxHeld: 60}, {PerEnd: true}} {
			r := newRecorder(t)
			a := packet.New(cfg, r.handle)
			at := epoch
			for n := 0; len(data)-n >= 7; n += 7 {
				op := data[n : n+7]
				// The lowest bit is who sends, the others are the flags but for PSH, which is the FIN.
				b := append([]byte(nil), template...)
				if op[0]&1 == 1 {
					b = append([]byte(nil), mirror...)
				}
				flags := op[0] & 0x16
				if op[0]&8 != 0 {
					flags |= 1
				}
				seq, ack := uint32(int16(binary.BigEndian.Uint16(op[1:]))), uint32(int16(binary.BigEndian.Uint16(op[3:])))
				binary.BigEndian.PutUint32(b[24:], seq)
				binary.BigEndian.PutUint32(b[28:], ack)
				b[33] = flags
				b = append(b, make([]byte, op[5])...)
				binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
				at = at.Add(time.Duration(int8(op[6])) * 5 * time.Millisecond)
				p := raw(at, b)
				p.Direction = packet.Outgoing + packet.Direction(op[0]>>7)
				a.Packet(&p)
				if op[6]&1 == 0 {
					a.Tick(at)
				}
			}
			a.Flush(at)
			if c := a.Counters(); cfg.MaxHeld > 0 && c.HeldBytes > cfg.MaxHeld {
				t.Fatalf("%+v", c)
			}
			a.Tick(at.Add(24 * time.Hour))
			if c := a.Counters(); c.Flows != 0 || c.HeldBytes != 0 {
				t.Fatalf("after a day: %+v", c)
			}
		}
	})
}
