package kafka

import (
	_ "embed" // the table of fields
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

//go:embed schema.txt
var schemaText string

// kind is what an op does with the bytes at hand.
type kind uint8

const (
	fixed    kind = iota // skips size bytes
	text                 // skips a string
	blob                 // skips bytes
	numbers              // skips an array of elements of size bytes
	array                // begins an array; op.to is behind its end
	next                 // ends an element; op.to is the first of the array
	optional             // begins a structure that may be null; op.to is behind it
	group                // begins a structure; op.to is behind it
	tags                 // skips tagged fields
	// Those that are read.
	topicName
	topicID
	errorCode
	acks
	maxWait
	sessionID
	sessionEpoch
	records
	mark
)

// op is one field, or what lies around fields. It is passed over in versions before first and after last.
type op struct {
	kind        kind
	first, last int8
	size        uint8
	to          uint16
}

// types are the names of fields, with their lengths.
var types = map[string]op{
	"i8": {kind: fixed, size: 1}, "i16": {kind: fixed, size: 2}, "i32": {kind: fixed, size: 4}, "i64": {kind: fixed, size: 8},
	"uuid": {kind: fixed, size: 16}, "string": {kind: text}, "bytes": {kind: blob},
	"topic": {kind: topicName}, "id": {kind: topicID}, "error": {kind: errorCode}, "acks": {kind: acks}, "wait": {kind: maxWait},
	"session": {kind: sessionID}, "epoch": {kind: sessionEpoch}, "records": {kind: records},
	"mark": {kind: mark},
}

// api is one of Kafka's.
type api struct {
	key               int16
	name              string
	last              int16 // version
	flexible          int16 // the first version that is
	request, response []op
	named             bool // the request says a topic
	learns            bool // the response says topics' names with their ids
	upkeep, waits     bool
}

// isFlexible says whether lengths are compact and structures end in tagged fields.
func (a *api) isFlexible(version int16) bool { return version >= a.flexible }

// schema holds the APIs by their keys.
type schema struct{ apis []*api }

// find is the API of that key; nil when it is not known.
func (s *schema) find(key int16) *api {
	if key < 0 || int(key) >= len(s.apis) {
		return nil
	}
	return s.apis[key]
}

// readSchema reads schema.txt, which is part of the program: an error in it is a mistake of ours that no run gets past.
func readSchema() *schema {
	s := &schema{}
	var tokens []string
	for _, line := range strings.Split(schemaText, "\n") {
		if !strings.HasPrefix(line, "#") {
			tokens = append(tokens, strings.Fields(line)...)
		}
	}
	for len(tokens) > 0 {
		a, rest, err := readAPI(tokens)
		if err == nil && int(a.key) != len(s.apis) {
			err = fmt.Errorf("key %d where %d is due", a.key, len(s.apis))
		}
		if err != nil {
			panic(fmt.Sprintf("kafka: schema.txt: %v", err))
		}
		s.apis, tokens = append(s.apis, a), rest
	}
	return s
}

// readAPI reads the entries of one API and returns what follows them.
func readAPI(t []string) (*api, []string, error) {
	request, response := slices.Index(t, ">"), slices.Index(t, "<")
	if request < 3 || response < request {
		return nil, nil, fmt.Errorf("no API at %q", t[:min(len(t), 4)])
	}
	a := &api{name: t[1], flexible: math.MaxInt16}
	key, err := strconv.ParseInt(t[0], 10, 16)
	if err != nil {
		return nil, nil, err
	}
	a.key = int16(key)
	_, last, err := readRange(t[2])
	if err != nil {
		return nil, nil, err
	}
	a.last = int16(last)
	if request == 5 {
		n, err := strconv.ParseInt(t[4], 10, 8)
		if err != nil {
			return nil, nil, err
		}
		a.flexible = int16(n)
	}
	end := response + 1
	for end < len(t) && !isKey(t[end]) {
		end++
	}
	// The headers of flexible versions end in tagged fields, but for that of the response to ApiVersions, which must be read
	// before it is known what the broker speaks.
	if a.request, err = readFields([]op{{kind: tags, last: math.MaxInt8}}, t[request+1:response]); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", a.name, err)
	}
	var header []op
	if a.key != keyAPIVersions {
		header = []op{{kind: tags, last: math.MaxInt8}}
	}
	if a.response, err = readFields(header, t[response+1:end]); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", a.name, err)
	}
	is := func(k kind) func(op) bool { return func(o op) bool { return o.kind == k } }
	a.named = slices.ContainsFunc(a.request, is(topicName)) || slices.ContainsFunc(a.request, is(topicID))
	a.learns = slices.ContainsFunc(a.response, is(topicName)) && slices.ContainsFunc(a.response, is(topicID))
	a.upkeep, a.waits = upkeep[a.name], waits[a.name]
	return a, t[end:], nil
}

