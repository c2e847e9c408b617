package mysql_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/protocoltest"
)

// say sends lines of one side, beginning with packet seq.
func (v *session) say(tb testing.TB, d event.Dir, seq uint8, list ...string) {
	from := protocol.ClientSide
	if d == event.Received {
		from = protocol.ServerSide
	}
	v.send(d, lines(tb, from, seq-1, list...))
}

// TestHostileAnswers sends answers whose lengths and numbers are lies. Each must leave a counter and a connection that goes
// on, or an end.
func TestHostileAnswers(t *testing.T) {
	long := "fe ff ff ff ff ff ff ff 7f" // a length of 2^63-1
	for _, line := range []string{
		"raw " + long,                         // columns
		"raw 00 " + long + " 00 02 00 00 00",  // rows affected
		"raw 00 00 00 00 40 00 00 00 " + long, // the session's changes
		"raw 00 00 00 00 40 00 00 00 03 01 " + long,
		"raw fb", // a file without a name
		"raw ff",
		"raw ff ff ff",
		"raw fe",
		"begin 16777215 \x01",
		"raw 00",
		"raw fc ff ff", // 65,535 columns, and then another answer
		"raw",
	} {
		s := &discard{}
		v := newSession(s, options)
		v.open(t, nil)
		for range 20 {
			v.say(t, event.Sent, 0, "query SELECT 1 FROM t")
			v.say(t, event.Received, 1, line)
			v.say(t, event.Received, 1, "ok")
		}
		if n := s.exchanges; n > 2*20 {
			t.Errorf("%q: %d exchanges of 21", line, n)
		}
		v.t.Handle(&event.Closed{Conn: 1, Seq: v.segment.Seq, Sent: v.off[event.Sent], Received: v.off[event.Received], Time: v.now})
		v.t.Tick(v.now.Add(time.Hour))
		if c := v.t.Counters(); c.BufferedBytes != 0 || c.Connections != 0 {
			t.Errorf("%q: %d bytes, %d connections are held", line, c.BufferedBytes, c.Connections)
		}
	}
}

// TestHostileRequests sends requests that lie.
func TestHostileRequests(t *testing.T) {
	for _, line := range []string{
		"com 03 fe ff ff ff ff ff ff ff 7f 01", // attributes
		"com 03 ff 01 00",
		"com 03 fa 01" + strings.Repeat("00", 40),
		"com 17 ff ff ff ff 00 01 00 00 00", // the last statement, of which there is none
		"com 16 00",
		"com 02 00 00",
		"com 04 " + strings.Repeat("61", 2000),
		"com 11 ff",
		"com 12 00 00 00 00 00 00 00 00 00 00",
		"com 1c ff ff ff ff ff ff ff ff",
		"com fa 00 00 00 00 00 00",
		"query " + strings.Repeat("(", 10000) + "SELECT 1",
		"query SELECT " + strings.Repeat("(SELECT ", 10000),
		"query " + strings.Repeat("/*", 20000),
		"query SELECT '" + strings.Repeat("\\", 30000),
	} {
		s := &discard{}
		v := newSession(s, options)
		v.open(t, nil)
		for range 3 {
			v.say(t, event.Sent, 0, line)
			v.say(t, event.Received, 1, "ok")
		}
		v.say(t, event.Sent, 0, "query SELECT 1 FROM t")
		v.say(t, event.Received, 1, "ok")
		if s.exchanges < 1 || s.exchanges > 5 { // some are answered otherwise than by OK
			t.Errorf("%.40q: %d exchanges", line, s.exchanges)
		}
	}
}

