package dns

import (
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// Step is one finished exchange as Walks looks at it. The bytes belong to the caller.
type Step struct {
	// Task asked. Without a PID it is not known, and the step is taken for a lookup by itself; without a TID any thread of the
	// process may have asked.
	Task event.Task
	// Name and Type are the question's, as the attributes DNSQuestionName and DNSQuestionType have them.
	Name, Type []byte
	// Code is the response code, "" when nobody answered.
	Code string
	// Found is set when the answer has records.
	Found bool
	// Truncated is set when the answer did not fit, so that the question will be asked again over TCP.
	Truncated  bool
	Start, End time.Time
}

// StepOf reads an exchange. ok is false for one that is no lookup: seen from the server's side, of another protocol, or of a kind
// that no resolver asks for a user (an update, a zone, a class other than IN).
func StepOf(x *protocol.Exchange) (s Step, ok bool) {
	if x.Protocol == nil || x.Protocol.Name != Name || x.Side != protocol.ClientSide {
		return s, false
	}
	a := &x.Request.Attrs
	if a.Get(OpCode) != nil || a.Get(QuestionClass) != nil {
		return s, false
	}
	s = Step{
		Task: x.Task, Name: a.Get(protocol.DNSQuestionName), Type: a.Get(protocol.DNSQuestionType),
		Start: x.Start(), End: x.End(),
	}
	if string(s.Type) == "AXFR" || string(s.Type) == "IXFR" {
		return s, false
	}
	if r := x.Response; r != nil {
		s.Code = known(r.Attrs.Get(protocol.DNSResponseCode))
		s.Found = s.Code == codeNames[0] && string(r.Attrs.Get(AnswersCount)) != "0"
		s.Truncated = r.Attrs.Get(Truncated) != nil
	}
	return s, true
}

// known is a response code as a string that costs nothing.
func known(code []byte) string {
	for _, name := range codeNames {
		if name == string(code) {
			return name
		}
	}
	return other
}

// definite says that no resolver asks the same again after this answer.
func (s *Step) definite() bool {
	return !s.Truncated && (s.Code == codeNames[0] || s.Code == codeNames[codeNXDOMAIN])
}

// answered says that a resolver is content.
func (s *Step) answered() bool { return s.Found && !s.Truncated }

// labels returns the length of the labels that a and b begin with alike: of whole ones, without the dot after them.
func labels(a, b []byte) int {
	common := 0
	for i := 0; ; i++ {
		endA, endB := i >= len(a) || a[i] == '.', i >= len(b) || b[i] == '.'
		if endA || endB {
			if !endA || !endB {
				return common
			}
			if common = i; i >= len(a) || i >= len(b) {
				return common
			}
			continue
		}
		if a[i] != b[i] {
			return common
		}
		if a[i] == '\\' && i+1 < len(a) && i+1 < len(b) { // the next one is no dot between labels
			if i++; a[i] != b[i] {
				return common
			}
		}
	}
}

// suffix is what follows the first n bytes of name, which are whole labels; "" when they are all there is.
func suffix(name []byte, n int) []byte {
	if n >= len(name) {
		return nil
	}
	return name[n+1:]
}

// below says whether name is a domain below parent.
func below(name, parent []byte) bool {
	n := len(name) - len(parent)
	return n > 0 && len(parent) > 0 && name[n-1] == '.' && string(name[n:]) == string(parent)
}

// typed says whether a user's program may have asked for base, to which search domains were added. Blocklists are asked for
// addresses written backwards, services by labels with an underscore; neither is searched for.
func typed(base []byte) bool {
	letter, start, single := false, 0, true
	for i := 0; i <= len(base); i++ {
		if i < len(base) && base[i] != '.' {
			c := base[i]
			letter = letter || 'a' <= c && c <= 'z'
			continue
		}
		single = single && i == len(base)
		if letter && base[start] != '_' && (i-start > 1 || single) {
			return true
		}
		letter, start = false, i+1
	}
	return false
}
