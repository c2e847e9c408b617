package all_test

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/all"
)

// beginnings are what connections begin with: of the client, and of the server. Protocols that become known are moved to a
// line of their own with the name that they must be given.
var beginnings = []struct {
	name, client, server string
	want                 string // the protocol, "tls", or "" for none
}{
	{name: "HTTP/1.1", client: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", server: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", want: "http"},
	{name: "HTTP/1.1 seen from its answer", server: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", want: "http"},
	{name: "WebDAV", client: "MKCOL /a/ HTTP/1.1\r\nHost: x\r\n\r\n", want: "http"},
	{name: "TLS 1.3", client: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("r", 505), want: "tls"},
	{name: "TLS 1.2", client: "\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + strings.Repeat("r", 194), want: "tls"},
	{name: "TLS seen from its answer", server: "\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + strings.Repeat("s", 116), want: "tls"},
	{name: "TLS under way", client: "\x17\x03\x03\x00\x40" + strings.Repeat("x", 64), want: "tls"},

	{name: "HTTP/2 preface", client: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00\x00\x00\x00\x00", want: "http2"},
	{name: "HTTP/0.9", client: "GET /\r\n", server: "<html>"},
	{name: "SMTP", client: "EHLO mx.example\r\n", server: "220 mx.example ESMTP Postfix\r\n"},
	{name: "SMTP VRFY", client: "VRFY <a@b> HTTP\r\n", server: "502 5.5.1 VRFY command is disabled\r\n"},
	{name: "SSH", client: "SSH-2.0-OpenSSH_9.2p1\r\n", server: "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"},
	{name: "FTP", client: "USER anonymous\r\n", server: "220 ProFTPD Server ready.\r\n"},
	{name: "POP3", client: "CAPA\r\n", server: "+OK POP3 ready <1896.697170952@x>\r\n"},
	{name: "IMAP", client: "a001 LOGIN user pass\r\n", server: "* OK IMAP4rev1 Service Ready\r\n"},
	{name: "Redis RESP", client: "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n", server: "$5\r\nvalue\r\n"},
	{name: "Redis inline", client: "GET key\r\n", server: "$-1\r\n"},
	{name: "Redis inline, a value that looks like it", client: "SET key HTTP/1.1x\r\n", server: "+OK\r\n"},
	{name: "memcached", client: "get a b c\r\n", server: "VALUE a 0 5\r\nhello\r\nEND\r\n"},
	{name: "memcached set", client: "set k 0 900 5\r\nhello\r\n", server: "STORED\r\n"},
	{name: "memcached binary", client: "\x80\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00key"},
	{name: "MySQL", server: "\x4a\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00abcdefgh\x00\xff\xff\xff", client: "\x54\x00\x00\x01\x8d\xa6\x03\x00"},
	{name: "PostgreSQL", client: "\x00\x00\x00\x29\x00\x03\x00\x00user\x00postgres\x00database\x00shop\x00\x00", server: "R\x00\x00\x00\x08\x00\x00\x00\x00"},
	{name: "PostgreSQL SSLRequest", client: "\x00\x00\x00\x08\x04\xd2\x16\x2f", server: "N"},
	{name: "MongoDB", client: "\x3a\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00%\x00\x00\x00\x01hello\x00"},
	{name: "AMQP 0-9-1", client: "AMQP\x00\x00\x09\x01", server: "\x01\x00\x00\x00\x00\x01\xb6\x00\x0a\x00\x0a"},
	{name: "AMQP 1.0", client: "AMQP\x00\x01\x00\x00", server: "AMQP\x00\x01\x00\x00"},
	{name: "NATS", client: "CONNECT {\"verbose\":false}\r\nPING\r\n", server: "INFO {\"server_id\":\"N\",\"version\":\"2.10\"}\r\n"},
	{name: "Kafka", client: "\x00\x00\x00\x19\x00\x12\x00\x03\x00\x00\x00\x01\x00\x07console"},
	{name: "ZooKeeper", client: "\x00\x00\x00\x2d\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x75\x30"},
	{name: "ZooKeeper four-letter word", client: "ruok\n", server: "imok"},
	{name: "Cassandra", client: "\x04\x00\x00\x00\x05\x00\x00\x00\x00", server: "\x84\x00\x00\x00\x06\x00\x00\x00\x10"},
	{name: "MQTT", client: "\x10\x16\x00\x04MQTT\x04\x02\x00\x3c\x00\x0aclient-123", server: "\x20\x02\x00\x00"},
	{name: "SIP", client: "INVITE sip:bob@biloxi.example SIP/2.0\r\nVia: SIP/2.0/TCP x\r\n\r\n", server: "SIP/2.0 180 Ringing\r\n\r\n"},
	{name: "SIP OPTIONS", client: "OPTIONS sip:bob@biloxi.example SIP/2.0\r\n\r\n", server: "SIP/2.0 200 OK\r\n\r\n"},
	{name: "RTSP", client: "DESCRIBE rtsp://x/a RTSP/1.0\r\nCSeq: 1\r\n\r\n", server: "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"},
	{name: "ICY", server: "ICY 200 OK\r\nicy-name: radio\r\n\r\n"},
	{name: "LDAP", client: "\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00", server: "\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"},
	{name: "IRC", client: "NICK alice\r\nUSER alice 0 * :Alice\r\n", server: ":irc.example 001 alice :Welcome\r\n"},
	{name: "STOMP", client: "CONNECT\naccept-version:1.2\nhost:x\n\n\x00", server: "CONNECTED\nversion:1.2\n\n\x00"},
	{name: "Gearman admin", client: "status\n", server: ".\n"},
	{name: "a log line", client: "127.0.0.1 - - [10/Oct/2026:13:55:36] \"GET /apache_pb.gif HTTP/1.0\" 200 2326\n"},
	{name: "BitTorrent", client: "\x13BitTorrent protocol\x00\x00\x00\x00\x00\x00\x00\x00"},
	{name: "rsync", client: "@RSYNCD: 31.0\n", server: "@RSYNCD: 31.0\n"},
	{name: "git", client: "0032git-upload-pack /project.git\x00host=x\x00"},
	{name: "TDS prelogin", client: "\x12\x01\x00\x2f\x00\x00\x01\x00\x00\x00\x1a\x00\x06"},
	{name: "DNS over TCP", client: "\x00\x1d\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01", want: "dns"},
}

// ignore takes what a tracker finds, and does nothing.
type ignore struct{}

func (ignore) Exchange(*protocol.Exchange)      {}
func (ignore) Gap(event.ConnID, string, uint64) {}

// takenFor is the protocol that the only connection of a tracker was taken for: the one that a loss is counted for. seq is the
// next segment's number.
func takenFor(t *protocol.Tracker, seq uint64, now time.Time) string {
	t.Handle(&event.Segment{Conn: 1, Seq: seq + 1, Off: 1 << 20, Data: []byte("x"), Size: 1, Time: now})
	t.Tick(now.Add(time.Hour))
	for name, n := range t.Counters().StreamGaps {
		if n > 0 {
			return name
		}
	}
	return ""
}

// judge plays the two beginnings, the server's first if it speaks first, and says what came of it.
func judge(client, server string, serverFirst, existing bool) string {
	t := protocol.NewTracker(all.Specs(), protocol.Config{}, nil, ignore{})
	now := time.Unix(1e9, 0)
	t.Handle(&event.Opened{Conn: 1, Role: event.RoleClient, Existing: existing, Time: now})
	segs := []event.Segment{{Dir: event.Sent, Data: []byte(client)}, {Dir: event.Received, Data: []byte(server)}}
	if serverFirst {
		segs[0], segs[1] = segs[1], segs[0]
	}
	seq := uint64(0)
	for _, s := range segs {
		if len(s.Data) == 0 {
			continue
		}
		s.Conn, s.Seq, s.Size, s.Time = 1, seq, len(s.Data), now
		seq++
		t.Handle(&s)
	}
	if t.Counters().Undecoded[protocol.ReasonTLS] > 0 {
		return "tls"
	}
	return takenFor(t, seq, now)
}

func TestBeginnings(t *testing.T) {
	for _, b := range beginnings {
		t.Run(b.name, func(t *testing.T) {
			for _, first := range []bool{false, true} {
				for _, existing := range []bool{false, true} {
					if got := judge(b.client, b.server, first, existing); got != b.want {
						t.Errorf("server first %v, existing %v: taken for %q, want %q", first, existing, got, b.want)
					}
				}
			}
		})
	}
}

func TestRandomBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	buf := make([]byte, 64)
	for range 20000 {
		for i := 0; i < len(buf); i += 8 {
			binary.LittleEndian.PutUint64(buf[i:], r.Uint64())
		}
		if got := judge(string(buf[:1+r.IntN(64)]), "", false, true); got != "" {
			t.Errorf("%q is taken for %q", buf, got)
		}
	}
}

// TestTextOfABody is a download that capture meets midway, whose text quotes requests and answers.
func TestTextOfABody(t *testing.T) {
	for _, quoted := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"} {
		tr := protocol.NewTracker(all.Specs(), protocol.Config{}, nil, ignore{})
		tr.Handle(&event.Opened{Conn: 1, Role: event.RoleClient, Existing: true})
		off := uint64(0)
		for seq, text := range []string{"a page about HTTP, which says:\r\n", quoted, "and goes on"} {
			tr.Handle(&event.Segment{Conn: 1, Dir: event.Received, Seq: uint64(seq), Off: off, Data: []byte(text), Size: len(text)})
			off += uint64(len(text))
		}
		if got := takenFor(tr, 3, time.Unix(1e9, 0)); got != "" {
			t.Errorf("%q is taken for %q", quoted, got)
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range all.Specs() {
		for _, n := range append([]string{s.Name}, s.Aliases...) {
			if seen[n] {
				t.Errorf("two protocols are called %q", n)
			}
			seen[n] = true
		}
	}
}
