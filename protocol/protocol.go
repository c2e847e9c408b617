// Package protocol turns captured segments into exchanges: it puts the bytes of a connection in order (stream), finds out
// what they speak (sniff), asks the protocol's parser for messages and pairs requests with their responses (pair).
//
// It imports nothing but collector/event. A Tracker owns the connections of one shard: it is handed that shard's events by
// one goroutine and calls its Sink for every exchange. Losses, capture limits, reordering, pipelining and connections that
// are older than capture are met here, once, for every protocol.
//
// # How to add a protocol
//
// A protocol is one folder with a Spec and one line in protocol/all; nothing else is edited.
//
//  1. Write a Parser. It is pure: bytes in, messages out. It looks at the start of Chunk.Data and answers how many bytes it
//     is done with, as a bufio.SplitFunc does. Asking for more bytes is no error (0, nil, nil); skipping a body that is of no
//     interest is returning more than len(Data). Fill Chunk.Message and return it, so that an idle connection holds no
//     memory. When a message is known before its end (a streamed body), return it with PartHead, take the bytes that
//     follow with a nil message, and return PartEnd when it is over.
//  2. Where the answer's form depends on the question (an HTTP answer to HEAD has no body), look at Chunk.Request; keep no
//     queue of your own: after a loss only the framework knows what is still outstanding.
//  3. Write Resync: where may a message start after a loss? Chunk.Turn and Chunk.Call say where the data began. Say no
//     rather than maybe; a wrong latency is worse than a missing one.
//  4. Write Sniff: strict, on either direction, More while in doubt, though not for more than a few hundred bytes. Ports only break
//     ties. Add how connections begin to the corpus in protocol/all/testdata/beginnings, which also holds what is easily confused.
//  5. Choose Capture: what the kernel copies of a turn, and why.
//  6. Put transcripts into testdata/ and run the acceptance suite on them: protocoltest.Run(t, spec). It replays each
//     whole, byte by byte, split everywhere, cut at capture limits, reordered, and with every segment lost in turn.
package protocol

import (
	"errors"
	"time"

	"github.com/toposcope/toposcope/collector/event"
)

// System is the family of a protocol; it decides which operation metric an exchange is counted in.
type System uint8

// Systems, as OpenTelemetry's semantic conventions divide them.
const (
	SystemHTTP System = iota
	SystemRPC
	SystemDB
	SystemMessaging
	SystemDNS
)

// Pairing is how a protocol's responses find their requests.
type Pairing uint8

// Pairings.
const (
	// InOrder: the n-th response answers the n-th request (HTTP/1.1, Redis, MySQL).
	InOrder Pairing = iota
	// ByID: a response carries its request's Message.ID (HTTP/2, DNS, Kafka, MongoDB).
	ByID
)

// Transport is what a protocol is spoken over.
type Transport uint8

// Transports.
const (
	OverStream Transport = iota
	OverDatagram
	OverBoth
)

// Sniffed is a Spec's opinion on the first bytes of a direction.
type Sniffed uint8

// Opinions.
const (
	// No: these bytes are not this protocol.
	No Sniffed = iota
	// More: they may be; more bytes are needed to tell.
	More
	// Yes: they are, the beginning of a message.
	Yes
)

// Decided is the opinion on bytes of which all is there that can be, if whole: Yes when they are right, else No; when they are not whole
// and may still become right, More.
func Decided(right, whole bool) Sniffed {
	switch {
	case right:
		return Yes
	case whole:
		return No
	default:
		return More
	}
}

// Capture is what a protocol wants copied from the kernel, in bytes of one direction since the last turn.
type Capture struct {
	// Head is how many bytes from the start of a turn, Tail how many at the end of each call that was cut.
	Head, Tail int
	// Whole asks for everything: the protocol cannot skip what it has not seen.
	Whole bool
}

// Spec describes a protocol to the framework. All fields are fixed at start.
type Spec struct {
	// Name is the value of the label "protocol" and of the configuration's capture.protocols.
	Name   string
	System System
	// Aliases are further names by which an Upgrade may ask for this protocol ("h2", "h2c").
	Aliases []string
	// Over is what the protocol is spoken over.
	Over Transport
	// Carrier is the Name of the protocol that this one is spoken in, "" for none (gRPC's is HTTP/2). Such a Spec has no Sniff and
	// no parser: the carrier's parser names it in Message.Protocol.
	Carrier string
	// Ports are hints that only break ties; a port is never proof.
	Ports []uint16
	// Sniff judges the first bytes of a direction (since the open, or a place where a message may begin).
	Sniff func(d event.Dir, data []byte) Sniffed
	// New makes a parser for one connection.
	New     func() Parser
	Pairing Pairing
	Capture Capture
	// IDStep is set when the IDs of a connection's requests begin with 1 and grow by so much from one to the next, so that after a
	// loss they tell how many were missed (2 for HTTP/2: RFC 9113, section 5.1.1).
	IDStep uint64
	// AnyAnswer is set when requests of the same ID to several peers of a datagram socket are one question, which the first
	// answer settles.
	AnyAnswer bool
	// Muted keeps exchanges from being reported: the protocol is wanted only for what it carries. See Select.
	Muted bool
}

