// Package dns decodes DNS over UDP and TCP (RFC 1035, EDNS of RFC 6891), and its two cousins on the local link, multicast DNS
// (RFC 6762) and LLMNR (RFC 4795), which are kept apart from it: nobody owes an answer to a multicast question.
//
// A question is paired with its answer by the message's ID together with what is asked, since 16 bits are soon used again.
//
// # What is failed
//
// A code that says something of the names is the asker's affair and rejected: NXDOMAIN, and those by which an update's
// prerequisites are refused (YXDOMAIN, YXRRSET, NXRRSET, NOTZONE). So are the two by which a server only asks for the question
// to be put again in another form, BADVERS and BADCOOKIE. With any other code the server could not answer, or would not, and
// the question has failed: FORMERR, SERVFAIL, NOTIMP, REFUSED, NOTAUTH and the rest.
//
// # How names are shown
//
// In the presentation format of RFC 1035 section 5.1: lower case, without the dot at the end, the root as ".". A byte that is
// not printable ASCII is a backslash with its three decimal digits; blank, dot and ' @ ; ( ) " \ within a label have a backslash
// in front. A name that takes more than 255 characters in this way, which no host's does, is cut there.
package dns

import (
	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// Names of the protocols.
const (
	Name          = "dns"
	NameMulticast = "mdns"
	NameLLMNR     = "llmnr"
)

// Attributes beside those of package protocol. They stay off labels.
const (
	// OpCode is a request's kind where it is not a plain query: NOTIFY, UPDATE, STATUS, IQUERY.
	OpCode protocol.Key = "dns.opcode"
	// QuestionClass is the class where it is not IN.
	QuestionClass protocol.Key = "dns.question.class"
	// DNSSECOK is "true" when the request asks for signatures (the bit DO of RFC 3225).
	DNSSECOK protocol.Key = "dns.dnssec_ok"
	// AnswersCount is how many records the answer section has. With NOERROR, 0 means that the name exists and has no record
	// of that type.
	AnswersCount protocol.Key = "dns.answers.count"
	// Truncated is "true" when the answer did not fit (the bit TC): the asker will ask again over TCP, which is an exchange of
	// its own.
	Truncated protocol.Key = "dns.truncated"
)

// Spec describes DNS to the framework. Everything is copied: an answer over UDP is rarely longer than 1,232 bytes, and its last
// record may change its code.
func Spec() *protocol.Spec {
	return &protocol.Spec{
		Name:    Name,
		System:  protocol.SystemDNS,
		Over:    protocol.OverBoth,
		Ports:   []uint16{53},
		Sniff:   sniff,
		New:     func() protocol.Parser { return &parser{} },
		Pairing: protocol.ByID,
		Capture: protocol.Capture{Whole: true},

		AnyAnswer: true, // the ID stands for the question, too
	}
}

// Multicast describes mDNS. Its questions are one-way, and what answers them is taken in without a word.
func Multicast() *protocol.Spec { return local(NameMulticast, 5353, multicast) }

// LLMNR describes Link-Local Multicast Name Resolution, whose questions are one-way as those of mDNS.
func LLMNR() *protocol.Spec { return local(NameLLMNR, 5355, linkLocal) }

// local describes a protocol of the local link to the framework.
func local(name string, port uint16, d dialect) *protocol.Spec {
	return &protocol.Spec{
		Name:    name,
		System:  protocol.SystemDNS,
		Over:    protocol.OverDatagram,
		Ports:   []uint16{port},
		Sniff:   func(_ event.Dir, data []byte) protocol.Sniffed { return sniffMessage(data, len(data), d) },
		New:     func() protocol.Parser { return &parser{link: true} },
		Pairing: protocol.ByID,
		Capture: protocol.Capture{Whole: true},
	}
}
