package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"golang.org/x/sync/errgroup"

	"github.com/toposcope/toposcope/api"
	"github.com/toposcope/toposcope/cmd/internal/config"
)

// runFlags are the flags of toposcope run.
type runFlags struct {
	configFile       string
	listenAddress    string
	webConfigFile    string
	healthAddress    string
	storagePath      string
	retention        model.Duration
	enableLifecycle  bool
	enablePprof      bool
	ringBytes        int
	statsInterval    time.Duration
	minFreeDiskBytes uint64
}

func registerRun(app *kingpin.Application, logConfig *promslog.Config, commands map[string]func(context.Context) error) {
	f := &runFlags{}
	c := app.Command("run", "Watch this host: capture, store, API and pages in one process.").Default()
	c.Flag("config.file", "Configuration file; built-in defaults without one.").StringVar(&f.configFile)
	c.Flag("web.listen-address", "Address of the pages, the API and /metrics.").Default(api.DefaultListenAddress).StringVar(&f.listenAddress)
	c.Flag("web.config.file", "TLS and authentication, in the format of Prometheus's exporter-toolkit.").StringVar(&f.webConfigFile)
	c.Flag("web.health-address", "Address that serves health alone, without credentials.").StringVar(&f.healthAddress)
	c.Flag("web.enable-lifecycle", "Allow POST /-/reload.").BoolVar(&f.enableLifecycle)
	c.Flag("web.enable-pprof", "Serve /debug/pprof/.").BoolVar(&f.enablePprof)
	c.Flag("storage.tsdb.path", "Data folder.").Default("./data").StringVar(&f.storagePath)
	c.Flag("storage.tsdb.retention.time", "How long samples are kept.").Default("15d").SetValue(&f.retention)
	c.Flag("storage.tsdb.min-free-bytes", "Free space below which nothing is written.").Hidden().Default("0").Uint64Var(&f.minFreeDiskBytes)
	c.Flag("capture.ring-bytes", "Room of all ring buffers together.").Hidden().Default("16777216").IntVar(&f.ringBytes)
	c.Flag("capture.stats-interval", "How often connections' totals are read.").Hidden().Default("0").DurationVar(&f.statsInterval)
	commands[c.FullCommand()] = func(ctx context.Context) error {
		return run(ctx, f, promslog.New(logConfig))
	}
}

// run builds everything, in the order of what is cheapest to be refused, and runs it until ctx ends.
func run(ctx context.Context, f *runFlags, log *slog.Logger) error {
	cfg, err := config.Load(f.configFile, protocolNames())
	if err != nil {
		return err
	}
	if f.webConfigFile != "" {
		if err := api.CheckWebConfig(f.webConfigFile); err != nil {
			return err
		}
	}
	boundGarbage(f.enablePprof)
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
	h, err := newHost(cfg, f, log)
	if err != nil {
		return err
	}
	defer h.close()
	boundHeap(cfg.Limits, h.probe.KernelMemory())
	if h.api, err = h.newAPI(f, listener, health); err != nil {
		return err
	}
	return h.run(ctx)
}

// run runs the stages. The writer ends last, so that what the others counted is written.
func (h *host) run(ctx context.Context) error {
	writing, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWriting()
	written := make(chan error, 1)
	go func() { written <- h.writer.Run(writing) }()

	judges := judge{h.labeler, &watch{h.probe, h.log.With("stage", "labeler")}}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return judges.run(ctx) })
	group.Go(func() error {
		if err := h.pipeline.Run(ctx, judges); err != nil {
			return fmt.Errorf("capturing: %w", err)
		}
		return nil
	})
	group.Go(func() error { return h.guard.Run(ctx) })
	group.Go(func() error { return h.labeler.Run(ctx) })
	group.Go(func() error { return h.api.Run(ctx) })
	group.Go(func() error { return h.rules.Run(ctx) })
	group.Go(func() error { return h.notifier.Run(ctx) })
	group.Go(func() error { return h.reloadOnHangup(ctx) })
	group.Go(func() error { return h.forgetNames(ctx) })
	group.Go(func() error { return h.releaseStartup(ctx) })
	group.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case err := <-written:
			written <- nil
			return err // it ends before its time only when it cannot go on
		}
	})
	err := group.Wait()
	stopWriting()
	if e := <-written; err == nil {
		err = e
	}
	return err
}
