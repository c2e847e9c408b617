package probe

import (
	"log/slog"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/collector/packet"
	"github.com/toposcope/toposcope/collector/ring"
)

// packetConns is a bit of the numbers of connections that are made from packets. The kernel numbers its own from 1, and never
// gets there; the shard is in the seven bits below it.
const packetConns event.ConnID = 1 << 63

const shardShift = 56

func isPacketConn(id event.ConnID) bool { return id&packetConns != 0 }

func shardOfPacketConn(id event.ConnID) int { return int(id&^packetConns) >> shardShift }

// host is what an intake asks about the host. Its methods may be called from any goroutine.
type host interface {
	// owner finds the task that has the local end of a flow; the zero Task when it is not known, and then it will be looked for.
	// version is that of what is known: asking again is in vain until it changes.
	owner(f event.Flow, datagram bool, asked uint64, now time.Time) (t event.Task, version uint64)
	// listens tells whether somebody listens on the local end of a flow.
	listens(f event.Flow) bool
	// watched tells whether the filter lets a task's bytes be seen; the zero Task stands for one that is not known. An answer holds
	// until verdictsVersion changes.
	watched(t event.Task) bool
	verdictsVersion() uint64
	// dropped counts a connection or socket that the filter excludes.
	dropped()
	// refuseFlow lets the kernel copy no more than the headers of a flow, or again all of it.
	refuseFlow(f event.Flow, on bool)
}

// intake turns a shard's packets into events, for the ways of capture that see packets rather than calls. It belongs to the
// shard's goroutine.
type intake struct {
	host    host
	clock   *ring.Clock
	log     *slog.Logger
	decoder *ring.Decoder
	handle  func(event.Event)

	cfg    packet.Config
	asm    *packet.Assembler
	packet packet.Packet
	conns  map[event.ConnID]*packetConn
	last   event.ConnID
	ticked time.Time
	bad    uint64
}

// packetConn is what is known of a connection beside what the assembler knows.
type packetConn struct {
	flow     event.Flow
	task     event.Task
	role     event.Role
	asked    uint64 // version of what was known when its task was last asked for
	judged   uint64 // version of the filter that excluded is by
	datagram bool
	hidden   bool      // the handler was never told of it
	excluded bool      // by the filter
	refused  bool      // see Probe.Refuse
	total    [2]uint64 // bytes, by direction
}

// Bounds of an intake. A resolver makes a socket for each question, so sockets are forgotten as soon as no answer can come that
// anybody waits for.
const (
	packetTick     = 50 * time.Millisecond
	datagramIdle   = 10 * time.Second
	maxPacketBytes = 16 << 20 // that wait for others, of one shard
)

func newIntake(shard int, ports []uint16, h host, clock *ring.Clock, log *slog.Logger) *intake {
	in := &intake{
		host: h, clock: clock, log: log, decoder: ring.NewDecoder(clock),
		cfg:   packet.Config{PerEnd: true, UDPPorts: ports, UDPIdle: datagramIdle, MaxHeld: maxPacketBytes},
		conns: map[event.ConnID]*packetConn{},
		last:  packetConns | event.ConnID(shard)<<shardShift,
	}
	in.renew()
	return in
}

// renew begins with an assembler that knows nothing. Numbers go on.
func (in *intake) renew() {
	in.cfg.FirstConn = in.last + 1
	in.asm = packet.New(in.cfg, in.emitted)
}

// take handles a packet's record.
func (in *intake) take(record []byte) {
	if err := in.decoder.Packet(record, &in.packet); err != nil {
		if in.bad++; in.bad == 1 {
			in.log.Error("A packet's record from the kernel could not be decoded; objects and binary do not match", "err", err)
		}
		return
	}
	in.asm.Packet(&in.packet)
}

// tick passes the time on, now and then.
func (in *intake) tick(now time.Time) {
	if now.Sub(in.ticked) >= packetTick {
		in.ticked = now
		in.asm.Tick(now)
	}
}

