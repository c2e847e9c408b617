package kafka_test

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// recording keeps what goes over real connections, call by call and in order.
type recording struct {
	mu    sync.Mutex
	conns []*recorded
	moves []move
}

// recorded is one connection of a recording.
type recorded struct {
	net.Conn
	to   *recording
	id   event.ConnID
	flow event.Flow
	sent [2][]byte
}

// move is one call of a connection.
type move struct {
	conn *recorded
	dir  event.Dir
	data []byte
	at   time.Time
}

// dial is for the client under test: it connects and records.
func (r *recording) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := &recorded{Conn: c, to: r, id: event.ConnID(len(r.conns) + 1), flow: event.Flow{
		Local: netip.MustParseAddrPort(c.LocalAddr().String()), Remote: netip.MustParseAddrPort(c.RemoteAddr().String()),
	}}
	r.conns = append(r.conns, rec)
	return rec, nil
}

func (c *recorded) moved(d event.Dir, data []byte) {
	c.to.mu.Lock()
	defer c.to.mu.Unlock()
	c.to.moves = append(c.to.moves, move{conn: c, dir: d, data: append([]byte(nil), data...), at: time.Now()})
	c.sent[d] = append(c.sent[d], data...)
}

// Write implements net.Conn. A send's time and place is its entry: its answer may be read before it returns.
func (c *recorded) Write(b []byte) (int, error) {
	c.moved(event.Sent, b)
	return c.Conn.Write(b)
}

// Read implements net.Conn.
func (c *recorded) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.moved(event.Received, b[:n])
	}
	return n, err
}

// sink counts what a Tracker says.
type sink struct {
	list []seen
	gaps uint64
}

// seen is an exchange and when it began.
type seen struct {
	got
	conn  event.ConnID
	start int64
}

func (s *sink) Exchange(x *protocol.Exchange) {
	s.list = append(s.list, seen{describe(x), x.Conn, x.Start().UnixNano()})
}
func (s *sink) Gap(_ event.ConnID, _ string, n uint64) { s.gaps += n }

// replay hands moves to a Tracker, as connections that begin with them or, attached, that are older. existing says which.
func (r *recording) replay(moves []move, existing bool) (*sink, protocol.Counters) {
	out := &sink{}
	t := protocol.NewTracker([]*protocol.Spec{spec()}, protocol.Config{}, nil, out)
	type state struct {
		seq  uint64
		off  [2]uint64
		turn uint32
		last event.Dir
	}
	states := map[event.ConnID]*state{}
	for _, m := range moves {
		s := states[m.conn.id]
		if s == nil {
			s = &state{turn: uint32(m.dir), last: m.dir}
			states[m.conn.id] = s
			t.Handle(&event.Opened{Conn: m.conn.id, Role: event.RoleClient, Existing: existing, Flow: m.conn.flow, Time: m.at})
		}
		if s.last != m.dir {
			s.turn++
			s.last = m.dir
		}
		t.Handle(&event.Segment{
			Conn: m.conn.id, Dir: m.dir, Seq: s.seq, Off: s.off[m.dir], Data: m.data, Size: len(m.data), Time: m.at,
			Turn: s.turn, Turns: true, Task: event.Task{PID: 1, TID: 1, Start: 1},
		})
		s.seq++
		s.off[m.dir] += uint64(len(m.data))
	}
	for _, c := range r.conns {
		if s := states[c.id]; s != nil {
			t.Handle(&event.Closed{
				Conn: c.id, Seq: s.seq, Sent: s.off[event.Sent], Received: s.off[event.Received], Turn: s.turn, Turns: true,
				Time: moves[len(moves)-1].at,
			})
		}
	}
	counters := t.Counters()
	t.Tick(moves[len(moves)-1].at.Add(time.Hour))
	return out, counters
}

// oracle reads a recording by the library: what was asked of which topic, and what came of it.
type oracle struct {
	t     *testing.T
	names map[[16]byte]string
	want  map[string]int
}

// read counts the exchanges of all connections as "API topic error".
func (r *recording) read(t *testing.T) map[string]int {
	o := &oracle{t: t, names: map[[16]byte]string{}, want: map[string]int{}}
	for _, learn := range []bool{true, false} {
		for _, c := range r.conns {
			o.conn(c, learn)
		}
	}
	return o.want
}

// asked is a request that waits for its answer.
type asked struct {
	req   kmsg.Request
	topic string
}

