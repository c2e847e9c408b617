// Package replay reads capture files and plays them: their packets become the events that live capture would have given, and
// their times are the time of day.
//
// It reads pcap and pcapng in either byte order and any resolution, with any number of interfaces and sections, plain or
// compressed with gzip, also while they are still being written. The formats are read here and not by gopacket/pcapgo, which
// believes the lengths of a file: a hostile one makes it allocate 4 GiB, or divide by zero. Nothing here grows with the file.
package replay

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/packet"
)

// Handler takes what a capture tells. It is called from the goroutine that calls Run.
type Handler interface {
	// Handle takes an event, which belongs to the caller again when it returns.
	Handle(event.Event)
	// Tick tells the time, by the packets, about every 50 ms of it.
	Tick(now time.Time)
}

// How often the time is told, and for how long at that pace when no packet comes.
const (
	tick     = 50 * time.Millisecond
	maxTicks = 300 // 15 s: longer than anybody waits for an answer to a datagram
)

// settled is how much later than the last packet the last Tick is: for a connection to count as idle. Answers are not waited
// for: that the capture ended says nothing about them.
const settled = 250 * time.Millisecond

// Player plays a file.
type Player struct {
	file      *File
	assembler *packet.Assembler
	handler   Handler
	clock     clock
}

// New makes a Player of f, whose packets are put together as cfg says and told to h.
func New(f *File, cfg packet.Config, h Handler) *Player {
	p := &Player{file: f, assembler: packet.New(cfg, h.Handle), handler: h}
	p.clock.tick = func(t time.Time) {
		p.assembler.Tick(t)
		h.Tick(t)
	}
	f.idle = p.clock.idle
	return p
}

// Run plays the file to its end, or until ctx ends, which is no error. The handler's first call is a Tick at the first packet's
// time. What was read before an error has been handed on.
func (p *Player) Run(ctx context.Context) error {
	var next packet.Packet
	var err error
	const look = 1024 // packets between looks at ctx
	for n := 0; ; n++ {
		if n%look == 0 && ctx.Err() != nil {
			break
		}
		if err = p.file.Next(&next); err != nil {
			break
		}
		p.clock.advance(next.Time)
		p.assembler.Packet(&next)
	}
	if now := p.clock.now; !now.IsZero() {
		p.assembler.Flush(now)
		p.handler.Tick(now.Add(settled))
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}

// Counters say what became of the packets, as of the last Tick. It may be called from any goroutine.
func (p *Player) Counters() packet.Counters { return p.assembler.Counters() }

// clock turns the times of packets into ticks.
type clock struct {
	tick func(time.Time)
	// now is the latest time of a packet, ticked the last time told; seen is when, by the real clock, now was met.
	now, ticked, seen time.Time
}

// advance tells the time up to t, of the next packet.
func (c *clock) advance(t time.Time) {
	if c.now.IsZero() {
		c.now, c.ticked = t, t
		c.tick(t)
	}
	if t.After(c.now) {
		c.now = t
	}
	c.seen = time.Time{}
	c.tell(t)
}

func (c *clock) tell(t time.Time) {
	for n := 0; n < maxTicks && t.Sub(c.ticked) >= tick; n++ {
		c.ticked = c.ticked.Add(tick)
		c.tick(c.ticked)
	}
	if t.Sub(c.ticked) >= tick {
		c.ticked = t
		c.tick(t)
	}
}

// idle is called again and again while a file that is being written has nothing new: the packets' time goes on all the same.
func (c *clock) idle() {
	switch {
	case c.now.IsZero():
	case c.seen.IsZero():
		c.seen = time.Now()
	default:
		c.tell(c.now.Add(time.Since(c.seen)))
	}
}
