package redis_test

import (
	"testing"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/redis"
)

// sniffs are beginnings, of Redis and of what may be taken for it.
var sniffs = []struct {
	name, bytes string
	want        protocol.Sniffed
}{
	{"nothing", "", protocol.More},
	{"array", "*", protocol.More},
	{"array of one", "*1\r\n$4\r\nPI", protocol.More},
	{"array of one word", "*1\r\n$4\r\nPING\r\n", protocol.Yes},
	{"lower case", "*2\r\n$3\r\nget\r\n$1\r\nk\r\n", protocol.Yes},
	{"value to come", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\nxxxxx", protocol.Yes},
	{"wrong number of words", "*1\r\n$3\r\nGET\r\n", protocol.No},
	{"unknown command", "*2\r\n$5\r\nNOSUC\r\n$1\r\nk\r\n", protocol.No},
	{"pipeline", "*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n", protocol.Yes},
	{"subscription", "*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n$1\r\nb\r\n", protocol.Yes},
	{"confirmation", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", protocol.No},
	{"confirmation or subscription", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n", protocol.More},
	{"message", "*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$5\r\nhello\r\n", protocol.Yes},
	{"push", ">3\r\n$7\r\nmessage\r\n$2\r\nch\r\n", protocol.Yes},
	{"push to come", ">3\r\n$7\r\nmes", protocol.More},
	{"push of another kind", ">3\r\n$3\r\nfoo\r\n", protocol.No},
	{"hello's answer", "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n", protocol.Yes},
	{"hello's answer in RESP2", "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n", protocol.Yes},
	{"monitor's line", `+1339518083.107412 [0 127.0.0.1:60866] "keys" "*"` + "\r\n", protocol.Yes},
	{"status", "+OK\r\n", protocol.No},
	{"pong", "+PONG\r\n", protocol.No},
	{"POP3 greeting", "+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\r\n", protocol.No},
	{"error", "-ERR unknown command\r\n", protocol.No},
	{"NATS error", "-ERR 'Unknown Protocol Operation'\r\n", protocol.No},
	{"number", ":1\r\n", protocol.No},
	{"string", "$5\r\nhello\r\n", protocol.No},
	{"null", "_\r\n", protocol.No},
	{"array of numbers", "*2\r\n:1\r\n:2\r\n", protocol.No},
	{"array of strings", "*2\r\n$4\r\nuser\r\n$4\r\nname\r\n", protocol.No},
	{"IMAP greeting", "* OK IMAP4rev1 Service Ready\r\n", protocol.No},
	{"inline", "HGETALL user:1\r\n", protocol.Yes},
	{"inline, lower case, bare", "lrange l 0 -1\n", protocol.Yes},
	{"inline to come", "HGETALL user", protocol.More},
	{"inline, a subcommand", "XGROUP CREATE s g $\r\n", protocol.Yes},
	{"inline, too many words", "HGETALL a b c d\r\n", protocol.No},
	{"inline with binary", "HGETALL \x00\x01\r\n", protocol.No},
	{"PING", "PING\r\n", protocol.No},
	{"NATS CONNECT", "CONNECT {\"verbose\":false}\r\nPING\r\n", protocol.No},
	{"NATS PUB", "PUB foo 5\r\nhello\r\n", protocol.No},
	{"NATS INFO", "INFO {\"server_id\":\"x\"}\r\n", protocol.No},
	{"memcached get", "get k\r\n", protocol.No},
	{"memcached set", "set k 0 0 1\r\nv\r\n", protocol.No},
	{"memcached append", "append k 0 0 3\r\nabc\r\n", protocol.No},
	{"memcached incr", "incr k\r\n", protocol.No},
	{"memcached touch", "touch k 10\r\n", protocol.No},
	{"memcached meta", "mg k v\r\n", protocol.No},
	{"HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", protocol.No},
	{"HTTP COPY", "COPY /a /b HTTP/1.1\r\n", protocol.No},
	{"HTTP MOVE", "MOVE /a HTTP/1.1\r\n", protocol.No},
	{"HTTP answer", "HTTP/1.1 200 OK\r\n", protocol.No},
	{"FTP", "TYPE I\r\n", protocol.No},
	{"FTP QUIT", "QUIT\r\n", protocol.No},
	{"SMTP", "EHLO mail.example\r\n", protocol.No},
	{"SMTP AUTH", "AUTH PLAIN AGFubgBzZWNyZXQ=\r\n", protocol.No},
	{"POP3 DELE", "DELE 1\r\n", protocol.No},
	{"STOMP", "SUBSCRIBE\nid:0\ndestination:/queue/foo\n\n\x00", protocol.No},
	{"STOMP UNSUBSCRIBE", "UNSUBSCRIBE\nid:0\n\n\x00", protocol.No},
	{"beanstalkd", "watch foo\r\n", protocol.No},
	{"ClamAV", "SCAN /etc/passwd\n", protocol.No},
	{"ZooKeeper", "ruok", protocol.No},
	{"SSH", "SSH-2.0-OpenSSH_9.2\r\n", protocol.No},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", protocol.No},
	{"AMQP", "AMQP\x00\x00\x09\x01", protocol.No},
	{"PostgreSQL", "\x00\x00\x00\x08\x04\xd2\x16\x2f", protocol.No},
	{"MySQL", "\x4a\x00\x00\x00\x0a8.0.36\x00", protocol.No},
	{"MongoDB", "\x3a\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00", protocol.No},
	{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", protocol.No},
	{"SQL", "SELECT 1;\n", protocol.No},
	{"JSON", "{\"a\": 1}\n", protocol.No},
	{"text", "Hello there, how are you?\r\n", protocol.No},
	{"text of a command's word", "keys are here\n", protocol.No},
	{"statsd", "page.views:1|c\n", protocol.No},
	{"end of a value", "lue\r\n*1\r\n$4\r\nPING\r\n", protocol.No},
	{"numbers", "*3\r\n$a\r\n", protocol.No},
	{"markdown", "* item one\n* item two\n", protocol.No},
	{"markdown numbers", "*1* item\n", protocol.No},
}

func TestSniff(t *testing.T) {
	sniff := redis.Spec(protocol.Options{}).Sniff
	for _, c := range sniffs {
		for _, d := range []event.Dir{event.Sent, event.Received} {
			if got := sniff(d, []byte(c.bytes)); got != c.want {
				t.Errorf("%s (%v): %v, want %v", c.name, d, got, c.want)
			}
		}
		// The beginning of something is never another thing.
		for n := range len(c.bytes) {
			got := sniff(event.Sent, []byte(c.bytes[:n]))
			if got == protocol.No && c.want != protocol.No || got == protocol.Yes && c.want != protocol.Yes {
				t.Errorf("%s: %v after %d bytes, %v at the end", c.name, got, n, c.want)
			}
		}
	}
}
