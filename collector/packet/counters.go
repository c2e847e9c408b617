package packet

// Counters say what became of the packets. All but the gauges only grow.
type Counters struct {
	// Packets and Bytes were handed in; Bytes by the packets' true length.
	Packets, Bytes uint64

	// Packets that led to no event: of a link type that is not known, of another protocol than IP, IP of another transport
	// than TCP and UDP, contradicting themselves or cut within their headers, without a direction or of an end that is not
	// local (Config.PerEnd, Config.Local), UDP of ports that nobody asked for.
	UnknownLink, NotIP, NotTransport, Malformed, Undirected, NotLocal, Filtered uint64
	// Stray packets belong to no connection that is known (a reset, the end of one from before capture) or came after its
	// end, OutOfWindow ones are nowhere near the bytes that are due.
	Stray, OutOfWindow uint64

	// Cut packets were not captured whole.
	Cut uint64
	// Fragments are pieces of IP datagrams; FragmentsLost are those of datagrams of which not all came, or for which there
	// was no room.
	Fragments, FragmentsLost uint64

	// Segments with new bytes and Datagrams were emitted.
	Segments, Datagrams uint64
	// Retransmits, KeepAlives and Duplicates (the same packet seen once more, on another interface) brought nothing new.
	Retransmits, KeepAlives, Duplicates uint64
	// Reordered packets had to wait for others.
	Reordered uint64
	// Holes are runs of bytes that never came, HoleBytes how many bytes as far as known. HeldOut of them were given up
	// early, for want of room.
	Holes, HoleBytes, HeldOut uint64
	// Evicted connections and sockets were ended to make room.
	Evicted uint64

	// Gauges: connections and sockets that are known, and bytes that wait for others.
	Flows, Sockets, HeldBytes int
}

// Counters are those at the last Tick or Flush. It may be called from any goroutine.
func (a *Assembler) Counters() Counters {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.published
}

func (a *Assembler) publish() {
	a.count.Flows, a.count.Sockets, a.count.HeldBytes = a.opening.n+a.open.n, len(a.sockets), a.held
	a.mu.Lock()
	a.published = a.count
	a.mu.Unlock()
}
