package e2e

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/test/load/db"
)

// transcript is what a client reads from its standard input.
type transcript struct {
	// opened is what the client makes by itself when it starts, closed when it ends.
	opened, closed []db.Operation
	lines          []scriptLine
	// count is how many operations there are to be, at least.
	count int
}

// scriptLine is a line with the operations that it makes. ROWS stands for a file of two rows.
type scriptLine struct {
	text string
	made []db.Operation
}

func made(name, collection, code string) []db.Operation {
	return []db.Operation{{Name: name, Collection: collection, Code: code}}
}

// run lets the client read its lines again and again, and waits for its end.
func (s *transcript) run(t *testing.T, p *process) []db.Operation {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rows")
	if err := os.WriteFile(file, []byte("1\tone\n2\ttwo\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	sum := map[db.Operation]int{}
	add := func(operations []db.Operation) {
		for _, op := range operations {
			sum[op]++
		}
	}
	add(s.opened)
	add(s.closed)
	var text strings.Builder
	for n := 0; n < s.count; {
		for _, l := range s.lines {
			fmt.Fprintln(&text, strings.ReplaceAll(l.text, "ROWS", file))
			add(l.made)
			n += len(l.made)
		}
	}
	// What it prints is read all the while.
	go func() {
		_, _ = io.WriteString(p.stdin, text.String()) // it fails if the client has ended, which the counts tell
		_ = p.stdin.Close()
	}()
	p.ended(t)
	var all []db.Operation
	for op, n := range sum {
		op.Count = n
		all = append(all, op)
	}
	return all
}

var mariadbClient = []string{
	"mariadb", "--no-defaults", "-hHOST", "-PPORT", "-utest", "-ptest", "--batch", "--force", "--silent", "--local-infile", "--skip-ssl", "shop",
}

var mariadbScript = &transcript{
	count:  4000,
	opened: []db.Operation{{Name: "CONNECT", Upkeep: true}},
	lines: []scriptLine{
		{"SELECT name, stock FROM items WHERE id = 7;", made("SELECT", "items", "")},
		{"INSERT INTO orders (item, note) VALUES (70, 'a; b');", made("INSERT", "orders", "")},
		{"UPDATE `items` SET stock = 1 WHERE id = 70;", made("UPDATE", "items", "")},
		{"DELETE FROM shop.orders WHERE item = 70;", made("DELETE", "shop.orders", "")},
		{"SELECT * FROM missing;", made("SELECT", "missing", "1146")},
		{"INSERT INTO items VALUES (1, 'again', 0);", made("INSERT", "items", "1062")},
		{"SELECT name FROM items WHERE;", made("SELECT", "items", "1064")},
		{"BEGIN;", made("BEGIN", "", "")},
		{"DELETE FROM items WHERE id = 71;", made("DELETE", "items", "")},
		{"ROLLBACK;", made("ROLLBACK", "", "")},
		{"LOAD DATA LOCAL INFILE 'ROWS' INTO TABLE orders (item, note);", made("LOAD", "orders", "")},
		{"delimiter //", nil},
		{"UPDATE items SET stock = 7 WHERE id = 72; SELECT name FROM items; SELECT 1//", made("UPDATE", "items", "")},
		{"SELECT id FROM items LIMIT 3; SELECT * FROM missing//", made("SELECT", "items", "1146")},
		{"delimiter ;", nil},
	},
}

var psqlClient = []string{"psql", "-X", "-q", "-At", "postgresql://test:test@ADDRESS/postgres"}

var psqlScript = &transcript{
	count:  4000,
	opened: []db.Operation{{Name: "CONNECT", Upkeep: true}},
	lines: []scriptLine{
		{"SELECT name, stock FROM items WHERE id = 7;", made("SELECT", "items", "")},
		{"INSERT INTO orders (item, note) VALUES (70, $$a; b$$);", made("INSERT", "orders", "")},
		{`UPDATE "items" SET stock = 1 WHERE id = 70;`, made("UPDATE", "items", "")},
		{"DELETE FROM public.orders WHERE item = 70;", made("DELETE", "public.orders", "")},
		{"SELECT * FROM missing;", made("SELECT", "missing", "42P01")},
		{"INSERT INTO items VALUES (1, 'again', 0);", made("INSERT", "items", "23505")},
		{"BEGIN;", made("BEGIN", "", "")},
		{"DELETE FROM items WHERE id = 71;", made("DELETE", "items", "")},
		{"ROLLBACK;", made("ROLLBACK", "", "")},
		{`\copy orders (item, note) FROM 'ROWS'`, made("COPY", "orders", "")},
		{`\copy items TO '/dev/null'`, made("COPY", "items", "")},
		{`UPDATE items SET stock = 7 WHERE id = 72\; SELECT name FROM items\; SELECT 1;`, made("UPDATE", "items", "")},
		{`SELECT id FROM items LIMIT 3\; SELECT * FROM missing;`, made("SELECT", "items", "42P01")},
		{"PREPARE one AS SELECT name FROM items WHERE id = $1;", made("PREPARE", "items", "")},
		{"EXECUTE one (7);", made("EXECUTE", "", "")},
		{"DEALLOCATE one;", made("DEALLOCATE", "", "")},
	},
}

var redisScript = &transcript{
	count: 4000,
	lines: []scriptLine{
		// First a command that no other protocol has: what is typed is known by it.
		{"HSET cli:hash a 1", made("HSET", "", "")},
		{"SET cli:name value", made("SET", "", "")},
		{"GET cli:name", made("GET", "", "")},
		{"GET nothing", made("GET", "", "")},
		{"INCR cli:number", made("INCR", "", "")},
		{"LPUSH cli:name a", made("LPUSH", "", "WRONGTYPE")},
		{"LPUSH cli:list a b", made("LPUSH", "", "")},
		{"LRANGE cli:list 0 -1", made("LRANGE", "", "")},
		{"BLPOP cli:list 1", []db.Operation{{Name: "BLPOP", Waiting: true}}},
		{"DEL cli:list", made("DEL", "", "")},
		{"HGETALL cli:hash", made("HGETALL", "", "")},
		{"CONFIG GET maxmemory", made("CONFIG GET", "", "")},
		{"MULTI", made("MULTI", "", "")},
		{"INCR cli:number", made("INCR", "", "")},
		{"EXEC", made("EXEC", "", "")},
		{"MULTI", made("MULTI", "", "")},
		{"GET one two", made("GET", "", "ERR")},
		{"EXEC", made("EXEC", "", "EXECABORT")},
		{"NONSENSE", made("other", "", "ERR")},
	},
}

// opening is s of a client that sends commands when it starts.
func (s *transcript) opening(commands ...string) *transcript {
	own := *s
	for _, c := range commands {
		own.opened = append(own.opened, db.Operation{Name: c, Upkeep: true})
	}
	return &own
}

// raw is s in the form in which Redis is sent it, for redis-cli to pass on; it ends with a command of its own.
func (s *transcript) raw() *transcript {
	own := &transcript{count: s.count, closed: made("ECHO", "", "")}
	for _, l := range s.lines {
		words := strings.Fields(l.text)
		text := fmt.Sprintf("*%d\r\n", len(words))
		for _, w := range words {
			text += fmt.Sprintf("$%d\r\n%s\r\n", len(w), w)
		}
		own.lines = append(own.lines, scriptLine{strings.TrimSuffix(text, "\n"), l.made})
	}
	return own
}

// inline is s as somebody types it, who ends with a command of redis-cli's own.
func (s *transcript) inline() *transcript {
	own := *s
	own.closed = made("ECHO", "", "")
	return &own
}
