package ring

import (
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// stepAt is how far the wall clock may drift from the monotonic one before it is followed. Between steps a constant is added,
// so that the difference of two times is exact.
const stepAt = 100 * time.Millisecond

// Clock turns the kernel's monotonic nanoseconds into wall-clock time. It is safe for use by several goroutines.
type Clock struct{ offset atomic.Int64 }

// NewClock returns a clock that is right now; Sync keeps it so.
func NewClock() (*Clock, error) {
	c := &Clock{}
	offset, err := wallMinusMonotonic()
	if err != nil {
		return nil, err
	}
	c.offset.Store(offset)
	return c, nil
}

// Sync follows the wall clock when it has stepped. Call it every few seconds.
func (c *Clock) Sync() error {
	offset, err := wallMinusMonotonic()
	if err != nil {
		return err
	}
	if d := time.Duration(offset - c.offset.Load()); d > stepAt || d < -stepAt {
		c.offset.Store(offset)
	}
	return nil
}

// Wall is the time of day at monotonic nanosecond ns.
func (c *Clock) Wall(ns uint64) time.Time { return time.Unix(0, int64(ns)+c.offset.Load()) }

func wallMinusMonotonic() (int64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0, fmt.Errorf("reading the monotonic clock: %w", err)
	}
	return time.Now().UnixNano() - ts.Nano(), nil
}
