package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/version"
	"golang.org/x/sync/errgroup"

	"github.com/toposcope/toposcope/api"
	"github.com/toposcope/toposcope/api/store/tsdb"
	"github.com/toposcope/toposcope/cmd/internal/config"
	"github.com/toposcope/toposcope/collector/replay"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/topology/history"
	"github.com/toposcope/toposcope/topology/metrics"
	"github.com/toposcope/toposcope/ui"
)

// replayServer shows a capture as a host shows itself: its series are in a store, at the packets' times.
type replayServer struct {
	*playback
	flags    *replayFlags
	log      *slog.Logger
	file     *replay.File
	interval time.Duration

	series *prometheus.Registry // of the capture, written to the store
	own    *prometheus.Registry // of the process
	dir    string               // of the store
	store  *tsdb.Store
	writer *tsdb.Writer
	next   time.Time // when the series are written next
	begun  atomic.Int64
	done   atomic.Bool // all of the file is in the store
	failed atomic.Pointer[error]
}

// serveReplay plays the file into a store and serves it until ctx ends, also when the file turns out to be damaged: what was
// read is shown, and the damage told.
func serveReplay(ctx context.Context, cfg *config.Config, f *replayFlags, file *replay.File, p *playback, log *slog.Logger) error {
	if f.webConfigFile != "" {
		if err := api.CheckWebConfig(f.webConfigFile); err != nil {
			return err
		}
	}
	listener, err := api.Listen(f.listenAddress, "--web.listen-address")
	if err != nil {
		return err
	}
	defer listener.Close()
	var health net.Listener
	if f.healthAddress != "" {
		if health, err = api.Listen(f.healthAddress, "--web.health-address"); err != nil {
			return err
		}
		defer health.Close()
	}
	s := &replayServer{
		playback: p, flags: f, log: log, file: file, interval: time.Duration(cfg.Global.ScrapeInterval),
		series: prometheus.NewRegistry(), own: prometheus.NewRegistry(),
	}
	closeStore, err := s.open()
	if err != nil {
		return err
	}
	defer closeStore()
	a, err := s.api(listener, health)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.Run(ctx) })
	group.Go(func() error { return s.play(ctx, listener.Addr().String()) })
	err = group.Wait()
	if damage := s.failed.Load(); err == nil && damage != nil {
		return *damage
	}
	return err
}

// open opens the store, in a temporary folder unless one was asked for, and returns what closes it.
func (s *replayServer) open() (closeAll func(), err error) {
	remove := func() {}
	if s.dir = s.flags.storagePath; s.dir == "" {
		if s.dir, err = os.MkdirTemp("", "toposcope-replay-"); err != nil {
			return nil, fmt.Errorf("making a folder for the store: %w", err)
		}
		remove = func() {
			if err := os.RemoveAll(s.dir); err != nil {
				s.log.Warn("The temporary folder stays", "path", s.dir, "err", err)
			}
		}
	}
	log := s.log.With("stage", "store")
	s.store, err = tsdb.Open(tsdb.Options{Dir: s.dir, Retention: forever, Logger: log, Registerer: s.own})
	if err != nil {
		remove()
		return nil, err
	}
	closeAll = func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.store.Close(ctx); err != nil {
			s.log.Error("Closing the store failed", "err", err)
		}
		remove()
	}
	collector, err := metrics.New(s.topology, metrics.Sources{
		Build:    metrics.Build{Version: version.Version, Revision: version.GetRevision(), GoVersion: runtime.Version()},
		Events:   func() uint64 { c := s.player.Counters(); return c.Segments + c.Datagrams },
		Lost:     func() map[string]uint64 { return map[string]uint64{"missing": s.player.Counters().Holes} },
		Trackers: func() []protocol.Counters { return []protocol.Counters{s.tracker.Counters()} },
	}, s.now)
	if err != nil {
		closeAll()
		return nil, err
	}
	s.series.MustRegister(collector)
	s.writer = tsdb.NewWriter(s.store, tsdb.WriterOptions{
		Gatherer: s.series, Interval: s.interval, Now: s.now, Logger: log, Registerer: s.own,
	})
	return closeAll, nil
}

// api makes the HTTP side. Its clock is the capture's, so that "the last 5 minutes" are those of the capture.
func (s *replayServer) api(listener, health net.Listener) (*api.API, error) {
	return api.New(api.Options{
		Listener: listener, HealthListener: health, WebConfigFile: s.flags.webConfigFile,
		Graphs:     history.New(s.store, history.Options{Interval: s.interval}),
		Prometheus: s.promAPI(),
		Gatherer:   prometheus.Gatherers{s.series, s.own},
		Ready:      func() error { return errors.Join(s.ready(), s.store.Ready()) },
		Status:     s.status,
		UI:         ui.Files(),
		Home:       s.home,
		Logger:     s.log.With("stage", "api"),
		Registerer: s.own,
		Now:        s.now,
	})
}

