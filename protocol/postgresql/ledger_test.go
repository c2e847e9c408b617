package postgresql_test

import (
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// TestNamesAfterLoss: what was prepared keeps its name over a loss of the client's bytes, unless something may have been let go among them.
func TestNamesAfterLoss(t *testing.T) {
	const known, unknown = "SELECT t", "unknown unknown"
	next, err := encode(protocol.ClientSide, "bind - s ; execute - ; sync")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name         string
		hidden, hear string // what the client says that nobody sees, and what the server answers; "" is lost too
		want         string
	}{
		{"an Execute", "bind - s ; execute - ; sync", "bound ; complete SELECT 1 ; ready I", known},
		{"another Parse", "parse s2 SELECT a FROM u ; sync", "parsed ; ready I", known},
		{"a query", "query SELECT 1", "columns a ; complete SELECT 1 ; ready I", known},
		{"nothing that is known", "bind - s ; execute - ; sync", "", unknown},
		{"another statement", "close S s ; parse s SELECT a FROM u ; sync", "closed ; parsed ; ready I", unknown},
		{"DEALLOCATE", "query DEALLOCATE s", "complete DEALLOCATE ; ready I", unknown},
		{"DISCARD", "query DISCARD ALL", "complete DISCARD ALL ; ready I", unknown},
	} {
		w := newWire(t)
		w.say("parse s SELECT a FROM t ; sync")
		w.hear("parsed ; ready I")
		for range 3 {
			w.say("bind - s ; execute - ; sync")
			w.hear("bound ; complete SELECT 1 ; ready I")
		}
		hidden, err := encode(protocol.ClientSide, c.hidden)
		if err != nil {
			t.Fatal(err)
		}
		w.off[event.Sent] += uint64(len(hidden))
		if c.hear != "" {
			w.hear(c.hear)
		} else {
			w.off[event.Received] += 40
		}
		w.sink.list = nil
		for range 3 {
			w.now = w.now.Add(time.Second)
			for i := range next {
				w.send(event.Sent, next[i:i+1])
			}
			w.hear("bound ; complete SELECT 1 ; ready I")
		}
		w.track.Tick(w.now.Add(time.Minute))
		if len(w.sink.list) == 0 {
			t.Errorf("%s: nothing is found", c.name)
		}
		for _, x := range w.sink.list {
			if x.what() != c.want {
				t.Errorf("%s: %s, want %s", c.name, x.what(), c.want)
			}
		}
	}
}

// TestDiscard: the server lets go of what was prepared.
func TestDiscard(t *testing.T) {
	w := newWire(t)
	w.say("parse s SELECT a FROM t ; sync")
	w.hear("parsed ; ready I")
	w.say("query DISCARD ALL")
	w.hear("complete DISCARD ALL ; ready I")
	w.say("bind - s ; execute - ; sync")
	w.hear("error 26000 ; ready I")
	if last := w.sink.list[len(w.sink.list)-1]; last.what() != "unknown unknown 26000" {
		t.Error(last.what())
	}
}
