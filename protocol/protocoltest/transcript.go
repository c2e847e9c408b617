package protocoltest

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
)

// Transcript is a connection as an operator writes it down.
type Transcript struct {
	Name     string
	Segments []Segment
	// Closed is set when the connection ends, Reason then says how and ClosedAt when.
	Closed   bool
	Reason   event.CloseReason
	ClosedAt time.Duration

	Existing, RoleUnknown, Datagram bool

	Port uint16

	Want        []Want
	Undecoded   string
	ParseErrors uint64
	Unresolved  uint64
}

// Encoder turns the text of an encoded line into bytes of that side. One is made for each transcript, so that it may keep what
// a connection keeps (a header table).
type Encoder func(from protocol.Side, line string) ([]byte, error)

// Segment is what one end sent in one call, at a time since the beginning.
type Segment struct {
	FromClient bool
	Data       []byte
	// Hidden is how many bytes moved unseen after Data.
	Hidden int
	At     time.Duration
}

// Want is an exchange that must come of a transcript.
type Want struct {
	Outcome, Error    string
	Duration          time.Duration
	Request, Response int64 // bytes; Response is -1 when unanswered
	Attrs             [2][]Attr
	// Waiting and Upkeep are the words of that name.
	Waiting, Upkeep bool
}

// Attr is an attribute of a request or a response; Value "-" says that it is not set.
type Attr struct{ Key, Value string }

// reader reads a transcript line by line.
type reader struct {
	t      *Transcript
	now    time.Duration
	open   bool // the last segment may be continued
	expect bool
	encode Encoder
}

// Parse reads a transcript. Encoded lines need an encoder. Errors name the line.
func Parse(name string, text []byte, encode Encoder) (*Transcript, error) {
	r := reader{t: &Transcript{Name: name, Port: 1}, encode: encode}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		parse := r.line
		if r.expect {
			parse = r.want
		}
		if err := parse(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
	}
	if !r.expect {
		return nil, fmt.Errorf("%s: no line \"expect\"", name)
	}
	return r.t, nil
}

func (r *reader) line(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case ">", "<":
		data, err := unescape(rest)
		r.bytes(word == ">", data)
		return err
	case ">!", "<!":
		if r.encode == nil {
			return fmt.Errorf("no encoder for %q", line)
		}
		side := protocol.ClientSide
		if word == "<!" {
			side = protocol.ServerSide
		}
		data, err := r.encode(side, rest)
		r.bytes(word == ">!", data)
		return err
	case ">?", "<?":
		n, err := strconv.Atoi(rest)
		r.open = false
		r.t.Segments = append(r.t.Segments, Segment{FromClient: word == ">?", Hidden: n, At: r.now})
		return err
	}
	r.open = false
	switch word {
	case "--":
	case "expect":
		r.expect = true
	case "datagram":
		r.t.Datagram = true
	case "existing":
		r.t.Existing = true
	case "role":
		r.t.RoleUnknown = true
	case "port":
		n, err := strconv.ParseUint(rest, 10, 16)
		r.t.Port = uint16(n)
		return err
	case "close":
		r.t.Closed, r.t.ClosedAt = true, r.now
		r.t.Reason = map[string]event.CloseReason{"reset": event.CloseReset, "timeout": event.CloseTimeout}[rest]
	default:
		if !strings.HasPrefix(word, "+") {
			return fmt.Errorf("unknown line %q", line)
		}
		d, err := time.ParseDuration(word[1:])
		r.now += d
		return err
	}
	return nil
}

func (r *reader) bytes(fromClient bool, data []byte) {
	s := r.t.Segments
	if r.open && s[len(s)-1].FromClient == fromClient {
		s[len(s)-1].Data = append(s[len(s)-1].Data, data...)
		return
	}
	r.open = true
	r.t.Segments = append(s, Segment{FromClient: fromClient, Data: data, At: r.now})
}

// unescape reads the text of a line, with its line end.
func unescape(text string) ([]byte, error) {
	var b bytes.Buffer
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b.WriteByte(text[i])
			continue
		}
		i++
		if i == len(text) {
			return b.Bytes(), nil
		}
		switch text[i] {
		case 'r':
			b.WriteByte('\r')
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case '\\':
			b.WriteByte('\\')
		case 'x':
			n, err := strconv.ParseUint(text[i+1:min(i+3, len(text))], 16, 8)
			if err != nil {
				return nil, fmt.Errorf("bad escape in %q", text)
			}
			b.WriteByte(byte(n))
			i += 2
		case '(':
			count, of, ok := strings.Cut(text[i+1:], "*")
			of, _, closed := strings.Cut(of, ")")
			n, err := strconv.Atoi(count)
			if !ok || !closed || err != nil {
				return nil, fmt.Errorf("bad repetition in %q", text)
			}
			b.WriteString(strings.Repeat(of, n))
			i += len(count) + len(of) + 2
		default:
			return nil, fmt.Errorf("unknown escape in %q", text)
		}
	}
	b.WriteString("\r\n")
	return b.Bytes(), nil
}

func (r *reader) want(line string) error {
	fields, err := split(line)
	if err != nil {
		return err
	}
	switch {
	case len(fields) == 2 && fields[0] == "undecoded":
		r.t.Undecoded = fields[1]
		return nil
	case len(fields) == 2 && fields[0] == "parse-errors":
		r.t.ParseErrors, err = strconv.ParseUint(fields[1], 10, 64)
		return err
	case len(fields) == 2 && fields[0] == "unresolved":
		r.t.Unresolved, err = strconv.ParseUint(fields[1], 10, 64)
		return err
	case len(fields) < 3:
		return fmt.Errorf("too short: %q", line)
	}
	var w Want
	w.Outcome, w.Error, _ = strings.Cut(strings.TrimSuffix(fields[0], ")"), "(")
	if w.Duration, err = time.ParseDuration(fields[1]); err != nil {
		return err
	}
	request, response, _ := strings.Cut(fields[2], "/")
	if w.Request, err = strconv.ParseInt(request, 10, 64); err != nil {
		return err
	}
	if w.Response = -1; response != "-" {
		if w.Response, err = strconv.ParseInt(response, 10, 64); err != nil {
			return err
		}
	}
	part := 0
	for _, f := range fields[3:] {
		switch f {
		case "|":
			part = 1
			continue
		case "waiting":
			w.Waiting = true
			continue
		case "upkeep":
			w.Upkeep = true
			continue
		}
		k, v, ok := strings.Cut(f, "=")
		if !ok {
			return fmt.Errorf("no attribute: %q", f)
		}
		w.Attrs[part] = append(w.Attrs[part], Attr{k, v})
	}
	r.t.Want = append(r.t.Want, w)
	return nil
}

// split cuts a line at blanks that are not within quotes.
func split(line string) ([]string, error) {
	var fields []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimLeft(line, " ") {
		end := strings.IndexByte(line, ' ')
		if end < 0 {
			end = len(line)
		}
		q := strings.IndexByte(line, '"')
		if q < 0 || q > end {
			fields, line = append(fields, line[:end]), line[end:]
			continue
		}
		quoted, err := strconv.QuotedPrefix(line[q:])
		if err != nil {
			return nil, fmt.Errorf("bad quotes in %q", line)
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("bad quotes in %q", line)
		}
		fields, line = append(fields, line[:q]+value), line[q+len(quoted):]
	}
	return fields, nil
}
