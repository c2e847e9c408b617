package replay

import (
	"bytes"
	"io"
	"testing"

	"github.com/toposcope/toposcope/collector/packet"
)

// FuzzFile: whatever a file holds, its packets are within it, and its error is one line.
func FuzzFile(f *testing.F) {
	f.Add([]byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x01\x00\x00\x00" +
		"\x00\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00\x05\x00\x00\x00abc"))
	f.Add([]byte("\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x4d\x3c\x2b\x1a\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x1c\x00\x00\x00" +
		"\x01\x00\x00\x00\x1c\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x09\x00\x01\x00\x09\x00\x00\x00\x1c\x00\x00\x00" +
		"\x06\x00\x00\x00\x24\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00\x05\x00\x00\x00abc\x00\x24\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := &File{name: "fuzzed"}
		err := file.begin(bytes.NewReader(data))
		var p packet.Packet
		total := 0
		for err == nil {
			if err = file.Next(&p); err != nil {
				break
			}
			if total += len(p.Data); p.Length < len(p.Data) || len(p.Data) > maxPacket {
				t.Fatalf("%d of %d bytes", len(p.Data), p.Length)
			}
		}
		if bytes.ContainsRune([]byte(err.Error()), '\n') {
			t.Fatal(err)
		}
		if err == io.EOF && total > len(data) && !bytes.HasPrefix(data, []byte("\x1f\x8b")) {
			t.Fatalf("%d bytes of packets in a file of %d", total, len(data))
		}
	})
}
