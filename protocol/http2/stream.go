package http2

import (
	"slices"
	"time"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/semantics"
)

// maxStreams is how many streams of a connection are followed at a time; past it the oldest is forgotten. Servers allow 100 to
// 1,000; a client that breaks off what it asks (rapid reset) has none open.
const maxStreams = 1024

// stream is what is known of a stream that is open: a request without the end of its response.
type stream struct {
	id     uint32
	status int16 // of the response; 0: not known
	layer  int8  // index of what is spoken in it, plainHTTP or undecided
	callOf int8  // the layer that call is of

	asked    bool    // the request was seen
	ended    bool    // and its end
	answered bool    // the response's header was seen
	tunnel   bool    // a CONNECT
	torn     [2]bool // part of the message of that Kind was lost

	size  [2]int64 // of the message of that Kind, what was not yet reported
	start int64    // when the request began, in ns since 1970
	call  semantics.Call
	held  *semantics.Header // of a request of which it is not yet known what it speaks
}

// What is spoken in a stream, or in all streams of a connection, besides layers.
const (
	plainHTTP = -1
	undecided = -2
	mixed     = -3
)

// streams are the open streams of a connection, by ID: new ones come at the end.
type streams struct {
	open []*stream
	free []*stream
	held int // bytes of the headers that are held back
}

// maxFree is how many streams out of use are kept for the next, maxHeld how many bytes of headers are held back.
const (
	maxFree = 32
	maxHeld = 128 << 10
)

// find returns the stream of that ID, nil when it is not open.
func (s *streams) find(id uint32) *stream {
	if n := len(s.open); n > 0 && s.open[n-1].id == id {
		return s.open[n-1]
	}
	if i, ok := s.search(id); ok {
		return s.open[i]
	}
	return nil
}

func (s *streams) search(id uint32) (int, bool) {
	lo, hi := 0, len(s.open)
	for lo < hi {
		if mid := (lo + hi) / 2; s.open[mid].id < id {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(s.open) && s.open[lo].id == id
}

// add opens a stream.
func (s *streams) add(id uint32) *stream {
	if len(s.open) >= maxStreams {
		s.remove(s.open[0])
	}
	var st *stream
	if n := len(s.free); n > 0 {
		st, s.free = s.free[n-1], s.free[:n-1]
	} else {
		st = &stream{}
	}
	*st = stream{id: id, layer: plainHTTP, call: st.call, callOf: st.callOf}
	if n := len(s.open); n == 0 || s.open[n-1].id < id {
		s.open = append(s.open, st)
		return st
	}
	i, found := s.search(id)
	if found {
		s.remove(s.open[i])
	}
	s.open = slices.Insert(s.open, i, st)
	return st
}

// remove closes a stream.
func (s *streams) remove(st *stream) {
	i, ok := s.search(st.id)
	if !ok {
		return
	}
	s.open = slices.Delete(s.open, i, i+1)
	s.unhold(st)
	if len(s.free) < maxFree {
		s.free = append(s.free, st)
	}
}

// hold keeps the header of a request until it is known what that speaks. A stream for which there is no room is closed: what it
// speaks will not be known.
func (s *streams) hold(st *stream, h *semantics.Header) {
	st.held = h.Copy()
	if s.held += st.held.Size(); s.held > maxHeld {
		s.remove(st)
	}
}

// unhold returns the header that was held back, nil when there is none.
func (s *streams) unhold(st *stream) *semantics.Header {
	h := st.held
	if h != nil {
		s.held -= h.Size()
		st.held = nil
	}
	return h
}

// tear notes that bytes of the direction that carries messages of that Kind were lost: any message that is open may lack some.
func (s *streams) tear(k protocol.Kind) {
	for _, st := range s.open {
		if k == protocol.Request && st.ended {
			continue
		}
		st.torn[k] = true
		if st.layer >= 0 {
			st.call.Body(k, nil, -1)
		}
	}
}

func unix(ns int64) time.Time { return time.Unix(0, ns) }
