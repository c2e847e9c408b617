package mysql_test

import (
	"crypto/rand"
	"testing"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/mysql"
)

// TestSniffOwn wants every beginning recognised, at its end at the latest, and never called another's before.
func TestSniffOwn(t *testing.T) {
	sniff := mysql.Spec(options).Sniff
	for _, tc := range []struct {
		from protocol.Side
		seq  uint8
		list []string
	}{
		{protocol.ServerSide, 0, []string{"greeting 8.4.6"}},
		{protocol.ServerSide, 0, []string{"greeting 5.5.5-10.11.6-MariaDB-1"}},
		{protocol.ServerSide, 0, []string{"seq=0 err 1040 - Too many connections"}},
		{protocol.ServerSide, 1, []string{"err 1146 42S02 Table 'a.b' doesn't exist"}},
		{protocol.ServerSide, 1, []string{"columns 3 mariadb=1", "defs 3", "eof"}},
		{protocol.ServerSide, 1, []string{"columns 3", "defs 3", "rows 3", "okeof"}},
		{protocol.ClientSide, 1, []string{"response app db=shop"}},
		{protocol.ClientSide, 2, []string{"response app"}},
		{protocol.ClientSide, 1, []string{"ssl"}},
		{protocol.ClientSide, 0, []string{"query SELECT 1"}},
		{protocol.ClientSide, 0, []string{"query0 select 1"}},
		{protocol.ClientSide, 0, []string{"query /* app */ ( SELECT * FROM t)"}},
		{protocol.ClientSide, 0, []string{"prepare INSERT INTO t VALUES (?)"}},
		{protocol.ClientSide, 0, []string{"execute 7"}},
		{protocol.ClientSide, 0, []string{"close 7", "prepare SELECT 1"}},
		{protocol.ClientSide, 0, []string{"com 0e"}},
	} {
		data := lines(t, tc.from, tc.seq-1, tc.list...)
		for n := 1; n < len(data); n++ {
			if sniff(event.Sent, data[:n]) == protocol.No {
				t.Errorf("%q: no at %d of %d bytes", tc.list, n, len(data))
				break
			}
		}
		if o := sniff(event.Sent, data); o != protocol.Yes {
			t.Errorf("%q: %v", tc.list, o)
		}
	}
}

// others are beginnings, and middles, of what is not MySQL.
var others = []string{
	"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64\x00\x04\x00\x10\x00\x00\x00\x06\x00\x10\x01\x40", // HTTP/2 SETTINGS
	"\x00\x00\x08\x06\x01\x00\x00\x00\x00\x02\x04\x10\x10\x09\x0e\x07\x07",                                         // HTTP/2 PING
	"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$8\r\nSELECT 1\r\n", "+OK\r\n", "$8\r\nSELECT 1\r\n", "-ERR unknown command\r\n", "PING\r\n",
	"\x00\x00\x00\x08\x04\xd2\x16\x2f",                                        // PostgreSQL SSLRequest
	"\x00\x00\x00\x29\x00\x03\x00\x00user\x00app\x00database\x00shop\x00\x00", // PostgreSQL startup
	"Q\x00\x00\x00\x16SELECT * FROM abcde\x00",                                // PostgreSQL, of a length that is COM_STMT_PREPARE
	"Q\x00\x00\x00\x03SELECT 1\x00", "P\x00\x00\x00\x16\x00SELECT 1 + $1\x00\x00\x00B\x00\x00\x00\x0e\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00E\x00\x00\x00\x09\x00\x00\x00\x00\x00S\x00\x00\x00\x04",
	"R\x00\x00\x00\x08\x00\x00\x00\x00S\x00\x00\x00\x16application_name\x00\x00",
	"\x0e\x01\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00\xf9\x00\x00\x00\x02find\x00", // MongoDB OP_MSG
	"\x17\x00\x00\x00\x17\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x01\x00\x00\x00\x01\x00\x00",
	"\x00\x00\x00\x23\x00\x12\x00\x04\x00\x00\x00\x01\x00\x07console\x00\x0ekafka-consumer\x041.0", // Kafka ApiVersions
	"\x00\x00\x00\x16\x00\x03\x00\x09\x00\x00\x00\x05\x00\x02go\x00\x01\x02\x01a\x00\x00\x00",      // Kafka Metadata
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefghijklmnopqrstuvwxyz012345", "\x16\x03\x03\x00\x5a\x02\x00\x00\x56\x03\x03",
	"\x17\x03\x03\x00\x16SELECT 1", "SSH-2.0-OpenSSH_9.2\r\n", "220 mail ESMTP\r\n", "EHLO a\r\n", "* OK IMAP4rev1\r\n",
	"AMQP\x00\x00\x09\x01", "\x01\x00\x00\x00\x00\x00\x0a\x00\x0a", "INFO {\"server_id\":\"N\"}\r\n", "CONNECT {\"verbose\":false}\r\nPING\r\n",
	"get key\r\n", "VALUE key 0 5\r\nhello\r\nEND\r\n", "\x80\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00key",
	"SELECT 1", "select * from orders", "\x10\x1c\x00\x04MQTT\x04\x02\x00\x3c\x00\x10client-id-000000", "\x04\x01\x00\x50\x0a\x00\x00\x01\x00",
	"\x05\x01\x00", "\x05\x00", "\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x0b\x00\x00\x00", "\x12\x01\x00\x2f\x00\x00\x01\x00",
	"\x00\x00\x00\x00", "\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00", "\x04\x00\x00\x01\x05\x00\x00\x00", "RFB 003.008\n",
}

func TestSniffOthers(t *testing.T) {
	sniff := mysql.Spec(options).Sniff
	for _, s := range others {
		for n := 1; n <= len(s); n++ {
			if sniff(event.Sent, []byte(s)[:n]) == protocol.Yes {
				t.Errorf("%q: yes at %d bytes", s, n)
			}
		}
	}
	random := make([]byte, 64)
	for range 200000 {
		_, _ = rand.Read(random)
		if sniff(event.Sent, random) == protocol.Yes {
			t.Errorf("random bytes: % x", random)
		}
	}
}

// TestSniffTexts wants texts refused within few bytes, so that nobody waits for them.
func TestSniffTexts(t *testing.T) {
	sniff := mysql.Spec(options).Sniff
	for _, s := range others {
		if s[0] >= ' ' && s[0] < 0x7f && len(s) >= 5 && s[1] >= ' ' && s[2] >= ' ' && sniff(event.Sent, []byte(s)[:5]) != protocol.No {
			t.Errorf("%q: %v", s, sniff(event.Sent, []byte(s)[:5]))
		}
	}
}
