package tsdb

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/grafana/regexp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/route"
	"github.com/prometheus/common/version"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/scrape"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	v1 "github.com/prometheus/prometheus/web/api/v1"
)

// prometheusVersion is that of the linked packages: clients such as Grafana choose their requests by it.
const prometheusVersion = "3.9.1"

// HandlerOptions of NewHandler.
type HandlerOptions struct {
	Store  *Store
	Engine *promql.Engine
	// Writer knows the metadata, Rules the rules and alerts; either may be nil.
	Writer *Writer
	Rules  *Rules
	Logger *slog.Logger
}

// NewHandler is Prometheus's HTTP API, at "/query" and so on; the caller strips what comes before. It serves what
// Prometheus serves; which of it is reachable is the caller's choice of routes.
func NewHandler(o HandlerOptions) http.Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	t := targets{}
	if o.Writer != nil {
		target := scrape.NewTarget(labels.EmptyLabels(), &config.ScrapeConfig{}, nil, nil)
		target.SetMetadataStore(metadataStore{o.Writer})
		t.active = map[string][]*scrape.Target{"toposcope": {target}}
	}
	api := v1.NewAPI(
		o.Engine, o.Store, nil, o.Store,
		func(context.Context) v1.ScrapePoolsRetriever { return t },
		func(context.Context) v1.TargetRetriever { return t },
		func(context.Context) v1.AlertmanagerRetriever { return nil },
		func() config.Config { return config.DefaultConfig },
		nil, // flags
		v1.GlobalURLOptions{},
		func(h http.HandlerFunc) http.HandlerFunc { return h },
		admin{o.Store}, o.Store.opts.Dir, false,
		o.Logger,
		func(context.Context) v1.RulesRetriever { return rulesOf(o.Rules) },
		5e7, 10, 1<<20, // remote read, as Prometheus has it
		false,
		regexp.MustCompile(`a^`), // no origin but ours
		func() (v1.RuntimeInfo, error) { return v1.RuntimeInfo{}, errors.New("not provided") },
		&v1.PrometheusVersion{Version: prometheusVersion, Revision: version.GetRevision(), GoVersion: version.GoVersion},
		nil, nil, // notifications
		prometheus.NewRegistry(), nil, nil,
		false, nil, // remote write
		false, false, false, // OTLP
		false,
		lookbackDelta,
		false, false, nil, nil,
	)
	r := route.New()
	api.Register(r)
	return r
}

// targets shows the Writer as if it were a target that Prometheus scrapes: metadata is asked of targets.
type targets struct{ active map[string][]*scrape.Target }

func (t targets) TargetsActive() map[string][]*scrape.Target { return t.active }
func (targets) TargetsDropped() map[string][]*scrape.Target  { return nil }
func (targets) TargetsDroppedCounts() map[string]int         { return nil }
func (targets) ScrapePools() []string                        { return nil }
func (targets) ScrapePoolConfig(string) (*config.ScrapeConfig, error) {
	return nil, errors.New("nothing is scraped")
}

type noRules struct{}

func (noRules) RuleGroups() []*rules.Group           { return nil }
func (noRules) AlertingRules() []*rules.AlertingRule { return nil }

func rulesOf(r *Rules) v1.RulesRetriever {
	if r == nil {
		return noRules{}
	}
	return r.manager
}

// admin answers questions about the store; changing it through the API is refused.
type admin struct{ s *Store }

var errReadOnly = errors.New("the store cannot be changed through the API")

func (admin) CleanTombstones() error { return errReadOnly }
func (admin) Delete(context.Context, int64, int64, ...*labels.Matcher) error {
	return errReadOnly
}
func (admin) Snapshot(string, bool) error { return errReadOnly }

func (a admin) Stats(label string, limit int) (*promtsdb.Stats, error) {
	db, release, err := a.s.acquire()
	if err != nil {
		return nil, err
	}
	defer release()
	return db.Head().Stats(label, limit), nil
}

func (a admin) WALReplayStatus() (promtsdb.WALReplayStatus, error) {
	return promtsdb.WALReplayStatus{}, nil
}

func (a admin) BlockMetas() ([]promtsdb.BlockMeta, error) {
	db, release, err := a.s.acquire()
	if err != nil {
		return nil, err
	}
	defer release()
	return db.BlockMetas(), nil
}
