package config

import "testing"

func TestHeap(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct{ memory, kernel, want Bytes }{
		{400 * mib, 0, 380 * mib},
		{420 * mib, 20 * mib, 380 * mib},
		{400 * mib, 190 * mib, 200 * mib}, // the twentieth would leave less than half
		{400 * mib, 200 * mib, 200 * mib},
		{64 * mib, 512 * mib, 32 * mib},
	} {
		if got := (Limits{Memory: tt.memory}).Heap(tt.kernel); got != tt.want {
			t.Errorf("%s with %s in the kernel: %s, want %s", tt.memory, tt.kernel, got, tt.want)
		}
	}
}