// emitted takes the assembler's events: it adds who has the local end, and holds back what the filter excludes.
func (in *intake) emitted(ev event.Event) {
	switch ev := ev.(type) {
	case *event.Opened:
		in.opened(ev)
	case *event.Segment:
		in.segment(ev)
	case *event.Closed:
		c := in.conns[ev.Conn]
		delete(in.conns, ev.Conn)
		if c == nil || c.hidden {
			return
		}
		if c.refused && !c.datagram {
			in.host.refuseFlow(c.flow, false)
		}
		in.handle(ev)
	case *event.ConnectFailed:
		if ev.Task.IsZero() {
			ev.Task, _ = in.host.owner(ev.Flow, false, 0, ev.Time)
		}
		if in.host.watched(ev.Task) {
			in.handle(ev)
		}
	case *event.Stats:
		// told by totals
	default:
		in.handle(ev)
	}
}

func (in *intake) opened(ev *event.Opened) {
	in.last = max(in.last, ev.Conn)
	if ev.Role == event.RoleUnknown && !ev.Datagram {
		ev.Role = event.RoleClient
		if in.host.listens(ev.Flow) {
			ev.Role = event.RoleServer
		}
	}
	c := &packetConn{flow: ev.Flow, task: ev.Owner, role: ev.Role, datagram: ev.Datagram}
	in.conns[ev.Conn] = c
	in.find(c, ev.Time)
	in.judge(c)
	if c.hidden = c.excluded; c.hidden {
		return
	}
	ev.Owner = c.task
	in.handle(ev)
}

func (in *intake) segment(ev *event.Segment) {
	c := in.conns[ev.Conn]
	if c == nil {
		return
	}
	task := c.task
	if !ev.Task.IsZero() {
		c.task = ev.Task
	} else {
		in.find(c, ev.Time)
		ev.Task = c.task
	}
	if c.task != task || c.judged != in.host.verdictsVersion() {
		in.judge(c)
	}
	if c.excluded || c.refused {
		return
	}
	if c.hidden { // it was excluded when it was opened
		c.hidden = false
		in.handle(&event.Opened{
			Conn: ev.Conn, Flow: c.flow, Role: c.role, Datagram: c.datagram, Existing: !c.datagram, Owner: c.task, Time: ev.Time,
		})
	}
	c.total[ev.Dir&1] = max(c.total[ev.Dir&1], ev.Off+uint64(ev.Size))
	in.handle(ev)
}

// find looks for the task of c, unless it is known or nothing new is known since it was last looked for.
func (in *intake) find(c *packetConn, now time.Time) {
	if c.task.IsZero() {
		c.task, c.asked = in.host.owner(c.flow, c.datagram, c.asked, now)
	}
}

func (in *intake) judge(c *packetConn) {
	was := c.excluded
	c.judged = in.host.verdictsVersion()
	c.excluded = !in.host.watched(c.task)
	if c.excluded && !was {
		in.host.dropped()
	}
}

// refuse sees to it that no more comes of a connection; see Probe.Refuse.
func (in *intake) refuse(id event.ConnID, on bool) {
	c := in.conns[id]
	if c == nil || c.refused == on {
		return
	}
	c.refused = on
	if !c.datagram {
		in.host.refuseFlow(c.flow, on)
	}
}

// totals tells what each connection has sent and received so far.
func (in *intake) totals(now time.Time) {
	for id, c := range in.conns {
		if !c.datagram && !c.hidden {
			in.handle(&event.Stats{Conn: id, Sent: c.total[event.Sent], Received: c.total[event.Received], Time: now})
		}
	}
}

// closeAll ends every connection: capture has stopped.
func (in *intake) closeAll(now time.Time) {
	in.asm.Flush(now)
	for id, c := range in.conns {
		delete(in.conns, id)
		if !c.hidden {
			in.handle(&event.Closed{Conn: id, Reason: event.CloseReset, Time: now})
		}
	}
	in.renew()
}