// TestMemory has clients and servers try to make a parser hold on to what they send.
func TestMemory(t *testing.T) {
	const limit = 2 << 20
	for _, tc := range []struct {
		name  string
		round func(v *session, i int)
	}{
		{"statements that are never closed", func(v *session, i int) {
			v.say(t, event.Sent, 0, fmt.Sprintf("prepare SELECT %s FROM t%d", strings.Repeat("a,", i%400), i))
			v.say(t, event.Received, 1, fmt.Sprintf("prepared %d 0 0", i))
		}},
		{"ever new statements", func(v *session, i int) {
			v.say(t, event.Sent, 0, fmt.Sprintf("query SELECT a%d FROM t%s", i, strings.Repeat("x", i%200)))
			v.say(t, event.Received, 1, "ok")
		}},
		{"ever new errors", func(v *session, i int) {
			v.say(t, event.Sent, 0, "query SELECT 1")
			v.say(t, event.Received, 1, fmt.Sprintf("err %d HY000 no", 1000+i%60000))
		}},
		{"ever new databases", func(v *session, i int) {
			v.say(t, event.Sent, 0, "use "+strings.Repeat("d", i%900+1))
			v.say(t, event.Received, 1, "ok")
		}},
		{"rows without end", func(v *session, i int) {
			if i == 0 {
				v.say(t, event.Sent, 0, "query SELECT 1 FROM t")
				v.say(t, event.Received, 1, "columns 1", "defs 1")
			}
			v.say(t, event.Received, uint8(3+100*i), "rows 100")
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &discard{}
			v := newSession(s, options)
			v.open(t, nil)
			before := protocoltest.Heap()
			for i := range 20000 {
				tc.round(v, i)
			}
			if after := protocoltest.Heap(); after > before+limit {
				t.Errorf("%d bytes more are held", after-before)
			}
			if c := v.t.Counters(); c.ParseErrors["mysql"] != 0 {
				t.Errorf("%d parse errors", c.ParseErrors["mysql"])
			}
			runtime.KeepAlive(v)
		})
	}
}

// TestRefused is a server that refuses a connection before it has said who it is: a failed exchange, for the parser knows no
// other way than to leave it unanswered.
func TestRefused(t *testing.T) {
	for _, line := range []string{"err 1040 - Too many connections", "err 1129 HY000 Host '10.0.0.7' is blocked"} {
		s := newSeen()
		v := newSession(s, options)
		v.say(t, event.Received, 0, line)
		v.t.Handle(&event.Closed{Conn: 1, Seq: v.segment.Seq, Received: v.off[event.Received], Time: v.now})
		if len(s.all) != 1 || s.all["CONNECT   "+strings.Fields(line)[1]] != 1 {
			t.Errorf("%s: %v", line, s.all)
		}
	}
}

// TestNothingOfErrors looks for the texts of errors, and for rows, in all that a connection gives.
func TestNothingOfErrors(t *testing.T) {
	var out bytes.Buffer
	v := newSession(sinkFunc(func(x *protocol.Exchange) {
		for _, m := range []*protocol.Message{x.Request, x.Response} {
			for i := range m.Attrs.Len() {
				k, value := m.Attrs.At(i)
				fmt.Fprintf(&out, "%s=%s ", k, value)
			}
			out.WriteString(m.Error)
		}
	}), options)
	v.open(t, nil)
	v.say(t, event.Sent, 0, "query INSERT INTO t VALUES ('secret')")
	v.say(t, event.Received, 1, "err 1062 23000 Duplicate entry 'secret' for key 'PRIMARY'")
	v.say(t, event.Sent, 0, "query SELECT \"secret\" FROM t")
	v.say(t, event.Received, 1, "columns 1", "defs 1", "rows 3", "okeof")
	if !strings.Contains(out.String(), "1062") || strings.Contains(out.String(), "secret") {
		t.Error(out.String())
	}
}

type sinkFunc func(*protocol.Exchange)

func (f sinkFunc) Exchange(x *protocol.Exchange)  { f(x) }
func (sinkFunc) Gap(event.ConnID, string, uint64) {}

// TestCharset has a client speak GBK, in which the bytes 0xbf and 0x5c are one character: what follows it is not looked at.
func TestCharset(t *testing.T) {
	const text = "query SELECT * FROM t WHERE a = '\xbf\\' AND b = 'secret'"
	for _, set := range []string{"", "SET NAMES gbk", "set character_set_client='GB18030'", "SET NAMES utf8mb4"} {
		s := newSeen()
		v := newSession(s, options)
		v.open(t, nil)
		if set != "" {
			v.say(t, event.Sent, 0, "query "+set)
			v.say(t, event.Received, 1, "ok")
		}
		v.say(t, event.Sent, 0, text)
		v.say(t, event.Received, 1, "ok")
		got := s.texts[len(s.texts)-1]
		gbk := strings.Contains(strings.ToLower(set), "gb")
		if gbk && got != "SELECT * FROM t WHERE a = ?" || gbk == strings.Contains(got, "secret") {
			t.Errorf("%q: %q", set, got)
		}
	}
}

