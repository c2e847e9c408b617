package tsdb

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/notifier"
	"github.com/prometheus/prometheus/rules"
)

// alertQueue is how many alerts wait for an Alertmanager, as Prometheus has it; past it the oldest are dropped and counted.
const alertQueue = 10_000

// NotifierOptions of a Notifier.
type NotifierOptions struct {
	// ExternalURL is where this server is reached, for the links in alerts.
	ExternalURL string
	Logger      *slog.Logger
	Registerer  prometheus.Registerer
}

// Notifier sends alerts to Alertmanagers.
type Notifier struct {
	opts    NotifierOptions
	manager *notifier.Manager
	targets chan map[string][]*targetgroup.Group
}

// NewNotifier makes a Notifier that knows no Alertmanager; Load gives it some, Run sends.
func NewNotifier(o NotifierOptions) *Notifier {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Notifier{
		opts: o,
		manager: notifier.NewManager(&notifier.Options{
			QueueCapacity: alertQueue, DrainOnShutdown: true, Registerer: o.Registerer,
		}, model.UTF8Validation, slog.New(quiet{o.Logger.Handler()})),
		targets: make(chan map[string][]*targetgroup.Group, 1),
	}
}

// Load replaces the Alertmanagers by those of a configuration's section, which are found by static_configs only. external
// labels are put on each alert.
func (n *Notifier) Load(section config.AlertingConfig, external map[string]string) error {
	targets := map[string][]*targetgroup.Group{}
	for key, am := range section.AlertmanagerConfigs.ToMap() {
		for _, sd := range am.ServiceDiscoveryConfigs {
			static, ok := sd.(discovery.StaticConfig)
			if !ok {
				return fmt.Errorf("alerting: Alertmanagers are found by static_configs, not by %s", sd.Name())
			}
			targets[key] = append(targets[key], static...)
		}
	}
	err := n.manager.ApplyConfig(&config.Config{
		GlobalConfig:   config.GlobalConfig{ExternalLabels: labels.FromMap(external), MetricNameValidationScheme: model.UTF8Validation},
		AlertingConfig: section,
	})
	if err != nil {
		return fmt.Errorf("alerting: %w", err)
	}
	for {
		select {
		case n.targets <- targets:
			return nil
		default:
		}
		select { // an update that was not taken yet is replaced
		case <-n.targets:
		default:
		}
	}
}

// Notify is the rules.NotifyFunc for RulesOptions. It does not block.
func (n *Notifier) Notify(ctx context.Context, expr string, alerts ...*rules.Alert) {
	rules.SendAlerts(n.manager, n.opts.ExternalURL)(ctx, expr, alerts...)
}

// Run sends until ctx ends, and then what is queued.
func (n *Notifier) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, n.manager.Stop)
	defer stop()
	n.manager.Run(n.targets)
	return nil
}
