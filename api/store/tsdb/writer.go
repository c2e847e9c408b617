package tsdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"
)

// DefaultInterval is how often a Writer writes when it is not told.
const DefaultInterval = 15 * time.Second

// mapEvery is how often full head chunks are written out of memory.
const mapEvery = time.Minute

// WriterOptions of a Writer.
type WriterOptions struct {
	// Gatherer is what is written, every Interval (0 means DefaultInterval).
	Gatherer prometheus.Gatherer
	Interval time.Duration
	// Now is the clock of the samples; nil means time.Now.
	Now    func() time.Time
	Logger *slog.Logger
	// Registerer takes the writer's own metrics; nil for none.
	Registerer prometheus.Registerer
}

// Writer appends what a registry holds to a Store, at every interval and once more at its end: counters, gauges, summaries,
// and histograms in their classic and native form together. A series with a created timestamp is preceded by a zero sample
// at that time; one that is gone gets a staleness marker.
//
// When the disk is full it writes nothing, counts, and goes on when there is room again: counters lose nothing by it but
// resolution.
type Writer struct {
	store    *Store
	opts     WriterOptions
	interval chan time.Duration
	metrics  *writerMetrics
	metadata atomic.Pointer[[]scrape.MetricMetadata]

	// What follows is of the goroutine that writes.
	cache      *cache
	damaged    bool   // a commit failed: the store must be reopened before the next
	failure    string // the reason last logged, "" while writing succeeds
	gatherErr  string
	lastMapped time.Time
}

