package tsdb

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"
)

// EngineOptions bound what PromQL may cost.
type EngineOptions struct {
	// Timeout of a query; 0 means 2 minutes, as Prometheus has it.
	Timeout time.Duration
	// MaxSamples that a query may hold in memory, of 16 bytes each; 0 means 10 million.
	MaxSamples int
	// MaxConcurrent queries, further ones wait; 0 means 20, as Prometheus has it.
	MaxConcurrent int
	Logger        *slog.Logger
	Registerer    prometheus.Registerer
}

// NewEngine makes a PromQL engine with Prometheus's behaviour.
func NewEngine(o EngineOptions) *promql.Engine {
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Minute
	}
	if o.MaxSamples <= 0 {
		o.MaxSamples = 10_000_000
	}
	if o.MaxConcurrent <= 0 {
		o.MaxConcurrent = 20
	}
	return promql.NewEngine(promql.EngineOpts{
		Logger:                   o.Logger,
		Reg:                      o.Registerer,
		MaxSamples:               o.MaxSamples,
		Timeout:                  o.Timeout,
		ActiveQueryTracker:       make(queryGate, o.MaxConcurrent),
		LookbackDelta:            lookbackDelta,
		NoStepSubqueryIntervalFn: func(int64) int64 { return DefaultInterval.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
	})
}

// lookbackDelta is Prometheus's default.
const lookbackDelta = 5 * time.Minute

// queryGate lets its capacity of queries run at a time. Prometheus's own tracker also keeps the queries in a mapped file,
// whose pages cannot be written when the disk is full, which ends the process.
type queryGate chan struct{}

func (g queryGate) GetMaxConcurrent() int { return cap(g) }

func (g queryGate) Insert(ctx context.Context, _ string) (int, error) {
	select {
	case g <- struct{}{}:
		return 0, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (g queryGate) Delete(int) { <-g }

func (g queryGate) Close() error { return nil }
