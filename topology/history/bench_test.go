package history_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/toposcope/toposcope/topology"
	"github.com/toposcope/toposcope/topology/history"
)

// list is a store without an index.
type list map[string][]history.Series

func (l list) Select(_ context.Context, name string, _ []history.Matcher, _, _ time.Time, yield func(*history.Series) error) error {
	for i := range l[name] {
		if err := yield(&l[name][i]); err != nil {
			return err
		}
	}
	return nil
}

// fleet is 20,000 edges among 5,000 nodes, five minutes of samples.
func fleet() list {
	const nodes, edges, samples = 5000, 20000, 21
	l := list{}
	name := func(i int) string { return fmt.Sprintf("service-%04d", i%nodes) }
	for i := range nodes {
		l[topology.MetricNodeInfo] = append(l[topology.MetricNodeInfo], history.Series{
			Labels:  map[string]string{"service_name": name(i), "service_namespace": "shop", "kind": "service"},
			Samples: []history.Sample{{Time: start.Add(time.Minute), Value: 1}},
		})
	}
	for i := range edges {
		labels := map[string]string{
			"client": name(i), "server": name(i*7 + i/nodes + 1), "client_service_namespace": "shop", "server_service_namespace": "shop",
			"protocol": "http",
		}
		var counter, latency []history.Sample
		for s := range samples {
			at := start.Add(time.Duration(s) * 15 * time.Second)
			counter = append(counter, history.Sample{Time: at, Value: float64(s * 10)})
			h := &history.Histogram{Schema: 3, Count: float64(s * 10), Sum: float64(s), Buckets: map[int32]float64{}}
			for b := range int32(30) {
				h.Buckets[b-60] = float64(s) / 3
			}
			latency = append(latency, history.Sample{Time: at, Value: math.NaN(), Histogram: h})
		}
		for _, m := range []string{
			topology.MetricRequests, topology.MetricFailed, topology.MetricRejected, topology.MetricLost,
			topology.MetricSentBytes, topology.MetricReceivedBytes, topology.MetricRetransmits,
		} {
			l[m] = append(l[m], history.Series{Labels: labels, Samples: counter})
		}
		for _, m := range []string{topology.MetricClientSeconds, topology.MetricServerSeconds} {
			l[m] = append(l[m], history.Series{Labels: labels, Samples: latency})
		}
	}
	return l
}

func BenchmarkGraph(b *testing.B) {
	h := history.New(fleet(), history.Options{})
	q := history.Query{Window: window(0, 300*time.Second)}
	b.ReportAllocs()
	for b.Loop() {
		g, err := h.Graph(context.Background(), q)
		if err != nil || len(g.Edges) != 20000 || len(g.Nodes) != 5000 {
			b.Fatalf("%d nodes, %d edges, %v", len(g.Nodes), len(g.Edges), err)
		}
	}
}
