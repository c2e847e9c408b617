package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/toposcope/toposcope/cmd/internal/config"
	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/probe"
	"github.com/toposcope/toposcope/collector/ring"
	"github.com/toposcope/toposcope/labeler"
	"github.com/toposcope/toposcope/labeler/all"
)

// newLabeler makes a labeler whose decisions the kernel carries out.
func newLabeler(cfg *config.Config, p *probe.Probe, names labeler.Names, log *slog.Logger) (*labeler.Labeler, error) {
	l := labeler.New(labeler.Options{SelfPID: uint32(os.Getpid()), Sources: all.Sources(), Names: names})
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

// judge is where process events go: the labeler names and judges, and the kernel, which watches no process between its exec and
// the verdict, is told the verdict each time.
type judge struct {
	*labeler.Labeler
	watch *watch
}

var _ ring.Processes = judge{}

func (j judge) Exec(e *event.Exec) {
	j.Labeler.Exec(e)
	j.settle(e.Task)
}

func (j judge) settle(t event.Task) {
	a := labeler.Exclude
	if j.Watched(t) {
		a = labeler.Include
	}
	j.watch.SetPID(t.PID, a)
}

// pendingFor is the longest that a process is left unjudged, should the event of its exec have been lost.
const pendingFor = 2 * time.Second

// run judges what was left over until ctx ends.
func (j judge) run(ctx context.Context) error {
	ticker := time.NewTicker(pendingFor / 2)
	defer ticker.Stop()
	waiting := map[uint32]bool{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		pids, err := j.watch.probe.PendingPIDs()
		j.watch.report(err)
		still := map[uint32]bool{}
		for _, pid := range pids {
			if waiting[pid] {
				j.settle(event.Task{PID: pid})
			}
			still[pid] = true
		}
		waiting = still
	}
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

// forgetNames lets go of the names of addresses that nobody has used for long, until ctx ends.
func (h *host) forgetNames(ctx context.Context) error {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			h.names.Expire(now)
		}
	}
}
