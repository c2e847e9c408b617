// Package tsdb is the embedded store: Prometheus's TSDB with write-ahead log and retention, PromQL and rules on it, and the
// Prometheus HTTP API. It is the only importer of those packages.
//
// A Store is opened once for a data folder. A Writer gathers a registry at every interval and appends what it finds; a Store
// reads raw samples for topology/history and answers PromQL through an Engine.
package tsdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/fileutil"
	"github.com/prometheus/prometheus/util/compression"
)

// Defaults of Options.
const (
	DefaultRetention = 15 * 24 * time.Hour
	// DefaultMinFreeBytes leaves room for what the TSDB writes between two looks at the free space: one commit of 50,000
	// series with new labels takes about 15 MiB, a round of full head chunks the same again.
	DefaultMinFreeBytes = 64 << 20
)

// ErrNotReady is returned to readers while the store is being reopened after a write failure, and after Close.
var ErrNotReady = promtsdb.ErrNotReady

// Options of a Store.
type Options struct {
	// Dir is the data folder; it is made if it is missing.
	Dir string
	// Retention is how long samples are kept; 0 means DefaultRetention.
	Retention time.Duration
	// MinFreeBytes is the free space below which nothing is written; 0 means DefaultMinFreeBytes.
	MinFreeBytes uint64
	// Logger gets what the TSDB reports; its routine messages only at debug level.
	Logger *slog.Logger
	// Registerer takes the TSDB's own metrics; nil for none.
	Registerer prometheus.Registerer
}

// Store is an open data folder. Its methods may be called from any goroutine.
type Store struct {
	opts Options
	lock fileutil.Releaser

	mu    sync.Mutex
	db    *promtsdb.DB  // nil while reopening and after Close
	users int           // queriers and appenders that hold db
	idle  chan struct{} // closed by the last user, when somebody waits for it
	reg   *generation   // metrics of db
}

var (
	_ storage.SampleAndChunkQueryable = (*Store)(nil)
	_ storage.ExemplarQueryable       = (*Store)(nil)
	_ storage.Appendable              = (*Store)(nil)
)

