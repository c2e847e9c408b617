package probe_test

import (
	"fmt"
	"testing"

	"github.com/toposcope/toposcope/collector/probe"
)

// TestKernelMemory wants the rings in what the kernel is said to hold, and it to grow with the connections that are open.
func TestKernelMemory(t *testing.T) {
	const rings = 1 << 20
	_, p := captureWith(t, probe.Options{RingBytes: rings})
	before := p.KernelMemory()
	if before < rings {
		t.Errorf("the kernel holds %d bytes, less than the rings' %d", before, rings)
	}
	const pairs = 200
	for range pairs {
		c := dial(t, "127.0.0.1:0")
		defer c.client.Close()
		defer c.server.Close()
	}
	const least = 100 // bytes of an end: its two addresses and numbers
	eventually(t, func() error {
		if now := p.KernelMemory(); now < before+2*pairs*least {
			return fmt.Errorf("%d bytes with %d connections more, %d before", now, pairs, before)
		}
		return nil
	})
}
