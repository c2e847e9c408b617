package mysql_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/toposcope/toposcope/collector/event"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/mysql"
)

// counts are exchanges by "operation collection namespace code".
type counts map[string]int

// seen is a Sink that counts.
type seen struct {
	all        counts
	unresolved counts // those that refer to what was not seen, apart
	texts      []string
	gaps       uint64
}

func newSeen() *seen { return &seen{all: counts{}, unresolved: counts{}} }

// Exchange implements protocol.Sink.
func (s *seen) Exchange(x *protocol.Exchange) {
	a := &x.Request.Attrs
	code := x.Error
	if x.Response != nil && code != "" {
		code = string(x.Response.Attrs.Get(protocol.DBStatusCode))
	}
	key := fmt.Sprintf("%s %s %s %s", a.Get(protocol.DBOperation), a.Get(protocol.DBCollection), a.Get(protocol.DBNamespace), code)
	if x.Request.Unresolved || x.Response != nil && x.Response.Unresolved {
		s.unresolved[key]++
	} else {
		s.all[key]++
	}
	s.texts = append(s.texts, string(a.Get(protocol.DBQueryText)))
}

// Gap implements protocol.Sink.
func (s *seen) Gap(_ event.ConnID, _ string, n uint64) { s.gaps += n }

// replay hands what a connection carried, from its i-th segment on, to a Tracker.
func replay(rec *tape, from int) (*seen, protocol.Counters) {
	s := newSeen()
	t := protocol.NewTracker([]*protocol.Spec{mysql.Spec(options)}, protocol.Config{}, nil, s)
	t.Handle(&event.Opened{
		Conn: rec.id, Role: event.RoleClient, Existing: from > 0, Time: rec.segments[0].Time,
		Flow: event.Flow{Local: netip.MustParseAddrPort("127.0.0.1:40000"), Remote: netip.MustParseAddrPort("127.0.0.1:3306")},
	})
	var base [2]uint64
	var begun [2]bool
	for i, seg := range rec.segments[from:] {
		c := *seg
		if d := c.Dir; from > 0 && !begun[d] {
			begun[d], base[d] = true, c.Off
		}
		c.Seq, c.Off = uint64(i), c.Off-base[c.Dir]
		t.Tick(c.Time)
		t.Handle(&c)
	}
	end := *rec.closed
	end.Seq, end.Sent, end.Received = uint64(len(rec.segments)-from), end.Sent-base[event.Sent], end.Received-base[event.Received]
	t.Handle(&end)
	t.Tick(end.Time.Add(time.Hour))
	return s, t.Counters()
}

// check wants exactly these exchanges of all tapes, nothing wrong when joined at any segment, and no secret in any text.
func check(t *testing.T, tapes []*tape, want counts) {
	t.Helper()
	got := counts{}
	for _, rec := range tapes {
		if len(rec.segments) == 0 {
			continue
		}
		s, c := replay(rec, 0)
		for k, n := range s.all {
			got[k] += n
		}
		for k, n := range s.unresolved {
			got["unresolved "+k] += n
		}
		if s.gaps != 0 || c.ParseErrors["mysql"] != 0 {
			t.Errorf("connection %d: %d gaps, %d parse errors", rec.id, s.gaps, c.ParseErrors["mysql"])
		}
		for _, text := range s.texts {
			if strings.Contains(strings.ToLower(text), "secret") {
				t.Errorf("a text shows a value: %q", text)
			}
		}
		step := 1 + len(rec.segments)/400
		for from := 1; from < len(rec.segments); from += step {
			part, _ := replay(rec, from)
			for k, n := range part.all {
				if n > s.all[k] {
					t.Errorf("connection %d from segment %d: %d of %q, there were %d", rec.id, from, n, k, s.all[k])
				}
			}
		}
	}
	if !maps.Equal(got, want) {
		for _, k := range slices.Sorted(maps.Keys(got)) {
			if got[k] != want[k] {
				t.Errorf("%d of %q, want %d", got[k], k, want[k])
			}
		}
		for _, k := range slices.Sorted(maps.Keys(want)) {
			if got[k] == 0 {
				t.Errorf("none of %q, want %d", k, want[k])
			}
		}
	}
}

