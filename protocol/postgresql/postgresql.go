// Package postgresql decodes version 3 of PostgreSQL's protocol (PostgreSQL documentation, "Frontend/Backend Protocol"), which its
// poolers and the databases that took it over speak too.
//
// What counts as an exchange:
//
//   - CONNECT: from the StartupMessage, over all rounds of authentication, to the first ReadyForQuery or ErrorResponse. Upkeep.
//   - a simple Query, to its ReadyForQuery, whatever statements are in it: the first one names it, an error in any fails it.
//   - each Execute: from the first byte of the Parse, Bind and Describe that were sent with it to the message that ends it
//     (CommandComplete, EmptyQueryResponse, PortalSuspended, ErrorResponse).
//   - PREPARE: Parse, Bind and Describe up to a Sync or Flush without an Execute, to the ReadyForQuery or the last answer. Upkeep.
//   - CALL: a FunctionCall. CANCEL: a CancelRequest, which has a connection of its own and no answer.
//   - PING: a text without a statement in it ("-- ping", ";"), by which drivers ask whether the server lives. Upkeep.
//
// After an ErrorResponse the server passes over what it is sent until the next Sync: the requests of that batch that were still
// waiting end with it as failed, their error being "aborted". Close, Flush and Sync alone count for nothing, nor does a Sync that a
// driver sends as a ping; nor what the server says of its own accord (NoticeResponse, ParameterStatus, NotificationResponse).
// The stream of a replication is Waiting.
//
// Of a connection that is older than capture nobody knows the database, nor what was prepared: both read "unknown".
package postgresql

import (
	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/sqltext"
)

// Name is the protocol's name, and OpenTelemetry's of the database.
const Name = "postgresql"

// Aborted is the error of a request that the server passed over because one before it, of the same batch, had failed.
const Aborted = "aborted"

// Operations that are no statements of SQL.
const (
	opConnect = "CONNECT"
	opCancel  = "CANCEL"
	opPrepare = "PREPARE"
	opCall    = "CALL"
	opPing    = "PING"
	opCopy    = "COPY"
	opOther   = "_OTHER" // a text whose verb is none of those known
)

// Spec describes PostgreSQL to the framework. o says what is kept of a statement's text.
func Spec(o protocol.Options) *protocol.Spec {
	return &protocol.Spec{
		Name:   Name,
		System: protocol.SystemDB,
		Ports:  []uint16{5432, 6432},
		Sniff:  sniff,
		New: func() protocol.Parser {
			return &parser{reader: sqltext.NewReader(sqltext.PostgreSQL, o)}
		},
		Pairing: protocol.InOrder,
		// Lengths follow one another without a mark between them: what is not seen cannot be passed over.
		// The tail of a call that is longer than what is copied holds what ends the request or the answer.
		Capture: protocol.Capture{Whole: true, Tail: 256},
	}
}

// parser decodes one connection.
type parser struct {
	reader *sqltext.Reader
	memory memory

	// namespace is the database that the StartupMessage names; greeted: it was seen.
	namespace []byte
	greeted   bool
	// asked is the encryption that the client has asked for, and that a single byte answers: codeSSL, codeGSS or 0.
	asked uint32

	known  bool // who is the client
	reqDir event.Dir

	client client
	server server
	ledger ledger

	escapes settings
	code    string // the SQLSTATE met last
}

var _ protocol.Parser = (*parser)(nil)

// Next implements protocol.Parser.
func (p *parser) Next(c *protocol.Chunk) (int, *protocol.Message, error) {
	c = c.WithMessage()
	if !p.known {
		switch p.learn(c) {
		case protocol.More:
			return 0, nil, nil
		case protocol.No:
			return 0, nil, protocol.ErrSyntax
		}
	}
	if c.Dir == p.reqDir {
		return p.requests(c)
	}
	return p.answers(c)
}

// Resync implements protocol.Parser: a message begins a turn, or it is not looked for. In the middle of one, what looks like a message
// may be a value.
func (p *parser) Resync(c *protocol.Chunk) (int, bool) {
	asks := p.known && c.Dir == p.reqDir
	if p.asked = 0; asks {
		p.client, p.server.early = client{typed: p.client.typed}, early{}
	} else {
		p.deafened()
	}
	if !c.Turn || len(c.Data) == 0 {
		return len(c.Data), false
	}
	opinion := protocol.No
	switch {
	case !p.known:
		opinion = p.learn(c)
	case asks && !p.client.typed:
		opinion = max(sniffStartup(c.Data), chain(c.Data, &fromClient))
	case asks:
		opinion = chain(c.Data, &fromClient)
	default:
		opinion = chain(c.Data, &fromServer)
	}
	switch opinion {
	case protocol.Yes:
		if asks {
			p.resume()
		}
		return 0, true
	case protocol.More:
		return 0, false
	default:
		return len(c.Data), false
	}
}

// learn tells from what c holds who is the client.
func (p *parser) learn(c *protocol.Chunk) protocol.Sniffed {
	opinion := sniffStartup(c.Data)
	asks := true
	if opinion == protocol.No {
		opinion = chain(c.Data, &fromClient)
	}
	if o := chain(c.Data, &fromServer); opinion != protocol.Yes && o != protocol.No {
		opinion, asks = o, false
	}
	if opinion == protocol.Yes {
		p.known, p.reqDir = true, c.Dir
		if !asks {
			p.reqDir = c.Dir.Reverse()
		}
	}
	return opinion
}

// aside passes over n bytes of the server's that answer nothing. Where a request waits they must not be taken for its answer.
func aside(c *protocol.Chunk, n int) (int, *protocol.Message, error) {
	if c.Request == nil {
		return n, nil, nil
	}
	c.Message.Reset()
	c.Message.Kind = protocol.Interim
	return n, c.Message, nil
}