// NewWriter makes a Writer; Run or Write does the work.
func NewWriter(s *Store, opts WriterOptions) *Writer {
	if opts.Interval <= 0 {
		opts.Interval = DefaultInterval
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Writer{
		store:    s,
		opts:     opts,
		interval: make(chan time.Duration, 1),
		metrics:  newWriterMetrics(opts.Registerer),
		cache:    newCache(),
	}
	w.lastMapped = opts.Now()
	return w
}

// SetInterval changes the interval of a running Writer, from the next write on.
func (w *Writer) SetInterval(d time.Duration) {
	for {
		select {
		case w.interval <- d:
			return
		default:
		}
		select { // a change that was not taken yet is replaced
		case <-w.interval:
		default:
		}
	}
}

// Run writes at once, then at every interval, and a last time when ctx ends; end it after what feeds the registry, so that
// nothing is lost. It returns an error only when the process cannot go on.
func (w *Writer) Run(ctx context.Context) error {
	tick := time.NewTicker(w.opts.Interval)
	defer tick.Stop()
	for {
		if err := w.round(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			// Bounded, so that a store that hangs does not keep the process from ending.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			_ = w.Write(last) // logged and counted there
			return nil
		case d := <-w.interval:
			tick.Reset(d)
		case <-tick.C:
		}
	}
}

func (w *Writer) round(ctx context.Context) error {
	_ = w.Write(ctx) // logged and counted there
	now := w.opts.Now()
	if w.damaged || now.Sub(w.lastMapped) < mapEvery || w.store.checkFree() != nil {
		return nil
	}
	w.lastMapped = now
	return w.store.mapChunks()
}

// Write gathers and appends once. It may not be called while Run runs. Its error has been logged, once for as long as the
// reason lasts, and counted.
func (w *Writer) Write(ctx context.Context) error {
	start := time.Now()
	err := w.write(ctx)
	w.metrics.seconds.Observe(time.Since(start).Seconds())
	reason := ""
	switch {
	case err == nil:
		if w.failure != "" {
			w.opts.Logger.Info("The store is being written again")
		}
	case errors.Is(err, errDiskFull):
		reason = "disk_full"
	default:
		reason = "error"
	}
	if reason != "" {
		w.metrics.failures.WithLabelValues(reason).Inc()
		if reason != w.failure {
			w.opts.Logger.Error("Writing to the store failed; trying again at every interval", "err", err)
		}
	}
	w.failure = reason
	return err
}

func (w *Writer) write(ctx context.Context) error {
	if err := w.store.checkFree(); err != nil {
		return err
	}
	if w.damaged {
		if err := w.store.reopen(ctx); err != nil {
			return err
		}
		w.damaged = false
		w.cache = newCache() // references are of the database that was closed
	}
	families, err := w.opts.Gatherer.Gather()
	w.gathered(err)
	// Not before Gather: a series born meanwhile would have a created timestamp after its sample.
	now := w.opts.Now().UnixMilli()

	r := round{app: w.store.Appender(ctx), now: now, min: w.store.minTime(now), cache: w.cache, dropped: w.metrics.dropped}
	r.commit = func() (storage.Appender, error) {
		err := w.commit(r.app)
		return w.store.Appender(ctx), err
	}
	w.cache.begin()
	for _, f := range families {
		r.family(f)
	}
	w.cache.sweep(r.stale)
	if r.err != nil {
		// The head logs new series even then; it keeps them either way.
		if err := r.app.Rollback(); err != nil {
			w.damaged = true
		}
		return r.err
	}
	if err := w.commit(r.app); err != nil {
		return err
	}
	w.metrics.samples.Add(float64(r.samples))
	w.metrics.series.Set(float64(w.cache.series))
	w.setMetadata(families)
	return nil
}

// commit makes what was appended last. When it fails the store must be reopened: series that the head knows are not in the log.
func (w *Writer) commit(app storage.Appender) error {
	if err := app.Commit(); err != nil {
		w.damaged = true
		return fmt.Errorf("committing samples: %w", err)
	}
	return nil
}

// gathered logs a gathering error when it changes; what could be gathered is written all the same.
func (w *Writer) gathered(err error) {
	text := ""
	if err != nil {
		text = err.Error()
		w.metrics.failures.WithLabelValues("gather").Inc()
	}
	if text != w.gatherErr && err != nil {
		w.opts.Logger.Error("Some metrics could not be gathered", "err", err)
	}
	w.gatherErr = text
}

// minTime is the oldest time that may still be appended at now, both in milliseconds.
func (s *Store) minTime(now int64) int64 {
	empty := now - promtsdb.DefaultBlockDuration/2 // what a head without samples will accept
	db, release, err := s.acquire()
	if err != nil {
		return empty
	}
	defer release()
	if t, ok := db.Head().AppendableMinValidTime(); ok {
		return t
	}
	return empty
}

type writerMetrics struct {
	samples  prometheus.Counter
	series   prometheus.Gauge
	seconds  prometheus.Histogram
	failures *prometheus.CounterVec
	dropped  *prometheus.CounterVec
}

func newWriterMetrics(r prometheus.Registerer) *writerMetrics {
	m := &writerMetrics{
		samples: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "toposcope_store_samples_total",
			Help: "Samples written to the embedded store.",
		}),
		series: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "toposcope_store_series",
			Help: "Series in the last write to the embedded store.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:                        "toposcope_store_write_duration_seconds",
			Help:                        "Time a write to the embedded store took, gathering included.",
			Buckets:                     prometheus.DefBuckets,
			NativeHistogramBucketFactor: 1.1,
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "toposcope_store_write_failures_total",
			Help: "Writes to the embedded store that failed, by reason: disk_full, gather (written in part), error.",
		}, []string{"reason"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "toposcope_store_samples_dropped_total",
			Help: "Samples that the embedded store refused, by reason: out_of_order (the clock went back), invalid.",
		}, []string{"reason"}),
	}
	for _, reason := range []string{"disk_full", "gather", "error"} {
		m.failures.WithLabelValues(reason)
	}
	for _, reason := range []string{dropOutOfOrder, dropInvalid} {
		m.dropped.WithLabelValues(reason)
	}
	if r != nil {
		r.MustRegister(m.samples, m.series, m.seconds, m.failures, m.dropped)
	}
	return m
}

// Reasons why a sample is dropped.
const (
	dropOutOfOrder = "out_of_order"
	dropInvalid    = "invalid"
)

func outOfOrder(err error) bool {
	return errors.Is(err, storage.ErrOutOfOrderSample) || errors.Is(err, storage.ErrOutOfBounds) ||
		errors.Is(err, storage.ErrTooOldSample) || errors.Is(err, storage.ErrDuplicateSampleForTimestamp)
}
