package mongodb_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/mongodb"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

// options are those of all tests: texts are kept, values are not.
var options = protocol.Options{TextLimit: 200}

func TestTranscripts(t *testing.T) {
	protocoltest.Run(t, mongodb.Spec(options), protocoltest.Encode(func() protocoltest.Encoder { return encode }))
}

// encode makes a message of a transcript's line:
//
//	ID/RESPONSETO [word …] {body} [name:[{document}, …]] …
//
// Documents are MongoDB Extended JSON, in which $(N*text) stands for N times text. Words are
//
//	more exhaust sum bit=N   flags of OP_MSG
//	sequences-first          the sequences of documents before the body
//	snappy zlib zstd noop    OP_COMPRESSED
//	query=DB.COLL flags=N    OP_QUERY
//	reply flags=N cursor=N   OP_REPLY; further documents are sequences called d
//	insert=, update=, delete=, getmore=DB.COLL, kill   the other old opcodes
func encode(_ protocol.Side, line string) ([]byte, error) {
	e := encoding{flags: map[string]bool{}, values: map[string]string{}}
	if err := e.parse(line); err != nil {
		return nil, fmt.Errorf("%q: %w", line, err)
	}
	op, payload := e.payload()
	if by, ok := e.compressor(); ok {
		var err error
		if payload, err = e.compress(by, op, payload); err != nil {
			return nil, err
		}
		op = 2012
	}
	return message(e.id, e.responseTo, op, payload, e.flags["sum"]), nil
}

// message puts a header before a payload, and a checksum after it.
func message(id, responseTo, op uint32, payload []byte, sum bool) []byte {
	n := 16 + len(payload)
	if sum {
		n += 4
	}
	var out []byte
	for _, v := range []uint32{uint32(n), id, responseTo, op} {
		out = binary.LittleEndian.AppendUint32(out, v)
	}
	out = append(out, payload...)
	if sum {
		out = binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, crc32.MakeTable(crc32.Castagnoli)))
	}
	return out
}

type sequence struct {
	name string
	docs [][]byte
}

type encoding struct {
	id, responseTo uint32
	flags          map[string]bool
	values         map[string]string
	body           []byte
	sequences      []sequence
}

func (e *encoding) parse(line string) error {
	for strings.Contains(line, "$(") {
		before, rest, _ := strings.Cut(line, "$(")
		count, rest, _ := strings.Cut(rest, "*")
		text, rest, ok := strings.Cut(rest, ")")
		n, err := strconv.Atoi(count)
		if err != nil || !ok {
			return fmt.Errorf("bad repetition")
		}
		line = before + strings.Repeat(text, n) + rest
	}
	at := strings.IndexByte(line, '{')
	words, rest := line, ""
	if at >= 0 {
		words, rest = line[:at], line[at:]
	}
	for i, w := range strings.Fields(words) {
		if i == 0 {
			if _, err := fmt.Sscanf(w, "%d/%d", &e.id, &e.responseTo); err != nil {
				return err
			}
			continue
		}
		if k, v, ok := strings.Cut(w, "="); ok {
			e.values[k] = v
		} else {
			e.flags[w] = true
		}
	}
	if rest == "" {
		return nil
	}
	doc, rest, err := document(rest)
	if err != nil {
		return err
	}
	for e.body = doc; strings.TrimSpace(rest) != ""; {
		name, list, ok := strings.Cut(strings.TrimSpace(rest), ":[")
		if !ok {
			return fmt.Errorf("what is %q", rest)
		}
		s := sequence{name: name}
		for !strings.HasPrefix(list, "]") {
			if doc, list, err = document(list); err != nil {
				return err
			}
			s.docs = append(s.docs, doc)
			list = strings.TrimLeft(list, ", ")
		}
		e.sequences, rest = append(e.sequences, s), list[1:]
	}
	return nil
}

// document reads the JSON that text begins with.
func document(text string) (doc []byte, rest string, err error) {
	depth, quoted := 0, false
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' && (i == 0 || text[i-1] != '\\'):
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			depth++
		case c == '}', c == ']':
			depth--
		}
		if depth == 0 {
			var d bson.D
			if err := bson.UnmarshalExtJSON([]byte(text[:i+1]), false, &d); err != nil {
				return nil, "", err
			}
			doc, err = bson.Marshal(d)
			return doc, text[i+1:], err
		}
	}
	return nil, "", fmt.Errorf("no end to %q", text)
}

