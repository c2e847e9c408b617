package kafka

import (
	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

const (
	// leastRecords is what one record takes in the oldest of the formats. Nobody produces less, and it tells a request to Produce from
	// an answer: a small correlation id reads as the key of Produce and a version, and what a member of a group is assigned may read on
	// as a topic with its partitions.
	leastRecords = 26
	// mostBytes is what a broker takes in one request unless it is told otherwise (socket.request.max.bytes). Only records are so large.
	mostBytes = 100 << 20
)

// mostSniffed is how much is looked at of a request that goes on and on. It is walked through anew each time that more has come.
const mostSniffed = 8 << 10

// sniff looks for a request. A response has nothing to know it by.
func (s *schema) sniff(_ event.Dir, data []byte) protocol.Sniffed { return s.judge(data, false) }

// judge says whether data begins with a request: its header must be right in all that can be told, and its fields must fill it exactly.
// Of one that is not there to its end, a topic must have been among them. It must have a name, unless it is known who speaks.
func (s *schema) judge(data []byte, known bool) protocol.Sniffed {
	h, what := s.header(data, true)
	switch what {
	case wrong:
		return protocol.No
	case nothing:
		return protocol.More
	}
	e := evidence{header: &h, named: known || h.client != nil}
	switch e.walk(data) {
	case wrong:
		return protocol.No
	case nothing:
		switch {
		case e.topic:
			return protocol.Yes
		case len(data) > mostSniffed:
			return protocol.No
		}
		return protocol.More
	}
	if !e.named && h.key != keyAPIVersions || h.key == keyProduce && !e.topic {
		return protocol.No
	}
	return protocol.Yes
}

// evidence is what speaks for a request.
type evidence struct {
	header *header
	named  bool // there is a client's name, or a topic's
	topic  bool // it is about a topic; of Produce, with records
}

// walk goes through a request to its end (done), to where it is cut off (nothing), or until something cannot be (wrong).
func (e *evidence) walk(data []byte) found {
	var w walk
	h := e.header
	w.start(h.api, h.api.request, h.version)
	for pos, what := h.body, nothing; ; {
		switch pos, what = w.step(data, pos, 4+h.size-pos); what {
		case wrong:
			return wrong
		case done:
			if pos != 4+h.size {
				return wrong
			}
			return done
		case nothing:
			if pos == 4+h.size || len(data) >= 4+h.size {
				return wrong
			}
			return nothing
		default:
			if !e.plausible(&w, what, data) {
				return wrong
			}
		}
	}
}

// plausible says whether a field has a value that it may have.
func (e *evidence) plausible(w *walk, what found, data []byte) bool {
	produce := e.header.key == keyProduce
	switch what {
	case foundTopic:
		e.named, e.topic = true, e.topic || !produce
		return w.to-w.from <= maxTopic && isTopic(data[w.from:w.to])
	case foundID:
		e.topic = e.topic || e.named && !produce && *(*uuid)(data[w.from:w.to]) != uuid{}
	case foundRecords:
		e.topic = e.named
		return w.value >= leastRecords
	case foundAcks:
		return w.value >= -1 && w.value <= 1
	case foundWait:
		return w.value >= 0
	}
	return true
}
