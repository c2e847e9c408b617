package mysql_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/mysql"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

// BenchmarkIdleConnection measures what a connection costs that has had so many different statements and is idle.
func BenchmarkIdleConnection(b *testing.B) {
	const conns = 2000
	for _, statements := range []int{0, 1, 10} {
		b.Run(fmt.Sprint(statements), func(b *testing.B) {
			for range b.N {
				held := make([]protocol.Parser, 0, conns)
				before := protocoltest.Heap()
				for range conns {
					p := mysql.Spec(protocol.Options{TextLimit: 2048}).New()
					for i, data := range [][]byte{
						lines(b, protocol.ServerSide, 0xff, "greeting 8.4.6 +eofless"),
						lines(b, protocol.ClientSide, 0, "response app +eofless db=shop"),
					} {
						feed(b, p, event.Dir(1-i), data)
					}
					for i := range statements {
						feed(b, p, event.Sent, lines(b, protocol.ClientSide, 0xff, fmt.Sprintf("query SELECT a%d, b, c FROM orders WHERE id = 7", i)))
					}
					held = append(held, p)
				}
				b.ReportMetric(float64(protocoltest.Heap()-before)/conns, "B/conn")
				runtime.KeepAlive(held)
			}
		})
	}
}

func feed(tb testing.TB, p protocol.Parser, d event.Dir, data []byte) {
	if _, _, err := p.Next(&protocol.Chunk{Dir: d, Data: data, Call: true, Turn: true}); err != nil {
		tb.Fatal(err)
	}
}
