package probe

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/toposcope/toposcope/bpf"
	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/ring"
)

// runIterator runs an iterator program once and returns what it wrote. The caller holds p.mu.
func (p *Probe) runIterator(name, over string) ([]byte, error) {
	for _, pr := range p.programs {
		if pr.name == name {
			return readIterator(pr.prog, p.maps[over])
		}
	}
	return nil, fmt.Errorf("iterator %s is not loaded", name)
}

// runs tells whether a program is attached. The caller holds p.mu.
func (p *Probe) runs(name string) bool {
	return slices.ContainsFunc(p.programs, func(pr *program) bool { return pr.name == name })
}

func readIterator(prog *ebpf.Program, over *ebpf.Map) ([]byte, error) {
	it, err := link.AttachIter(link.IterOptions{Program: prog, Map: over})
	if err != nil {
		return nil, fmt.Errorf("attaching an iterator: %w", err)
	}
	defer it.Close()
	r, err := it.Open()
	if err != nil {
		return nil, fmt.Errorf("opening an iterator: %w", err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("running an iterator: %w", err)
	}
	return b, nil
}

// findExisting tells the rings of every TCP socket that some task holds.
func (p *Probe) findExisting() error {
	if _, err := p.runIterator(bpf.SocketsProgExistingSockets, ""); err != nil {
		p.failures[bpf.SocketsProgExistingSockets] = err
		p.log.Warn("Connections that are open already will be known from their next bytes on", "err", err)
	}
	if !p.runs(waitingReceives) {
		return nil
	}
	if _, err := p.runIterator(waitingReceives, ""); err != nil {
		p.failures[waitingReceives] = err
		p.log.Warn("What threads are waiting to receive now will be missed, once for each", "err", err)
	}
	return nil
}

// watchTotals reads the totals of connections and the accept queues, at once and then every interval.
func (p *Probe) watchTotals(ctx context.Context) error {
	ticker := time.NewTicker(p.opts.StatsInterval)
	defer ticker.Stop()
	for {
		if p.Enabled() {
			p.readTotals()
			p.readQueues()
			p.tellPacketTotals()
		}
		if err := p.clock.Sync(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (p *Probe) readTotals() {
	// What each shard knew before the kernel was asked. A number says nothing: it is given when a connect begins.
	opened := make([]uint64, len(p.shards))
	for i, s := range p.shards {
		answer := make(chan uint64, 1)
		if s.post(func(s *shard) { answer <- s.opened }) {
			select {
			case opened[i] = <-answer:
			case <-time.After(time.Second):
				return // the shard is behind: leave it in peace
			}
		}
	}
	p.fetchCloses()
	b, err := p.iterate(bpf.SocketsProgConnTotals, bpf.SocketsMapConns)
	if err != nil {
		return
	}
	now := time.Now()
	totals := make([][]event.Stats, len(p.shards))
	living := make([]map[event.ConnID]bool, len(p.shards))
	for i := range living {
		living[i] = map[event.ConnID]bool{}
	}
	for ; len(b) >= ring.StatsSize; b = b[ring.StatsSize:] {
		s, i, err := ring.Stats(b, now)
		if err != nil || i >= len(totals) {
			continue
		}
		totals[i] = append(totals[i], s)
		living[i][s.Conn] = true
	}
	for i, s := range p.shards {
		s.post(func(s *shard) {
			for j := range totals[i] {
				s.handler.Handle(&totals[i][j])
			}
			s.whenRead(func() { s.closeMissing(living[i], math.MaxUint64, opened[i]) })
		})
	}
}

// fetchCloses takes the ends of connections that found no room in a ring to their shards.
func (p *Probe) fetchCloses() {
	m := p.maps[bpf.SocketsMapUnsentCloses]
	var (
		id   uint64
		end  bpf.SocketsCloseEvent
		gone []uint64
	)
	for it := m.Iterate(); it.Next(&id, &end); {
		record := end
		i := int(end.Stats.Shard)
		if i >= len(p.shards) || p.shards[i].post(func(s *shard) { s.take(ring.Bytes(&record)) }) {
			gone = append(gone, id)
		}
	}
	for _, id := range gone {
		if err := ignoreMissing(m.Delete(id)); err != nil {
			p.log.Error("An end of a connection could not be taken out of its map", "err", err)
		}
	}
}

func (p *Probe) tellPacketTotals() {
	for _, s := range p.shards {
		s.post(func(s *shard) { s.packets.totals(time.Now()) })
	}
}

func (p *Probe) readQueues() {
	b, err := p.iterate(bpf.SocketsProgListenerQueues, bpf.SocketsMapListeners)
	if err != nil {
		return
	}
	var queues []event.Listening
	for now := time.Now(); len(b) >= ring.QueueSize; b = b[ring.QueueSize:] {
		if q, err := ring.Queue(b, now); err == nil {
			queues = append(queues, q)
		}
	}
	p.shards[0].post(func(s *shard) {
		for i := range queues {
			s.handler.Handle(&queues[i])
		}
	})
}

// iterate runs an iterator from outside the lock; a failure is remembered, and logged once.
func (p *Probe) iterate(name, over string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.enabled || p.method == packetMethod {
		return nil, nil
	}
	b, err := p.runIterator(name, over)
	if err != nil && p.failures[name] == nil {
		p.log.Warn("A program does not run; the rest goes on", "program", name, "err", err)
		p.failures[name] = err
	}
	return b, err
}
