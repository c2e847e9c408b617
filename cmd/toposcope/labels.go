package main

import (
	"log/slog"
	"os"

	"github.com/toposcope/toposcope/cmd/internal/config"
	"github.com/toposcope/toposcope/collector/probe"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/labeler/all"
)

// newLabeler makes a labeler whose decisions the kernel carries out.
func newLabeler(cfg *config.Config, p *probe.Probe, log *slog.Logger) (*labeler.Labeler, error) {
	l := labeler.New(labeler.Options{SelfPID: uint32(os.Getpid()), Sources: all.Sources()})
	l.SetWatch(&watch{probe: p, log: log.With("stage", "labeler")})
	return l, l.SetLabels(cfg.Labels)
}

// applyFilter puts a filter in force: in the labeler, which judges, and in the kernel, which then knows without asking.
func applyFilter(cfg labeler.FilterConfig, l *labeler.Labeler, p *probe.Probe) error {
	filter, err := labeler.NewFilter(cfg)
	if err != nil {
		return err
	}
	l.SetFilter(filter)
	if filter.Trivial() && filter.Default() == labeler.Include {
		return p.WatchAll() // the kernel need not ask
	}
	return nil
}

// watch writes the labeler's decisions to the kernel's watch map.
type watch struct {
	probe *probe.Probe
	log   *slog.Logger
}

var _ labeler.Watch = (*watch)(nil)

func action(a labeler.Action) probe.Action {
	if a == labeler.Exclude {
		return probe.Exclude
	}
	return probe.Include
}

func (w *watch) SetDefault(a labeler.Action) { w.report(w.probe.WatchBy(action(a))) }

func (w *watch) SetPID(pid uint32, a labeler.Action) { w.report(w.probe.WatchPID(pid, action(a))) }

func (w *watch) Forget(pid uint32) { w.report(w.probe.ForgetPID(pid)) }

func (w *watch) report(err error) {
	if err != nil {
		w.log.Error("The kernel's watch map could not be written: a process may be watched that should not be, or the reverse", "err", err)
	}
}
