package topology

import (
	"testing"
	"time"

	"github.com/toposcope/toposcope/protocol"
)

// TestApart: upkeep is no request, a wait is in no latency; both are operations. What a database rejects has no error_type.
func TestApart(t *testing.T) {
	l := link{client: 1, server: 2, flow: flow("10.0.0.1:40000", "10.0.0.2:80"), clientTask: task(10), serverTask: task(20)}
	for name, c := range map[string]struct {
		waiting, upkeep bool
		outcome         protocol.Outcome
		want            EdgeState
		timed           uint64
		errorType       string
	}{
		"plain":           {want: EdgeState{Requests: 1}, timed: 1},
		"wait":            {waiting: true, want: EdgeState{Requests: 1, Waiting: 1}},
		"failed wait":     {waiting: true, outcome: protocol.Failed, want: EdgeState{Requests: 1, Failed: 1, Waiting: 1}, errorType: "7"},
		"upkeep":          {upkeep: true, want: EdgeState{Upkeep: 1}},
		"failed upkeep":   {upkeep: true, outcome: protocol.Failed, want: EdgeState{Requests: 1, Failed: 1}, timed: 1, errorType: "7"},
		"rejected upkeep": {upkeep: true, outcome: protocol.Rejected, want: EdgeState{Upkeep: 1}},
		"upkeep waits":    {upkeep: true, waiting: true, want: EdgeState{Upkeep: 1}},
		"rejected":        {outcome: protocol.Rejected, want: EdgeState{Requests: 1, Rejected: 1}, timed: 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirectory()
			d.process(10, "web")
			topo := newTopology(t, Config{}, d)
			s := topo.Shard(0)
			s.Handle(l.openClient(0))
			x := call{at: 0, took: time.Millisecond, outcome: c.outcome}.exchange(l, protocol.ClientSide)
			x.Protocol, x.Request.Waiting, x.Request.Upkeep = mysql, c.waiting, c.upkeep
			if c.outcome != protocol.OK {
				x.Error = "7"
			}
			s.Exchange(x)
			snapshot := topo.Snapshot(after(time.Second))
			e := snapshot.Edges[0]
			got := EdgeState{Requests: e.Requests, Failed: e.Failed, Rejected: e.Rejected, Waiting: e.Waiting, Upkeep: e.Upkeep}
			if got.Requests != c.want.Requests || got.Failed != c.want.Failed || got.Rejected != c.want.Rejected ||
				got.Waiting != c.want.Waiting || got.Upkeep != c.want.Upkeep || e.ClientSeconds.Count != c.timed {
				t.Errorf("got %+v, timed %d; want %+v, timed %d", got, e.ClientSeconds.Count, c.want, c.timed)
			}
			if e.Waiting > 0 && e.WaitingCreated.IsZero() || e.Upkeep > 0 && e.UpkeepCreated.IsZero() {
				t.Error("a series without a start")
			}
			if len(snapshot.Operations) != 1 || snapshot.Operations[0].Seconds.Count != 1 {
				t.Fatalf("operations %+v", snapshot.Operations)
			}
			values := snapshot.Operations[0].Values
			if got := values[len(values)-1]; got != c.errorType {
				t.Errorf("error_type %q, want %q", got, c.errorType)
			}
		})
	}
}
