package tsdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
)

// RulesOptions of Rules.
type RulesOptions struct {
	Store  *Store
	Engine *promql.Engine
	// Notify is called with the alerts of a group after its evaluation; nil for nobody.
	Notify     rules.NotifyFunc
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Rules evaluates Prometheus rule files on a Store.
type Rules struct{ manager *rules.Manager }

// NewRules makes Rules without any rule; Load gives it some, Run evaluates them.
func NewRules(o RulesOptions) *Rules {
	if o.Notify == nil {
		o.Notify = func(context.Context, string, ...*rules.Alert) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Rules{manager: rules.NewManager(&rules.ManagerOptions{
		Context:         context.Background(), // evaluation ends with Run
		Appendable:      o.Store,
		Queryable:       o.Store,
		QueryFunc:       rules.EngineQueryFunc(o.Engine, o.Store),
		NotifyFunc:      o.Notify,
		Logger:          slog.New(quiet{o.Logger.Handler()}),
		Registerer:      o.Registerer,
		OutageTolerance: time.Hour,
		ForGracePeriod:  10 * time.Minute,
		ResendDelay:     time.Minute,
	})}
}

// Load replaces the rules by those of files, evaluated every interval where a group does not say. On an error, which names
// the file, the rules in force stay.
func (r *Rules) Load(files []string, interval time.Duration, external map[string]string) error {
	if err := CheckRules(files); err != nil {
		return err
	}
	return r.manager.Update(interval, files, labels.FromMap(external), "", nil)
}

// CheckRules reads rule files; its error names the file and the rule.
func CheckRules(files []string) error {
	for _, f := range files {
		if _, errs := rulefmt.ParseFile(f, false, model.UTF8Validation); len(errs) > 0 {
			return fmt.Errorf("reading rules %w", errors.Join(errs...))
		}
	}
	return nil
}

// Run evaluates until ctx ends.
func (r *Rules) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, r.manager.Stop)
	defer stop()
	r.manager.Run()
	return nil
}