func (s *replayServer) promAPI() http.Handler {
	engine := tsdb.NewEngine(tsdb.EngineOptions{Logger: s.log, Registerer: s.own})
	return tsdb.NewHandler(tsdb.HandlerOptions{Store: s.store, Engine: engine, Writer: s.writer, Logger: s.log})
}

// play plays the file into the store, then says where to look, and waits for ctx.
func (s *replayServer) play(ctx context.Context, address string) error {
	s.onTick = func(now time.Time) error { return s.tick(ctx, now) }
	stop := showProgress(os.Stderr, s.file, s.flags)
	if s.flags.follow {
		s.log.Info("The capture is shown as it is written", "url", "http://"+address+"/")
	}
	err := s.run(ctx)
	stop()
	if ctx.Err() != nil {
		return err
	}
	if s.begun.Load() == 0 {
		if err == nil {
			err = fmt.Errorf("%s holds no packet", s.file.Name())
		}
		return err
	}
	if s.writeTo(ctx, s.now().Add(time.Millisecond)) {
		s.done.Store(true)
	}
	if err != nil {
		s.failed.Store(&err)
		s.log.Error("The capture could not be read to its end", "err", err)
	}
	fmt.Fprintf(os.Stderr, "The capture is at http://%s%s\n", address, s.link())
	<-ctx.Done()
	return nil
}

// tick writes the series at every interval of the packets' time. The first time, before anything is counted, tells the graph
// when recording began.
func (s *replayServer) tick(ctx context.Context, now time.Time) error {
	if s.begun.Load() == 0 {
		if err := s.refuseOlder(ctx, now); err != nil {
			return err
		}
		s.begun.Store(nanos(now))
	}
	if now.Before(s.next) {
		return nil
	}
	s.next = now.Add(s.interval)
	s.writeTo(ctx, now)
	return nil
}

// writeTo writes the series at a time; false when that failed, which the writer has told.
func (s *replayServer) writeTo(ctx context.Context, at time.Time) bool {
	s.clock.Store(nanos(at))
	return s.writer.Write(ctx) == nil
}

// refuseOlder fails when the store holds samples that are younger than the capture: TSDB takes them in order only.
func (s *replayServer) refuseOlder(ctx context.Context, begin time.Time) error {
	const always = "toposcope_build_info"
	var latest time.Time
	err := s.store.Select(ctx, always, nil, begin, begin.Add(forever), func(series *history.Series) error {
		if t := series.Samples[len(series.Samples)-1].Time; t.After(latest) {
			latest = t
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("looking into %s: %w", s.dir, err)
	}
	if latest.IsZero() {
		return nil
	}
	return fmt.Errorf("%s holds samples up to %s, and the capture begins before, at %s: choose an empty folder with --storage.tsdb.path",
		s.dir, latest.UTC().Format(time.RFC3339), begin.UTC().Format(time.RFC3339))
}

// ready says how far the file has been read, until it has.
func (s *replayServer) ready() error {
	if s.done.Load() || s.flags.follow {
		return nil
	}
	if read, size := s.file.Progress(); size > 0 {
		return fmt.Errorf("reading %s: %d %%", s.file.Name(), min(read, size)*100/size)
	}
	return fmt.Errorf("reading %s", s.file.Name())
}

// link is the view of the whole capture, in the form of the pages' own links.
func (s *replayServer) link() string {
	at := func(nanos int64) string { return strconv.FormatFloat(float64(nanos)/1e9, 'f', 3, 64) }
	return "/?start=" + at(s.begun.Load()) + "&end=" + at(s.clock.Load())
}

// home is where the capture is, once all of it is there to be seen.
func (s *replayServer) home() string {
	if !s.done.Load() {
		return ""
	}
	return s.link()
}

// replayMethod is the way of capture that the status tells of a file.
const replayMethod = "replay"

func (s *replayServer) status() api.Status {
	c := s.player.Counters()
	t := s.tracker.Counters()
	protocols := api.StageStatus{Name: "protocol"}
	for _, n := range t.Exchanges {
		protocols.Events += n
	}
	for _, n := range t.StreamGaps {
		protocols.Lost += n
	}
	for _, n := range t.Unresolved {
		protocols.Unresolved += n
	}
	status := api.Status{
		Version: version.Version, Revision: version.GetRevision(), GoVersion: runtime.Version(),
		Capture: api.CaptureStatus{Enabled: true, Method: replayMethod},
		Stages:  []api.StageStatus{{Name: "packets", Events: c.Packets, Lost: c.Holes}, protocols},
		Store:   api.StoreStatus{Path: s.dir, RetentionSeconds: time.Duration(forever).Seconds()},
	}
	if begun := s.begun.Load(); begun != 0 {
		status.StartTime = time.Unix(0, begun)
	}
	if at, err := s.store.StartTime(); err == nil && !at.IsZero() {
		status.Store.OldestTime = &at
	}
	return status
}
