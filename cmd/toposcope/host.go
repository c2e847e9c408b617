package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/version"

	"github.com/toposcope/toposcope/api"
	"github.com/toposcope/toposcope/api/store/tsdb"
	"github.com/toposcope/toposcope/cmd/internal/config"
	"github.com/toposcope/toposcope/cmd/internal/guard"
	"github.com/toposcope/toposcope/cmd/internal/pipeline"
	"github.com/toposcope/toposcope/collector/probe"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/labeler/dnsname"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/all"
	"github.com/toposcope/toposcope/topology"
	"github.com/toposcope/toposcope/topology/history"
	"github.com/toposcope/toposcope/topology/metrics"
	"github.com/toposcope/toposcope/ui"
)

// host is everything that toposcope run consists of.
type host struct {
	log     *slog.Logger
	flags   *runFlags
	started time.Time

	mu  sync.Mutex
	cfg *config.Config // in force

	specs    []*protocol.Spec // of the protocols that are decoded
	probe    *probe.Probe
	guard    *guard.Guard
	labeler  *labeler.Labeler
	names    *dnsname.Table
	topology *topology.Topology
	pipeline *pipeline.Pipeline
	registry *prometheus.Registry
	store    *tsdb.Store
	writer   *tsdb.Writer
	promAPI  http.Handler
	rules    *tsdb.Rules
	notifier *tsdb.Notifier
	filters  *config.FilterSwitch
	api      *api.API
}

