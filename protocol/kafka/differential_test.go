package kafka_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// filler sets the fields of the library's messages at random, by their names where those matter.
type filler struct {
	r      *rand.Rand
	errors bool // codes other than 0
	names  bool // topics have names, not only ids
}

func (f *filler) fill(v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.Pointer:
		if f.r.IntN(4) == 0 && (name != "Topic" || !f.names) {
			v.SetZero()
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		if d, ok := v.Interface().(interface{ Default() }); ok {
			d.Default()
		}
		f.fill(v.Elem(), name)
	case reflect.Struct:
		for i := range v.NumField() {
			switch n := v.Type().Field(i).Name; n {
			case "Version", "UnknownTags":
			default:
				f.fill(v.Field(i), n)
			}
		}
	case reflect.Slice:
		n := f.r.IntN(4)
		if v.Type().Elem().Kind() == reflect.Uint8 {
			n *= f.r.IntN(100)
		}
		if name == "Records" {
			n = 26 + f.r.IntN(300)
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			f.fill(v.Index(i), name)
		}
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i), name)
		}
	case reflect.String:
		v.SetString(f.name())
	case reflect.Bool:
		v.SetBool(f.r.IntN(2) == 0)
	case reflect.Float64:
		v.SetFloat(f.r.Float64())
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		v.SetUint(uint64(f.r.Uint32()) & (1<<v.Type().Bits() - 1))
	default:
		v.SetInt(f.number(name, v.Type().Bits()))
	}
}

func (f *filler) number(name string, bits int) int64 {
	switch name {
	case "ErrorCode", "AcknowledgeErrorCode":
		if f.errors && f.r.IntN(3) == 0 {
			return int64(f.r.IntN(140)) - 1
		}
		return 0
	case "Acks":
		return int64(f.r.IntN(3)) - 1
	case "MaxWaitMillis":
		return int64(f.r.IntN(2) * 500)
	case "SessionEpoch", "ShareSessionEpoch":
		return -1 // sessions have tests of their own
	}
	return int64(f.r.Uint64()) >> (64 - bits)
}

func (f *filler) name() string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	n := 1 + f.r.IntN(12)
	if f.r.IntN(10) == 0 {
		n = 249
	}
	var b strings.Builder
	for range n {
		b.WriteByte(letters[f.r.IntN(len(letters))])
	}
	return b.String()
}

// first walks through a message of the library in the order of its fields, which is that of the wire, and calls look for each
// until it says to stop.
func first(v reflect.Value, name string, look func(name string, v reflect.Value) bool) bool {
	if look(name, v) {
		return true
	}
	switch v.Kind() {
	case reflect.Pointer:
		return !v.IsNil() && first(v.Elem(), name, look)
	case reflect.Struct:
		for i := range v.NumField() {
			n := v.Type().Field(i).Name
			if n != "UnknownTags" && n != "ForgottenTopics" && n != "ForgottenTopicsData" && first(v.Field(i), n, look) {
				return true
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if first(v.Index(i), name, look) {
				return true
			}
		}
	}
	return false
}

// wantedTopic is the first topic that a request names, protocol.Unknown when it does so by an id.
func wantedTopic(r kmsg.Request) (topic string) {
	switch r.(type) {
	case *kmsg.ConsumerGroupHeartbeatRequest, *kmsg.StreamsGroupHeartbeatRequest, *kmsg.StreamsGroupTopologyDescriptionUpdateRequest,
		*kmsg.DescribeTopicPartitionsRequest:
		if d, ok := r.(*kmsg.DescribeTopicPartitionsRequest); ok && len(d.Topics) > 0 {
			return d.Topics[0].Topic
		}
		return ""
	}
	byID := false
	first(reflect.ValueOf(r).Elem(), "", func(name string, v reflect.Value) bool {
		switch {
		case (name == "Topic" || name == "TopicNames") && v.Kind() == reflect.String && v.String() != "":
			topic = v.String()
		case name == "TopicID" && v.Kind() == reflect.Array && !v.IsZero():
			byID = true
			return r.Key() != int16(kmsg.Metadata)
		}
		return topic != ""
	})
	if topic == "" && byID {
		return protocol.Unknown
	}
	return topic
}

// wantedError is the first error of a response.
func wantedError(r kmsg.Response) (code int16) {
	first(reflect.ValueOf(r).Elem(), "", func(name string, v reflect.Value) bool {
		if (name == "ErrorCode" || name == "AcknowledgeErrorCode") && v.Kind() == reflect.Int16 {
			code = int16(v.Int())
		}
		return code != 0
	})
	return code
}

func errorName(code int16) string {
	if code == 6 {
		return "NOT_LEADER_OR_FOLLOWER" // which the library calls by its older name
	}
	e := kerr.TypedErrorForCode(code)
	switch {
	case code == 0:
		return ""
	case e == nil || e.Code != code:
		return "_OTHER"
	}
	return e.Message
}

// TestAgainstLibrary: of every API in every version, filled at random, the parser reads the operation, the topic and the error that
// the library reads, wherever the bytes are cut; and every request is recognised.
func TestAgainstLibrary(t *testing.T) {
	rounds := 30
	if testing.Short() {
		rounds = 4
	}
	r := rand.New(rand.NewPCG(1, 2))
	s := spec()
	w := newWire(t, s, false)
	apis, versions, named, failed := 0, 0, 0, 0
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		api := kmsg.RequestForKey(key)
		if api == nil {
			t.Errorf("no key %d", key)
			continue
		}
		apis++
		for version := int16(0); version <= api.MaxVersion(); version++ {
			versions++
			for round := range rounds {
				c := newCase(t, r, key, version, round%2 == 1)
				if c.err != 0 {
					failed++
				}
				if c.topic != "" && c.topic != protocol.Unknown {
					named++
				}
				if o := s.Sniff(event.Sent, c.ask); o != protocol.Yes && !c.bare {
					t.Fatalf("%s: sniffed %d: %x", c.name, o, c.ask)
				}
				w.t = t
				c.run(t, w, r, round)
				if t.Failed() {
					return
				}
			}
		}
	}
	if named == 0 || failed == 0 {
		t.Fatalf("%d with topics, %d failed", named, failed)
	}
	t.Logf("%d APIs, %d versions, %d with a topic, %d failed", apis, versions, named, failed)
}

