package redis_test

import (
	"strings"
	"testing"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/redis"
)

// TestReplyOtherwise: CLIENT REPLY with anything but ON, OFF or SKIP is answered with an error, and takes no other's answer.
func TestReplyOtherwise(t *testing.T) {
	for _, ask := range []string{"CLIENT REPLY foo", "CLIENT REPLY KIFF", "CLIENT REPLY", "CLIENT REPLY OFF now", "CLIENT REPLY SKIP SKIP"} {
		w := newWire(t, false, protocol.Config{})
		w.ask("PING")
		w.tell("+PONG")
		w.ask(ask, "GET a", "SET b 1", "LPUSH c 1")
		w.tell("-ERR syntax")
		w.tell("$v")
		w.tell("+OK")
		w.tell("-WRONGTYPE x")
		w.end("PING ok", "CLIENT REPLY failed(ERR)", "GET ok", "SET ok", "LPUSH failed(WRONGTYPE)")
	}
}

// TestReplyOn: answers that were never off are switched on in the middle of a pipeline.
func TestReplyOn(t *testing.T) {
	w := newWire(t, false, protocol.Config{})
	w.ask("PING")
	w.tell("+PONG")
	w.ask("GET a", "GET b", "CLIENT REPLY ON", "SET c 1", "LPUSH d 1")
	for _, line := range []string{"$v", "$v", "+OK", "+OK", "-WRONGTYPE x"} {
		w.tell(line)
	}
	w.end("PING ok", "2x GET ok", "CLIENT REPLY ok", "SET ok", "LPUSH failed(WRONGTYPE)")
}

// TestSelectPipelined: of two databases that are chosen at once one is refused; and one is chosen in a transaction that comes to
// nothing.
func TestSelectPipelined(t *testing.T) {
	w := newWire(t, false, protocol.Config{})
	w.ask("SELECT 99", "SELECT 1")
	w.tell("-ERR DB index is out of range")
	w.tell("+OK")
	w.ask("GET k")
	w.tell("$v")
	w.ask("SELECT 98", "SELECT 99")
	w.tell("-ERR DB index is out of range")
	w.tell("-ERR DB index is out of range")
	w.ask("GET k")
	w.tell("$v")
	w.ask("SELECT 2")
	w.tell("+OK")
	w.ask("MULTI")
	w.tell("+OK")
	w.ask("SELECT 3")
	w.tell("+QUEUED")
	w.ask("DISCARD")
	w.tell("+OK")
	w.ask("GET k")
	w.tell("$v")
	w.end("SELECT@99 failed(ERR)", "SELECT@1 ok", "GET@1 ok", "SELECT@98 failed(ERR)", "SELECT@99 failed(ERR)", "GET ok",
		"SELECT@2 ok", "MULTI@2 ok", "SELECT@3 ok", "DISCARD ok", "GET ok")
}

// TestRefusedShutdown: who is not allowed to shut the server down goes on, and an answer that is left over is noticed.
func TestRefusedShutdown(t *testing.T) {
	w := newWire(t, false, protocol.Config{})
	w.ask("SHUTDOWN")
	w.tell("-NOPERM no")
	w.ask("GET a")
	w.tell("$v")
	w.tell("$left over")
	if n := w.track.Counters().Orphans; n != 1 {
		t.Errorf("%d answers left over, want 1", n)
	}
	w.end("SHUTDOWN ok", "GET ok")
}

// TestListLikeConfirmation: a list is no confirmation, though all subscriptions were ended.
func TestListLikeConfirmation(t *testing.T) {
	w := newWire(t, false, protocol.Config{})
	w.ask("UNSUBSCRIBE")
	w.tell("*3 $unsubscribe $a :1")
	w.tell("*3 $unsubscribe $b :0")
	w.ask("LRANGE l 0 -1")
	w.tell("*3 $subscribe $x $y")
	w.ask("GET a")
	w.tell("-WRONGTYPE x")
	w.end("UNSUBSCRIBE ok", "LRANGE ok", "GET failed(WRONGTYPE)")
}

// TestNamedLikeOptions: groups and consumers may be called as options are.
func TestNamedLikeOptions(t *testing.T) {
	for line, waits := range map[string]bool{
		"XREADGROUP GROUP streams block BLOCK 0 STREAMS s >":      true,
		"XREADGROUP GROUP block c STREAMS s >":                    false,
		"XREADGROUP GROUP g streams COUNT 1 BLOCK 9 STREAMS s >":  true,
		"XREADGROUP GROUP g c NOACK COUNT 1 STREAMS block >":      false,
		"XREADGROUP CLAIM 10 NOACK GROUP g c block 5 STREAMS s >": true,
		"XREAD BLOCK 5 STREAMS s $":                               true,
		"XREAD COUNT 5 STREAMS block $":                           false,
	} {
		p := redis.Spec(protocol.Options{}).New()
		_, m, err := p.Next(&protocol.Chunk{Data: command(line)})
		if err != nil || m == nil || m.Waiting != waits {
			t.Errorf("%s: %+v %v", line, m, err)
		}
	}
}

// TestSecretsMisspelt: what a subcommand is that nobody knows may be a password, too.
func TestSecretsMisspelt(t *testing.T) {
	for _, line := range []string{
		"ACL SETUSR joe >hunter2", "CONFIG SETT requirepass hunter2", "SENTINEL XSET m auth-pass hunter2", "MODULE X hunter2",
		"ACL " + strings.Repeat("x", 40) + " hunter2",
	} {
		p := redis.Spec(protocol.Options{TextLimit: 256, Values: true}).New()
		_, m, err := p.Next(&protocol.Chunk{Data: command(line)})
		if err != nil || m == nil || strings.Contains(string(m.Attrs.Get(protocol.DBQueryText)), "hunter2") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// TestPatience: what is not decided within a few hundred bytes never is; nobody may make us look at the same bytes again and again.
func TestPatience(t *testing.T) {
	s := redis.Spec(protocol.Options{})
	for _, beginning := range []string{
		"*" + strings.Repeat("0", 700), "*3\r\n$" + strings.Repeat("0", 700),
		"*3\r\n$9\r\nsubscribe\r\n$9000\r\n" + strings.Repeat("c", 2000),
		"*1\r\n$4\r\nPI" + strings.Repeat("N", 700),
	} {
		if o := s.Sniff(event.Sent, []byte(beginning)); o == protocol.More {
			t.Errorf("%.30q: more after %d bytes", beginning, len(beginning))
		}
	}
	for _, request := range []string{
		"*1000\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n" + strings.Repeat("$0\r\n\r\n", 900),
		"*3\r\n$3\r\nSET\r\n$" + strings.Repeat("0", 5000),
	} {
		p := s.New()
		p.Next(&protocol.Chunk{Data: command("PING")})                          //nolint:errcheck // now it is known who asks
		p.Next(&protocol.Chunk{Dir: event.Received, Data: []byte("+PONG\r\n")}) //nolint:errcheck // it is
		if n, m, err := p.Next(&protocol.Chunk{Data: []byte(request)}); n == 0 && m == nil && err == nil {
			t.Errorf("%.30q: waits after %d bytes", request, len(request))
		}
	}
}
