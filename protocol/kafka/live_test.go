package kafka_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// live is a cluster and a recording of what its clients do.
type live struct {
	t       *testing.T
	cluster *kfake.Cluster
	rec     *recording
	ctx     context.Context
}

func newLive(t *testing.T, opts ...kfake.Opt) *live {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3), kfake.SeedTopics(3, "orders", "carts")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return &live{t: t, cluster: c, rec: &recording{}, ctx: ctx}
}

func (l *live) client(opts ...kgo.Opt) *kgo.Client {
	l.t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(l.cluster.ListenAddrs()...), kgo.Dialer(l.rec.dial), kgo.ClientID("shop"), kgo.FetchMaxWait(200 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.MetadataMinAge(20 * time.Millisecond),
	}, opts...)...)
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}

// produce sends n records to a topic, each in a request of its own, and wants that none fails.
func (l *live) produce(c *kgo.Client, topic string, n int) {
	l.t.Helper()
	for i := range n {
		r := &kgo.Record{Topic: topic, Key: fmt.Append(nil, i), Value: []byte(strings.Repeat("value ", 100))}
		if err := c.ProduceSync(l.ctx, r).FirstErr(); err != nil {
			l.t.Errorf("%s: %v", topic, err)
		}
	}
}

// consume reads until n records have come.
func (l *live) consume(c *kgo.Client, n int) {
	l.t.Helper()
	for n > 0 {
		f := c.PollFetches(l.ctx)
		if err := f.Err(); err != nil {
			l.t.Errorf("%d to come: %v", n, err)
			return
		}
		n -= f.NumRecords()
	}
}

// inject answers the next request of a kind with what it is given.
func (l *live) inject(key kmsg.Key, answer func(kmsg.Request) kmsg.Response) {
	l.cluster.ControlKey(int16(key), func(r kmsg.Request) (kmsg.Response, error, bool) { return answer(r), nil, true })
}

// check compares what a Tracker counts with what the library reads out of the same bytes.
func (l *live) check(least map[string]int) {
	l.t.Helper()
	l.rec.mu.Lock() // of connections that are still being closed
	defer l.rec.mu.Unlock()
	want := l.rec.read(l.t)
	out, counters := l.rec.replay(l.rec.moves, false)
	have := map[string]int{}
	for _, s := range out.list {
		have[counted(s.op, s.topic, s.err)]++
	}
	for k := range have {
		want[k] += 0
	}
	total := 0
	for k, n := range want {
		if have[k] != n {
			l.t.Errorf("%q: %d, want %d", k, have[k], n)
		}
		total += n
	}
	for k, n := range least {
		if have[k] < n {
			l.t.Errorf("%q: %d, want %d at least", k, have[k], n)
		}
	}
	if out.gaps != 0 || counters.ParseErrors["kafka"] != 0 {
		l.t.Errorf("%d missing, %d parse errors", out.gaps, counters.ParseErrors["kafka"])
	}
	l.t.Logf("%d connections, %d calls, %d exchanges in %d kinds", len(l.rec.conns), len(l.rec.moves), total, len(want))
	for _, m := range l.rec.moves {
		if o := spec().Sniff(m.dir, m.data); m.dir == event.Received && o == protocol.Yes {
			l.t.Errorf("an answer is taken for a request: %x", m.data)
		}
	}
	l.attached(out)
}

// attached joins every connection at every call: nothing is wrong, only missing.
func (l *live) attached(full *sink) {
	l.t.Helper()
	byConn := map[event.ConnID][]move{}
	for _, m := range l.rec.moves {
		byConn[m.conn.id] = append(byConn[m.conn.id], m)
	}
	joined, found := 0, 0
	for id, moves := range byConn {
		type key struct {
			start             int64
			op                string
			request, response int64
		}
		of := map[key]seen{}
		for _, s := range full.list {
			if s.conn == id {
				of[key{s.start, s.op, s.request, s.response}] = s
			}
		}
		step := 1 + len(moves)/150
		for from := 0; from < len(moves); from += step {
			out, _ := l.rec.replay(moves[from:], true)
			joined++
			for _, s := range out.list {
				f, ok := of[key{s.start, s.op, s.request, s.response}]
				if !ok || s.topic != f.topic && !s.unresolved || s.err != f.err && !s.unresolved {
					l.t.Errorf("connection %d from call %d: %v was never", id, from, s)
				}
				found++
			}
		}
	}
	l.t.Logf("joined %d times, %d exchanges, all true", joined, found)
}

