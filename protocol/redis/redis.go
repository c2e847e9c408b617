// Package redis decodes RESP2 and RESP3, the protocol of Redis, Valkey and all that speak as they do (redis.io/docs, "Redis
// serialization protocol specification").
//
// # What an exchange is
//
// Every command is one, in a pipeline and in a transaction too: a command that MULTI queues is answered +QUEUED, and EXEC by what
// they gave. A SUBSCRIBE of n channels is one exchange, which ends with the n-th confirmation. Messages of subscriptions, other
// pushes of RESP3 and the lines of MONITOR answer nothing. A command that gets no answer (CLIENT REPLY OFF and SKIP, and QUIT and
// SHUTDOWN, whose answer hardly anybody waits for) ends where it does. After SYNC and PSYNC a connection is a stream of data
// that belongs to no request: it is given up.
//
// # What is failed
//
// An error answer, by its first word, which is the error.type: ERR, WRONGTYPE, NOAUTH, OOM and so on; "_OTHER" for what scripts and
// modules make up, which db.response.status_code tells. Also of EXEC when one of the answers in its array is an error, by the first.
// An aborted transaction (a null for EXEC) and a nil are no errors. Rejected are MOVED and ASK, by which a cluster sends its client
// elsewhere, NOSCRIPT, to which a client answers with the script, and what a server that is too old for a driver's greeting (HELLO,
// CLIENT SETINFO) says of it.
//
// # What is shown
//
// The operation is the command in upper case, with the subcommand where it has such ("CLIENT SETINFO"), if it is one that Redis,
// Valkey or their modules have, else "other". The statement is shown as "SET ? ?": keys and values stay where they are unless
// Options.Values asks for them, and passwords even then. db.namespace is set from the first SELECT that was seen on: before
// it, and after a loss that may have hidden one, it is not known.
package redis

import (
	"github.com/toposcope/toposcope/protocol"
)

// Name is the protocol's name, of which db.system.name is the same.
const Name = "redis"

// replication is what a connection goes on with after PSYNC; nobody decodes it.
const replication = "redis-replication"

// other is the operation of a command that nobody knows.
const other = "other"

// Spec describes Redis to the framework. Whole calls are copied: a pipeline has hundreds of messages in one call, and one whose
// beginning was not copied costs all that come after it.
func Spec(o protocol.Options) *protocol.Spec {
	t := newTable()
	return &protocol.Spec{
		Name:    Name,
		System:  protocol.SystemDB,
		Ports:   []uint16{6379, 6380, 26379},
		Sniff:   t.sniff,
		New:     func() protocol.Parser { return &parser{table: t, options: o, db: unknownDB} },
		Pairing: protocol.InOrder,
		Capture: protocol.Capture{Whole: true},
	}
}
