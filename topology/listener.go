package topology

import (
	"net/netip"
	"sync"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/labeler"
)

// maxListeners bounds the directory of listeners.
const maxListeners = 1 << 14

// listeners knows how long the accept queues are. It may be told of the same listener by more than one shard.
type listeners struct {
	mu    sync.Mutex
	byKey map[listenerKey]listener
}

type listenerKey struct {
	local netip.AddrPort
	netns uint32
}

type listener struct {
	task  event.Task
	queue int
	at    time.Time
}

func (l *listeners) handle(e *event.Listening) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := listenerKey{e.Local, e.NetNS}
	old, known := l.byKey[k]
	switch {
	case e.Time.Before(old.at):
	case !e.Open:
		delete(l.byKey, k)
	case known || len(l.byKey) < maxListeners:
		if l.byKey == nil {
			l.byKey = map[listenerKey]listener{}
		}
		task := e.Task
		if task.PID == 0 {
			task = old.task
		}
		l.byKey[k] = listener{task, e.Queue, e.Time}
	}
}

// queues sums the accept queues up by service.
func (l *listeners) queues(resolver Resolver) map[ServiceKey]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[ServiceKey]int{}
	for k, v := range l.byKey {
		var r *labeler.Resource
		if v.task.PID != 0 {
			r = resolver.Process(v.task)
		}
		if !known(r) {
			r, _ = resolver.Address(k.local, k.netns, v.at)
		}
		if r != nil && !r.Self {
			out[keyOf(r)] += v.queue
		}
	}
	return out
}
