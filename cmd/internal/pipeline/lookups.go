package pipeline

import (
	"sync"
	"time"

	"github.com/toposcope/toposcope/labeler/dnsname"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/dns"
	"github.com/toposcope/toposcope/topology"
)

// Answers takes what DNS answered, and what TLS clients call their servers; *dnsname.Table is one. What an answer points to is valid
// until Learn returns.
type Answers interface{ Learn(*dnsname.Answer) }

// noError is the response code that is none.
const noError = "NOERROR"

// apart is how much later than another shard's a shard's exchanges may come.
const apart = 100 * time.Millisecond

// Lookups takes in what DNS exchanges tell beyond themselves: what an address is called, and what programs waited for when
// they asked for names. Its methods may be called from any goroutine; into is the caller's own shard.
type Lookups struct {
	answers Answers // nil: nobody wants to know

	mu    sync.Mutex
	walks *dns.Walks
	into  *topology.Shard // of the goroutine that holds mu
}

// NewLookups makes a Lookups. answers may be nil; apart is how much later than another goroutine's a goroutine's exchanges may come.
func NewLookups(answers Answers, apart time.Duration) *Lookups {
	l := &Lookups{answers: answers}
	l.walks = dns.NewWalks(dns.WalksConfig{Delay: apart}, l.resolved)
	return l
}

// sink counts a shard's exchanges, and shows those of DNS, and the beginnings of TLS, to lookups.
type sink struct {
	*topology.Shard
	lookups *Lookups
}

var (
	_ protocol.Sink          = sink{}
	_ protocol.HandshakeSink = sink{}
)

func (s sink) Exchange(x *protocol.Exchange) {
	s.Shard.Exchange(x)
	s.lookups.Exchange(x, s.Shard)
}

// Exchange takes in an exchange, of any protocol.
func (l *Lookups) Exchange(x *protocol.Exchange, into *topology.Shard) {
	if x.Protocol.System != protocol.SystemDNS {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.learn(x, into)
	if step, ok := dns.StepOf(x); ok {
		l.into = into
		l.walks.Step(&step)
	}
}

// Handshake implements protocol.HandshakeSink.
func (s sink) Handshake(h *protocol.Handshake) { s.lookups.Handshake(h, s.Shard) }

// Handshake takes in what TLS says at the beginning of a connection: how a client calls its server names the address, if nothing
// better does.
func (l *Lookups) Handshake(h *protocol.Handshake, from *topology.Shard) {
	if l.answers == nil || h.Side != protocol.ClientSide || !h.Direct || len(h.ServerName) == 0 {
		return
	}
	flow, opened, ok := from.Flow(h.Conn)
	if !ok {
		return
	}
	var buf [64]byte
	l.answers.Learn(&dnsname.Answer{
		NetNS: flow.NetNS, PID: h.Task.PID, Name: h.ServerName, Addresses: flow.Remote.Addr().AppendTo(buf[:0]), At: opened, Said: true,
	})
}

// Tick passes the time on.
func (l *Lookups) Tick(now time.Time, into *topology.Shard) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.into = into
	l.walks.Tick(now)
}

// learn hands on the addresses that an answer has.
func (l *Lookups) learn(x *protocol.Exchange, from *topology.Shard) {
	if l.answers == nil || x.Response == nil {
		return
	}
	answer := dnsname.Answer{
		NetNS: from.NetNS(x.Conn), Name: x.Request.Attrs.Get(protocol.DNSQuestionName),
		Addresses: x.Response.Attrs.Get(protocol.DNSAnswers), TTL: x.Response.Attrs.Get(protocol.DNSAnswersTTL), At: x.End(),
	}
	if x.Side == protocol.ClientSide {
		answer.PID = x.Task.PID
	}
	if len(answer.Addresses) > 0 {
		l.answers.Learn(&answer)
	}
}

func (l *Lookups) resolved(r *dns.Resolution) {
	out := topology.Resolution{
		Task: r.Task, Name: string(r.Name), Type: string(r.Type), Code: r.Code, Start: r.Start, End: r.End,
	}
	switch {
	case r.Code == "":
		out.Error = protocol.ErrorUnanswered
	case r.Code != noError:
		out.Error = r.Code
	}
	l.into.Resolved(&out)
}
