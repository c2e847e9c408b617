package dns

import (
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// Sizes of messages over UDP, in bytes: what any client takes (RFC 1035, section 4.2.1), and the most that is sent to one that
// says it takes more (the value of the DNS flag day 2020, which avoids fragments).
const (
	plainSize = 512
	mostSize  = 1232
)

// query is a question that was understood.
type query struct {
	header   dnsmessage.Header
	question dnsmessage.Question
	name     string // in lower case
	edns     bool   // the client sent an OPT record (RFC 6891)
	size     int    // the biggest answer that it takes over UDP
}

// parse reads a query. With false, msg is none; code is what else there is to say about it.
func parse(msg []byte) (q query, code dnsmessage.RCode, ok bool) {
	var p dnsmessage.Parser
	var err error
	if q.header, err = p.Start(msg); err != nil || q.header.Response {
		return q, 0, false
	}
	if q.header.OpCode != 0 {
		return q, dnsmessage.RCodeNotImplemented, true
	}
	if q.question, err = p.Question(); err != nil {
		return q, dnsmessage.RCodeFormatError, true
	}
	if _, err := p.Question(); err != dnsmessage.ErrSectionDone {
		return q, dnsmessage.RCodeFormatError, true
	}
	q.name = strings.ToLower(q.question.Name.String())
	q.size = plainSize
	if p.SkipAllAnswers() != nil || p.SkipAllAuthorities() != nil {
		return q, dnsmessage.RCodeFormatError, true
	}
	for {
		h, err := p.AdditionalHeader()
		if err != nil {
			return q, 0, true // all read; what is broken after the question does not change the answer
		}
		if h.Type == dnsmessage.TypeOPT {
			q.edns = true
			q.size = min(max(int(h.Class), plainSize), mostSize)
		}
		if p.SkipAdditional() != nil {
			return q, 0, true
		}
	}
}

// pack makes the answer to q of at most size bytes: where r does not fit, the answer is empty and says that it was cut.
func pack(q query, r reply, size int) ([]byte, error) {
	m := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: q.header.ID, Response: true, OpCode: q.header.OpCode, Authoritative: r.code != dnsmessage.RCodeRefused,
			RecursionDesired: q.header.RecursionDesired, RCode: r.code,
		},
		Answers: r.answers, Authorities: r.authority,
	}
	if q.question.Name.Length > 0 {
		m.Questions = []dnsmessage.Question{q.question}
	}
	if q.edns {
		var h dnsmessage.ResourceHeader
		if err := h.SetEDNS0(mostSize, dnsmessage.RCodeSuccess, false); err != nil {
			return nil, err
		}
		m.Additionals = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{}}}
	}
	text, err := m.Pack()
	if err != nil || len(text) <= size {
		return text, err
	}
	m.Truncated = true
	m.Answers, m.Authorities = nil, nil
	return m.Pack()
}
