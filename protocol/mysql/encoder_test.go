package mysql_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/mysql"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

// options keep texts, so that transcripts can say how they read.
var options = protocol.Options{TextLimit: 1 << 10}

func TestTranscripts(t *testing.T) {
	protocoltest.Run(t, mysql.Spec(options), protocoltest.Encode(func() protocoltest.Encoder { return newEncoder().encode }))
}

// encoder writes packets. A line is one, or several of a kind:
//
//	[seq=N] KIND [word …]
//
// Packets are numbered by themselves: a command begins with 0, all else goes on. Of the client:
//
//	response USER [db=NAME] [+capability …]   HandshakeResponse41
//	ssl, raw HEX, file TEXT, file             SSLRequest, any payload, the bytes of a file and its end
//	query TEXT, query0 TEXT, query2 TEXT      the latter with none and with two query attributes
//	prepare TEXT, execute ID [FLAGS], bulk ID, close ID, reset ID, fetch ID, long ID TEXT
//	use NAME, user NAME DB, com HEX           COM_INIT_DB, COM_CHANGE_USER, any other
//
// Of the server:
//
//	greeting VERSION [+capability …]
//	ok [FLAG …], okeof [FLAG …], eof [FLAG …] the second with the header 0xfe; flags are those of the status, and schema=NAME
//	err CODE STATE TEXT                       "-" for no SQLSTATE
//	columns N [mariadb=F | mysql=F]           a column count, with the flag of cached metadata
//	defs N, row VALUE …, bin HEX, rows N      definitions, a row, one of the binary protocol, rows of one value
//	prepared ID COLUMNS PARAMETERS [FLAG]
//	switch PLUGIN, raw HEX, infile NAME, text TEXT, progress
//
// Of either: "begin LENGTH TEXT" and "ask LENGTH TEXT" are the beginning of a packet of that length, the second a COM_QUERY's.
type encoder struct{ seq uint8 }

func newEncoder() *encoder { return &encoder{} }

var capabilities = map[string]uint32{
	"db": 1 << 3, "compress": 1 << 5, "ssl": 1 << 11, "attributes": 1 << 27, "eofless": 1 << 24, "track": 1 << 23,
	"zstd": 1 << 26, "optional": 1 << 25, "lenenc": 1 << 21, "local": 1 << 7,
}

// usual is what every client and server agree on: protocol 4.1, transactions, secure authentication, plugins.
const usual = 1<<9 | 1<<13 | 1<<15 | 1<<19

var status = map[string]uint16{
	"more": 0x0008, "cursor": 0x0040, "lastrow": 0x0080, "noescapes": 0x0200, "changed": 0x4000, "transaction": 0x0001,
}

func (e *encoder) encode(from protocol.Side, line string) ([]byte, error) {
	words := strings.Fields(line)
	if n, ok := strings.CutPrefix(words[0], "seq="); ok {
		seq, err := strconv.ParseUint(n, 10, 8)
		if err != nil {
			return nil, err
		}
		e.seq = uint8(seq) - 1
		words = words[1:]
		_, line, _ = strings.Cut(line, " ")
	}
	_, rest, _ := strings.Cut(line, " ")
	if length := number(words, 1); words[0] == "begin" || words[0] == "ask" {
		_, rest, _ = strings.Cut(rest, " ")
		if words[0] == "ask" {
			e.seq, rest = 0xff, "\x03"+rest
		}
		e.seq++
		return append([]byte{byte(length), byte(length >> 8), byte(length >> 16), e.seq}, rest...), nil
	}
	kinds := serverKinds
	if from == protocol.ClientSide {
		kinds = clientKinds
	}
	write := kinds[words[0]]
	if write == nil {
		return nil, fmt.Errorf("unknown packet %q", line)
	}
	payloads, begins, err := write(words[1:], rest)
	if err != nil {
		return nil, err
	}
	var out []byte
	if begins {
		e.seq = 0xff
	}
	for _, p := range payloads {
		out = e.packet(out, p)
	}
	return out, nil
}

// packet adds a payload as one packet, or as several when it is long.
func (e *encoder) packet(out, payload []byte) []byte {
	for {
		e.seq++
		n := min(len(payload), 0xffffff)
		out = append(out, byte(n), byte(n>>8), byte(n>>16), e.seq)
		out = append(out, payload[:n]...)
		if payload = payload[n:]; n < 0xffffff {
			return out
		}
	}
}