func newHost(cfg *config.Config, f *runFlags, log *slog.Logger) (*host, error) {
	if len(cfg.RemoteWrite) > 0 {
		log.Warn("remote_write is validated, but this version sends nothing")
	}
	h := &host{log: log, flags: f, started: time.Now(), cfg: cfg, registry: prometheus.NewRegistry(), names: dnsname.New(dnsname.Config{})}
	h.specs = protocol.Select(all.Specs(keep(cfg)), cfg.Capture.Protocols)
	var err error
	h.probe, err = probe.New(probe.Options{
		Method: cfg.Capture.Method, DatagramPorts: datagramPorts(h.specs), RingBytes: f.ringBytes, StatsInterval: h.statsInterval(), Logger: log.With("stage", "capture"),
	})
	if err != nil {
		return nil, err
	}
	if err := h.newStages(); err != nil {
		h.close()
		return nil, err
	}
	if err := h.newStore(); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// keep says which texts of exchanges are kept: of statements none, since nothing shows them yet.
func keep(cfg *config.Config) protocol.Options {
	o := cfg.Keep()
	o.TextLimit, o.Values = 0, false
	return o
}

// datagramPorts are the ports at which the servers of protocols are that are spoken over datagrams.
func datagramPorts(specs []*protocol.Spec) (ports []uint16) {
	for _, s := range specs {
		if s.Over != protocol.OverStream {
			ports = append(ports, s.Ports...)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// statsInterval is how often connections' totals are read: as often as series are written.
func (h *host) statsInterval() time.Duration {
	if h.flags.statsInterval > 0 {
		return h.flags.statsInterval
	}
	return time.Duration(h.cfg.Global.ScrapeInterval)
}

func (h *host) newStages() error {
	var err error
	if h.labeler, err = newLabeler(h.cfg, h.probe, h.names, h.log); err != nil {
		return err
	}
	h.topology, err = topology.New(topology.Config{
		Protocols: h.specs, Routes: h.cfg.RouteRules(), Limits: h.cfg.Limits.Topology(),
		NoInstanceEdges: !h.cfg.Metrics.InstanceEdges, ProcessPID: h.cfg.Metrics.ProcessPID, BusinessLabels: labeler.LabelNames(h.cfg.Labels),
	}, h.labeler)
	if err != nil {
		return err
	}
	h.pipeline = pipeline.New(h.probe, h.specs, protocol.Config{Keep: keep(h.cfg)}, h.labeler, h.names, h.topology)
	collector, err := metrics.New(h.topology, metrics.Sources{
		Build:    metrics.Build{Version: version.Version, Revision: version.GetRevision(), GoVersion: runtime.Version()},
		Method:   func() string { return h.probe.Status().Method },
		Programs: func() map[string]bool { return h.probe.Status().Programs },
		Events:   func() uint64 { return h.counters().Events },
		Lost:     func() map[string]uint64 { return h.counters().Lost },
		Trackers: h.pipeline.Counters,
		Filtered: h.pipeline.Filtered, KernelMemory: h.probe.KernelMemory,
	}, nil)
	if err != nil {
		return err
	}
	h.guard = h.newGuard()
	h.registry.MustRegister(collector, h.guard, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return nil
}

// counters reads the kernel's; what cannot be read shows as zero, and once in the log.
func (h *host) counters() probe.Counters {
	c, err := h.probe.Counters()
	if err != nil {
		h.log.Debug("The kernel's counters cannot be read", "err", err)
	}
	return c
}

func (h *host) newStore() error {
	var err error
	h.store, err = tsdb.Open(tsdb.Options{
		Dir: h.flags.storagePath, Retention: time.Duration(h.flags.retention), MinFreeBytes: h.flags.minFreeDiskBytes,
		Logger: h.log.With("stage", "store"), Registerer: h.registry,
	})
	if err != nil {
		return err
	}
	h.writer = tsdb.NewWriter(h.store, tsdb.WriterOptions{
		Gatherer: h.registry, Interval: time.Duration(h.cfg.Global.ScrapeInterval), Logger: h.log.With("stage", "store"), Registerer: h.registry,
	})
	engine := tsdb.NewEngine(tsdb.EngineOptions{Logger: h.log, Registerer: h.registry})
	h.notifier = tsdb.NewNotifier(tsdb.NotifierOptions{
		ExternalURL: "http://" + h.flags.listenAddress + "/", Logger: h.log.With("stage", "alerts"), Registerer: h.registry,
	})
	h.rules = tsdb.NewRules(tsdb.RulesOptions{
		Store: h.store, Engine: engine, Notify: h.notifier.Notify, Logger: h.log.With("stage", "rules"), Registerer: h.registry,
	})
	if err := h.loadRules(h.cfg); err != nil {
		return err
	}
	h.promAPI = tsdb.NewHandler(tsdb.HandlerOptions{Store: h.store, Engine: engine, Writer: h.writer, Rules: h.rules, Logger: h.log})
	// A filter that was set over the API lives in the data folder and wins over the configuration's.
	h.filters, err = config.OpenFilters(h.flags.storagePath, h.cfg.Filters, func(f labeler.FilterConfig) error {
		return applyFilter(f, h.labeler, h.probe)
	})
	return err
}

func (h *host) loadRules(cfg *config.Config) error {
	files, err := cfg.RulePaths()
	if err != nil {
		return err
	}
	if err := h.rules.Load(files, time.Duration(cfg.Global.EvaluationInterval), cfg.Global.ExternalLabels); err != nil {
		return err
	}
	return h.notifier.Load(cfg.Alerting, cfg.Global.ExternalLabels)
}

func (h *host) newAPI(f *runFlags, listener, health net.Listener) (*api.API, error) {
	return api.New(api.Options{
		Listener: listener, HealthListener: health, WebConfigFile: f.webConfigFile,
		EnableLifecycle: f.enableLifecycle, EnablePprof: f.enablePprof,
		Graphs:     history.New(h.store, history.Options{Interval: time.Duration(h.cfg.Global.ScrapeInterval)}),
		Prometheus: h.promAPI,
		Gatherer:   h.registry,
		Ready:      func() error { return errors.Join(h.guard.Ready(), h.store.Ready()) },
		Reload:     h.reload,
		Capture:    h.guard,
		Filters:    h.filters,
		Status:     h.status,
		UI:         ui.Files(),
		Logger:     h.log.With("stage", "api"),
		Registerer: h.registry,
	})
}

func (h *host) status() api.Status {
	capture, counters := h.probe.Status(), h.counters()
	s := api.Status{
		Version: version.Version, Revision: version.GetRevision(), GoVersion: runtime.Version(), StartTime: h.started,
		Capture: api.CaptureStatus{Method: capture.Method},
		Store:   api.StoreStatus{Path: h.flags.storagePath, RetentionSeconds: time.Duration(h.flags.retention).Seconds()},
	}
	for name, attached := range capture.Programs {
		s.Capture.Programs = append(s.Capture.Programs, api.ProgramStatus{Name: name, Attached: attached, Error: capture.Failures[name]})
	}
	for _, n := range capture.Lacking {
		s.Capture.Lacking = append(s.Capture.Lacking, api.CapabilityStatus{Capability: n.Capability.String(), Unseen: n.Without})
	}
	slices.SortFunc(s.Capture.Programs, func(a, b api.ProgramStatus) int { return strings.Compare(a.Name, b.Name) })
	var lost uint64
	for _, n := range counters.Lost {
		lost += n
	}
	s.Stages = append(s.Stages, api.StageStatus{Name: "capture", Events: counters.Events, Lost: lost})
	var exchanges, gaps, unresolved uint64
	for _, c := range h.pipeline.Counters() {
		for _, n := range c.Exchanges {
			exchanges += n
		}
		for _, n := range c.StreamGaps {
			gaps += n
		}
		for _, n := range c.Unresolved {
			unresolved += n
		}
	}
	s.Stages = append(s.Stages, api.StageStatus{Name: "protocol", Events: exchanges, Lost: gaps, Unresolved: unresolved})
	if t, err := h.store.StartTime(); err == nil {
		s.Store.OldestTime = &t
	}
	return s
}

// reload applies the configuration file anew; one that is wrong leaves the old one in force.
func (h *host) reload(context.Context) error {
	cfg, err := config.Load(h.flags.configFile, protocolNames())
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.loadRules(cfg); err != nil {
		return err
	}
	if err := h.labeler.SetLabels(cfg.Labels); err != nil {
		return err
	}
	if err := h.filters.Configure(cfg.Filters); err != nil {
		return err
	}
	h.writer.SetInterval(time.Duration(cfg.Global.ScrapeInterval))
	if cfg.Capture.Method != h.cfg.Capture.Method || cfg.Limits != h.cfg.Limits || cfg.Metrics != h.cfg.Metrics {
		h.log.Warn("capture.method, limits and metrics take effect at the next start")
	}
	h.cfg = cfg
	h.log.Info("The configuration was loaded", "file", h.flags.configFile)
	return nil
}

func (h *host) reloadOnHangup(ctx context.Context) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
			if err := h.reload(ctx); err != nil {
				h.log.Error("The configuration stays as it was", "err", err)
			}
		}
	}
}

func (h *host) close() {
	if h.probe != nil {
		h.probe.Close()
	}
	if h.store != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := h.store.Close(ctx); err != nil {
			h.log.Error("Closing the store failed", "err", fmt.Sprint(err))
		}
	}
}
