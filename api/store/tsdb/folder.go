package tsdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/tsdb/fileutil"
)

// lockDir makes the folder and takes the lock that Prometheus takes too, so that neither opens the other's.
func lockDir(dir string) (fileutil.Releaser, error) {
	lock, _, err := fileutil.Flock(filepath.Join(dir, "lock"))
	switch {
	case err == nil:
		return lock, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, fmt.Errorf("data folder %s is in use by another process: stop that one or choose another folder with --storage.tsdb.path", dir)
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return nil, fmt.Errorf("data folder %s cannot be written (%w): make it writable or choose another folder with --storage.tsdb.path", dir, unwrapErrno(err))
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return nil, fmt.Errorf("data folder %s is on a full disk: make room there or choose another folder with --storage.tsdb.path", dir)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EEXIST):
		return nil, fmt.Errorf("data folder %s is not a folder: choose another with --storage.tsdb.path", dir)
	}
	return nil, fmt.Errorf("locking data folder %s: %w", dir, err)
}

// unwrapErrno is the system's reason without the path that our message names already.
func unwrapErrno(err error) error {
	var no syscall.Errno
	if errors.As(err, &no) {
		return no
	}
	return err
}

// errDiskFull is wrapped by checkFree's error.
var errDiskFull = errors.New("disk full")

// checkFree tells when the folder's file system has less room than MinFreeBytes.
func (s *Store) checkFree() error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(s.opts.Dir, &st); err != nil {
		return fmt.Errorf("asking for the free space of data folder %s: %w", s.opts.Dir, err)
	}
	free := st.Bavail * uint64(st.Bsize)
	if free >= s.opts.MinFreeBytes {
		return nil
	}
	return fmt.Errorf("%w: data folder %s has %s free and needs %s: make room there or choose another folder with --storage.tsdb.path",
		errDiskFull, s.opts.Dir, mebibytes(free), mebibytes(s.opts.MinFreeBytes))
}

func mebibytes(n uint64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// generation is a registerer whose collectors go when the database they belong to is closed.
type generation struct {
	prometheus.Registerer
	mu         sync.Mutex
	collectors []prometheus.Collector
}

func (g *generation) Register(c prometheus.Collector) error {
	if err := g.Registerer.Register(c); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.collectors = append(g.collectors, c)
	return nil
}

func (g *generation) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := g.Register(c); err != nil {
			panic(err)
		}
	}
}

func (g *generation) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.collectors {
		g.Registerer.Unregister(c)
	}
	g.collectors = nil
}

// quiet is a log handler that lets the routine messages of an embedded library (what it replayed, compacted, deleted)
// through at debug level only.
type quiet struct{ slog.Handler }

func (h quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return h.Handler.Enabled(ctx, demoted(l))
}

func (h quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = demoted(r.Level)
	return h.Handler.Handle(ctx, r)
}
func (h quiet) WithAttrs(as []slog.Attr) slog.Handler { return quiet{h.Handler.WithAttrs(as)} }
func (h quiet) WithGroup(name string) slog.Handler    { return quiet{h.Handler.WithGroup(name)} }

func demoted(l slog.Level) slog.Level {
	if l == slog.LevelInfo {
		return slog.LevelDebug
	}
	return l
}
