// Package http2test writes HTTP/2 for transcripts: the encoded lines of protocoltest, one frame each.
//
//	>! preface
//	>! settings table=8192 frame=32768 window=65535    any of them; settings ack
//	>! headers 1 end :method=GET :path=/ "user-agent=a b"
//	>! data 1 end msg=hello                            pieces: text=, msg= (with gRPC's prefix), zip= (the same, compressed),
//	                                                   trailers= (gRPC-Web's, lines separated by |), zero=N, hex=; b64( and ) around them
//	>! push 1 2 :method=GET :path=/style.css
//	>! rst 1 8
//	>! goaway 5 0
//	>! ping, ping ack, window 0 1000, priority 3, unknown 3
//
// Headers are compressed by an encoder for each direction that lives as long as the transcript. Options of headers and push:
// pad=N, prio, split=N (the block goes into frames of N bytes), table=N (the encoder's new size). A line may have several
// frames, separated by " ; ". A line "warm name=value …" only tells the encoder's table: what was said before capture.
package http2test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/net/http2/hpack"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

// Encoder is for protocoltest.Encode.
func Encoder() protocoltest.Encoder {
	var ends [2]*end
	for i := range ends {
		e := &end{}
		e.hpack = hpack.NewEncoder(&e.block)
		ends[i] = e
	}
	return func(from protocol.Side, line string) ([]byte, error) {
		e := ends[from]
		e.out = nil
		for text := range strings.SplitSeq(line, " ; ") {
			words, err := split(text)
			if err != nil {
				return nil, err
			}
			if len(words) == 0 {
				continue
			}
			if err := e.frame(words[0], words[1:]); err != nil {
				return nil, fmt.Errorf("%q: %w", text, err)
			}
		}
		return e.out, nil
	}
}

// split cuts at blanks outside quotes.
func split(line string) ([]string, error) {
	var words []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if line[0] != '"' {
			word, rest, _ := strings.Cut(line, " ")
			words, line = append(words, word), rest
			continue
		}
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			return nil, fmt.Errorf("bad quotes in %q", line)
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("bad quotes in %q", line)
		}
		words, line = append(words, word), line[len(quoted):]
	}
	return words, nil
}

// end is one end's encoder.
type end struct {
	hpack *hpack.Encoder
	block bytes.Buffer
	out   []byte
}

