package main

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/toposcope/toposcope/api/store/tsdb"
	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/http1"
	"github.com/toposcope/toposcope/topology"
	"github.com/toposcope/toposcope/topology/metrics"
)

// town resolves processes by number: each is a service of its own.
type town []*labeler.Resource

func newTown(n int) town {
	t := make(town, n)
	for i := range t {
		name := fmt.Sprintf("service-%d", i)
		t[i] = &labeler.Resource{
			Name: name, Namespace: "town", InstanceID: name + "@host", Kind: labeler.KindService, PID: uint32(i + 1), Executable: name, Host: "host",
		}
	}
	return t
}

func (t town) Process(task event.Task) *labeler.Resource { return t[task.PID-1] }

func (t town) Address(netip.AddrPort, uint32, time.Time) (*labeler.Resource, bool) { return nil, false }

// round has every service call its next neighbours: an exchange of every route, seen at both ends.
type round struct {
	shard             *topology.Shard
	spec              *protocol.Spec
	services          int
	neighbours, paths int
}

func (r *round) play(at time.Time, first bool) {
	conn := event.ConnID(0)
	for i := range r.services {
		for n := range r.neighbours {
			client, server := event.Task{PID: uint32(i + 1)}, event.Task{PID: uint32((i+n+1)%r.services + 1)}
			ends := [2]event.ConnID{conn + 1, conn + 2}
			conn += 2
			if first {
				f := event.Flow{
					Local:  netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), uint16(10_000+n)),
					Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(server.PID >> 8), byte(server.PID)}), 80),
				}
				r.shard.Handle(&event.Opened{Conn: ends[0], Flow: f, Role: event.RoleClient, Owner: client, Time: at, ConnectDuration: time.Millisecond})
				r.shard.Handle(&event.Opened{Conn: ends[1], Flow: f.Mirror(), Role: event.RoleServer, Time: at})
				r.shard.Handle(&event.Accepted{Conn: ends[1], Task: server, Time: at, Wait: time.Millisecond})
			}
			for p := range r.paths {
				for side, id := range ends {
					x := &protocol.Exchange{
						Conn: id, Side: protocol.Side(side), Task: []event.Task{client, server}[side], Protocol: r.spec,
						Request:  &protocol.Message{Start: at, End: at, Size: 10},
						Response: &protocol.Message{Start: at, End: at.Add(time.Duration(3+p) * time.Millisecond), Size: 20},
					}
					x.Request.Attrs.SetString(protocol.HTTPRequestMethod, "GET")
					x.Request.Attrs.SetString(protocol.URLPath, fmt.Sprintf("/path%c", 'a'+p))
					x.Response.Attrs.SetString(protocol.HTTPResponseStatusCode, "200")
					r.shard.Exchange(x)
				}
			}
		}
	}
}

// BenchmarkSeries is a write of what 100 services that call three others each on four routes make: gathering and appending. It reports
// what a series costs in memory, in topology and store together, after an hour of writes.
func BenchmarkSeries(b *testing.B) {
	before := heap()
	now := time.Now()
	services := newTown(100)
	spec := http1.Spec()
	top, err := topology.New(topology.Config{Protocols: []*protocol.Spec{spec}, Now: func() time.Time { return now }}, services)
	if err != nil {
		b.Fatal(err)
	}
	collector, err := metrics.New(top, metrics.Sources{}, func() time.Time { return now })
	if err != nil {
		b.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector)
	store, err := tsdb.Open(tsdb.Options{Dir: b.TempDir(), MinFreeBytes: 1, Registerer: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close(context.Background())
	own := prometheus.NewRegistry()
	w := tsdb.NewWriter(store, tsdb.WriterOptions{Gatherer: registry, Now: func() time.Time { return now }, Registerer: own})
	r := &round{shard: top.Shard(0), spec: spec, services: len(services), neighbours: 3, paths: 4}
	write := func(first bool) {
		now = now.Add(tsdb.DefaultInterval)
		r.play(now, first)
		if err := w.Write(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	write(true)
	for range int(time.Hour / tsdb.DefaultInterval) {
		write(false)
	}
	series := gauge(b, own, "toposcope_store_series")
	perSeries := float64(heap()-before) / series
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(tsdb.DefaultInterval)
		if err := w.Write(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(series, "series")
	b.ReportMetric(perSeries, "heap-B/series")
	runtime.KeepAlive(top)
}

// heap is the live heap in bytes.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // what pools let go of in the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func gauge(b *testing.B, g prometheus.Gatherer, name string) float64 {
	b.Helper()
	families, err := g.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.Metric[0].GetGauge().GetValue()
		}
	}
	b.Fatalf("%s is missing", name)
	return 0
}