// Options are what the configuration says of the texts that are kept for display (never a label). By the zero value none is.
type Options struct {
	// TextLimit is how many bytes of a text are kept, 0 for none.
	TextLimit int
	// Values keeps the values in it (the literals of a statement, arguments, documents); else each reads "?".
	Values bool
	// URLQuery keeps the values in a URL's query and in parameters of its path, and headers that are of use to nobody but a reader
	// (User-Agent).
	URLQuery bool
}

// Then says what comes after a Chunk's Data.
type Then uint8

// What may come.
const (
	// Continues: more bytes may follow, none are missing so far.
	Continues Then = iota
	// Hole: bytes after Data are missing; Chunk.Missing says how many when that is known (0: unknown).
	Hole
	// Ended: the direction is closed, no byte will follow.
	Ended
	// Idle: nothing has come for a while. A parser that could not tell where its open message ends, because the bytes that
	// say so were not captured, ends it now. Data may be empty.
	Idle
)

// Chunk is a run of bytes of one direction, offered to a parser again, longer, until the parser takes from it. It and all
// it points to belong to the caller and are valid until the parser returns; the parser may write to Message alone.
type Chunk struct {
	Dir event.Dir
	// Off is the position of Data[0] in the direction's stream.
	Off  uint64
	Data []byte
	// First and Last are the capture times of Data's first and last byte. They are input, not a clock.
	First, Last time.Time
	Then        Then
	Missing     uint64
	// Call is set when Data[0] was the first byte of a send or receive call, Turn when moreover the bytes before it, of the
	// whole connection, went the other way (or are not known).
	Call, Turn bool
	// Request is, for protocols that pair InOrder, the request that the next response answers; nil when that is not known
	// (a loss, a connection older than capture).
	Request *Message
	// Message is a message that the parser may Reset, fill and return; it is not empty. Only direct callers leave it nil.
	Message *Message

	pair *pairer
}

// Asked is, for protocols that pair ByID, the request of that ID which waits for its answer; nil when none is known.
func (c *Chunk) Asked(id uint64) *Message {
	if c.pair == nil || !c.pair.byID {
		return nil
	}
	return c.pair.match(id)
}

// WithMessage returns c or, if that has none, a copy with a Message.
func (c *Chunk) WithMessage() *Chunk {
	if c.Message != nil {
		return c
	}
	own := *c
	own.Message = &Message{}
	return &own
}

// Parser decodes one connection, both directions. It is called from one goroutine, does no I/O, logs nothing and has no
// clock. One that has a method Reset(), which makes it as good as new, is used again where a datagram socket meets ever new peers.
type Parser interface {
	// Next looks at the start of c.Data. n is how many bytes it is done with; n may exceed len(c.Data) when the parser
	// knows that what follows (a body) is of no interest. n == 0 and m == nil asks for more bytes. m, if not nil, is a
	// message or a Part of one, c.Message or the parser's own, valid until the next call; it ends with the n-th byte. n == 0
	// with a message takes nothing: the same bytes are offered again. err is an *Upgrade (n and m count), or ErrSyntax: the
	// bytes are wrong.
	//
	// When c.Then is Hole and the parser answers 0 and nil, or stops short of the hole, the open message is lost and Resync
	// is called next; a parser that can do without the missing bytes returns len(c.Data)+c.Missing.
	Next(c *Chunk) (n int, m *Message, err error)
	// Resync finds the first place in c.Data at which a message may start after a loss, and forgets what it knew of the
	// direction. ok false: nowhere before n, the bytes from n on may be the beginning of one and are offered again, longer.
	Resync(c *Chunk) (n int, ok bool)
}

// ErrSyntax is returned by a Parser for bytes that its protocol does not allow. Nothing of them may go into the text.
var ErrSyntax = errors.New("bytes do not follow the protocol")

// Upgrade is returned by a Parser when both directions go on in another protocol (HTTP 101, STARTTLS).
type Upgrade struct {
	// To is a Spec's Name or one of its Aliases; or "tls": its hellos are read, and if none comes the connection is sniffed anew; or ""
	// when it is not known: the connection is sniffed anew, and the other end is whomever a proxy has connected (HTTP's CONNECT).
	To string
	// ID, when not 0, is what the request that is outstanding is called in the new protocol, which will answer it (the stream 1
	// of RFC 7540 section 3.2).
	ID uint64
}

func (u *Upgrade) Error() string { return "connection goes on as " + u.To }