// kind writes the payloads of a line. begins: they are a command.
type kind func(words []string, rest string) (payloads [][]byte, begins bool, err error)

func one(b []byte) ([][]byte, bool, error) { return [][]byte{b}, false, nil }

func asks(b []byte) ([][]byte, bool, error) { return [][]byte{b}, true, nil }

func number(words []string, i int) uint32 {
	if i >= len(words) {
		return 0
	}
	n, err := strconv.ParseUint(words[i], 0, 32)
	if err != nil {
		return 0 // a word of a text
	}
	return uint32(n)
}

func flags(words []string) uint32 {
	c := uint32(usual)
	for _, w := range words {
		if name, ok := strings.CutPrefix(w, "+"); ok {
			c |= capabilities[name]
		}
	}
	return c
}

func text(command byte, prefix string) kind {
	return func(_ []string, rest string) ([][]byte, bool, error) {
		return asks(append([]byte{command}, prefix+rest...))
	}
}

func withID(command byte, tail ...byte) kind {
	return func(words []string, rest string) ([][]byte, bool, error) {
		b := binary.LittleEndian.AppendUint32([]byte{command}, number(words, 0))
		if command == 0x18 {
			_, rest, _ = strings.Cut(rest, " ")
			return asks(append(append(b, 0, 0), rest...))
		}
		b = append(b, tail...)
		if command == 0x17 {
			b[5] = byte(number(words, 1))
		}
		return asks(b)
	}
}

func raw(_ []string, rest string) ([][]byte, bool, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
	return [][]byte{b}, false, err
}

var clientKinds = map[string]kind{
	"query":  text(3, ""),
	"query0": text(3, "\x00\x01"),
	// Two attributes: "trace", a text, and "n", NULL.
	"query2":  text(3, "\x02\x01\x02\x01\xfe\x00\x05trace\xfe\x00\x01n\x03abc"),
	"prepare": text(0x16, ""),
	"use":     text(2, ""),
	"execute": withID(0x17, 0, 1, 0, 0, 0),
	"bulk":    withID(0xfa, 128, 0, 0, 1, 'a'),
	"close":   withID(0x19),
	"reset":   withID(0x1a),
	"fetch":   withID(0x1c, 10, 0, 0, 0),
	"long":    withID(0x18),
	"raw":     raw,
	"file":    func(_ []string, rest string) ([][]byte, bool, error) { return one([]byte(rest)) },
	"com": func(words []string, rest string) ([][]byte, bool, error) {
		p, _, err := raw(words, rest)
		return p, true, err
	},
	"user": func(words []string, _ string) ([][]byte, bool, error) {
		return asks([]byte("\x11" + words[0] + "\x00\x04wxyz" + words[1] + "\x00\x2d\x00caching_sha2_password\x00"))
	},
	"ssl": func(words []string, _ string) ([][]byte, bool, error) {
		return one(append(fixed(flags(append(words, "+ssl"))), 0)[:32])
	},
	"response": func(words []string, _ string) ([][]byte, bool, error) {
		c, db := flags(words), ""
		for _, w := range words {
			if name, ok := strings.CutPrefix(w, "db="); ok {
				c, db = c|capabilities["db"], name+"\x00"
			}
		}
		b := append(fixed(c), words[0]+"\x00"...)
		b = append(b, "\x14abcdefghijklmnopqrst"+db+"caching_sha2_password\x00"...)
		return one(b)
	},
}

// fixed is the fixed part of a HandshakeResponse41.
func fixed(c uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, c)
	b = append(b, 0, 0, 0, 1, 45)
	return append(b, make([]byte, 23)...)
}

// changes is an OK packet's end where the session has changed its database.
func changes(schema string) []byte {
	entry := append([]byte{1, byte(len(schema) + 1), byte(len(schema))}, schema...)
	return append([]byte{0, byte(len(entry))}, entry...)
}

