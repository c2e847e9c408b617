package protocol

import (
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// maxMarks bounds the call boundaries that a run remembers; past it calls melt into one, which can only make a message look
// younger than it is.
const maxMarks = 256

// mark describes the bytes of one call within a run: who moved them and when.
type mark struct {
	end        uint64 // offset one past the last byte
	at         time.Time
	task       event.Task
	number     uint32 // of its turn
	call, turn bool   // of the first byte, see Chunk
	torn       bool   // segments were lost right before it: the turn may have begun with them
}

// run holds bytes that a parser has seen but not taken. Runs are pooled: a stream has one only while a message is open.
type run struct {
	data  []byte
	marks []mark
}

// stream is one direction of a connection. Exactly one of three holds: pos < end and the bytes between are in run;
// pos == end and nothing is held; pos > end and what comes up to pos is of no interest (a body).
type stream struct {
	pos, end uint64
	run      *run
	took     int64    // when the last byte before min(pos, end) moved, in ns since 1970
	open     *Message // begun, its end is still to come
	openAt   uint64   // where it began

	started bool // end is known
	byPart  bool // the parser will end open by PartEnd; else it ends at pos
	lost    bool // looking for a place where a message may start
	suspect bool // segments were lost that may have been of this direction; the next offset will tell
	gap     bool // segments were lost since the last byte: a turn may be among them
	fresh   bool // a message begins at pos: both ends agreed so, or a preamble ended there
}

// view is a run of bytes on offer to a parser, buffered or straight out of an event.
type view struct {
	base  uint64 // offset of data[0]
	data  []byte
	marks []mark // ascending; the last one's end is base+len(data)
	alone bool   // a datagram: nothing comes after it
}

// from returns the bytes of v at and after off.
func (v *view) from(off uint64) []byte {
	if off >= v.base+uint64(len(v.data)) {
		return nil
	}
	return v.data[off-v.base:]
}

// at returns the mark of the byte at off, and whether that byte is the mark's first.
func (v *view) at(off uint64) (m *mark, first bool) {
	if len(v.marks) == 1 {
		return &v.marks[0], off == v.base
	}
	start := v.base
	for i := range v.marks {
		if off < v.marks[i].end {
			return &v.marks[i], off == start
		}
		start = v.marks[i].end
	}
	if len(v.marks) == 0 {
		return &mark{}, false // nothing is held: there is no byte to ask for
	}
	return &v.marks[len(v.marks)-1], false
}

// append adds a call's bytes.
func (r *run) append(data []byte, m mark) {
	r.data = append(r.data, data...)
	if n := len(r.marks); n == maxMarks {
		r.marks[n-1].end, r.marks[n-1].at = m.end, m.at
		return
	}
	r.marks = append(r.marks, m)
}

// keep makes r hold exactly the bytes of v from off on; v may be r's own.
func (r *run) keep(v *view, off uint64) {
	rest := v.from(off)
	i := 0
	for i < len(v.marks)-1 && v.marks[i].end <= off {
		i++
	}
	_, first := v.at(off)
	r.data = append(r.data[:0], rest...)
	r.marks = append(r.marks[:0], v.marks[i:]...)
	if !first {
		r.marks[0].call, r.marks[0].turn = false, false
	}
}

// runPool recycles runs and accounts for the bytes that are held, so that all connections together stay within a budget.
type runPool struct {
	free []*run
	held int // capacity of the runs handed out, as of their last note
}

// Sizes of the pool: a few runs are kept, large ones go back to the garbage collector.
const (
	pooledRuns  = 64
	pooledBytes = 64 << 10
)

func (p *runPool) get() *run {
	if n := len(p.free); n > 0 {
		r := p.free[n-1]
		p.free = p.free[:n-1]
		p.held += cap(r.data)
		return r
	}
	return &run{}
}

func (p *runPool) put(r *run) {
	p.held -= cap(r.data)
	if len(p.free) < pooledRuns && cap(r.data) <= pooledBytes {
		r.data, r.marks = r.data[:0], r.marks[:0]
		p.free = append(p.free, r)
	}
}
