package probe

import (
	"testing"

	"github.com/toposcope/toposcope/bpf"
)

// TestVerdictTable has two connections that share a slot: taking back the verdict of the one leaves the other's.
func TestVerdictTable(t *testing.T) {
	table := &verdictTable{slots: make([]bpf.SocketsVerdict, 8)}
	first, second := bpf.SocketsVerdict{Head: 100, Tail: 10}, bpf.SocketsVerdict{Refused: 1}
	table.set(3, first)
	if first.Conn = 3; table.slots[3] != first {
		t.Errorf("the slot is %+v", table.slots[3])
	}
	table.clear(3)
	if table.slots[3].Conn != 0 {
		t.Errorf("cleared: %+v", table.slots[3])
	}
	table.set(11, second)
	table.clear(3)
	if second.Conn = 11; table.slots[3] != second {
		t.Errorf("another's slot is %+v", table.slots[3])
	}
}
