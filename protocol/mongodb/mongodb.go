// Package mongodb decodes the MongoDB wire protocol: OP_MSG, its compressed form OP_COMPRESSED, and the opcodes of old drivers
// (OP_QUERY and OP_REPLY, in which new drivers still shake hands, OP_INSERT, OP_UPDATE, OP_DELETE, OP_GET_MORE, OP_KILL_CURSORS).
// Sources: "MongoDB Wire Protocol" of MongoDB's manual, the driver specifications OP_MSG and Wire Protocol Compression, and
// bsonspec.org.
//
// # What an exchange is called
//
// The operation is the command, the first key of the body, as it was sent; see commands for those that are known. Another one that
// is spelt as a command may be is "other", and its name stands in the attribute [Command]: a client could else make as many series
// as it likes. What is not spelt so is "unknown". The collection is the command's value where that command takes a collection, and
// of a getMore its cursor's; the namespace is $db, a database. A find by OP_QUERY is "find", and so on.
//
// # What is failed
//
// A reply with ok: 0, by its code; one with writeErrors, or with bulkWrite's nErrors, by the first one's code; one with a
// writeConcernError, by its code. A reply that says ok: 0 without a code has the error [ErrorOther]. A document that a
// findAndModify did not find is no error.
//
// # What is kept apart
//
// Upkeep are the handshake and the heartbeat (hello, isMaster), authentication, endSessions, buildInfo, and ping: no application
// asks for anything by it, whoever sends it. Waiting are a hello with maxAwaitTimeMS, change streams, tailable cursors and their
// getMores. A driver sends getMores on whichever connection is free, so cursors are remembered for all connections; a getMore is
// also known by maxTimeMS, which only an awaiting one may have, and by its answer: a postBatchResumeToken, or no document though
// the cursor lives on. One whose cursor was opened before capture, and that nothing else tells of, counts as unresolved.
//
// # Exhaust
//
// A server may send further replies that nobody asked for (moreToCome in a reply), each answering the one before. The first one ends
// the exchange; the others are part of none.
//
// # What is read
//
// Messages are prefixed by their length, and so is nearly everything in them, so that documents go by unseen: a reply of 48 MB is
// read for the fields that stand after its cursor, and nothing of the cursor's documents is kept or even copied. What is
// compressed is decompressed as far as the beginning that is of interest. Where that cannot be done, because zstd's first block was
// not captured, the request counts with its operation unknown; if it was one that nobody answers, it counts as unanswered.
package mongodb

import (
	"github.com/toposcope/toposcope/protocol"
)

// Name of the protocol.
const Name = "mongodb"

// Attributes beside those of package protocol. They stay off labels.
const (
	// Command is the command's name, of a request whose operation is "other".
	Command protocol.Key = "mongodb.command"
	// CodeName is the name that the server gives to its error code, of an answer that was not too long.
	CodeName protocol.Key = "mongodb.error.code_name"
	// Compressor is the one of a request that was compressed: noop, snappy, zlib or zstd.
	Compressor protocol.Key = "mongodb.compressor"
)

// ErrorOther is the error.type of an error without a code (OpenTelemetry's value for what has no name).
const ErrorOther = "_OTHER"

// OperationOther is the operation of a command that is not known.
const OperationOther = "other"

// What is copied of a turn. Most messages are shorter. Of a longer one the command is in the first bytes, and ok, with what else is
// said of the outcome, in the last few hundred; a compressed one must be seen up to the end of zstd's first block, which holds 128 KiB
// of documents in, as a rule, a quarter of that. Everything (Whole) would copy megabytes of documents to skip them. That much is there
// in capture files; the kernel copies no more than it does for anybody (16 KiB of a turn, 256 bytes at the end of a call).
const (
	captureHead = 32 << 10
	captureTail = 1 << 10
)

// Spec describes MongoDB to the framework.
func Spec(o protocol.Options) *protocol.Spec {
	cfg := &config{Options: o, inflate: newInflaters()}
	cfg.writers.New = func() any { return &writer{} }
	cfg.messages.New = func() any { return &protocol.Message{} }
	return &protocol.Spec{
		Name:    Name,
		System:  protocol.SystemDB,
		Ports:   []uint16{27017, 27018, 27019},
		Sniff:   sniff,
		New:     func() protocol.Parser { return &parser{cfg: cfg} },
		Pairing: protocol.ByID,
		Capture: protocol.Capture{Head: captureHead, Tail: captureTail},
	}
}
