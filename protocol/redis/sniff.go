package redis

import (
	"bytes"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// finding is what the beginning of a turn is.
type finding uint8

const (
	neither   finding = iota // nothing of Redis
	undecided                // more bytes are needed
	asks                     // a known command, with as many words as it may have
	answers                  // what no client sends
	either                   // an array of strings, or a word that has other meanings: a command or an answer
)

// sniff judges whether data begins with a message of Redis. Of requests only known commands with the right number of words are
// believed; of answers, whose first byte is a mark and little more, those that nobody else can have sent.
func (t table) sniff(_ event.Dir, data []byte) protocol.Sniffed {
	switch t.judge(data) {
	case asks:
		return protocol.Yes
	case undecided:
		if len(data) > 0 && data[0] != '*' && !letter(data[0]) {
			return telling(data)
		}
		return protocol.More
	case answers, either:
		return telling(data)
	default:
		return protocol.No
	}
}

// judge says what data, which may be the beginning of a message of either end, is.
func (t table) judge(data []byte) finding {
	switch {
	case len(data) == 0:
		return undecided
	case data[0] == '*':
		return t.judgeArray(data)
	case letter(data[0]):
		return t.judgeInline(data)
	default:
		return judgeAnswer(data)
	}
}

// judgeArray judges an array: of strings, or another.
func (t table) judgeArray(data []byte) finding {
	n, at, s := length(data, maxCount)
	switch {
	case s == short:
		return undecided
	case s == wrong:
		return neither
	case n <= 0:
		return answers
	case at == len(data):
		return undecided
	case data[at] != '$':
		return judgeAnswer(data[at:])
	}
	size, name, s := length(data[at:], maxString)
	name += at
	switch {
	case s == short:
		return undecided
	case s == wrong:
		return neither
	case size < 0:
		return answers
	case size == 0 || size > maxName:
		return either
	}
	word := data[min(name, len(data)):min(name+size, len(data))]
	for i, b := range word {
		if !nameByte(b) || i == 0 && !letter(b) {
			return either
		}
	}
	end := lineEnd(data[min(name+size, len(data)):])
	switch {
	case end == short:
		return undecided
	case end == wrong:
		return neither
	}
	cmd := t.find("", word)
	switch {
	case cmd == nil || !cmd.admits(n):
		return either
	case n == 3 && (cmd.kind == subscribe || cmd.kind == unsubscribe):
		return judgeConfirmation(data[name+size+2:])
	}
	return asks
}

// judgeConfirmation tells a subscription to two channels from the confirmation of one, which begins alike, after the first word.
func judgeConfirmation(data []byte) finding {
	w := words{data: data, left: 2}
	_, _, s := w.next()
	switch {
	case s == wrong:
		return answers // a null or a number
	case s == short && len(data) > maxFirstLine:
		return neither // no channel has such a name
	case s == short || w.pos == len(data):
		return undecided
	case data[w.pos] == ':':
		return answers
	case data[w.pos] != '$':
		return neither
	}
	return asks
}

// maxFirstLine is how long a line may be by which a connection is recognised.
const maxFirstLine = 1 << 10

// judgeInline judges a line of words.
func (t table) judgeInline(data []byte) finding {
	end := bytes.IndexByte(data[:min(len(data), maxFirstLine)], '\n')
	if end < 0 && len(data) >= maxFirstLine {
		return neither
	}
	text := data
	if end >= 0 {
		text = bytes.TrimSuffix(data[:end], []byte("\r"))
	}
	for i, b := range text {
		if b < ' ' && b != '\t' && (b != '\r' || i < len(text)-1) || b > '~' {
			return neither
		}
	}
	first := words{data: text, left: 1, inline: true}
	word, _, _ := first.next()
	if end < 0 && first.pos >= len(text) {
		return t.begins(word)
	}
	cmd := t.find("", word)
	switch {
	case cmd == nil, end < 0 && cmd.is(shared):
		return neither
	case end < 0:
		return undecided
	case !cmd.admits(countWords(text)):
		return neither
	case cmd.is(shared) || bytes.HasSuffix(text, []byte("HTTP/1.1")):
		return either
	}
	return asks
}

// begins says whether a command that is no other protocol's may begin with word.
func (t table) begins(word []byte) finding {
	if len(word) <= maxName {
		for name, cmd := range t {
			if !cmd.is(shared) && len(name) >= len(word) && bytes.EqualFold([]byte(name[:len(word)]), word) {
				return undecided
			}
		}
	}
	return neither
}

// judgeAnswer judges a value that is no array by its first line.
func judgeAnswer(data []byte) finding {
	var s status
	switch b := data[0]; b {
	case '+', '-', '(':
		if len(data) > 1 && (data[1] < ' ' || data[1] > '~') {
			return neither
		}
		if len(data) == 1 {
			return undecided
		}
		return answers
	case '$', '=', '!', '%', '~', '>', '|', '*':
		_, _, s = length(data, maxString)
	case ':', ',', '_', '#':
		var text []byte
		if text, _, s = line(data); s == whole && !scalar(b, text) {
			s = wrong
		}
	default:
		s = wrong
	}
	switch s {
	case short:
		return undecided
	case wrong:
		return neither
	}
	return answers
}

// scalar says whether text is a value of type b.
func scalar(b byte, text []byte) bool {
	switch b {
	case '_':
		return len(text) == 0
	case '#':
		return len(text) == 1 && (text[0] == 't' || text[0] == 'f')
	default:
		return number(b, text)
	}
}

// tales are how answers begin that nothing but Redis sends: messages of subscriptions, what HELLO is answered.
var tales = [...]string{
	"*3\r\n$7\r\nmessage\r\n$", "*4\r\n$8\r\npmessage\r\n$", "*3\r\n$8\r\nsmessage\r\n$",
	">3\r\n$7\r\nmessage\r\n$", ">4\r\n$8\r\npmessage\r\n$", ">3\r\n$8\r\nsmessage\r\n$", ">2\r\n$10\r\ninvalidate\r\n",
	"%7\r\n$6\r\nserver\r\n$", "*14\r\n$6\r\nserver\r\n$",
}

// telling judges what is an answer if it is Redis at all.
func telling(data []byte) protocol.Sniffed {
	for _, tale := range tales {
		if n := min(len(tale), len(data)); tale[:n] == string(data[:n]) {
			if n == len(tale) {
				return protocol.Yes
			}
			return protocol.More
		}
	}
	return monitored(data)
}

// monitored knows a line that MONITOR shows: a time to the microsecond, the database, the address, and words in quotes, as
// in +1339518083.107412 [0 127.0.0.1:60866] "keys" "*".
func monitored(data []byte) protocol.Sniffed {
	const pattern = "+dddddddddd.dddddd ["
	for i := range min(len(data), len(pattern)) {
		b := data[i]
		if p := pattern[i]; p == 'd' && (b < '0' || b > '9') || p != 'd' && b != p {
			return protocol.No
		}
	}
	if len(data) < len(pattern) {
		return protocol.More
	}
	return protocol.Yes
}

func letter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }

// nameByte tells the characters of commands' names; modules have a dot.
func nameByte(b byte) bool {
	return letter(b) || '0' <= b && b <= '9' || b == '.' || b == '-' || b == '_'
}
