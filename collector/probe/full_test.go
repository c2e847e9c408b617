package probe_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/probe"
)

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), s)
}

// TestFullTable opens more connections than the kernel's table holds: those beyond are counted, and the log says so once.
func TestFullTable(t *testing.T) {
	const room = 16
	log := &lines{}
	opts := probe.Options{StatsInterval: 50 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(log, nil))}
	_, p := captureWith(t, opts.WithMaxConns(room))
	for range room {
		c := dial(t, "127.0.0.1:0")
		defer c.client.Close()
		defer c.server.Close()
	}
	const text = "than the kernel's table holds"
	lost := func() uint64 {
		c, err := p.Counters()
		if err != nil {
			t.Fatal(err)
		}
		return c.Lost["connections"]
	}
	eventually(t, func() error {
		if lost() < room || log.count(text) == 0 {
			return fmt.Errorf("%d counted as lost, %d lines in the log", lost(), log.count(text))
		}
		return nil
	})
	before := lost()
	c := dial(t, "127.0.0.1:0")
	defer c.client.Close()
	defer c.server.Close()
	eventually(t, func() error {
		if lost() == before {
			return fmt.Errorf("%d counted as lost, as before", before)
		}
		return nil
	})
	time.Sleep(5 * opts.StatsInterval)
	if n := log.count(text); n != 1 {
		t.Errorf("the log says it %d times, want once", n)
	}
}
