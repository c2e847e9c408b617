package redis_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/redis"
)

// found collects what a Tracker finds, each exchange as "operation[@database] outcome[(error[/code])]".
type found struct {
	list    []string
	gaps    uint64
	refused bool
}

func (f *found) Exchange(x *protocol.Exchange) {
	s := string(x.Request.Attrs.Get(protocol.DBOperation))
	if db := x.Request.Attrs.Get(protocol.DBNamespace); db != nil {
		s += "@" + string(db)
	}
	s += " " + x.Outcome.String()
	if x.Error != "" {
		s += "(" + x.Error
		if x.Response != nil {
			if code := string(x.Response.Attrs.Get(protocol.DBStatusCode)); code != x.Error {
				s += "/" + code
			}
		}
		s += ")"
	}
	f.list = append(f.list, s)
}
func (f *found) Gap(_ event.ConnID, _ string, n uint64)        { f.gaps += n }
func (f *found) SetVerdict(_ event.ConnID, v protocol.Verdict) { f.refused = f.refused || v.Refused }

// wire is a connection to a Tracker of its own, seen from the client.
type wire struct {
	t     *testing.T
	track *protocol.Tracker
	found *found
	seq   uint64
	turn  uint32
	last  event.Dir
	off   [2]uint64
	now   time.Time
}

func newWire(t *testing.T, existing bool, cfg protocol.Config) *wire {
	w := &wire{t: t, found: &found{}, now: time.Unix(1e9, 0), last: event.Sent}
	w.track = protocol.NewTracker([]*protocol.Spec{redis.Spec(protocol.Options{TextLimit: limit})}, cfg, w.found, w.found)
	w.track.Handle(&event.Opened{Conn: 1, Role: event.RoleClient, Existing: existing, Time: w.now})
	return w
}

func (w *wire) send(d event.Dir, data []byte) {
	w.now = w.now.Add(time.Millisecond)
	if d != w.last {
		w.last = d
		w.turn++
	}
	w.track.Handle(&event.Segment{
		Conn: 1, Dir: d, Seq: w.seq, Off: w.off[d], Data: data, Size: len(data), Time: w.now, Turn: w.turn, Turns: true,
	})
	w.seq++
	w.off[d] += uint64(len(data))
}

// lose leaves a segment out.
func (w *wire) lose(d event.Dir, n int) {
	if d != w.last {
		w.last = d
		w.turn++
	}
	w.seq++
	w.off[d] += uint64(n)
}

// ask sends commands in one call, tell answers as a transcript's lines have them.
func (w *wire) ask(lines ...string) {
	var data []byte
	for _, l := range lines {
		data = append(data, command(l)...)
	}
	w.send(event.Sent, data)
}

func (w *wire) tell(line string) {
	if line[0] == '-' {
		w.send(event.Received, []byte(line+"\r\n"))
		return
	}
	data, err := encode(protocol.ServerSide, line)
	if err != nil {
		w.t.Fatal(err)
	}
	w.send(event.Received, data)
}

func (w *wire) pause() {
	w.now = w.now.Add(time.Second)
	w.track.Tick(w.now)
}

// end closes the connection and wants what was found, each item perhaps after a number and "x".
func (w *wire) end(want ...string) {
	w.t.Helper()
	w.track.Tick(w.now.Add(time.Second))
	w.track.Handle(&event.Closed{
		Conn: 1, Seq: w.seq, Turn: w.turn, Turns: true, Sent: w.off[event.Sent], Received: w.off[event.Received], Time: w.now,
	})
	w.track.Tick(w.now.Add(time.Hour))
	var all []string
	for _, s := range want {
		times := 1
		if count, of, ok := strings.Cut(s, "x "); ok {
			if n, err := strconv.Atoi(count); err == nil {
				times, s = n, of
			}
		}
		all = append(all, slices.Repeat([]string{s}, times)...)
	}
	if !slices.Equal(w.found.list, all) {
		w.t.Errorf("found %s\nwant  %s", brief(w.found.list), brief(all))
	}
	if c := w.track.Counters(); c.BufferedBytes != 0 || c.Connections != 0 {
		w.t.Errorf("%d bytes and %d connections are held", c.BufferedBytes, c.Connections)
	}
}

// brief writes a list down with its runs counted.
func brief(list []string) string {
	var b strings.Builder
	for i := 0; i < len(list); {
		n := 1
		for i+n < len(list) && list[i+n] == list[i] {
			n++
		}
		fmt.Fprintf(&b, "%dx %s, ", n, list[i])
		i += n
	}
	return b.String()
}

// TestDatabase: the database of what comes after a SELECT, unless it is refused; after a loss it is not known.
func TestDatabase(t *testing.T) {
	w := newWire(t, false, protocol.Config{})
	for _, c := range [][2]string{
		{"GET k", "$v"},
		{"SELECT 3", "+OK"},
		{"GET k", "$v"},
		{"SELECT 99", "-ERR DB index is out of range"},
		{"GET k", "$v"},
		{"SELECT x", "-ERR value is not an integer or out of range"},
		{"GET k", "$v"},
		{"RESET", "+RESET"},
		{"GET k", "$v"},
		{"SELECT 7", "+OK"},
		{"GET k", "$v"},
		{"PING", "+PONG"},
		{"PING", "+PONG"},
		{"PING", "+PONG"},
		{"PING", "+PONG"},
		{"PING", "+PONG"},
	} {
		w.ask(c[0])
		w.tell(c[1])
	}
	w.lose(event.Sent, 30)
	w.tell("+OK")
	w.ask("GET k")
	w.tell("$v")
	w.end("GET ok", "SELECT@3 ok", "GET@3 ok", "SELECT@99 failed(ERR)", "GET@3 ok", "SELECT failed(ERR)", "GET@3 ok", "RESET@3 ok",
		"GET ok", "SELECT@7 ok", "GET@7 ok", "5x PING@7 ok", "GET ok")
	if w.found.gaps != 1 {
		t.Errorf("%d reported missing, want 1", w.found.gaps)
	}
}

