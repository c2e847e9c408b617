package protocol

import (
	"encoding/binary"
	"testing"
)

// TestComing has a hello of 60,000 bytes come byte by byte, in one record or in thousands: it is read a few times, not at each byte,
// and no record is looked at more than a few times.
func TestComing(t *testing.T) {
	const size = 60000
	for _, inRecord := range []int{1, 3, 7, 1 << 14} {
		hello := make([]byte, size)
		binary.BigEndian.PutUint32(hello, handshakeClientHello<<24|(size-handshakeHeader))
		var data []byte
		for rest := hello; len(rest) > 0; {
			n := min(inRecord, len(rest))
			data = append(data, recordHandshake, 3, 1)
			data = binary.BigEndian.AppendUint16(data, uint16(n))
			data, rest = append(data, rest[:n]...), rest[n:]
		}
		var p coming
		reads, back, record := 0, 0, 0
		for n := recordHeader + 1; n <= len(data); n++ {
			whole := p.whole(77, data[:n])
			if whole != (n == len(data)) {
				t.Fatalf("records of %d: whole is %v after %d of %d bytes", inRecord, whole, n, len(data))
			}
			if p.record < record {
				back++
			}
			record = p.record
			if p.due(n) {
				reads++
			}
		}
		if reads > 20 || back > 0 {
			t.Errorf("records of %d: read %d times, begun anew %d times", inRecord, reads, back)
		}
		if p.whole(78, data[:100]) {
			t.Error("another hello is taken for the one before")
		}
	}
}
