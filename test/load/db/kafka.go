package db

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/toposcope/toposcope/test/load/servers"
)

// kafkaUpkeep are the requests by which a client looks after itself.
var kafkaUpkeep = []kmsg.Key{
	kmsg.ApiVersions, kmsg.Metadata, kmsg.FindCoordinator, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat, kmsg.LeaveGroup, kmsg.OffsetFetch,
	kmsg.InitProducerID, kmsg.GetTelemetrySubscriptions, kmsg.PushTelemetry,
}

// kafkaWaits are those whose answer may wait for something.
var kafkaWaits = []kmsg.Key{kmsg.Fetch, kmsg.JoinGroup, kmsg.SyncGroup}

// kafkaHook counts the requests that a client tells of, which is not what they are for: those that produce and commit are for topic.
// Where topic is "" it counts the client's upkeep alone.
type kafkaHook struct {
	*tally
	topic  string
	joined *atomic.Bool
}

// OnBrokerE2E is called by the client with each request that has been answered.
func (h kafkaHook) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e kgo.BrokerE2E) {
	k := kmsg.Key(key)
	op := Operation{Name: kmsg.NameForKey(key), Upkeep: slices.Contains(kafkaUpkeep, k), Waiting: slices.Contains(kafkaWaits, k), Any: true}
	switch {
	case e.WriteErr != nil || h.topic == "" && !op.Upkeep:
		return
	case e.ReadErr != nil && op.Waiting: // the client ends, and its wait with it
	case e.ReadErr != nil:
		op.Code = "unanswered"
	case k == kmsg.Produce || k == kmsg.OffsetCommit:
		op.Collection, op.Any = h.topic, false
	case k == kmsg.InitProducerID:
		op.Name = "InitProducerId" // as Kafka spells it
	case k == kmsg.JoinGroup && !h.joined.Swap(true):
		op.Code, op.Rejected = kerr.MemberIDRequired.Message, true // a new member is given an ID, with which it asks again
	}
	h.add(op)
}

// kafkaGroup produces to a topic and consumes it in a group of its own, in the newest versions of the requests.
func kafkaGroup(ctx context.Context, target string, w worker, s *session) error {
	topic := servers.Topics[int(w)%len(servers.Topics)]
	group := fmt.Sprintf("group %d of %d", w, time.Now().UnixNano())
	if err := s.learnTopics(ctx, target); err != nil {
		return err
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(target), kgo.WithHooks(kafkaHook{s.tally, topic, &atomic.Bool{}}), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.ProducerLinger(0), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.AutoCommitMarks(),
	)
	if err != nil {
		return err
	}
	s.steps = []step{
		{"produce", func(ctx context.Context) error {
			return client.ProduceSync(ctx, &kgo.Record{
				Topic: topic, Key: []byte(s.value), Value: []byte(s.value), Headers: []kgo.RecordHeader{{Key: "note", Value: []byte(s.value)}},
			}).FirstErr()
		}, nil},
		{"consume", func(ctx context.Context) error { return client.PollFetches(ctx).Err() }, nil},
		{"commit", client.CommitUncommittedOffsets, nil},
	}
	s.close = func(context.Context) error { client.Close(); return nil }
	return nil
}

// learnTopics asks for the IDs of the topics, in whose place newer requests have no name. Who reads along decodes connections side by
// side, and is given the time to learn them before they are used on another one.
func (s *session) learnTopics(ctx context.Context, target string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(target), kgo.WithHooks(kafkaHook{s.tally, "", &atomic.Bool{}}), kgo.DisableClientMetrics())
	if err != nil {
		return err
	}
	defer client.Close()
	request := kmsg.NewPtrMetadataRequest()
	for _, topic := range servers.Topics {
		request.Topics = append(request.Topics, kmsg.MetadataRequestTopic{Topic: kmsg.StringPtr(topic)})
	}
	if _, err := client.Request(ctx, request); err != nil {
		return err
	}
	time.Sleep(200 * time.Millisecond)
	return nil
}