// TestPipeline: thousands of commands outstanding, answered in calls of any size.
func TestPipeline(t *testing.T) {
	const commands = 9000
	w := newWire(t, false, protocol.Config{MaxPipelined: 1 << 14})
	var data []byte
	for i := range commands {
		data = append(data, command(fmt.Sprintf("SET key:%d %s", i, strings.Repeat("v", 1+i%50)))...)
	}
	for len(data) > 0 {
		n := min(len(data), 1<<16)
		w.send(event.Sent, data[:n])
		data = data[n:]
	}
	data = []byte(strings.Repeat("+OK\r\n", commands))
	for i := 1; len(data) > 0; i++ {
		n := min(len(data), 1+i*7%1000)
		w.send(event.Received, data[:n])
		data = data[n:]
	}
	w.end(fmt.Sprintf("%dx SET ok", commands))
}

// TestTakenForClient: on a connection older than capture the first thing that is seen is an answer that could be a command.
func TestTakenForClient(t *testing.T) {
	for _, first := range []string{"*2 $type $x", "*1 $ping", "*4 $hset $a $b $c"} {
		w := newWire(t, true, protocol.Config{})
		w.pause()
		w.tell(first)
		w.pause()
		for range 3 {
			w.ask("GET a")
			w.tell("$v")
			w.pause()
		}
		w.ask("HGETALL a")
		w.tell("*2 $type $x")
		w.end("3x GET ok", "HGETALL ok")
	}
}

// TestAnswersLikeCommands: who is the client is known by then, or by what the first command is answered with.
func TestAnswersLikeCommands(t *testing.T) {
	w := newWire(t, true, protocol.Config{})
	w.pause()
	for range 5 {
		w.ask("HGETALL h")
		w.tell("*2 $type $x")
	}
	w.ask("PING")
	w.tell("+PONG")
	w.ask("LRANGE l 0 -1")
	w.tell("*1 $ping")
	w.end("5x HGETALL ok", "PING ok", "LRANGE ok")
}

// TestReplicaOlder: the commands of a master's stream, on a connection older than capture, are nobody's requests.
func TestReplicaOlder(t *testing.T) {
	for _, ack := range []string{"REPLCONF ACK 14", "REPLCONF GETACK *"} {
		w := newWire(t, true, protocol.Config{})
		w.pause()
		w.tell("*3 $SET $k $v")
		w.tell("*1 $PING")
		w.pause()
		if ack == "REPLCONF ACK 14" {
			w.ask(ack)
		} else {
			w.send(event.Received, command(ack))
		}
		w.tell("*3 $SET $k $v")
		w.end()
		if !w.found.refused {
			t.Error("the kernel goes on copying")
		}
	}
}

// TestReplicaPretended: a client that says what only replicas say is not rid of us.
func TestReplicaPretended(t *testing.T) {
	w := newWire(t, false, protocol.Config{})
	w.ask("PING")
	w.tell("+PONG")
	w.ask("REPLCONF ACK 0")
	w.pause()
	w.ask("PING")
	w.tell("+PONG")
	w.end("2x PING ok")
}

// TestSilence: after CLIENT REPLY OFF nothing is answered; when its end was lost, an answer tells.
func TestSilence(t *testing.T) {
	w := newWire(t, false, protocol.Config{})
	w.ask("CLIENT REPLY OFF", "SET a 1", "SUBSCRIBE x")
	w.lose(event.Sent, len(command("CLIENT REPLY ON")))
	w.tell("+OK")
	w.pause()
	w.ask("GET a")
	w.tell("$1")
	w.pause()
	w.ask("GET a")
	w.tell("$1")
	w.end("CLIENT REPLY ok", "SET ok", "SUBSCRIBE ok", "GET ok", "GET ok")
}

// TestSilenceOlder: answers were off before the connection was seen; what was sent meanwhile did not fail.
func TestSilenceOlder(t *testing.T) {
	w := newWire(t, true, protocol.Config{})
	w.pause()
	for range 10 {
		w.ask("INCR a")
	}
	w.ask("CLIENT REPLY ON")
	w.tell("+OK")
	w.ask("GET a")
	w.tell("$10")
	w.end("CLIENT REPLY ok", "GET ok")
}

// TestSubscriptionOlder: the messages of a subscription that is older than capture are none of anybody's answers.
func TestSubscriptionOlder(t *testing.T) {
	w := newWire(t, true, protocol.Config{})
	w.pause()
	for range 3 {
		w.tell("*3 $message $ch $hello")
		w.pause()
	}
	w.ask("PING")
	w.tell("*3 $message $ch $hello")
	w.tell("*2 $pong $")
	w.ask("SUBSCRIBE d")
	w.tell("*3 $subscribe $d :2")
	w.end("PING ok", "SUBSCRIBE ok")
}
