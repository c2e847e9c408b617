package kafka_test

import (
	"testing"

	"github.com/toposcope/toposcope/protocol"
)

// TestTopicsAreShared: what one connection learns, another knows; those of another Spec do not.
func TestTopicsAreShared(t *testing.T) {
	s := spec()
	w := newWire(t, s, false)
	play := func(w *wire, ask, answer string) {
		w.ask([]byte(line(t, protocol.ClientSide, ask)))
		w.answer([]byte(line(t, protocol.ServerSide, answer)))
	}
	learn := func(w *wire) {
		play(w, `1 Metadata v12 {"Topics":[{"Topic":"orders"}]}`, `1 Metadata v12 {"Topics":[{"Topic":"orders","TopicID":@5}]}`)
	}
	produce := func(w *wire) got {
		play(w, `2 Produce v13 {"Acks":1,"Topics":[{"TopicID":@5,"Partitions":[{"Records":#30}]}]}`, `2 Produce v13`)
		list := w.close()
		return list[len(list)-1]
	}
	if g := produce(w); g.topic != protocol.Unknown || !g.unresolved {
		t.Errorf("before: %v", g)
	}
	w.open(false)
	learn(w)
	w.close()
	w.open(false)
	if g := produce(w); g.topic != "orders" || g.unresolved {
		t.Errorf("another connection: %v", g)
	}
	if g := produce(newWire(t, s, false)); g.topic != "orders" || g.unresolved {
		t.Errorf("another shard: %v", g)
	}
	if g := produce(newWire(t, spec(), false)); g.topic != protocol.Unknown || !g.unresolved {
		t.Errorf("another Spec: %v", g)
	}
}
