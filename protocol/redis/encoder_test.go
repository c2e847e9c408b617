package redis_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/protocoltest"
	"github.com/toposcope/toposcope/protocol/redis"
)

// limit is how much of a statement the tests keep.
const limit = 64

func TestTranscripts(t *testing.T) {
	encoder := protocoltest.Encode(func() protocoltest.Encoder { return encode })
	protocoltest.Run(t, redis.Spec(protocol.Options{TextLimit: limit}), encoder)
}

// TestValues: the text with values in it, and without passwords even so.
func TestValues(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"set k v", "SET k v"},
		{`set k "v w" ""`, `SET k v w ""`},
		{"set k " + string([]byte{0, 200, 'x'}), "SET k ..x"},
		{"AUTH user secret", "AUTH ? ?"},
		{"hello 3 AUTH u secret", "HELLO ? ? ? ?"},
		{"config set requirepass secret", "CONFIG SET ? ?"},
		{"nosuch secret", "other ?"},
		{"client setname me", "CLIENT SETNAME me"},
	} {
		for _, cut := range []bool{false, true} {
			p := redis.Spec(protocol.Options{TextLimit: limit, Values: true}).New()
			p.Next(&protocol.Chunk{Data: command("PING")}) //nolint:errcheck // now it is known who asks
			data := command(c.line)
			var m *protocol.Message
			for n := 1; n <= len(data) && m == nil; n++ {
				if !cut {
					n = len(data)
				}
				_, m, _ = p.Next(&protocol.Chunk{Data: data[:n], Turn: true, Call: true}) //nolint:errcheck // the text tells
			}
			if got := string(m.Attrs.Get(protocol.DBQueryText)); got != c.want {
				t.Errorf("%s: %q, want %q", c.line, got, c.want)
			}
		}
	}
}

// encode makes a request of words, as a client sends them; a word may be quoted as in Go. Of a server's line each word is the line of
// an answer, "$text" a string with its length, and a word after a number and "x" is there so many times.
func encode(from protocol.Side, line string) ([]byte, error) {
	if from == protocol.ClientSide {
		return command(line), nil
	}
	var b []byte
	for _, word := range strings.Fields(line) {
		times := 1
		if count, of, ok := strings.Cut(word, "x"); ok {
			if n, err := strconv.Atoi(count); err == nil {
				times, word = n, of
			}
		}
		if text, ok := strings.CutPrefix(word, "$"); ok {
			word = fmt.Sprintf("$%d\r\n%s", len(text), text)
		}
		b = append(b, strings.Repeat(word+"\r\n", times)...)
	}
	return b, nil
}

// command is a request of words.
func command(text string) []byte {
	var words []string
	for i := 0; i < len(text); {
		switch {
		case text[i] == ' ':
			i++
			continue
		case text[i] == '"':
			if quoted, err := strconv.QuotedPrefix(text[i:]); err == nil {
				word, _ := strconv.Unquote(quoted) //nolint:errcheck // it is quoted
				words, i = append(words, word), i+len(quoted)
				continue
			}
		}
		from := i
		for i < len(text) && text[i] != ' ' {
			i++
		}
		words = append(words, text[from:i])
	}
	return array(words...)
}

// array is an array of strings.
func array(words ...string) []byte {
	b := append([]byte{'*'}, strconv.Itoa(len(words))+"\r\n"...)
	for _, w := range words {
		b = append(b, '$')
		b = strconv.AppendInt(b, int64(len(w)), 10)
		b = append(append(append(b, "\r\n"...), w...), "\r\n"...)
	}
	return b
}