func okKind(header byte) kind {
	return func(words []string, _ string) ([][]byte, bool, error) {
		s, schema := uint16(2), ""
		for _, w := range words {
			if name, ok := strings.CutPrefix(w, "schema="); ok {
				s, schema = s|status["changed"], name
			}
			s |= status[w]
		}
		b := append([]byte{header, 1, 0}, byte(s), byte(s>>8), 0, 0)
		if schema != "" {
			b = append(b, changes(schema)...)
		}
		return one(b)
	}
}

func repeat(n int, b []byte) ([][]byte, bool, error) {
	out := make([][]byte, n)
	for i := range out {
		out[i] = b
	}
	return out, false, nil
}

var definition = []byte("\x03def\x04shop\x06orders\x06orders\x02id\x02id\x0c\x3f\x00\x0b\x00\x00\x00\x03\x03\x42\x00\x00\x00")

var serverKinds = map[string]kind{
	"ok":    okKind(0),
	"okeof": okKind(0xfe),
	"raw":   raw,
	"eof": func(words []string, _ string) ([][]byte, bool, error) {
		s := uint16(2)
		for _, w := range words {
			s |= status[w]
		}
		return one([]byte{0xfe, 0, 0, byte(s), byte(s >> 8)})
	},
	"err": func(words []string, rest string) ([][]byte, bool, error) {
		b := binary.LittleEndian.AppendUint16([]byte{0xff}, uint16(number(words, 0)))
		if words[1] != "-" {
			b = append(b, "#"+words[1]...)
		}
		return one(append(b, strings.SplitN(rest, " ", 3)[2]...))
	},
	"progress": func([]string, string) ([][]byte, bool, error) {
		return one([]byte("\xff\xff\xff\x01\x01\x02\x10\x27\x00\x05stage"))
	},
	"columns": func(words []string, _ string) ([][]byte, bool, error) {
		b := []byte{byte(number(words, 0))}
		if n := number(words, 0); n > 250 {
			b = []byte{0xfc, byte(n), byte(n >> 8)}
		}
		if len(words) > 1 {
			who, flag, _ := strings.Cut(words[1], "=")
			f := byte(flag[0] - '0')
			if who == "mysql" {
				b = append([]byte{f}, b...)
			} else {
				b = append(b, f)
			}
		}
		return one(b)
	},
	"defs": func(words []string, _ string) ([][]byte, bool, error) {
		return repeat(int(number(words, 0)), definition)
	},
	"rows": func(words []string, _ string) ([][]byte, bool, error) {
		return repeat(int(number(words, 0)), []byte("\x06secret"))
	},
	"row": func(words []string, _ string) ([][]byte, bool, error) {
		var b []byte
		for _, w := range words {
			b = append(append(b, byte(len(w))), w...)
		}
		return one(b)
	},
	"bin": func(words []string, rest string) ([][]byte, bool, error) { return raw(words, "0000"+rest) },
	"prepared": func(words []string, _ string) ([][]byte, bool, error) {
		b := binary.LittleEndian.AppendUint32([]byte{0}, number(words, 0))
		b = binary.LittleEndian.AppendUint16(b, uint16(number(words, 1)))
		b = binary.LittleEndian.AppendUint16(b, uint16(number(words, 2)))
		b = append(b, 0, 0, 0)
		if len(words) > 3 {
			b = append(b, byte(number(words, 3)))
		}
		return one(b)
	},
	"switch": func(words []string, _ string) ([][]byte, bool, error) {
		return one([]byte("\xfe" + words[0] + "\x00abcdefghijklmnopqrst\x00"))
	},
	"infile": func(words []string, _ string) ([][]byte, bool, error) { return one([]byte("\xfb" + words[0])) },
	"text":   func(_ []string, rest string) ([][]byte, bool, error) { return one([]byte(rest)) },
	"greeting": func(words []string, _ string) ([][]byte, bool, error) {
		c := flags(append(words, "+db", "+local"))
		b := append([]byte{10}, words[0]+"\x00"...)
		b = append(b, "\x07\x00\x00\x00saltsalt\x00"...)
		b = append(b, byte(c), byte(c>>8), 45, 2, 0, byte(c>>16), byte(c>>24), 21)
		b = append(b, make([]byte, 10)...)
		return [][]byte{append(b, "saltsaltsalt\x00caching_sha2_password\x00"...)}, true, nil
	},
}
