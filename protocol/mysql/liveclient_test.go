package mysql_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"testing"
	"time"
)

// client speaks what drivers seldom do. Capabilities are those of MySQL, and of MariaDB in the upper half.
type client struct {
	t    *testing.T
	c    net.Conn
	r    *bufio.Reader
	eofs bool // EOF packets are in use
}

// MariaDB's own capabilities.
const (
	bulkOperations = 1 << (34 - 32)
	cacheMetadata  = 1 << (36 - 32)
)

func dial(t *testing.T, addr string, capabilities, extended uint32) *client {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	k := &client{t: t, c: c, r: bufio.NewReader(c), eofs: capabilities&(1<<24) == 0}
	k.packet()
	b := fixed(usual | 1<<3 | 1<<16 | 1<<17 | capabilities)
	binary.LittleEndian.PutUint32(b[28:], extended)
	b = append(b, "root\x00\x00shop\x00mysql_native_password\x00"...)
	k.send(1, b)
	if p := k.packet(); p[0] != 0 {
		t.Fatalf("the handshake ends with % x", p[:3])
	}
	return k
}

func (k *client) send(seq uint8, payload []byte) {
	k.t.Helper()
	if _, err := k.c.Write((&encoder{seq: seq - 1}).packet(nil, payload)); err != nil {
		k.t.Fatal(err)
	}
}

// ask sends commands in one call.
func (k *client) ask(list ...string) {
	k.t.Helper()
	var out []byte
	for _, l := range list {
		out = append(out, (&encoder{seq: 0xff}).packet(nil, []byte(l))...)
	}
	if _, err := k.c.Write(out); err != nil {
		k.t.Fatal(err)
	}
}

func (k *client) packet() []byte {
	k.t.Helper()
	var head [4]byte
	if _, err := io.ReadFull(k.r, head[:]); err != nil {
		k.t.Fatal(err)
	}
	b := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
	if _, err := io.ReadFull(k.r, b); err != nil {
		k.t.Fatal(err)
	}
	return b
}

// prepared reads the answer to a PREPARE and returns the id.
func (k *client) prepared() uint32 {
	k.t.Helper()
	b := k.packet()
	if b[0] != 0 {
		return 0
	}
	for _, n := range []uint16{binary.LittleEndian.Uint16(b[7:]), binary.LittleEndian.Uint16(b[5:])} {
		for i := range n {
			k.packet()
			if i == n-1 && k.eofs {
				k.packet()
			}
		}
	}
	return binary.LittleEndian.Uint32(b[1:])
}

// result reads one result, to its end, and says what its first packet was.
func (k *client) result() (first []byte) {
	k.t.Helper()
	for {
		first = k.packet()
		if first[0] == 0 && binary.LittleEndian.Uint16(first[3:])&8 != 0 {
			continue // there are more
		}
		if first[0] == 0 || first[0] == 0xff {
			return first
		}
		defs := int(first[0])
		if len(first) == 2 && first[1] == 0 {
			defs = 0
		}
		for range defs {
			k.packet()
		}
		if k.eofs {
			if b := k.packet(); binary.LittleEndian.Uint16(b[3:])&0x40 != 0 {
				return first // a cursor
			}
		}
		b := k.rows() // the status is at the same place in OK (rows affected and last id being 0) and EOF packets
		if b[0] == 0xff || binary.LittleEndian.Uint16(b[3:])&8 == 0 {
			return first
		}
	}
}

// rows reads rows up to what ends them.
func (k *client) rows() []byte {
	k.t.Helper()
	for {
		if b := k.packet(); b[0] == 0xff || b[0] == 0xfe && len(b) < 0xffffff {
			return b
		}
	}
}

func (k *client) close() {
	k.ask("\x01")
	k.c.Close()
}

// id is a command with a statement's id.
func id(command byte, n uint32, tail string) string {
	return string(binary.LittleEndian.AppendUint32([]byte{command}, n)) + tail
}