// Kind is the part a message plays.
type Kind uint8

// Kinds.
const (
	Request Kind = iota
	Response
	// Interim is a response that does not end its request (HTTP 100, 103).
	Interim
	// OneWay is a request that gets no response.
	OneWay
)

// Part says how much of a message a Parser returns.
type Part uint8

// Parts.
const (
	// PartWhole is a message that ends with the bytes taken.
	PartWhole Part = iota
	// PartHead is a message whose end is still to come; it takes part in pairing at once. The bytes taken until PartEnd
	// belong to it.
	PartHead
	// PartEnd ends the open message of the same Kind (and ID when pairing ByID). Its Attrs are added to those of the head;
	// Truncated, Unresolved, Waiting and Upkeep count, and Outcome and Error when there is an Error. Start does not; Size does only when
	// pairing ByID, where messages may be interleaved and only the parser knows which bytes are whose: it is added to the head's.
	PartEnd
)

// Outcome is how an exchange ended, by the rule of failure that holds on both sides.
type Outcome uint8

// Outcomes. Rejected is the caller's own mistake and turns nothing red.
const (
	OK Outcome = iota
	Failed
	Rejected
)

func (o Outcome) String() string {
	switch o {
	case Failed:
		return "failed"
	case Rejected:
		return "rejected"
	default:
		return "ok"
	}
}

// Message is one request or response as a parser saw it.
type Message struct {
	Kind Kind
	Part Part
	// ID pairs when the protocol pairs ByID.
	ID uint64
	// Protocol is the Name of the Spec that a request counts for, when it is not the connection's own but one that is spoken
	// in it; see Spec.Carrier.
	Protocol string
	// NoReply marks a request whose response, by the protocol, never comes.
	NoReply bool
	// Outcome and Error are a response's: what it means by the rule of failure, and OpenTelemetry's error.type ("" for
	// success), from a closed set.
	Outcome Outcome
	Error   string
	// Attrs are named as OpenTelemetry names them.
	Attrs Attrs
	// Start and End are the times of the first and last byte. The tracker sets them; a parser sets Start only when the
	// message began before the chunk it is returned from.
	Start, End time.Time
	// Size is the message's length in bytes, bodies included. The tracker fills in the number of bytes taken when the
	// parser leaves it 0.
	Size int64
	// Truncated is set when not all of the message was seen.
	Truncated bool
	// Unresolved is set when the message refers to something that was said before capture began, or was lost (a header table,
	// a prepared statement), so that a name or a status of it reads "unknown". It is counted, never guessed.
	Unresolved bool
	// Waiting marks a request that may wait for something to happen before it is answered (BLPOP, a Kafka Fetch, a long poll), or
	// its answer (a stream of events): how long it took says nothing of the server. It is counted, and is in no latency of an edge.
	// One that ends with its connection has not failed: nothing had happened yet.
	Waiting bool
	// Upkeep marks a request by which a driver looks after its connection and which no application asked for (a handshake, an
	// authentication, a heartbeat, the preparation of a statement). One that does not fail has its operation's series and is kept
	// apart from the requests of its edge.
	Upkeep bool
	// Refused marks a request that was never sent: the server said no before it was asked (MySQL's "Too many connections" in place of
	// its greeting). It is returned from the server's direction, in order, with n == 0, and its answer after it.
	Refused bool
	// Form is the parser's own, of a request: what it must know when the answer comes (see Chunk.Request), such as the command.
	Form uint64
	// Task is who read or wrote its first byte; the tracker sets it.
	Task event.Task

	next, prev *Message // in the pairer's queue
	answer     *Message // of a request: the response that is being received
	asked      *Message // of a response: its request
	doubt      bool     // its answer may be among bytes that could not be followed
	partial    bool     // its end is still to come, among those of others
	bytes      int      // of the attributes, as the pairer counts them
}

// Reset empties m and keeps its memory.
func (m *Message) Reset() {
	m.Kind, m.Part, m.ID, m.NoReply = Request, PartWhole, 0, false
	m.Protocol, m.Unresolved = "", false
	m.Outcome, m.Error = OK, ""
	m.Attrs.Reset()
	m.Start, m.End = time.Time{}, time.Time{}
	m.Size, m.Truncated = 0, false
	m.Waiting, m.Upkeep, m.Refused, m.Form = false, false, false, 0
	m.Task = event.Task{}
	m.next, m.prev, m.answer, m.asked, m.doubt, m.partial = nil, nil, nil, nil, false, false
	m.bytes = 0
}

// Side is the end of the connection that was watched.
type Side uint8

// Sides.
const (
	ClientSide Side = iota
	ServerSide
)

func (s Side) String() string {
	if s == ServerSide {
		return "server"
	}
	return "client"
}

// ErrorUnanswered is the error.type of an exchange that ended without its response.
const ErrorUnanswered = "unanswered"
