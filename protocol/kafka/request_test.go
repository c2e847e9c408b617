package kafka_test

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/kafka"
)

// TestNewerProduce: a version of Produce that is newer than the table, for which no answer comes, has not failed when the connection
// ends.
func TestNewerProduce(t *testing.T) {
	for acks, answered := range map[int16]bool{0: false, 1: true, -1: true} {
		req := kmsg.NewPtrProduceRequest()
		req.Version, req.Acks = 13, acks
		data := request(req, 7, "shop")
		data[7] = 99 // the version
		w := newWire(t, spec(), false)
		w.hello()
		for cut := range len(data) {
			w.ask(data[cut : cut+1])
		}
		if answered {
			w.answer(framed("\x00\x00\x00\x07", "\x00\x00"))
		}
		list := w.close()
		if len(list) != 1 || list[0].op != "Produce" || list[0].outcome != "ok" || list[0].answered != answered || !list[0].unresolved {
			t.Errorf("acks %d: %v", acks, list)
		}
	}
}

// TestSessionAfterLoss: a fetch session that was opened among lost bytes is not taken for the one before it.
func TestSessionAfterLoss(t *testing.T) {
	fetch := func(session, epoch int32, topics ...string) *kmsg.FetchRequest {
		r := kmsg.NewPtrFetchRequest()
		r.Version, r.MaxWaitMillis, r.SessionID, r.SessionEpoch = 11, 500, session, epoch
		for _, name := range topics {
			topic := kmsg.NewFetchRequestTopic()
			topic.Topic = name
			r.Topics = append(r.Topics, topic)
		}
		return r
	}
	w := newWire(t, spec(), false)
	w.hello()
	exchange := func(r *kmsg.FetchRequest, id int32, lost bool) {
		ask, answer := request(r, id, "test"), response(r.ResponseKind(), id)
		if lost {
			w.seq, w.turn, w.last = w.seq+2, w.turn+2, event.Received
			w.off[event.Sent] += uint64(len(ask))
			w.off[event.Received] += uint64(len(answer))
			return
		}
		w.ask(ask)
		w.answer(answer)
	}
	exchange(fetch(0, 0, "orders"), 1, false)
	exchange(fetch(0, 0, "carts"), 2, true)
	exchange(fetch(78, 1), 3, false)
	w.tracker.Tick(w.now.Add(time.Hour))
	list := w.close()
	if len(list) != 2 || list[0].topic != "orders" || list[1].topic != protocol.Unknown || !list[1].unresolved || w.gaps != 1 {
		t.Errorf("%v, %d gaps", list, w.gaps)
	}
}

// TestNamelessLogin: a client without a name that has logged in by tokens goes on to be read.
func TestNamelessLogin(t *testing.T) {
	versions := kmsg.NewPtrApiVersionsRequest()
	shake := kmsg.NewPtrSASLHandshakeRequest()
	shake.Mechanism = "PLAIN"
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Group = "g"
	for _, token := range []string{"\x00user\x00secret", "\x00A\x00 secret", "", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", "\x60\x82\x02\x9e"} {
		w := newWire(t, spec(), false)
		w.ask(request(versions, 0, ""))
		w.answer(response(versions.ResponseKind(), 0))
		w.ask(request(shake, 1, ""))
		w.answer(response(shake.ResponseKind(), 1))
		w.ask(framed(token))
		w.answer(framed(""))
		w.ask(request(beat, 2, ""))
		w.answer(response(beat.ResponseKind(), 2))
		list := w.close()
		if len(list) != 3 || list[2].op != "Heartbeat" || list[2].outcome != "ok" || w.gaps != 0 {
			t.Errorf("%q: %v, %d gaps", token, list, w.gaps)
		}
	}
}

// TestPatience: a request that does not end, and names no topic, is not waited for: each time all of it would be read again.
func TestPatience(t *testing.T) {
	r := kmsg.NewPtrDescribeGroupsRequest()
	for range 20000 {
		r.Groups = append(r.Groups, "g")
	}
	data := request(r, 1, "shop")
	s := spec()
	if o := s.Sniff(event.Sent, data[:20000]); o != protocol.No {
		t.Errorf("%v after 20,000 of %d bytes", o, len(data))
	}
	if o := s.Sniff(event.Sent, data); o != protocol.Yes {
		t.Errorf("%v of the whole", o)
	}
}

// TestClientID: what a client calls itself is its own text, which is kept only where values are.
func TestClientID(t *testing.T) {
	r := kmsg.NewPtrMetadataRequest()
	data := request(r, 1, "shop-hunter2")
	for _, values := range []bool{false, true} {
		p := kafka.Spec(protocol.Options{TextLimit: 100, Values: values}).New()
		_, m, err := p.Next(&protocol.Chunk{Data: data})
		if err != nil || m == nil {
			t.Fatalf("%+v %v", m, err)
		}
		kept := false
		for i := range m.Attrs.Len() {
			_, v := m.Attrs.At(i)
			kept = kept || strings.Contains(string(v), "hunter2")
		}
		if kept != values {
			t.Errorf("values %v: the client's name is kept: %v", values, kept)
		}
	}
}