// kafkaRequests sends requests one by one, in old versions, which name their topics.
func kafkaRequests(ctx context.Context, target string, _ worker, s *session) error {
	options := []kgo.Opt{kgo.SeedBrokers(target), kgo.MaxVersions(kversion.V2_3_0()), kgo.DisableClientMetrics(), kgo.ProducerLinger(0)}
	asking, err := kgo.NewClient(append(options, kgo.WithHooks(kafkaHook{s.tally, "", &atomic.Bool{}}))...)
	if err != nil {
		return err
	}
	topic := servers.Topics[0]
	producing, err := kgo.NewClient(append(options, kgo.WithHooks(kafkaHook{s.tally, topic, &atomic.Bool{}}))...)
	if err != nil {
		return err
	}
	s.close = func(context.Context) error {
		asking.Close()
		producing.Close()
		return nil
	}
	if err := asking.Ping(ctx); err != nil {
		return err
	}
	s.steps = append(s.steps, step{"produce", func(ctx context.Context) error {
		return producing.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("a record")}).FirstErr()
	}, nil})
	for _, topic := range append(slices.Clone(servers.Topics), "missing") {
		s.steps = append(s.steps, kafkaSteps(asking.Broker(0), topic)...)
	}
	return nil
}

// kafkaSteps are requests for a topic, of which "missing" is none.
func kafkaSteps(broker *kgo.Broker, topic string) (all []step) {
	code := ""
	if topic == "missing" {
		code = kerr.UnknownTopicOrPartition.Message
	}
	ask := func(request kmsg.Request, made Operation, errorOf func(kmsg.Response) int16) {
		made.Name, made.Collection, made.Code = kmsg.NameForKey(request.Key()), topic, code
		all = append(all, step{made.Name + " " + topic, func(ctx context.Context) error {
			response, err := broker.Request(ctx, request)
			if err != nil {
				return err
			}
			return kafkaCode(errorOf(response), code)
		}, []Operation{made}})
	}
	fetch, offsets, produce := kmsg.NewPtrFetchRequest(), kmsg.NewPtrListOffsetsRequest(), kmsg.NewPtrProduceRequest()
	fetch.MaxBytes, fetch.SessionEpoch = 10_000, -1
	fetch.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{{CurrentLeaderEpoch: -1, PartitionMaxBytes: 10_000}}}}
	ask(fetch, Operation{}, func(r kmsg.Response) int16 { return r.(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode })
	offsets.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{{CurrentLeaderEpoch: -1, Timestamp: -1}}}}
	ask(offsets, Operation{}, func(r kmsg.Response) int16 { return r.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].ErrorCode })
	if code != "" {
		produce.Acks, produce.TimeoutMillis = -1, 1000
		produce.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: batch()}}}}
		ask(produce, Operation{}, func(r kmsg.Response) int16 { return r.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode })
	}
	return all
}

// batch is one record as a client sends it.
func batch() []byte {
	r := kmsg.Record{Value: []byte("a record")}
	r.Length = int32(len(r.AppendTo(nil)) - 1) // its own length takes one byte
	b := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: 1, Records: r.AppendTo(nil),
	}
	const (
		beforeLength = 8 + 4                    // what comes before that which is counted
		beforeSum    = beforeLength + 4 + 1 + 4 // before that which is summed
	)
	b.Length = int32(len(b.AppendTo(nil)) - beforeLength)
	b.CRC = int32(crc32.Checksum(b.AppendTo(nil)[beforeSum:], crc32.MakeTable(crc32.Castagnoli)))
	return b.AppendTo(nil)
}

// kafkaCode fails unless an error's number is that of code.
func kafkaCode(number int16, code string) error {
	var failed *kerr.Error
	if errors.As(kerr.ErrorForCode(number), &failed) {
		return sameCode(failed.Message, code)
	}
	return sameCode("", code)
}