func (o *oracle) conn(c *recorded, learn bool) {
	waiting := map[uint32]asked{}
	session := ""
	for data := c.sent[event.Sent]; len(data) > 0; {
		size := binary.BigEndian.Uint32(data)
		frame := data[4 : 4+size]
		data = data[4+size:]
		req := kmsg.RequestForKey(int16(binary.BigEndian.Uint16(frame)))
		req.SetVersion(int16(binary.BigEndian.Uint16(frame[2:])))
		body := frame[10+binary.BigEndian.Uint16(frame[8:]):]
		if req.IsFlexible() {
			body = body[1:] // the client sends no tagged fields
		}
		if err := req.ReadFrom(body); err != nil {
			o.t.Fatalf("%s v%d: %v", kmsg.NameForKey(req.Key()), req.GetVersion(), err)
		}
		a := asked{req: req, topic: o.topic(req, &session)}
		if p, ok := req.(*kmsg.ProduceRequest); ok && p.Acks == 0 {
			o.count(a, nil, learn)
			continue
		}
		waiting[binary.BigEndian.Uint32(frame[4:])] = a
	}
	for data := c.sent[event.Received]; len(data) > 4; {
		size := binary.BigEndian.Uint32(data)
		if uint64(len(data)) < 4+uint64(size) {
			break
		}
		frame := data[4 : 4+size]
		data = data[4+size:]
		id := binary.BigEndian.Uint32(frame)
		a, ok := waiting[id]
		if !ok {
			o.t.Fatalf("an answer to nothing: %d", id)
		}
		delete(waiting, id)
		resp := a.req.ResponseKind()
		resp.SetVersion(a.req.GetVersion())
		body := frame[4:]
		if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
			body = body[1:]
		}
		if err := resp.ReadFrom(body); err != nil {
			o.t.Fatalf("%s v%d: %v", kmsg.NameForKey(resp.Key()), resp.GetVersion(), err)
		}
		if m, ok := resp.(*kmsg.MetadataResponse); ok {
			for _, topic := range m.Topics {
				if topic.Topic != nil {
					o.names[topic.TopicID] = *topic.Topic
				}
			}
		}
		o.count(a, resp, learn)
	}
	for _, a := range waiting {
		if a.waits() {
			o.add(a, "", learn) // it ended with its connection
			continue
		}
		o.add(a, protocol.ErrorUnanswered, learn)
	}
}

// waits reports whether a may wait for something to happen.
func (a asked) waits() bool {
	switch r := a.req.(type) {
	case *kmsg.FetchRequest:
		return r.MaxWaitMillis > 0
	case *kmsg.JoinGroupRequest, *kmsg.SyncGroupRequest:
		return true
	}
	return false
}

// topic is what a request names, or what the one before it in its fetch session did.
func (o *oracle) topic(req kmsg.Request, session *string) string {
	topic := wantedTopic(req)
	if topic == protocol.Unknown {
		topic = o.byID(req)
	}
	f, ok := req.(*kmsg.FetchRequest)
	if !ok {
		return topic
	}
	switch {
	case f.SessionEpoch < 0:
	case topic != "":
		*session = topic
	case f.SessionEpoch == 0:
		*session = ""
	default:
		if len(f.ForgottenTopics) > 0 {
			*session = protocol.Unknown
		}
		topic = *session
	}
	return topic
}

func (o *oracle) byID(req kmsg.Request) string {
	var id [16]byte
	switch r := req.(type) {
	case *kmsg.ProduceRequest:
		id = r.Topics[0].TopicID
	case *kmsg.FetchRequest:
		id = r.Topics[0].TopicID
	case *kmsg.OffsetCommitRequest:
		id = r.Topics[0].TopicID
	case *kmsg.OffsetFetchRequest:
		id = r.Groups[0].Topics[0].TopicID
	case *kmsg.TxnOffsetCommitRequest:
		id = r.Topics[0].TopicID
	default:
		o.t.Fatalf("%T by id", req)
	}
	return o.names[id]
}

func (o *oracle) count(a asked, resp kmsg.Response, learn bool) {
	code := int16(0)
	if resp != nil {
		code = wantedError(resp)
	}
	o.add(a, errorName(code), learn)
}

func (o *oracle) add(a asked, err string, learn bool) {
	if !learn {
		o.want[counted(kmsg.NameForKey(a.req.Key()), a.topic, err)]++
	}
}

// counted is how an exchange is counted.
func counted(op, topic, err string) string {
	switch op { // the library has names of its own
	case "SASLHandshake":
		op = "SaslHandshake"
	case "SASLAuthenticate":
		op = "SaslAuthenticate"
	case "InitProducerID":
		op = "InitProducerId"
	}
	return op + " " + topic + " " + err
}