// libraryCase is one exchange, with what is to come of it.
type libraryCase struct {
	name, topic string
	err         int16
	ask, answer []byte
	noReply     bool
	bare        bool // it has nothing to know it by: a Produce of no records, a ControlledShutdown without a client's name
	version     int16
	key         int16
}

func newCase(t *testing.T, r *rand.Rand, key, version int16, errors bool) *libraryCase {
	t.Helper()
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	byID := key == int16(kmsg.Metadata) && version >= 10 || key == int16(kmsg.DeleteTopics) && version >= 6
	f := &filler{r: r, errors: errors, names: !byID}
	if d, ok := req.(interface{ Default() }); ok {
		d.Default()
	}
	f.fill(reflect.ValueOf(req).Elem(), "")
	resp := req.ResponseKind()
	resp.SetVersion(version)
	f.fill(reflect.ValueOf(resp).Elem(), "")
	// What the version does not have is not there when it is read back.
	ask, answer := kmsg.RequestForKey(key), req.ResponseKind()
	ask.SetVersion(version)
	answer.SetVersion(version)
	if err := ask.ReadFrom(req.AppendTo(nil)); err != nil {
		t.Fatalf("%s v%d: %v", kmsg.NameForKey(key), version, err)
	}
	if err := answer.ReadFrom(resp.AppendTo(nil)); err != nil {
		t.Fatalf("%s v%d: %v", kmsg.NameForKey(key), version, err)
	}
	c := &libraryCase{
		name: fmt.Sprintf("%s v%d", kmsg.NameForKey(key), version), topic: wantedTopic(ask), err: wantedError(answer),
		ask: request(req, 7, "some client"), answer: response(resp, 7), version: version, key: key,
	}
	c.bare = key == int16(kmsg.ControlledShutdown) && version == 0
	if p, ok := ask.(*kmsg.ProduceRequest); ok {
		c.noReply, c.bare = p.Acks == 0, true
		for _, topic := range p.Topics {
			c.bare = c.bare && len(topic.Partitions) == 0
		}
	}
	return c
}

// run has the case read: whole in the first rounds, then cut anywhere.
func (c *libraryCase) run(t *testing.T, w *wire, r *rand.Rand, round int) {
	t.Helper()
	w.hello()
	pieces := func(d event.Dir, data []byte) {
		for len(data) > 0 {
			n := len(data)
			if round >= 2 {
				n = min(n, 1+r.IntN(1+r.IntN(200)))
			}
			w.moved(d, append([]byte(nil), data[:n]...), 0)
			data = data[n:]
		}
	}
	pieces(event.Sent, c.ask)
	if !c.noReply {
		pieces(event.Received, c.answer)
	}
	list := w.close()
	w.open(false)
	if len(list) != 1 {
		t.Fatalf("%s: %d exchanges", c.name, len(list))
	}
	g := list[0]
	byID := c.topic == protocol.Unknown
	if g.topic != c.topic || g.version != strconv.Itoa(int(c.version)) || g.request != int64(len(c.ask)) || g.unresolved != byID {
		t.Errorf("%s: got %v, want topic %q, %d bytes\n%x", c.name, g, c.topic, len(c.ask), c.ask)
	}
	if c.noReply {
		if g.answered || g.outcome != "ok" {
			t.Errorf("%s: got %v", c.name, g)
		}
		return
	}
	if g.err != errorName(c.err) || g.response != int64(len(c.answer)) || (g.outcome == "ok") != (c.err == 0) {
		t.Errorf("%s round %d: got %v, want %q, %d bytes\n%x", c.name, round, g, errorName(c.err), len(c.answer), c.answer)
	}
	if w.gaps != 0 {
		t.Errorf("%s: %d missing", c.name, w.gaps)
	}
}
