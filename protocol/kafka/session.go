package kafka

// session is the fetch session of a connection (KIP-227): after its first request, which names all topics, a Fetch names only
// those of which something changed, and often none. A client has one session with each broker.
type session struct {
	id    int32
	epoch int32  // of the last request; each is one more than the one before
	bound bool   // id is known: the request that opens a session does not say it
	topic []byte // the first one named by the last request that named any; empty when that is not known
}

// The epochs of a fetch that are none of a session that goes on.
const (
	epochOpens = 0 // or a fetch without a session, of a version that knows none
	epochNone  = -1
)

// continued looks after the session that a Fetch or ShareFetch belongs to: what the request does not name is what it named before.
func (p *parser) continued(r *reading) {
	switch {
	case r.epoch == epochNone:
		return
	case r.epoch == epochOpens && !r.hasTopic():
		p.session = nil
		return
	case p.session == nil:
		p.session = &session{}
	}
	s := p.session
	if r.epoch == epochOpens || r.epoch != s.epoch+1 || s.bound && r.session != s.id { // another one, or a request was missed
		s.topic = s.topic[:0]
	}
	s.epoch, s.id, s.bound = r.epoch, r.session, r.epoch != epochOpens
	if r.hasTopic() || r.unresolved || r.forgets {
		s.topic = append(append(s.topic[:0], r.topic...), r.name...)
	}
	if r.hasTopic() {
		return
	}
	if r.topic = s.topic; len(s.topic) == 0 {
		r.topic, r.unresolved = nil, true
	}
}

func (r *reading) hasTopic() bool { return r.topic != nil || r.name != "" }
