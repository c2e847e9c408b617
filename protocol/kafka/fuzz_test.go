package kafka_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// FuzzParser: whatever comes after a client's hello, nothing panics and no length is negative; where no byte breaks the rules the same
// exchanges come of it wherever it is cut.
func FuzzParser(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		req := kmsg.RequestForKey(key)
		for _, version := range []int16{0, req.MaxVersion()} {
			req.SetVersion(version)
			resp := req.ResponseKind()
			resp.SetVersion(version)
			fill := &filler{r: r, names: true, errors: true}
			fill.fill(reflect.ValueOf(req).Elem(), "")
			fill.fill(reflect.ValueOf(resp).Elem(), "")
			f.Add(request(req, 7, "fuzz"), response(resp, 7), uint64(key))
		}
	}
	s := spec()
	f.Fuzz(func(t *testing.T, ask, answer []byte, seed uint64) {
		direct(t, s, ask, answer)
		if len(ask)+len(answer) > 12<<10 {
			return
		}
		whole, fine := fuzzed(t, s, ask, answer, nil)
		split, alsoFine := fuzzed(t, s, ask, answer, rand.New(rand.NewPCG(seed, 1)))
		if fine && alsoFine && whole != split {
			t.Errorf("whole:\n%s\ncut:\n%s", whole, split)
		}
	})
}

// direct calls a parser as a direct caller would.
func direct(t *testing.T, s *protocol.Spec, ask, answer []byte) {
	for _, then := range []protocol.Then{protocol.Continues, protocol.Hole, protocol.Ended, protocol.Idle} {
		p := s.New()
		for _, c := range []*protocol.Chunk{
			{Dir: event.Sent, Data: ask, Then: then, Missing: 7, Call: true, Turn: true},
			{Dir: event.Received, Data: answer, Then: then, Missing: 7, Call: true, Turn: true},
		} {
			if n, m, err := p.Next(c); n < 0 || n > 4+1<<30 || err != nil && (n != 0 || m != nil) {
				t.Errorf("%d bytes, %v, %v", n, m, err)
			}
			if n, ok := p.Resync(c); n < 0 || n > len(c.Data) || ok && n == len(c.Data) && n > 0 {
				t.Errorf("resync %d, %v", n, ok)
			}
			s.Sniff(c.Dir, c.Data)
		}
	}
}

// fuzzed plays a connection, cut by r when that is given, and says whether every byte could be followed.
func fuzzed(t *testing.T, s *protocol.Spec, ask, answer []byte, r *rand.Rand) (string, bool) {
	w := newWire(t, s, false)
	w.hello()
	for d, data := range [2][]byte{event.Sent: ask, event.Received: answer} {
		for len(data) > 0 {
			n := len(data)
			if r != nil {
				n = 1 + r.IntN(n)
			}
			w.moved(event.Dir(d), append([]byte(nil), data[:n]...), 0)
			data = data[n:]
		}
	}
	var b strings.Builder
	for _, g := range w.close() {
		odd := strings.ContainsFunc(g.topic+g.client+g.err, func(c rune) bool { return c < ' ' || c > '~' })
		if odd || len(g.topic) > 249 || len(g.client) > 249 {
			t.Errorf("%+v", g)
		}
		fmt.Fprintln(&b, g)
	}
	return b.String(), w.tracker.Counters().ParseErrors["kafka"] == 0
}