// isKey says whether a token begins an API.
func isKey(token string) bool { return token[0] >= '0' && token[0] <= '9' }

// readRange reads FIRST-LAST or FIRST.
func readRange(s string) (first, last int8, err error) {
	from, to, bounded := strings.Cut(s, "-")
	a, err := strconv.ParseInt(from, 10, 8)
	b := int64(math.MaxInt8)
	if err == nil && bounded {
		b, err = strconv.ParseInt(to, 10, 8)
	}
	return int8(a), int8(b), err
}

// readFields makes the ops of a message, after those that are there.
func readFields(ops []op, tokens []string) ([]op, error) {
	var open []int // arrays and structures
	for _, token := range tokens {
		word, versions, _ := strings.Cut(token, "/")
		o := op{last: math.MaxInt8}
		if versions != "" {
			var err error
			if o.first, o.last, err = readRange(versions); err != nil {
				return nil, err
			}
		}
		switch word {
		case "[", "{", "?{":
			o.kind = map[string]kind{"[": array, "{": group, "?{": optional}[word]
			open = append(open, len(ops))
			ops = append(ops, o)
		case "]", "}":
			if len(open) == 0 {
				return nil, fmt.Errorf("%s without its beginning", word)
			}
			from := open[len(open)-1]
			open = open[:len(open)-1]
			ops = append(ops, op{kind: tags, last: math.MaxInt8})
			ops = closing(ops, from, o)
		default:
			var err error
			if ops, err = field(ops, word, o); err != nil {
				return nil, err
			}
		}
	}
	if len(open) > 0 {
		return nil, fmt.Errorf("%d not closed", len(open))
	}
	return append(ops, op{kind: tags, last: math.MaxInt8}), nil
}

// closing ends the array or structure that began at from, which is there in the versions of o.
func closing(ops []op, from int, o op) []op {
	if ops[from].kind == array {
		ops = append(ops, op{kind: next, last: math.MaxInt8, to: uint16(from + 1)})
	}
	ops[from].first, ops[from].last, ops[from].to = o.first, o.last, uint16(len(ops))
	return ops
}

// field adds a field of a type, or an array of such.
func field(ops []op, word string, o op) ([]op, error) {
	name, many := strings.CutSuffix(word, "[]")
	of, ok := types[name]
	if !ok {
		return nil, fmt.Errorf("unknown type %q", word)
	}
	switch {
	case many && of.kind == fixed:
		o.kind, o.size = numbers, of.size
		return append(ops, o), nil
	case many:
		from := len(ops)
		of.last = math.MaxInt8
		return closing(append(ops, op{kind: array}, of), from, o), nil
	}
	o.kind, o.size = of.kind, of.size
	if n := len(ops) - 1; n >= 0 && o.kind == fixed && ops[n].kind == fixed && ops[n].always() && o.always() && ops[n].size < 128 {
		ops[n].size += o.size // one step instead of two
		return ops, nil
	}
	return append(ops, o), nil
}

// always says whether o is there in all versions.
func (o *op) always() bool { return o.first == 0 && o.last == math.MaxInt8 }
