package postgresql

import (
	"bytes"
	"encoding/binary"
)

var (
	fromClient = speaker{&clientKinds, judgeClient}
	fromServer = speaker{&serverKinds, judgeServer}
)

// scan reads the content of a message field by field. What is not there yet fits, if there is room for it.
type scan struct {
	b     []byte
	left  int // bytes of the message, there or not
	bad   bool
	short bool // the bytes ended early
}

func (s *scan) whole() bool { return len(s.b) == s.left }

func (s *scan) take(n int) []byte {
	if n < 0 || n > len(s.b) {
		s.bad, s.short = s.bad || n < 0 || n > s.left, true
		s.left -= len(s.b)
		s.b = nil
		return nil
	}
	out := s.b[:n]
	s.b = s.b[n:]
	s.left -= n
	return out
}

func (s *scan) int16() int {
	if b := s.take(2); b != nil {
		return int(int16(binary.BigEndian.Uint16(b)))
	}
	return 0
}

func (s *scan) int32() int {
	if b := s.take(4); b != nil {
		return int(int32(binary.BigEndian.Uint32(b)))
	}
	return 0
}

// text reads a text up to its zero byte.
func (s *scan) text() []byte {
	t, rest, ok := cString(s.b)
	if !ok {
		s.bad, s.short = s.bad || s.whole(), true
	}
	s.bad = s.bad || !isText(t)
	s.left -= len(s.b) - len(rest)
	s.b = rest
	return t
}

// count reads how many fields follow.
func (s *scan) count() int {
	n := s.int16()
	s.bad = s.bad || n < 0
	return n
}

// formats reads a list of formats, 0 or 1 each.
func (s *scan) formats() {
	for n := s.count(); n > 0 && !s.short; n-- {
		f := s.int16()
		s.bad = s.bad || f>>1 != 0
	}
}

// values reads values, each with its length or -1 before it.
func (s *scan) values() {
	for n := s.count(); n > 0 && !s.short; n-- {
		if size := s.int32(); size >= 0 {
			s.take(size)
		} else if size != -1 {
			s.bad = true
		}
	}
}

// points is what the message is worth when all of it fits.
func (s *scan) points(n int) int {
	if s.bad || s.whole() && len(s.b) > 0 {
		return refuted
	}
	return n
}

func judgeClient(kind byte, body []byte, size int) int {
	s := &scan{b: body, left: size}
	switch kind {
	case 'Q':
		if t := s.text(); len(t) > 0 && !begins(t) {
			return refuted
		}
		return s.points(enough)
	case 'P':
		s.text()
		s.text()
		s.take(4 * s.count())
		return s.points(enough)
	case 'B':
		s.text()
		s.text()
		s.formats()
		s.values()
		s.formats()
		return s.points(enough)
	case 'D', 'C':
		if what := s.take(1); what != nil && what[0] != 'S' && what[0] != 'P' {
			return refuted
		}
		s.text()
		return s.points(1)
	case 'E':
		s.text()
		s.bad = s.int32() < 0 || s.bad
		return s.points(1)
	case 'F':
		s.int32()
		s.formats()
		s.values()
		if f := s.int16(); f>>1 != 0 {
			return refuted
		}
		return s.points(enough)
	case 'S', 'H', 'X', 'c':
		return s.points(1)
	case 'd':
		return 0
	case 'f':
		s.text()
		return s.points(1)
	}
	return refuted // a password begins nothing
}

// begins reports whether t may be the beginning of a statement.
func begins(t []byte) bool {
	t = bytes.TrimLeft(t, " \t\r\n\f\v")
	if len(t) == 0 {
		return true
	}
	c := t[0] | 0x20
	return c >= 'a' && c <= 'z' || t[0] == '(' || t[0] == ';' || t[0] == '-' || t[0] == '/'
}

func judgeServer(kind byte, body []byte, size int) int {
	s := &scan{b: body, left: size}
	switch kind {
	case 'Z':
		if state := s.take(1); state != nil && state[0] != 'I' && state[0] != 'T' && state[0] != 'E' {
			return refuted
		}
		return s.points(1)
	case 'T':
		for n := s.count(); n > 0 && !s.short; n-- {
			s.text()
			s.take(18)
		}
		return s.points(enough)
	case 'D':
		s.values()
		return s.points(1)
	case 'C':
		if t := s.text(); !s.short && !isTag(t) {
			return refuted
		}
		return s.points(enough)
	case 'E', 'N':
		return judgeFields(s)
	case 'S':
		if name := s.text(); len(name) == 0 && !s.short || !isName(name) {
			return refuted
		}
		s.text()
		return s.points(1)
	case 'A':
		s.int32()
		s.bad = len(s.text()) == 0 && !s.short || s.bad
		s.text()
		return s.points(enough)
	case '1', '2', '3', 'n', 'I', 's', 'c':
		return s.points(1)
	case 't':
		s.take(4 * s.count())
		return s.points(1)
	case 'G', 'H', 'W':
		if f := s.take(1); f != nil && f[0] > 1 {
			return refuted
		}
		s.formats()
		return s.points(enough)
	case 'd':
		return 0
	case 'R':
		return judgeAuthentication(s)
	}
	return judgeRare(kind, s)
}

