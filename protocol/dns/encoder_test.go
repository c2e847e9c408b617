package dns_test

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"

	miekg "github.com/miekg/dns"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/dns"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

func TestTranscripts(t *testing.T) {
	protocoltest.Run(t, dns.Spec(), protocoltest.Encode(func() protocoltest.Encoder { return encode }))
}

// encode makes a message of a transcript's line:
//
//	ID TYPE NAME [word …] [; record …]
//
// Words are a response code (in an answer, NOERROR when there is none), an opcode, and
//
//	tcp          the length goes before the message
//	class=CH     the class of the question
//	tc aa norec  bits of the header, rec being the default
//	edns do      an OPT record, with the bit DO
//	bare         the question is left out
//	again        the question is there twice
//
// A record is as in a zone file; "@ns" and "@ar" before it put it into another section than the answer's.
func encode(from protocol.Side, line string) ([]byte, error) {
	parts := strings.Split(line, ";")
	words := strings.Fields(parts[0])
	if len(words) < 3 {
		return nil, fmt.Errorf("too short: %q", line)
	}
	id, err := strconv.ParseUint(words[0], 10, 16)
	if err != nil {
		return nil, err
	}
	qtype, ok := miekg.StringToType[words[1]]
	if !ok {
		n, err := strconv.ParseUint(strings.TrimPrefix(words[1], "TYPE"), 10, 16)
		if err != nil {
			return nil, err
		}
		qtype = uint16(n)
	}
	m := &miekg.Msg{}
	m.Id, m.RecursionDesired, m.Compress = uint16(id), true, true
	m.Question = []miekg.Question{{Name: miekg.Fqdn(words[2]), Qtype: qtype, Qclass: miekg.ClassINET}}
	if from == protocol.ServerSide {
		m.Response, m.RecursionAvailable = true, true
	}
	tcp := false
	for _, w := range words[3:] {
		if w == "tcp" {
			tcp = true
		} else if err := word(m, w); err != nil {
			return nil, err
		}
	}
	if err := records(m, parts[1:]); err != nil {
		return nil, err
	}
	data, err := m.Pack()
	if tcp {
		data = append(binary.BigEndian.AppendUint16(nil, uint16(len(data))), data...)
	}
	return data, err
}

func word(m *miekg.Msg, w string) error {
	switch w {
	case "tc":
		m.Truncated = true
	case "aa":
		m.Authoritative = true
	case "norec":
		m.RecursionDesired, m.RecursionAvailable = false, false
	case "edns", "do":
		m.SetEdns0(1232, w == "do")
	case "bare":
		m.Question = nil
	case "again":
		m.Question = append(m.Question, m.Question[0])
	default:
		if class, ok := strings.CutPrefix(w, "class="); ok {
			m.Question[0].Qclass = miekg.StringToClass[class]
			return nil
		}
		if op, ok := miekg.StringToOpcode[w]; ok {
			m.Opcode = op
			return nil
		}
		code, ok := miekg.StringToRcode[w]
		if w == "BADVERS" { // which the library calls by the other name of its number
			code, ok = miekg.RcodeBadVers, true
		}
		if !ok {
			return fmt.Errorf("unknown word %q", w)
		}
		m.Rcode = code
	}
	return nil
}

func records(m *miekg.Msg, texts []string) error {
	for _, text := range texts {
		section := &m.Answer
		text = strings.TrimSpace(text)
		if rest, ok := strings.CutPrefix(text, "@ns "); ok {
			section, text = &m.Ns, rest
		} else if rest, ok := strings.CutPrefix(text, "@ar "); ok {
			section, text = &m.Extra, rest
		}
		rr, err := miekg.NewRR(text)
		if err != nil {
			return err
		}
		*section = append(*section, rr)
	}
	return nil
}
