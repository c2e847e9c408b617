package postgresql_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// session is a pgx client with one connection, and the exchanges that must come of what it does.
type session struct {
	t    *testing.T
	ctx  context.Context
	conn *pgx.Conn
	want map[string]int
}

func newSession(t *testing.T, r *recorder, database string) *session {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	conn, err := pgx.Connect(ctx, r.url(database))
	if err != nil {
		t.Fatal(err)
	}
	return &session{t, ctx, conn, map[string]int{"+CONNECT": 1}}
}

// exec runs a statement and wants that to come of it; code is the SQLSTATE it must fail with.
func (s *session) exec(code, sql string, args []any, want ...string) {
	s.t.Helper()
	_, err := s.conn.Exec(s.ctx, sql, args...)
	s.failed(err, code)
	for _, w := range want {
		s.want[w]++
	}
}

func (s *session) failed(err error, code string) {
	s.t.Helper()
	var e *pgconn.PgError
	if code == "" && err != nil || code != "" && (!errors.As(err, &e) || e.Code != code) {
		s.t.Fatalf("%v, want code %q", err, code)
	}
}

func with(mode pgx.QueryExecMode, args ...any) []any { return append([]any{mode}, args...) }

func TestLive(t *testing.T) {
	p := start(t)
	late := 0
	for _, c := range []struct {
		name string
		run  func(*testing.T, *postgres, *recorder) map[string]int
	}{
		{"modes", modes},
		{"batches", batches},
		{"copy", copies},
		{"rows", rows},
		{"pipeline", pipeline},
		{"cancel", cancel},
		{"refused", refused},
		{"listen", listen},
		{"psql", psql},
		{"pgbench", pgbench},
		{"replication", replication},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := record(t, p)
			want := c.run(t, p, r)
			late += check(t, r.stop(t), want)
		})
	}
	if late == 0 {
		t.Error("nothing is found by capture that begins later")
	}
}

