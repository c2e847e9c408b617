package all_test

import (
	"testing"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/all"
)

// opened are the first entry of some rows of the corpus.
func opened(b *testing.B) (list []beginning) {
	seen := map[string]bool{}
	for _, e := range beginnings(b) {
		if !seen[e.row] {
			seen[e.row] = true
			list = append(list, e)
		}
	}
	return list
}

// BenchmarkSniff asks all protocols about the first segment of a connection.
func BenchmarkSniff(b *testing.B) {
	specs := sniffers()
	for _, e := range opened(b) {
		b.Run(e.row, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, s := range specs {
					s.Sniff(dir(e.said[0]), e.said[0].Data)
				}
			}
		})
	}
}

// BenchmarkConnection opens a connection, hands its first segments over until it is decided, and closes it.
func BenchmarkConnection(b *testing.B) {
	for _, e := range opened(b) {
		b.Run(e.row, func(b *testing.B) {
			b.ReportAllocs()
			t := protocol.NewTracker(all.Specs(protocol.Options{}), protocol.Config{}, nil, ignore{})
			opened, closed := event.Opened{Role: event.RoleClient}, event.Closed{}
			seg := event.Segment{}
			for b.Loop() {
				opened.Conn++
				t.Handle(&opened)
				var off [2]uint64
				for i, s := range e.said {
					seg = event.Segment{Conn: opened.Conn, Dir: dir(s), Seq: uint64(i), Off: off[dir(s)], Data: s.Data, Size: len(s.Data)}
					off[seg.Dir] += uint64(len(s.Data))
					t.Handle(&seg)
				}
				closed.Conn, closed.Seq, closed.Sent, closed.Received = opened.Conn, uint64(len(e.said)), off[event.Sent], off[event.Received]
				t.Handle(&closed)
			}
		})
	}
}
