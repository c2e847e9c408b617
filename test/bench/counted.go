package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// counted is what came of requests at a fixed rate.
type counted struct {
	sent           float64
	client, server float64 // counted at either end
	lost           float64 // exchanges that edges are known to miss
	events         float64 // lost events
}

// share is what was counted of what was sent, at the end that counted less.
func (c counted) share() float64 { return min(c.client, c.server) / c.sent }

// measureCounted sends at a fixed rate and compares what was sent with what was counted.
func (b *bench) measureCounted(ctx context.Context) (counted, error) {
	top, err := b.startToposcope(ctx)
	if err != nil {
		return counted{}, err
	}
	defer top.Stop()
	server, generator, err := b.startLoad(ctx, b.connections, "-rate", strconv.FormatFloat(b.rate, 'g', -1, 64), "-duration", b.paced.String())
	if err != nil {
		return counted{}, err
	}
	defer server.Kill()
	report, err := generator.run()
	if err != nil {
		return counted{}, err
	}
	c := counted{sent: float64(report.Sent)}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		m, err := top.Metrics()
		if err != nil {
			return counted{}, err
		}
		c.client, c.server = m.Sum("http_client_request_duration_seconds_count"), m.Sum("http_server_request_duration_seconds_count")
		c.lost, c.events = m.Sum("toposcope_edge_lost_total"), m.Sum("toposcope_events_lost_total")
		if min(c.client, c.server) >= c.sent || time.Now().After(deadline) {
			return c, nil
		}
	}
}

func (c counted) String() string {
	return fmt.Sprintf("sent %.0f, counted %.0f by the client's end and %.0f by the server's, exchanges known to be missing %.0f, events lost %.0f",
		c.sent, c.client, c.server, c.lost, c.events)
}