// TestLive: a client's produces of every kind, its consumers with and without a group, and its transactions.
func TestLive(t *testing.T) {
	for _, c := range []struct {
		name     string
		versions *kversion.Versions
	}{{"newest", nil}, {"2.3", kversion.V2_3_0()}, {"0.11", kversion.V0_11_0()}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLive(t)
			var opts []kgo.Opt
			if c.versions != nil {
				opts = append(opts, kgo.MaxVersions(c.versions))
			}
			acks := l.produceEveryWay(opts)
			l.consumeAlone(opts)
			l.consumeInGroup(opts)
			l.transact(opts)
			l.check(map[string]int{
				"Produce orders ": acks, "Fetch orders ": 1, "JoinGroup  ": 3, "Heartbeat  REBALANCE_IN_PROGRESS": 1,
				"OffsetCommit orders ": 1, "EndTxn  ": 2, "Metadata orders ": 1,
			})
		})
	}
}

// produceEveryWay returns how many requests to "orders" it makes, at least.
func (l *live) produceEveryWay(opts []kgo.Opt) (n int) {
	for _, ways := range [][]kgo.Opt{
		{kgo.RequiredAcks(kgo.AllISRAcks())},
		{kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()},
		{kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite()},
		{kgo.ProducerBatchCompression(kgo.GzipCompression())},
		{kgo.ProducerBatchCompression(kgo.SnappyCompression())},
		{kgo.ProducerBatchCompression(kgo.Lz4Compression())},
	} {
		c := l.client(append(ways, opts...)...)
		l.produce(c, "orders", 10)
		l.produce(c, "carts", 5)
		c.Close()
		n += 10
	}
	return n
}

func (l *live) consumeAlone(opts []kgo.Opt) {
	c := l.client(append([]kgo.Opt{kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}, opts...)...)
	defer c.Close()
	l.consume(c, 60)
}

// consumeInGroup has a second member join and leave, so that the first has to join again.
func (l *live) consumeInGroup(opts []kgo.Opt) {
	opts = append([]kgo.Opt{
		kgo.ConsumeTopics("orders"), kgo.ConsumerGroup("g"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.HeartbeatInterval(50 * time.Millisecond), kgo.Balancers(kgo.RangeBalancer()),
	}, opts...)
	first := l.client(opts...)
	defer first.Close()
	l.consume(first, 60)
	second := l.client(opts...)
	stop, cancel := context.WithCancel(l.ctx)
	var wg sync.WaitGroup
	for _, c := range []*kgo.Client{first, second} {
		wg.Go(func() {
			for stop.Err() == nil {
				c.PollFetches(stop)
			}
		})
	}
	if _, err := l.cluster.WaitGroupStable(l.ctx, "g", 2); err != nil {
		l.t.Error(err)
	}
	cancel()
	wg.Wait()
	if err := first.CommitUncommittedOffsets(l.ctx); err != nil {
		l.t.Error(err)
	}
	second.LeaveGroup()
	second.Close()
}

func (l *live) transact(opts []kgo.Opt) {
	c := l.client(append([]kgo.Opt{kgo.TransactionalID("tx")}, opts...)...)
	defer c.Close()
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		if err := c.BeginTransaction(); err != nil {
			l.t.Error(err)
		}
		l.produce(c, "orders", 3)
		if err := c.EndTransaction(l.ctx, end); err != nil {
			l.t.Error(err)
		}
	}
}

