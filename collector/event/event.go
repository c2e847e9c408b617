// Package event holds what capture emits: connections, the bytes that tasks exchange on them, and what was lost on the way.
//
// It is the type package of the collector stage: standard library only, no kernel, any OS. Times are wall clock
// (converted from the kernel's monotonic clock at the ring), sizes are bytes, offsets are positions in the byte
// stream of one direction of one connection, counted from the first byte that capture could know of.
package event

import (
	"net/netip"
	"time"
)

// ConnID names one socket, that is one end of a connection, for the life of the process that captures. Never reused.
type ConnID uint64

// Dir is the direction of bytes as the socket's owner sees it.
type Dir uint8

// The two directions.
const (
	Sent Dir = iota
	Received
)

// Reverse is the other direction.
func (d Dir) Reverse() Dir { return d ^ 1 }

func (d Dir) String() string {
	if d == Sent {
		return "sent"
	}
	return "received"
}

// Role says who opened the connection.
type Role uint8

// Roles. An accepted socket is a server's, a connecting one a client's.
const (
	RoleUnknown Role = iota
	RoleClient
	RoleServer
)

func (r Role) String() string {
	switch r {
	case RoleClient:
		return "client"
	case RoleServer:
		return "server"
	default:
		return "unknown"
	}
}

// Source is the layer the bytes were seen at. Each has its own Seq and Off.
type Source uint8

// Sources.
const (
	SourceSocket Source = iota
	SourceTLS
	SourcePacket
)

// Task is who read or wrote. PID and Start together name a process for good; TID is the thread (0: not known).
// The zero Task is "not known".
type Task struct {
	PID, TID uint32
	// Start is the start time of the process (thread group leader) in nanoseconds since boot (CLOCK_BOOTTIME).
	Start uint64
}

// IsZero says that the task is not known.
func (t Task) IsZero() bool { return t.PID == 0 }

// Flow is a connection as one of its ends sees it. IPv4-mapped IPv6 addresses are unmapped.
type Flow struct {
	Local, Remote netip.AddrPort
	// NetNS is the inode number of the network namespace; 0 when not known (replay).
	NetNS uint32
}

// Mirror is the same connection seen from its other end in the same network namespace.
func (f Flow) Mirror() Flow { return Flow{Local: f.Remote, Remote: f.Local, NetNS: f.NetNS} }

// Event is one of *Opened, *Accepted, *Segment, *Closed, *ConnectFailed, *Stats, *Listening and *Lost.
//
// A handler gets the events of one shard from one goroutine and must not keep an event or its Data after it returns:
// the ring reuses both.
type Event interface{ event() }

// Opened announces a connection; it precedes every other event of its ConnID in the same shard.
type Opened struct {
	Conn     ConnID
	Flow     Flow
	Role     Role
	Datagram bool
	// Existing is set when the connection is older than capture. Offsets then count from the attach.
	Existing bool
	// Owner is the task that connected or, for an existing socket, one that holds it. Zero when not known (an accepted
	// socket has no owner until Accepted or the first Segment).
	Owner Task
	// Time is when the connection was established; for an existing one, when capture first saw it.
	Time time.Time
	// LastActive is when, at first sight, an existing connection had last sent or received a packet; zero when not known.
	LastActive time.Time
	// ConnectDuration is SYN to established on the client's side; 0 when not known.
	ConnectDuration time.Duration
}

// Accepted says that a task took the connection off the accept queue.
type Accepted struct {
	Conn ConnID
	Task Task
	Time time.Time
	// Wait is handshake done to accepted; negative when not known.
	Wait time.Duration
}

// Segment is a run of bytes that a task sent or received in one call.
type Segment struct {
	Conn   ConnID
	Source Source
	Dir    Dir
	// Seq numbers the segments of a connection, both directions together, from 0 without a gap. Segments may arrive
	// out of order by a few; a number that never comes was lost.
	Seq uint64
	// Turn numbers the runs of segments of one direction: it grows by one whenever the direction changes, also where the
	// segments between were lost. A connection's first turn is 0 when it sends first, 1 when it receives first. A source that
	// cannot tell leaves Turns false.
	Turn  uint32
	Turns bool
	// Off is the position of Data[0] in the stream of Dir.
	Off      uint64
	Datagram bool
	// Peer is the sender or receiver of a datagram on an unconnected socket.
	Peer netip.AddrPort
	Task Task
	// Data is what was captured from the start of the run; Size is the true length of the run, Size >= len(Data).
	Data []byte
	// Tail is the end of the run when the capture limit cut its middle: Tail ends at Off+Size. len(Data)+len(Tail) <= Size.
	Tail []byte
	Size int
	// Time is when the send began, or when the bytes were received.
	Time time.Time
}

// CloseReason says how a connection ended.
type CloseReason uint8

// Reasons.
const (
	CloseNormal CloseReason = iota
	CloseReset
	CloseTimeout
)

// Closed is the last event of a connection.
type Closed struct {
	Conn ConnID
	// Seq is one past the last Segment's, so that a loss at the end shows.
	Seq uint64
	// Turn is the last one's number, when Turns is set; see Segment.
	Turn  uint32
	Turns bool
	// Sent and Received are the final stream offsets.
	Sent, Received uint64
	Reason         CloseReason
	Time           time.Time
	Stats          Stats
}

// ConnectFailed is a connect that never got established: refused, unreachable or timed out.
type ConnectFailed struct {
	Flow     Flow
	Task     Task
	Time     time.Time
	Duration time.Duration
	// Errno is the Linux error number (ECONNREFUSED, ETIMEDOUT, …), 0 when the kernel gave none.
	Errno int
}

// Stats are a connection's totals since it was opened (since the attach for an existing one), taken from the kernel's own.
type Stats struct {
	Conn           ConnID
	RTT            time.Duration // smoothed; 0 when not measured
	Retransmits    uint64        // segments
	Sent, Received uint64        // bytes
	Time           time.Time
}

// Listening says that a task listens, or no longer listens (Open false), on Local, or how long its accept queue is.
type Listening struct {
	Local netip.AddrPort // the unspecified address for a wildcard
	NetNS uint32
	Task  Task
	Open  bool
	Queue int // connections that wait to be accepted, at Time
	Time  time.Time
}

// Lost says that events were dropped between the kernel and the handler. Conn is 0 when it is not known whose they were.
type Lost struct {
	Conn  ConnID
	Stage string // "ring", "reserve", … a closed set: the label of toposcope_events_lost_total
	Count uint64
	Time  time.Time
}

func (*Opened) event()        {}
func (*Accepted) event()      {}
func (*Segment) event()       {}
func (*Closed) event()        {}
func (*ConnectFailed) event() {}
func (*Stats) event()         {}
func (*Listening) event()     {}
func (*Lost) event()          {}

// Exec, Fork and Exit tell of processes. They come on a path of their own, so that a labeler knows a task before its
// first Segment is handled. See Processes.
type (
	// Exec is a process that became another program. Strings are copies and may be kept.
	Exec struct {
		Task       Task
		Parent     uint32
		Comm       string
		Executable string   // the path given to exec
		Args       []string // possibly cut
		// Environ are the variables that name a service, OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, as "name=value";
		// others never leave the kernel's record. Variables behind the first 4 KiB of the environment are not seen.
		Environ  []string
		CgroupID uint64 // cgroup v2 id; 0 when not known
		Time     time.Time
	}
	// Fork is a new process (not a thread).
	Fork struct {
		Parent, Child Task
		Time          time.Time
	}
	// Exit is the end of a process.
	Exit struct {
		Task Task
		Time time.Time
	}
)