func judgeRare(kind byte, s *scan) int {
	switch kind {
	case 'K': // a process, and a key of at most 256 bytes
		s.take(8)
		s.bad = s.bad || s.left > 252
		s.take(s.left)
		return s.points(1)
	case 'V':
		if n := s.int32(); n >= 0 {
			s.take(n)
		} else if n != -1 {
			return refuted
		}
		return s.points(1)
	case 'v':
		s.int32()
		for n := s.int32(); n > 0 && !s.short; n-- {
			s.text()
		}
		return s.points(1)
	}
	return refuted
}

// judgeAuthentication judges an Authentication message: each kind of it has its length.
func judgeAuthentication(s *scan) int {
	code := s.int32()
	if s.short {
		return s.points(0)
	}
	switch code {
	case 0: // AuthenticationOk
		return s.points(enough)
	case 2, 3, 6, 7, 9: // Kerberos, a password in clear, SCM, GSS, SSPI
		return s.points(1)
	case 5: // MD5, with its salt
		s.take(4)
		return s.points(1)
	case 10: // SASL, with its mechanisms
		for len(s.b) > 1 {
			s.text()
		}
		s.take(1)
		return s.points(1)
	case 8, 11, 12: // what GSS and SASL go on with
		s.take(s.left)
		return s.points(0)
	}
	return refuted
}

// judgeFields judges an ErrorResponse or NoticeResponse: fields of a letter and a text each, a severity, a code and a message among them.
func judgeFields(s *scan) int {
	severity, code, message := false, false, false
	for {
		field := s.take(1)
		if s.short {
			return s.points(0)
		}
		if field[0] == 0 {
			break
		}
		t := s.text()
		if s.short {
			return s.points(0)
		}
		switch c := field[0]; {
		case c == fieldLevel:
			severity = true
		case c == fieldCode:
			code = isSQLState(t)
			s.bad = s.bad || !code
		case c == 'M':
			message = true
		case c < 'A' || c > 'Z' && c < 'a' || c > 'z':
			s.bad = true
		}
	}
	if !severity || !code || !message {
		return refuted
	}
	return s.points(enough)
}

// tags are the words that a CommandComplete's tag begins with (PostgreSQL's cmdtaglist.h).
var tags = set(
	"ALTER", "ANALYZE", "BEGIN", "CALL", "CHECKPOINT", "CLOSE", "CLUSTER", "COMMENT", "COMMIT", "COPY", "CREATE", "DEALLOCATE",
	"DECLARE", "DELETE", "DISCARD", "DO", "DROP", "EXECUTE", "EXPLAIN", "FETCH", "GRANT", "IMPORT", "INSERT", "LISTEN", "LOAD",
	"LOCK", "LOGIN", "MERGE", "MOVE", "NOTIFY", "PREPARE", "REASSIGN", "REFRESH", "REINDEX", "RELEASE", "RESET", "REVOKE",
	"ROLLBACK", "SAVEPOINT", "SECURITY", "SELECT", "SET", "SHOW", "START", "TRUNCATE", "UNLISTEN", "UPDATE", "VACUUM",
	"IDENTIFY_SYSTEM", "BASE_BACKUP", "CREATE_REPLICATION_SLOT", "DROP_REPLICATION_SLOT", "READ_REPLICATION_SLOT",
	"TIMELINE_HISTORY", opStartReplication,
)

func set(words ...string) map[string]bool {
	m := make(map[string]bool, len(words))
	for _, w := range words {
		m[w] = true
	}
	return m
}

// isTag reports whether t is a CommandComplete's tag: a word of ours, then words in capital letters and numbers.
func isTag(t []byte) bool {
	first, rest, _ := bytes.Cut(t, []byte(" "))
	for _, c := range rest {
		if c != ' ' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return tags[string(first)] && len(t) < 64
}