func (e *encoding) number(key string) uint32 {
	n, _ := strconv.ParseUint(e.values[key], 10, 64) // 0 when it is not given
	return uint32(n)
}

// payload makes what comes after the header.
func (e *encoding) payload() (op uint32, out []byte) {
	u32 := binary.LittleEndian.AppendUint32
	for _, old := range []struct {
		name string
		op   uint32
	}{{"query", 2004}, {"insert", 2002}, {"update", 2001}, {"delete", 2006}, {"getmore", 2005}} {
		ns, ok := e.values[old.name]
		if !ok {
			continue
		}
		out = append(u32(nil, e.number("flags")), append([]byte(ns), 0)...)
		switch old.name {
		case "query":
			out = u32(u32(out, 0), 0xffffffff)
		case "update", "delete":
			out = u32(out, 0)
		case "getmore":
			return old.op, u32(u32(u32(out, 0), e.number("cursor")), 0)
		}
		return old.op, append(out, append(e.body, e.documents()...)...)
	}
	switch {
	case e.flags["kill"]:
		return 2007, u32(u32(u32(u32(nil, 0), 1), e.number("cursor")), 0)
	case e.flags["reply"]:
		docs := e.documents()
		n := 0
		if e.body != nil {
			n++
		}
		for _, s := range e.sequences {
			n += len(s.docs)
		}
		out = u32(u32(u32(u32(u32(nil, e.number("flags")), e.number("cursor")), 0), 0), uint32(n))
		return 1, append(out, append(e.body, docs...)...)
	}
	return 2013, e.opMsg()
}

func (e *encoding) documents() (out []byte) {
	for _, s := range e.sequences {
		for _, d := range s.docs {
			out = append(out, d...)
		}
	}
	return out
}

func (e *encoding) opMsg() []byte {
	flags := uint32(0)
	for name, bit := range map[string]int{"sum": 0, "more": 1, "exhaust": 16} {
		if e.flags[name] {
			flags |= 1 << bit
		}
	}
	if e.values["bit"] != "" {
		flags |= 1 << e.number("bit")
	}
	var sequences []byte
	for _, s := range e.sequences {
		one := append([]byte(s.name), 0)
		for _, d := range s.docs {
			one = append(one, d...)
		}
		sequences = append(sequences, 1)
		sequences = binary.LittleEndian.AppendUint32(sequences, uint32(4+len(one)))
		sequences = append(sequences, one...)
	}
	body := append([]byte{0}, e.body...)
	out := binary.LittleEndian.AppendUint32(nil, flags)
	if e.flags["sequences-first"] {
		return append(append(out, sequences...), body...)
	}
	return append(append(out, body...), sequences...)
}

func (e *encoding) compressor() (byte, bool) {
	for i, name := range []string{"noop", "snappy", "zlib", "zstd"} {
		if e.flags[name] {
			return byte(i), true
		}
	}
	return 0, false
}

func (e *encoding) compress(by byte, op uint32, payload []byte) ([]byte, error) {
	packed, err := pack(by, payload)
	if err != nil {
		return nil, err
	}
	out := binary.LittleEndian.AppendUint32(nil, op)
	out = append(binary.LittleEndian.AppendUint32(out, uint32(len(payload))), by)
	return append(out, packed...), nil
}

// pack compresses as drivers do.
func pack(by byte, payload []byte) ([]byte, error) {
	switch by {
	case 1:
		return snappy.Encode(nil, payload), nil
	case 2:
		var b bytes.Buffer
		w := zlib.NewWriter(&b)
		if _, err := w.Write(payload); err != nil {
			return nil, err
		}
		err := w.Close()
		return b.Bytes(), err
	case 3:
		w, err := zstd.NewWriter(nil)
		if err != nil {
			return nil, err
		}
		return w.EncodeAll(payload, nil), nil
	default:
		return payload, nil
	}
}