// TestIdleError is a server that says why it ends a connection that nobody uses, one that is older than capture: that is no
// failed exchange.
func TestIdleError(t *testing.T) {
	for _, line := range []string{
		"err 4031 HY000 The client was disconnected by the server because of inactivity.", "err 1053 08S01 Server shutdown",
	} {
		for _, off := range []uint64{0, 4096} {
			s := newSeen()
			v := newSession(s, options)
			v.off[event.Received] = off
			v.say(t, event.Received, 0, line)
			v.t.Handle(&event.Closed{Conn: 1, Seq: v.segment.Seq, Received: v.off[event.Received], Time: v.now})
			if len(s.all) != 0 {
				t.Errorf("%s: %v", line, s.all)
			}
		}
	}
}

// TestUnknownCharset is a connection that is older than capture: whether it speaks GBK nobody knows.
func TestUnknownCharset(t *testing.T) {
	s := newSeen()
	v := newSession(s, options)
	for range 3 {
		v.say(t, event.Sent, 0, "query SELECT * FROM t WHERE a = '\xbf\\\\' secret ', 'b'")
		v.say(t, event.Received, 1, "ok")
	}
	if len(s.texts) != 3 {
		t.Fatalf("%q", s.texts)
	}
	for _, text := range s.texts {
		if strings.Contains(text, "secret") {
			t.Error(text)
		}
	}
}

// TestLostSetting loses the answer by which a server says that backslashes do not escape any more.
func TestLostSetting(t *testing.T) {
	s := newSeen()
	v := newSession(s, options)
	v.open(t, nil)
	for range 20 {
		v.say(t, event.Sent, 0, "query SELECT 1 FROM t")
		v.say(t, event.Received, 1, "ok")
	}
	v.say(t, event.Sent, 0, "query SET sql_mode = 'NO_BACKSLASH_ESCAPES'")
	answer := lines(t, protocol.ServerSide, 0, "ok noescapes")
	v.segment.Seq, v.segment.Turn, v.off[event.Received] = v.segment.Seq+1, v.segment.Turn+1, v.off[event.Received]+uint64(len(answer))
	v.segment.Dir = event.Received
	before := len(s.texts)
	for range 3 {
		v.say(t, event.Sent, 0, "query SELECT 'C:\\', ' secret '")
		v.say(t, event.Received, 1, "ok noescapes")
		v.now = v.now.Add(time.Second)
		v.t.Tick(v.now) // what has not come by now will not
	}
	if len(s.texts) == before {
		t.Fatal("nothing was decoded after the loss")
	}
	for _, text := range s.texts {
		if strings.Contains(text, "secret") {
			t.Error(text)
		}
	}
}

// TestChanges changes the database in ways of which it is not told what they leave.
func TestChanges(t *testing.T) {
	for _, tc := range []struct{ lines, want string }{
		// Without waiting; only the second one comes to pass.
		{
			"> use nowhere|> use other|< err 1049 42000 no|< ok|> query SELECT 1|< ok|> use other|< ok|> query SELECT 1|< ok",
			"nowhere unknown unknown other other",
		},
		// MariaDB prepares a USE as well.
		{"> prepare USE other|< prepared 1 0 0|> execute 1|< ok|> query SELECT 1|< ok", "shop unknown unknown"},
	} {
		var namespaces []string
		v := newSession(sinkFunc(func(x *protocol.Exchange) {
			namespaces = append(namespaces, string(x.Request.Attrs.Get(protocol.DBNamespace)))
		}), options)
		v.open(t, nil)
		for line := range strings.SplitSeq(tc.lines, "|") {
			if line[0] == '>' {
				v.say(t, event.Sent, 0, line[2:])
			} else {
				v.say(t, event.Received, 1, line[2:])
			}
		}
		if got := strings.Join(namespaces, " "); got != "shop "+tc.want {
			t.Errorf("%s: %s, want %s", tc.lines, got, tc.want)
		}
	}
}
