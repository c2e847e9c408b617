package tsdb

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// Querier reads samples from mint to maxt, in milliseconds, both inclusive.
func (s *Store) Querier(mint, maxt int64) (storage.Querier, error) {
	db, release, err := s.acquire()
	if err != nil {
		return nil, err
	}
	q, err := db.Querier(mint, maxt)
	if err != nil {
		release()
		return nil, err
	}
	return heldQuerier{q, release}, nil
}

// ChunkQuerier is Querier for whole chunks.
func (s *Store) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	db, release, err := s.acquire()
	if err != nil {
		return nil, err
	}
	q, err := db.ChunkQuerier(mint, maxt)
	if err != nil {
		release()
		return nil, err
	}
	return heldChunkQuerier{q, release}, nil
}

// ExemplarQuerier reads exemplars.
func (s *Store) ExemplarQuerier(ctx context.Context) (storage.ExemplarQuerier, error) {
	db, release, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer release()
	return db.ExemplarQuerier(ctx)
}

// Appender appends samples; it must be committed or rolled back.
func (s *Store) Appender(ctx context.Context) storage.Appender {
	db, release, err := s.acquire()
	if err != nil {
		return refusing{err: err}
	}
	return heldAppender{db.Appender(ctx), release}
}

type heldQuerier struct {
	storage.Querier
	release func()
}

func (q heldQuerier) Close() error {
	defer q.release()
	return q.Querier.Close()
}

type heldChunkQuerier struct {
	storage.ChunkQuerier
	release func()
}

func (q heldChunkQuerier) Close() error {
	defer q.release()
	return q.ChunkQuerier.Close()
}

type heldAppender struct {
	storage.Appender
	release func()
}

// GetRef makes the head's copy of a label set usable, so that it is kept in memory once.
func (a heldAppender) GetRef(lset labels.Labels, hash uint64) (storage.SeriesRef, labels.Labels) {
	if g, ok := a.Appender.(storage.GetRef); ok {
		return g.GetRef(lset, hash)
	}
	return 0, labels.EmptyLabels()
}

func (a heldAppender) Commit() error {
	defer a.release()
	return a.Appender.Commit()
}

func (a heldAppender) Rollback() error {
	defer a.release()
	return a.Appender.Rollback()
}

// refusing is the appender of a store that is not open.
type refusing struct {
	storage.Appender
	err error
}

func (a refusing) Append(storage.SeriesRef, labels.Labels, int64, float64) (storage.SeriesRef, error) {
	return 0, a.err
}
func (a refusing) SetOptions(*storage.AppendOptions) {}
func (a refusing) Commit() error                     { return a.err }
func (a refusing) Rollback() error                   { return nil }