// Open opens the data folder, replaying its log. An error is one line that names the folder and the remedy; the folder is
// then as it was.
func Open(opts Options) (*Store, error) {
	if opts.Retention <= 0 {
		opts.Retention = DefaultRetention
	}
	if opts.MinFreeBytes == 0 {
		opts.MinFreeBytes = DefaultMinFreeBytes
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	lock, err := lockDir(opts.Dir)
	if err != nil {
		return nil, err
	}
	s := &Store{opts: opts, lock: lock}
	if err := s.checkFree(); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return s, nil
}

// open sets db. The folder is locked by us already, so that the lock outlives a reopening.
func (s *Store) open() error {
	opts := promtsdb.DefaultOptions()
	opts.NoLockfile = true
	opts.RetentionDuration = s.opts.Retention.Milliseconds()
	// As Prometheus does: blocks grow to a tenth of the retention, 31 days at most.
	opts.MaxBlockDuration = min(opts.RetentionDuration/10, (31 * 24 * time.Hour).Milliseconds())
	opts.MaxBlockDuration = max(opts.MaxBlockDuration, opts.MinBlockDuration)
	opts.WALCompression = compression.Snappy
	// What the TSDB sets aside at once for the millions of series of a Prometheus: a table of 16,384 locks with a map each, and a
	// buffer that gathers 4 MiB of full chunks before they are written. Here one goroutine writes tens of thousands.
	opts.StripeSize = 512
	opts.HeadChunksWriteBufferSize = 256 << 10
	// The TSDB panics when it cannot write a full head chunk out, and does so in a goroutine of its own every
	// BlockReloadInterval. Those chunks are written by Store.mapChunks instead, after a look at the free space. Blocks are
	// reloaded, and retention applied, at every compaction anyway.
	opts.BlockReloadInterval = 1 << 62

	reg := &generation{Registerer: s.opts.Registerer}
	db, err := openDB(s.opts, reg, opts)
	if err != nil {
		reg.close()
		return fmt.Errorf("opening data folder %s: %w", s.opts.Dir, err)
	}
	s.mu.Lock()
	s.db, s.reg = db, reg
	s.mu.Unlock()
	return nil
}

func openDB(o Options, reg *generation, opts *promtsdb.Options) (*promtsdb.DB, error) {
	var r prometheus.Registerer
	if o.Registerer != nil {
		r = reg
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	return promtsdb.Open(dir, slog.New(quiet{o.Logger.Handler()}), r, opts, nil)
}

// acquire returns the database, which stays open until release is called.
func (s *Store) acquire() (db *promtsdb.DB, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil, nil, ErrNotReady
	}
	s.users++
	return s.db, sync.OnceFunc(s.release), nil
}

func (s *Store) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users--
	if s.users == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

// detach takes the database out of use: new users are refused, those it has are waited for. It returns nil when there is
// none, or when ctx ends first; the database then stays in use.
func (s *Store) detach(ctx context.Context) (*promtsdb.DB, error) {
	s.mu.Lock()
	db := s.db
	if db == nil {
		s.mu.Unlock()
		return nil, nil
	}
	s.db = nil
	var idle chan struct{}
	if s.users > 0 {
		idle = make(chan struct{})
		s.idle = idle
	}
	s.mu.Unlock()
	if idle == nil {
		return db, nil
	}
	select {
	case <-idle:
		return db, nil
	case <-ctx.Done():
		s.mu.Lock()
		s.db, s.idle = db, nil
		s.mu.Unlock()
		return nil, fmt.Errorf("waiting for queries to end: %w", ctx.Err())
	}
}

// Close waits for the queries under way, at most until ctx ends, and closes the folder.
func (s *Store) Close(ctx context.Context) error {
	db, err := s.detach(ctx)
	if err != nil || db == nil {
		return err
	}
	err = closeDB(db)
	s.reg.close()
	return errors.Join(err, s.lock.Release())
}

// reopen closes the database and opens it again. It is how the store gets whole after a commit failed half way: series that
// the head knows but whose record did not reach the log would be lost at the next start.
func (s *Store) reopen(ctx context.Context) error {
	db, err := s.detach(ctx)
	if err != nil {
		return err
	}
	if db != nil {
		if err := closeDB(db); err != nil {
			s.opts.Logger.Warn("Closing the damaged store", "err", err)
		}
		s.reg.close()
	}
	return s.open()
}

// closeDB closes db; its last act is to write full chunks out, which panics when it fails.
func closeDB(db *promtsdb.DB) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("closing the store: %v", p)
		}
	}()
	if err := db.Close(); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// mapChunks writes full chunks of the head to disk, so that they need no memory. It is called after a look at the free
// space; if it fails all the same, the head is left locked and the process must end.
func (s *Store) mapChunks() (err error) {
	db, release, err := s.acquire()
	if err != nil {
		return nil // being reopened or closed
	}
	defer release()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("writing head chunks to %s: %v", s.opts.Dir, p)
		}
	}()
	db.ForceHeadMMap()
	return nil
}

// Ready tells whether the store can be read and written.
func (s *Store) Ready() error {
	_, release, err := s.acquire()
	if err != nil {
		return fmt.Errorf("data folder %s is being reopened", s.opts.Dir)
	}
	release()
	return nil
}

// StartTime is the time of the oldest sample; the zero time when there is none.
func (s *Store) StartTime() (time.Time, error) {
	db, release, err := s.acquire()
	if err != nil {
		return time.Time{}, err
	}
	defer release()
	ms, err := db.StartTime()
	if err != nil || ms == 1<<63-1 {
		return time.Time{}, err
	}
	return time.UnixMilli(ms), nil
}
