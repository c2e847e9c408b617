package probe_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// timingSwitch is 1 when an administrator has the kernel time all programs; what a process asks for does not show there.
const timingSwitch = "/proc/sys/kernel/bpf_stats_enabled"

// TestCost measures while bytes go to and fro: programs run and take time, and none is timed afterwards.
func TestCost(t *testing.T) {
	if always, err := os.ReadFile(timingSwitch); err != nil || strings.TrimSpace(string(always)) != "0" {
		t.Skipf("programs are timed on this host all the time: %s %v", always, err)
	}
	for _, method := range []string{"tracepoint", "syscall", "kprobe", "fexit"} {
		t.Run(method, func(t *testing.T) {
			_, pr := capture(t, method)
			p := dial(t, "127.0.0.1:0")
			stop := keepTalking(p.client, p.server)
			defer stop()
			cost, err := pr.MeasureCost(context.Background(), 100*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if cost.Runs == 0 || cost.Time <= 0 || cost.Over < 100*time.Millisecond || cost.Cores() <= 0 {
				t.Errorf("%+v", cost)
			}
			t.Logf("%d runs of %s each: %.4f cores", cost.Runs, cost.Time/time.Duration(max(cost.Runs, 1)), cost.Cores())
			// Another program may have the kernel do so for its own ends, for a while.
			eventually(t, func() error {
				if runs := pr.RunsWithin(t, 50*time.Millisecond); runs != 0 {
					return fmt.Errorf("%d runs were timed after the measurement", runs)
				}
				return nil
			})
			if err := pr.SetEnabled(context.Background(), false); err != nil {
				t.Fatal(err)
			}
			if cost, err := pr.MeasureCost(context.Background(), time.Millisecond); err != nil || cost.Runs != 0 {
				t.Errorf("while detached: %+v, %v", cost, err)
			}
		})
	}
}

// keepTalking sends a byte from one end to the other, time and again, until stop is called.
func keepTalking(from io.Writer, to net.Conn) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1)
		for {
			select {
			case <-quit:
				return
			default:
			}
			if _, err := from.Write(b); err != nil {
				return
			}
			if _, err := io.ReadFull(to, b); err != nil {
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}
