// Package kafka decodes Apache Kafka's protocol (https://kafka.apache.org/protocol): the operation is the name of the API ("Produce"),
// the destination the first topic that the request names, the error the first code of the response that is not zero.
//
// Messages are walked through as they come, by a table of their fields (schema.txt), and nothing of them is kept: records are
// skipped by their length, so a response of any size costs a few bytes of state. A version that is newer than the table still has
// its operation and its duration; its topic and its error are unknown and counted as unresolved. Whether such a Produce is answered is
// read where the newest version that is known has it.
//
// # What is failed
//
// Any error code is a failure but those by which brokers and clients find each other again, which are rejected: see coordination
// in errors.go. A transaction or group that is told to retry, a fetch session that has to be opened anew, a leader that has moved
// are part of every rolling restart and no sign of one that went wrong.
//
// # Topics by their ids
//
// Newer versions of Produce, Fetch and others say a topic's id in place of its name. Ids are random and belong to one topic for
// good, so what any connection learns of them (from the answers to Metadata, CreateTopics and DescribeTopicPartitions) is known to
// all connections of the Spec: a client asks one broker for metadata and produces to others. The table is read without a lock. An id
// that it does not hold reads "unknown", and the exchange counts as unresolved.
//
// # What waits, and what is upkeep
//
// A Fetch waits for records, a JoinGroup or SyncGroup for the other members; what a client does of its own accord to be connected, to
// know the brokers and to be in its group is upkeep. Both lists are in apis.go.
//
// # What is recognised
//
// A request whose fields fill it exactly and that has a client's name or a topic's. A client without a name is recognised by its
// ApiVersions or once it names a topic. A request of which several kilobytes have come, and neither its end nor a topic, is not waited
// for. Logins in the way of SaslHandshake version 0, tokens with nothing but a length, are passed over.
package kafka

import (
	"github.com/toposcope/toposcope/protocol"
)

// Name is the protocol's.
const Name = "kafka"

// Attributes of a request beside those of package protocol. They stay off labels.
const (
	// APIVersion is the version of the API, a decimal number.
	APIVersion protocol.Key = "messaging.kafka.api.version"
	// ClientID is what the client calls itself, a text of its own. It is kept where values are (Options.Values).
	ClientID protocol.Key = "messaging.client.id"
)

// Spec describes Kafka to the framework. Everything is copied: clients send several messages in one call, and the error of the
// last partition stands behind the records of those before it. No statement is kept, and of o only Values matters.
func Spec(o protocol.Options) *protocol.Spec {
	s := &shared{schema: readSchema(), topics: &topics{}, names: o.Values}
	return &protocol.Spec{
		Name:    Name,
		System:  protocol.SystemMessaging,
		Ports:   []uint16{9092, 9093, 9094},
		Sniff:   s.schema.sniff,
		New:     func() protocol.Parser { return &parser{shared: s} },
		Pairing: protocol.ByID,
		Capture: protocol.Capture{Whole: true},
	}
}

// shared is what all connections of a Spec have in common.
type shared struct {
	schema *schema
	topics *topics
	names  bool // what clients call themselves is kept
}