// code is a server's error code, "" for none.
func code(err error) string {
	var e *driver.MySQLError
	if errors.As(err, &e) {
		return fmt.Sprint(e.Number)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// application calls a database as programs do, and counts what it called.
type application struct {
	t    *testing.T
	db   *sql.DB
	want counts
	// prepares: the driver prepares, executes and closes each statement that has arguments.
	prepares bool
}

func (a *application) call(operation, collection, text string, args ...any) {
	a.t.Helper()
	if strings.HasPrefix(text, "SELECT") {
		rows, err := a.db.Query(text, args...)
		if err == nil {
			for rows.Next() {
			}
			err = rows.Err()
			rows.Close()
		}
		a.note(operation, collection, code(err), len(args) > 0)
		return
	}
	_, err := a.db.Exec(text, args...)
	a.note(operation, collection, code(err), len(args) > 0)
}

func (a *application) note(operation, collection, code string, args bool) {
	if a.prepares && args {
		a.want[fmt.Sprintf("PREPARE %s shop %s", collection, code)]++
		if code != "" && code != "1062" {
			return // refused when it was prepared
		}
	}
	a.want[fmt.Sprintf("%s %s shop %s", operation, collection, code)]++
	if a.prepares && args && code == "1062" {
		a.want[fmt.Sprintf("PREPARE %s shop 1062", collection)]--
		a.want[fmt.Sprintf("PREPARE %s shop ", collection)]++
	}
}

// operations is how many of each kind the application does.
const operations = 100

func (a *application) run() {
	a.call("DROP", "orders", "DROP TABLE IF EXISTS orders")
	a.call("CREATE", "orders", "CREATE TABLE orders (id INT PRIMARY KEY, name VARCHAR(64))")
	for i := range operations {
		a.call("INSERT", "orders", "INSERT INTO orders VALUES (?, ?)", i, fmt.Sprintf("secret %d", i))
		a.call("SELECT", "orders", "SELECT id, name FROM orders WHERE id <= ?", i)
		a.call("UPDATE", "orders", "UPDATE orders SET name = 'secret' WHERE id = 7")
		a.call("SELECT", "shop.orders", "SELECT * FROM `shop`.`orders` WHERE name = 'it''s secret' LIMIT 3")
		if i%10 == 0 {
			a.call("SELECT", "nowhere", "SELECT * FROM nowhere WHERE id = ?", i)
			a.call("INSERT", "orders", "INSERT INTO orders VALUES (?, ?)", i, "secret")
		}
	}
	a.call("SELECT", "", "SELECT REPEAT('secret', 200000)")
	a.call("DELETE", "orders", "DELETE FROM orders WHERE id > ?", operations/2)
}

func TestLiveGoDriver(t *testing.T) {
	server := startServer(t)
	for _, tc := range []struct {
		name, params string
		prepares     bool
	}{
		{"text", "?interpolateParams=true", false},
		{"prepared", "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := startProxy(t, server)
			db, err := sql.Open("mysql", "root@tcp("+p.addr+")/shop"+tc.params)
			if err != nil {
				t.Fatal(err)
			}
			db.SetMaxOpenConns(1)
			a := &application{t: t, db: db, want: counts{}, prepares: tc.prepares}
			a.run()
			if err := db.Ping(); err != nil {
				t.Fatal(err)
			}
			a.want["PING  shop "]++
			a.want["CONNECT  shop "]++
			db.Close()
			maps.DeleteFunc(a.want, func(_ string, n int) bool { return n == 0 })
			check(t, p.recorded(t), a.want)
		})
	}
	t.Run("denied", func(t *testing.T) {
		p := startProxy(t, server)
		db, err := sql.Open("mysql", "nobody:secret@tcp("+p.addr+")/shop")
		if err != nil {
			t.Fatal(err)
		}
		err = db.Ping()
		db.Close()
		check(t, p.recorded(t), counts{"CONNECT  shop " + code(err): 1})
	})
}

// TestLiveCommandLine has the mariadb client, which wants cached metadata and no EOF packets, run a script.
func TestLiveCommandLine(t *testing.T) {
	client := program(t, "mariadb")
	server := startServer(t)
	p := startProxy(t, server)
	file := filepath.Join(t.TempDir(), "secret.csv")
	if err := os.WriteFile(file, []byte("1,secret\n2,secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	script := `CREATE TABLE items (id INT, name VARCHAR(20));
LOAD DATA LOCAL INFILE '` + file + `' INTO TABLE items FIELDS TERMINATED BY ',';
INSERT INTO items VALUES (3, 'secret'), (4, 'secret');
SELECT * FROM items;
SELECT * FROM items WHERE name = 'secret';
SELECT * FROM missing;
CREATE DATABASE other;
USE other;
CREATE TABLE things (a INT);
INSERT INTO things VALUES (1);
SELECT COUNT(*) FROM things;
DELIMITER //
CREATE PROCEDURE two() BEGIN SELECT 'secret'; SELECT * FROM things; END//
CALL two()//
CREATE PROCEDURE bad() BEGIN SELECT 1; SELECT * FROM gone; END//
CALL bad()//
DELIMITER ;
PREPARE s FROM 'SELECT * FROM things WHERE a = ?';
SET @a = 1;
EXECUTE s USING @a;
`
	host, port, _ := strings.Cut(p.addr, ":")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, client, "--no-defaults", "--host="+host, "--port="+port, "--user=root",
		"--skip-ssl", "--local-infile=1", "--force", "--batch", "shop")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	t.Logf("%v\n%s", err, out)
	check(t, p.recorded(t), counts{
		"CONNECT  shop ":           1,
		"SELECT  shop ":            1, // @@version_comment
		"CREATE items shop ":       1,
		"LOAD items shop ":         1,
		"INSERT items shop ":       1,
		"SELECT items shop ":       2,
		"SELECT missing shop 1146": 1,
		"CREATE  shop ":            1,
		"USE  other ":              1,
		"CREATE things other ":     1,
		"INSERT things other ":     1,
		"SELECT things other ":     1,
		"CREATE  other ":           2,
		"CALL  other ":             1,
		"CALL  other 1146":         1,
		"PREPARE  other ":          1,
		"SET  other ":              1,
		"EXECUTE  other ":          1,
	})
}