// Frame types and flags, RFC 9113 section 6.
const (
	flagEnd        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

func (e *end) write(kind, flags byte, stream uint32, payload []byte) {
	n := len(payload)
	e.out = append(e.out, byte(n>>16), byte(n>>8), byte(n), kind, flags)
	e.out = binary.BigEndian.AppendUint32(e.out, stream)
	e.out = append(e.out, payload...)
}

func (e *end) frame(name string, args []string) error {
	switch name {
	case "preface":
		e.out = append(e.out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"...)
		return nil
	case "settings":
		return e.settings(args)
	case "warm":
		err := e.fields(args)
		e.block.Reset()
		return err
	case "ping":
		e.write(6, byte(len(args)), 0, []byte("12345678")) // "ack" is its only argument
		return nil
	}
	var numbers []uint32
	for len(args) > 0 {
		n, err := strconv.ParseUint(args[0], 10, 32)
		if err != nil {
			break
		}
		numbers, args = append(numbers, uint32(n)), args[1:]
	}
	want := map[string]int{"headers": 1, "data": 1, "push": 2, "rst": 2, "goaway": 2, "window": 2, "priority": 1, "unknown": 1}[name]
	if want == 0 || len(numbers) != want {
		return fmt.Errorf("%d numbers", len(numbers))
	}
	last := binary.BigEndian.AppendUint32(nil, numbers[want-1])
	switch name {
	case "headers":
		return e.headers(1, numbers[0], nil, args)
	case "push":
		return e.headers(5, numbers[0], last, args)
	case "data":
		return e.data(numbers[0], args)
	case "rst":
		e.write(3, 0, numbers[0], last)
	case "goaway":
		e.write(7, 0, 0, append(binary.BigEndian.AppendUint32(nil, numbers[0]), last...))
	case "window":
		e.write(8, 0, numbers[0], last)
	case "priority":
		e.write(2, 0, numbers[0], make([]byte, 5))
	case "unknown":
		e.write(0xfa, 0xff, numbers[0], []byte("of another time"))
	}
	return nil
}

func (e *end) settings(args []string) error {
	if len(args) == 1 && args[0] == "ack" {
		e.write(4, 1, 0, nil)
		return nil
	}
	ids := map[string]uint16{"table": 1, "push": 2, "streams": 3, "window": 4, "frame": 5, "list": 6}
	var payload []byte
	for _, a := range args {
		key, value, _ := strings.Cut(a, "=")
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil || ids[key] == 0 {
			return fmt.Errorf("bad setting %q", a)
		}
		payload = binary.BigEndian.AppendUint16(payload, ids[key])
		payload = binary.BigEndian.AppendUint32(payload, uint32(n))
		if key == "table" {
			continue
		}
	}
	e.write(4, 0, 0, payload)
	return nil
}

// fields adds name=value to the block. A "!" in front keeps a field out of the table.
func (e *end) fields(args []string) error {
	for _, a := range args {
		at := strings.IndexByte(a[min(1, len(a)):], '=') + 1 // names may begin with a colon, never with =
		if at < 1 {
			return fmt.Errorf("no field: %q", a)
		}
		f := hpack.HeaderField{Name: strings.TrimPrefix(a[:at], "!"), Value: a[at+1:], Sensitive: a[0] == '!'}
		if err := e.hpack.WriteField(f); err != nil {
			return err
		}
	}
	return nil
}

// headers writes a HEADERS or PUSH_PROMISE frame, and CONTINUATION frames.
func (e *end) headers(kind byte, stream uint32, before []byte, args []string) error {
	flags, padding, piece := byte(0), 0, 1<<14
	for ; len(args) > 0; args = args[1:] {
		key, value, _ := strings.Cut(args[0], "=")
		n, _ := strconv.Atoi(value)
		switch key {
		case "end":
			flags |= flagEnd
			continue
		case "prio":
			flags |= flagPriority
			before = append(before, 0, 0, 0, 0, 16)
			continue
		case "pad":
			flags |= flagPadded
			padding = n
			continue
		case "split":
			piece = n
			continue
		case "table":
			e.hpack.SetMaxDynamicTableSizeLimit(uint32(n))
			e.hpack.SetMaxDynamicTableSize(uint32(n))
			continue
		}
		break
	}
	if err := e.fields(args); err != nil {
		return err
	}
	block := append([]byte(nil), e.block.Bytes()...)
	e.block.Reset()
	for first := true; first || len(block) > 0; first = false {
		part := block[:min(piece, len(block))]
		if block = block[len(part):]; len(block) == 0 {
			flags |= flagEndHeaders
		}
		if !first {
			e.write(9, flags&flagEndHeaders, stream, part)
			continue
		}
		e.write(kind, flags, stream, padded(flags, padding, append(before, part...)))
	}
	return nil
}

func padded(flags byte, n int, payload []byte) []byte {
	if flags&flagPadded == 0 {
		return payload
	}
	return append(append([]byte{byte(n)}, payload...), make([]byte, n)...)
}

// data writes a DATA frame.
func (e *end) data(stream uint32, args []string) error {
	flags, padding, coded := byte(0), 0, -1
	var payload []byte
	for _, a := range args {
		key, value, _ := strings.Cut(a, "=")
		switch n, _ := strconv.Atoi(value); key {
		case "end":
			flags |= flagEnd
		case "pad":
			flags |= flagPadded
			padding = n
		case "text":
			payload = append(payload, value...)
		case "zero":
			payload = append(payload, make([]byte, n)...)
		case "hex":
			b, err := hex.DecodeString(value)
			if err != nil {
				return err
			}
			payload = append(payload, b...)
		case "msg":
			payload = append(payload, Message(0, value)...)
		case "zip":
			payload = append(payload, Message(1, value)...)
		case "trailers":
			payload = append(payload, Message(0x80, strings.ReplaceAll(value, "|", "\r\n")+"\r\n")...)
		case "b64(":
			coded = len(payload)
		case ")":
			text := base64.StdEncoding.EncodeToString(payload[coded:])
			payload = append(payload[:coded], text...)
		default:
			return fmt.Errorf("unknown piece %q", a)
		}
	}
	e.write(0, flags, stream, padded(flags, padding, payload))
	return nil
}

// Message is content with gRPC's prefix.
func Message(flag byte, content string) []byte {
	m := binary.BigEndian.AppendUint32([]byte{flag}, uint32(len(content)))
	return append(m, content...)
}