// modes runs the same statements in each way that pgx has.
func modes(t *testing.T, _ *postgres, r *recorder) map[string]int {
	s := newSession(t, r, "postgres")
	s.exec("", "CREATE TABLE cart (id int PRIMARY KEY, note text)", nil, "CREATE cart")
	const insert, find = "INSERT INTO cart VALUES ($1, $2)", "SELECT note FROM public.cart WHERE id = $1 AND note <> 'planted-secret'"
	simple, cached, described, execd, cacheDescribed := pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheStatement,
		pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeCacheDescribe
	for i := range 5 {
		s.exec("", insert, with(simple, i, "planted-secret"), "INSERT cart")
		s.exec("", find, with(cached, i), "SELECT public.cart")
		s.exec("", find, with(described, i), "+PREPARE public.cart", "SELECT public.cart")
		s.exec("", find, with(execd, i), "SELECT public.cart")
		s.exec("", find, with(cacheDescribed, i), "SELECT public.cart")
		s.exec("23505", insert, with(cached, i, "again"), "INSERT cart 23505")
		s.exec("23505", insert, with(simple, i, "again"), "INSERT cart 23505")
		s.exec("42P01", "DELETE FROM nowhere WHERE id = $1", with(execd, i), "DELETE nowhere 42P01")
		s.exec("42P01", "DELETE FROM nowhere WHERE id = $1", with(described, i), "+PREPARE nowhere 42P01")
	}
	s.want["+PREPARE public.cart"] += 2 // cached, and its description cached
	s.want["+PREPARE cart"] += 5        // pgx forgets a statement that has failed
	s.exec("42601", "SELEC 1", with(simple), "_OTHER 42601")
	if err := s.conn.Ping(s.ctx); err != nil {
		t.Fatal(err)
	}
	s.want["+PING"]++
	tx, err := s.conn.Begin(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(s.ctx, "UPDATE cart SET note = 'planted-secret'"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(s.ctx); err != nil {
		t.Fatal(err)
	}
	s.want["BEGIN"]++
	s.want["UPDATE cart"]++
	s.want["COMMIT"]++
	s.exec("", "DROP TABLE cart", nil, "DROP cart")
	_ = s.conn.Close(s.ctx)
	return s.want
}

// batches sends many statements at once, in one of which is an error.
func batches(t *testing.T, _ *postgres, r *recorder) map[string]int {
	s := newSession(t, r, "postgres")
	s.exec("", "CREATE TABLE stock (id int PRIMARY KEY, n int)", nil, "CREATE stock")
	send := func(code string, at int) {
		b := &pgx.Batch{}
		for i := range 30 {
			if i == at {
				b.Queue("INSERT INTO stock VALUES ($1, $2)", 0, 0) // which is there
				continue
			}
			b.Queue("UPDATE stock SET n = n + $1", i)
		}
		s.failed(s.conn.SendBatch(s.ctx, b).Close(), code)
	}
	send("", -1)
	s.want["+PREPARE stock"]++
	s.want["UPDATE stock"] += 30
	s.exec("", "INSERT INTO stock VALUES (0, 0)", with(pgx.QueryExecModeSimpleProtocol), "INSERT stock")
	send("23505", 10)
	s.want["+PREPARE stock"]++
	s.want["UPDATE stock"] += 10
	s.want["INSERT stock 23505"]++
	s.want["UPDATE stock aborted"] += 19
	b := &pgx.Batch{}
	for i := range 5 {
		b.Queue("SELECT n FROM stock WHERE id = $1", i)
	}
	results := s.conn.SendBatch(s.ctx, b)
	for range 5 {
		if rows, err := results.Query(); err != nil {
			t.Fatal(err)
		} else {
			rows.Close()
		}
	}
	s.failed(results.Close(), "")
	s.want["+PREPARE stock"]++
	s.want["SELECT stock"] += 5
	s.exec("", "DROP TABLE stock", with(pgx.QueryExecModeSimpleProtocol), "DROP stock")
	_ = s.conn.Close(s.ctx)
	return s.want
}

// copies moves rows in and out.
func copies(t *testing.T, _ *postgres, r *recorder) map[string]int {
	s := newSession(t, r, "postgres")
	s.exec("", "CREATE TABLE prices (id int PRIMARY KEY, note text)", nil, "CREATE prices")
	in := func(from int) error {
		_, err := s.conn.CopyFrom(s.ctx, pgx.Identifier{"prices"}, []string{"id", "note"}, pgx.CopyFromSlice(2000, func(i int) ([]any, error) {
			return []any{from + i, strings.Repeat("planted-secret", 10)}, nil
		}))
		return err
	}
	s.failed(in(0), "")
	s.want["+PREPARE prices"]++
	s.want["COPY prices"]++
	s.failed(in(100), "23505")
	s.want["COPY prices 23505"]++
	var out bytes.Buffer
	if _, err := s.conn.PgConn().CopyTo(s.ctx, &out, "COPY (SELECT * FROM prices) TO STDOUT"); err != nil || out.Len() < 2000*140 {
		t.Fatal(out.Len(), err)
	}
	s.want["COPY prices"]++
	if _, err := s.conn.PgConn().CopyFrom(s.ctx, strings.NewReader("nonsense\n"), "COPY prices FROM STDIN"); err == nil {
		t.Fatal("no error")
	}
	s.want["COPY prices 22P02"]++
	s.exec("", "DROP TABLE prices", with(pgx.QueryExecModeSimpleProtocol), "DROP prices")
	_ = s.conn.Close(s.ctx)
	return s.want
}

// rows moves large parameters, large values and many rows, and reads a portal in parts.
func rows(t *testing.T, _ *postgres, r *recorder) map[string]int {
	s := newSession(t, r, "postgres")
	s.exec("", "CREATE TABLE blobs (id int, b text)", nil, "CREATE blobs")
	for i, size := range []int{10, 10_000, 1_000_000} {
		s.exec("", "INSERT INTO blobs VALUES ($1, $2)", with(pgx.QueryExecModeExec, i, strings.Repeat("x", size)), "INSERT blobs")
		s.exec("", "INSERT INTO blobs VALUES ($1, $2)", with(pgx.QueryExecModeSimpleProtocol, i, strings.Repeat("x", size)), "INSERT blobs")
		s.exec("", "SELECT * FROM blobs WHERE length(b) = $1", with(pgx.QueryExecModeExec, size), "SELECT blobs")
	}
	s.exec("", "SELECT i, md5(i::text) FROM generate_series(1, 20000) i", with(pgx.QueryExecModeExec))
	s.exec("22012", "SELECT 1 / (5000 - i) FROM generate_series(1, 20000) i", with(pgx.QueryExecModeExec))
	s.exec("22012", "SELECT 1; SELECT 1 / (5000 - i) FROM generate_series(1, 20000) i; SELECT 2", with(pgx.QueryExecModeSimpleProtocol))
	s.want["SELECT"], s.want["SELECT 22012"] = 1, 2
	s.exec("", "DROP TABLE blobs", with(pgx.QueryExecModeSimpleProtocol), "DROP blobs")
	_ = s.conn.Close(s.ctx)
	return s.want
}

// pipeline has several Syncs outstanding, and an error between two of them.
func pipeline(t *testing.T, _ *postgres, r *recorder) map[string]int {
	s := newSession(t, r, "postgres")
	pipe := s.conn.PgConn().StartPipeline(s.ctx)
	for i := range 10 {
		pipe.SendQueryParams("SELECT relname FROM pg_class LIMIT 3", nil, nil, nil, nil)
		if i == 4 {
			pipe.SendQueryParams("SELECT 1 / 0 FROM pg_class", nil, nil, nil, nil)
			pipe.SendPrepare("late", "SELECT oid FROM pg_type", nil)
			pipe.SendQueryParams("SELECT 2 FROM pg_class", nil, nil, nil, nil)
			s.want["SELECT pg_class 22012"]++
			s.want["SELECT pg_class aborted"]++
		}
		s.want["SELECT pg_class"]++
		if err := pipe.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	pipe.SendPrepare("known", "SELECT oid FROM pg_type", nil)
	s.want["+PREPARE pg_type"]++
	if err := errors.Join(pipe.Sync(), pipe.Flush()); err != nil {
		t.Fatal(err)
	}
	for {
		results, err := pipe.GetResults()
		if results == nil && err == nil {
			break
		}
		if reader, ok := results.(*pgconn.ResultReader); ok {
			_, _ = reader.Close()
		}
	}
	_ = pipe.Close()
	_ = s.conn.Close(s.ctx)
	return s.want
}

// cancel has a statement cancelled by way of a second connection.
func cancel(t *testing.T, _ *postgres, r *recorder) map[string]int {
	s := newSession(t, r, "postgres")
	done := make(chan error, 1)
	go func() {
		_, err := s.conn.Exec(s.ctx, "SELECT pg_sleep(30) FROM pg_class", pgx.QueryExecModeSimpleProtocol)
		done <- err
	}()
	for range 100 { // until it has begun
		if err := s.conn.PgConn().CancelRequest(s.ctx); err != nil {
			t.Fatal(err)
		}
		s.want["CANCEL"]++
		select {
		case err := <-done:
			s.failed(err, "57014")
			s.want["SELECT pg_class 57014"]++
			_ = s.conn.Close(s.ctx)
			return s.want
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatal("it is not cancelled")
	return nil
}

// refused connections: a wrong password, a database that is not there.
func refused(t *testing.T, _ *postgres, r *recorder) map[string]int {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, url := range []string{strings.Replace(r.url("postgres"), password, "wrong", 1), r.url("nowhere")} {
		if conn, err := pgx.Connect(ctx, url+"&sslmode=disable"); err == nil {
			_ = conn.Close(ctx)
			t.Fatal("connected")
		}
	}
	return map[string]int{"+CONNECT 28P01": 1, "+CONNECT 3D000": 1}
}

// listen waits for notifications between statements.
func listen(t *testing.T, _ *postgres, r *recorder) map[string]int {
	s, other := newSession(t, r, "postgres"), newSession(t, r, "postgres")
	s.exec("", "LISTEN orders", with(pgx.QueryExecModeSimpleProtocol), "LISTEN")
	for i := range 5 {
		other.exec("", fmt.Sprintf("NOTIFY orders, 'planted-secret %d'", i), with(pgx.QueryExecModeSimpleProtocol))
		s.want["NOTIFY"]++
		if i%2 == 0 {
			if _, err := s.conn.WaitForNotification(s.ctx); err != nil {
				t.Fatal(err)
			}
		}
		s.exec("", "SELECT relname FROM pg_class LIMIT 1", with(pgx.QueryExecModeExec), "SELECT pg_class")
	}
	s.exec("", "NOTIFY orders", with(pgx.QueryExecModeExec), "NOTIFY") // to itself
	s.want["+CONNECT"]++
	_ = s.conn.Close(s.ctx)
	_ = other.conn.Close(s.ctx)
	return s.want
}
