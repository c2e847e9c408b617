package probe

import (
	"context"
	"math"
	"time"

	"github.com/toposcope/toposcope/bpf"
	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/ring"
)

// watchTotals reads the totals of connections and the accept queues, at once and then every interval.
func (p *Probe) watchTotals(ctx context.Context) error {
	ticker := time.NewTicker(p.opts.StatsInterval)
	defer ticker.Stop()
	before := make([]uint64, len(p.shards))
	var told bool
	for {
		if p.Enabled() {
			p.readTotals(before)
			told = told || p.tellFull()
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

// tellFull says so in the log when the kernel's table of connections was full. A connection without room has no part in
// anything; each of its calls asks for room again and is counted, see Counters.Lost, and it is found when others have ended.
func (p *Probe) tellFull() bool {
	c, err := p.Counters()
	if err != nil || c.Lost["connections"] == 0 {
		return false
	}
	p.log.Warn("More connections are open than the kernel's table holds: those beyond are not seen until others end",
		"ends", p.maps[bpf.SocketsMapConns].MaxEntries())
	return true
}

// readTotals tells the shards the totals of their connections, and has them close those that the kernel knows no more: their
// close was lost. before is, by shard, up to which one they were opened when the round before began; it is set to this round's.
// A walk over a table that changes meanwhile may miss an entry, but not the same one twice in a row.
func (p *Probe) readTotals(before []uint64) {
	tellers := make([]teller, len(p.shards))
	for i, s := range p.shards {
		tellers[i] = teller{shard: s, free: make(chan []event.Stats, pieces)}
	}
	// What each shard knew before the kernel was asked. A number says nothing: it is given when a connect begins.
	opened := make([]uint64, len(p.shards))
	for i, s := range p.shards {
		answer := make(chan uint64, 1)
		if s.post(func(s *shard) { answer <- s.opened }) {
			select {
			case opened[i] = <-answer:
			case <-time.After(patienceOfTotals):
				tellers[i].behind = true // leave it in peace
			}
		}
	}
	p.fetchCloses()
	now := time.Now()
	err := p.walk(bpf.SocketsProgConnTotals, bpf.SocketsMapConns, ring.StatsSize, func(record []byte) {
		if s, i, err := ring.Stats(record, now); err == nil && i < len(tellers) {
			tellers[i].tell(s)
		}
	})
	for i := range tellers {
		tellers[i].flush()
		if err == nil && !tellers[i].behind {
			limit := before[i]
			p.shards[i].post(func(s *shard) { s.whenRead(func() { s.closeMissing(nil, math.MaxUint64, limit) }) })
			before[i] = opened[i]
		}
	}
}

// pieceLen is the totals of how many connections a shard takes at a time, pieces how many such may wait for it: it gets through
// two at each of its rounds, so that those of 100,000 connections take about half a second and never much of it at once.
const (
	pieceLen = 1024
	pieces   = 2
	// patienceOfTotals is for how long a shard is waited for.
	patienceOfTotals = time.Second
)

// teller tells one shard the totals of its connections, piece by piece: nobody holds those of all.
type teller struct {
	shard  *shard
	piece  []event.Stats
	made   int
	free   chan []event.Stats // told, to be filled again
	behind bool               // the shard did not come in time: it is left in peace until the next round
}

func (t *teller) tell(s event.Stats) {
	if t.behind {
		return
	}
	if t.piece = append(t.piece, s); len(t.piece) == pieceLen {
		t.flush()
	}
}

func (t *teller) flush() {
	if len(t.piece) == 0 || t.behind {
		return
	}
	piece := t.piece
	if !t.shard.post(func(s *shard) { s.takeTotals(piece); t.free <- piece[:0] }) {
		t.behind = true
		return
	}
	if t.made < pieces-1 {
		t.made++
		t.piece = nil
		return
	}
	select {
	case t.piece = <-t.free:
	case <-time.After(patienceOfTotals):
		t.behind = true
	}
}

// takeTotals hands totals on. A connection that has some lives: it is as if it had been opened now, see closeMissing.
func (s *shard) takeTotals(totals []event.Stats) {
	for i := range totals {
		id := totals[i].Conn
		if _, ok := s.open[id]; ok {
			s.opened++
			s.open[id] = s.opened
		}
		s.handler.Handle(&totals[i])
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
	var queues []event.Listening
	now := time.Now()
	err := p.walk(bpf.SocketsProgListenerQueues, bpf.SocketsMapListeners, ring.QueueSize, func(record []byte) {
		if q, err := ring.Queue(record, now); err == nil {
			queues = append(queues, q)
		}
	})
	if err != nil {
		return
	}
	p.shards[0].post(func(s *shard) {
		for i := range queues {
			s.handler.Handle(&queues[i])
		}
	})
}
