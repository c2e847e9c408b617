package kafka

import (
	"encoding/binary"
	"sync/atomic"
)

// maxTopic is how long a topic's name may be (org.apache.kafka.common.internals.Topic).
const maxTopic = 249

// The size of the table of topics: sets of a few ways, as in a processor's cache.
const (
	topicSets = 2048
	topicWays = 4
)

// topics remembers the names of topics by their ids, up to topicSets*topicWays of them, for all connections of a Spec. Shards read
// and write it at the same time: an entry never changes once it is in, and to add one is to store a pointer. Two that store in the same
// place lose one of the two, which the next answer to Metadata brings back.
type topics struct {
	entries [topicSets * topicWays]atomic.Pointer[topic]
}

type topic struct {
	id   uuid
	name string
}

// uuid is a topic's id; zero stands for none.
type uuid [16]byte

// set is where an id is kept. Ids are random, so any of their bits will do.
func (t *topics) set(id *uuid) []atomic.Pointer[topic] {
	i := int(binary.BigEndian.Uint32(id[:])%topicSets) * topicWays
	return t.entries[i : i+topicWays]
}

// name is the name of the topic of that id; "" when it is not known.
func (t *topics) name(id *uuid) string {
	set := t.set(id)
	for i := range set {
		if e := set[i].Load(); e != nil && e.id == *id {
			return e.name
		}
	}
	return ""
}

// learn keeps the name of a topic, in place of another one's where there is no room.
func (t *topics) learn(id *uuid, name []byte) {
	if *id == (uuid{}) || !isTopic(name) {
		return
	}
	set := t.set(id)
	place := &set[id[15]%topicWays]
	for i := range set {
		switch e := set[i].Load(); {
		case e == nil:
			place = &set[i]
		case e.id != *id:
			continue
		case e.name == string(name):
			return
		default:
			place = &set[i]
		}
		break
	}
	place.Store(&topic{*id, string(name)})
}

// isTopic says whether a topic may have that name: letters, digits, dot, underscore and hyphen.
func isTopic(name []byte) bool {
	if len(name) == 0 || len(name) > maxTopic {
		return false
	}
	for _, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