// Tails of COM_STMT_EXECUTE: without arguments, without with a cursor, with one integer.
const (
	plain      = "\x00\x01\x00\x00\x00"
	withCursor = "\x01\x01\x00\x00\x00"
	oneInteger = "\x00\x01\x00\x00\x00" + "\x00\x01\x03\x00" + "\x07\x00\x00\x00"
)

// TestLiveOwnClient uses cached metadata, statements without waiting for their ids, bulk operations, cursors and many results
// in one answer, with EOF packets and without.
func TestLiveOwnClient(t *testing.T) {
	server := startServer(t)
	for _, tc := range []struct {
		name                   string
		capabilities, extended uint32
	}{
		{"plain", 0, 0},
		{"without EOF packets", 1 << 24, 0},
		{"cached metadata", 1<<24 | 1<<23, cacheMetadata | bulkOperations},
		{"cached metadata with EOF packets", 0, cacheMetadata | bulkOperations},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := startProxy(t, server)
			k := dial(t, p.addr, tc.capabilities, tc.extended)
			want := counts{"CONNECT  shop ": 1}
			query := func(key, text string) {
				k.ask("\x03" + text)
				k.result()
				want[key]++
			}
			query("DROP a shop ", "DROP TABLE IF EXISTS a, b")
			query("CREATE a shop ", "CREATE TABLE a (id INT, name VARCHAR(20))")
			query("INSERT a shop ", "INSERT INTO a VALUES (7, 'secret'), (8, 'secret'), (9, 'secret')")
			query("SELECT a shop ", "SELECT * FROM a WHERE name = 'secret'; UPDATE a SET id = 7 WHERE id = 8; SELECT 1")
			query("SELECT a shop 1146", "SELECT id FROM a; SELECT * FROM gone")

			k.ask("\x16SELECT id, name FROM a WHERE id = ?")
			n := k.prepared()
			want["PREPARE a shop "]++
			cached := false
			for range 5 {
				k.ask(id(0x17, n, oneInteger))
				first := k.result()
				cached = cached || len(first) == 2 && first[1] == 0
				want["SELECT a shop "]++
			}
			if cached != (tc.extended&cacheMetadata != 0) {
				t.Errorf("metadata was left out: %v", cached)
			}
			k.ask(id(0x19, n, ""), "\x16SELECT name FROM a")
			n = k.prepared()
			want["PREPARE a shop "]++
			k.ask(id(0x17, n, withCursor))
			k.result()
			want["SELECT a shop "]++
			k.ask(id(0x1c, n, "\x02\x00\x00\x00"))
			k.rows()
			k.ask(id(0x1c, n, "\x02\x00\x00\x00"))
			k.rows()
			want["FETCH a shop "] += 2
			k.ask(id(0x1a, n, ""))
			k.packet()
			want["RESET a shop "]++

			k.ask("\x16SELECT COUNT(*) FROM a", id(0x17, 0xffffffff, plain))
			k.prepared()
			k.result()
			want["PREPARE a shop "]++
			want["SELECT a shop "]++
			k.ask("\x16SELECT * FROM gone", id(0x17, 0xffffffff, plain))
			k.prepared()
			e := k.result()
			want["PREPARE gone shop 1146"]++
			want["SELECT gone shop "+decimal(binary.LittleEndian.Uint16(e[1:]))]++

			if tc.extended&bulkOperations != 0 {
				k.ask("\x16INSERT INTO a (id) VALUES (?)")
				n = k.prepared()
				want["PREPARE a shop "]++
				k.ask(id(0xfa, n, "\x80\x00"+"\x03\x00"+"\x00\x01\x00\x00\x00"+"\x00\x02\x00\x00\x00"))
				if b := k.result(); b[0] != 0 {
					t.Errorf("the bulk operation ends with %q", b)
				}
				want["INSERT a shop "]++
			}
			k.ask("\x09")
			k.packet()
			want["STATISTICS  shop "]++
			k.ask("\x02nowhere")
			k.packet()
			want["USE  nowhere 1049"]++
			k.ask("\x1f")
			k.packet()
			want["RESET  shop "]++
			k.close()
			check(t, p.recorded(t), want)
		})
	}
}

func decimal(n uint16) string { return strconv.Itoa(int(n)) }