// TestLiveErrors: what a broker refuses, and what it asks to be done again.
func TestLiveErrors(t *testing.T) {
	l := newLive(t)
	produced := func(code int16) func(kmsg.Request) kmsg.Response {
		return func(r kmsg.Request) kmsg.Response {
			resp := r.ResponseKind().(*kmsg.ProduceResponse)
			for _, topic := range r.(*kmsg.ProduceRequest).Topics {
				rt := kmsg.NewProduceResponseTopic()
				rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
				for _, p := range topic.Partitions {
					rp := kmsg.NewProduceResponseTopicPartition()
					rp.Partition, rp.ErrorCode = p.Partition, code
					rt.Partitions = append(rt.Partitions, rp)
				}
				resp.Topics = append(resp.Topics, rt)
			}
			return resp
		}
	}
	c := l.client(kgo.DisableIdempotentWrite(), kgo.RecordRetries(5))
	for _, code := range []int16{kerr.NotLeaderForPartition.Code, kerr.RequestTimedOut.Code, kerr.NotEnoughReplicas.Code} {
		l.inject(kmsg.Produce, produced(code))
		l.produce(c, "orders", 1)
	}
	l.inject(kmsg.Produce, produced(kerr.MessageTooLarge.Code))
	if err := c.ProduceSync(l.ctx, &kgo.Record{Topic: "orders", Value: []byte("x")}).FirstErr(); err == nil {
		t.Error("a refused record is taken")
	}
	lost := l.client(kgo.UnknownTopicRetries(1))
	if err := lost.ProduceSync(l.ctx, &kgo.Record{Topic: "no-such-topic", Value: []byte("x")}).FirstErr(); err == nil {
		t.Error("a topic that is not there takes a record")
	}
	lost.Close()
	l.inject(kmsg.FindCoordinator, func(r kmsg.Request) kmsg.Response {
		resp := r.ResponseKind().(*kmsg.FindCoordinatorResponse)
		for _, k := range r.(*kmsg.FindCoordinatorRequest).CoordinatorKeys {
			rc := kmsg.NewFindCoordinatorResponseCoordinator()
			rc.Key, rc.ErrorCode = k, kerr.CoordinatorNotAvailable.Code
			resp.Coordinators = append(resp.Coordinators, rc)
		}
		return resp
	})
	g := l.client(kgo.ConsumeTopics("orders"), kgo.ConsumerGroup("errors"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	l.consume(g, 3)
	g.Close()
	c.Close()
	l.check(map[string]int{
		"Produce orders NOT_LEADER_OR_FOLLOWER": 1, "Produce orders REQUEST_TIMED_OUT": 1, "Produce orders NOT_ENOUGH_REPLICAS": 1,
		"Produce orders MESSAGE_TOO_LARGE": 1, "Metadata no-such-topic UNKNOWN_TOPIC_OR_PARTITION": 1, "Produce orders ": 3,
		"FindCoordinator  COORDINATOR_NOT_AVAILABLE": 1, "JoinGroup  MEMBER_ID_REQUIRED": 1,
	})
}

// TestLiveLogin: a client that logs in, and one that may not.
func TestLiveLogin(t *testing.T) {
	l := newLive(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "shop", "secret"))
	c := l.client(kgo.SASL(plain.Auth{User: "shop", Pass: "secret"}.AsMechanism()))
	l.produce(c, "orders", 3)
	c.Close()
	l.inject(kmsg.SASLAuthenticate, func(r kmsg.Request) kmsg.Response {
		resp := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
		return resp
	})
	again := l.client(kgo.SASL(plain.Auth{User: "shop", Pass: "secret"}.AsMechanism()))
	again.ProduceSync(l.ctx, &kgo.Record{Topic: "orders", Value: []byte("x")}) // which may be refused for the login's sake
	again.Close()
	l.check(map[string]int{"SaslAuthenticate  ": 1, "SaslAuthenticate  SASL_AUTHENTICATION_FAILED": 1, "Produce orders ": 3})
}
