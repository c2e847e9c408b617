package kafka

// upkeep are the APIs that a client calls of its own accord: to agree on versions and log in, to know the brokers and which of them
// leads what, to find its coordinator, to be and stay in its group and to know where it was, to get a producer's id, to report on
// itself. What an application asks for is not among them: Produce, Fetch, OffsetCommit, transactions, ListOffsets (also a consumer's
// first step, but what tools ask for), and administration. Brokers' registration and heartbeats are upkeep; what they replicate is not.
var upkeep = map[string]bool{
	"ApiVersions": true, "SaslHandshake": true, "SaslAuthenticate": true,
	"Metadata": true, "FindCoordinator": true, "OffsetForLeaderEpoch": true,
	"JoinGroup": true, "SyncGroup": true, "Heartbeat": true, "LeaveGroup": true, "OffsetFetch": true,
	"ConsumerGroupHeartbeat": true, "ShareGroupHeartbeat": true, "StreamsGroupHeartbeat": true,
	"StreamsGroupTopologyDescriptionUpdate": true,
	"InitProducerId":                        true, "GetTelemetrySubscriptions": true, "PushTelemetry": true,
	"BrokerRegistration": true, "BrokerHeartbeat": true, "ControllerRegistration": true,
}

// waits are the APIs whose answer waits for the other members of a group: JoinGroup until all have joined, SyncGroup until the
// leader has shared out the partitions; Fetch and ShareFetch for records, unless they say that they would not.
var waits = map[string]bool{"JoinGroup": true, "SyncGroup": true, "Fetch": true, "ShareFetch": true}

// Keys of APIs that are treated in a way of their own.
const (
	keyProduce            = 0
	keyFetch              = 1
	keyMetadata           = 3
	keyControlledShutdown = 7
	keySaslHandshake      = 17
	keyAPIVersions        = 18
	keyShareFetch         = 78
)
