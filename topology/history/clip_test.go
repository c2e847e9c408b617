package history

import (
	"context"
	"testing"
	"time"

	"github.com/toposcope/toposcope/topology"
)

// recorded has one edge of 60 requests, and was written from start on.
type recorded struct{ start time.Time }

func (r recorded) Select(_ context.Context, name string, _ []Matcher, start, end time.Time, yield func(*Series) error) error {
	s := &Series{Labels: map[string]string{"client": "a", "server": "b", "protocol": "http"}}
	last := r.start.Add(time.Minute)
	switch name {
	case "toposcope_build_info":
		s.Samples = []Sample{{Time: r.start, Value: 1}, {Time: last, Value: 1}}
	case "traces_service_graph_request_total":
		s.Samples = []Sample{{Time: r.start}, {Time: last, Value: 60}}
	default:
		return nil
	}
	for len(s.Samples) > 0 && !s.Samples[0].Time.After(start) {
		s.Samples = s.Samples[1:]
	}
	if len(s.Samples) == 0 || s.Samples[0].Time.After(end) {
		return nil
	}
	return yield(s)
}

// TestClip wants the rate over what was recorded, not over the time before.
func TestClip(t *testing.T) {
	end := time.Unix(1_700_000_000, 0)
	for name, c := range map[string]struct {
		start  time.Time // of recording
		window time.Duration
		rate   float64
	}{
		"begins within the window": {end.Add(-time.Minute), 5 * time.Minute, 1},
		"began with the window":    {end.Add(-time.Minute), time.Minute, 1},
		"begins at its very end":   {end, time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := New(recorded{c.start}, Options{}).Graph(context.Background(),
				Query{Window: topology.Window{Start: end.Add(-c.window), End: end}})
			if err != nil {
				t.Fatal(err)
			}
			got := 0.0
			for _, e := range g.Edges {
				got += e.RequestsPerSecond
			}
			if got != c.rate {
				t.Errorf("%v requests/s in %+v, want %v", got, g.Window, c.rate)
			}
		})
	}
}
