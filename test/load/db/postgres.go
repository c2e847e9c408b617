package db

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/toposcope/toposcope/test/load/servers"
)

// Errors of PostgreSQL, which are SQL's states.
const (
	undefinedTable  = "42P01"
	uniqueViolation = "23505"
	syntaxError     = "42601"
)

// openPostgres opens a connection. It asks for TLS first, which the server has not.
func openPostgres(ctx context.Context, target string, s *session, mode pgx.QueryExecMode) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(fmt.Sprintf("postgres://%s:%s@%s/postgres?sslmode=prefer", servers.User, servers.Password, target))
	if err != nil {
		return nil, err
	}
	config.DefaultQueryExecMode = mode
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	s.add(Operation{Name: "CONNECT", Upkeep: true})
	s.close = conn.Close
	return conn, nil
}

// statements are what the ways of asking PostgreSQL have in common.
func statements(w worker, value string) []statement {
	return []statement{
		{"SELECT name, stock FROM items WHERE id = $1", []any{int(w)}, Operation{Name: "SELECT", Collection: "items"}},
		{"SELECT o.id FROM orders o JOIN items i ON i.id = o.item WHERE i.name = $1 LIMIT 5", []any{value}, Operation{Name: "SELECT", Collection: "orders"}},
		{"SELECT repeat($1, 100000)", []any{"x"}, Operation{Name: "SELECT"}},
		{"INSERT INTO orders (item, note) VALUES ($1, $2) RETURNING id", []any{int(w), value}, Operation{Name: "INSERT", Collection: "orders"}},
		{"UPDATE items SET stock = stock + $1 WHERE id = $2", []any{1, int(w)}, Operation{Name: "UPDATE", Collection: "items"}},
		{"DELETE FROM orders WHERE item = $1", []any{int(w)}, Operation{Name: "DELETE", Collection: "orders"}},
		{"INSERT INTO items VALUES ($1, $2, 0)", []any{int(w), value}, Operation{Name: "INSERT", Collection: "items", Code: uniqueViolation}},
	}
}

// postgresSimple sends every statement as text.
func postgresSimple(ctx context.Context, target string, w worker, s *session) error {
	conn, err := openPostgres(ctx, target, s, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return err
	}
	for _, q := range append(
		statements(w, s.value),
		statement{"SELECT * FROM missing WHERE id = $1", []any{int(w)}, Operation{Name: "SELECT", Collection: "missing", Code: undefinedTable}},
		statement{"SELECT name FROM items WHERE", nil, Operation{Name: "SELECT", Collection: "items", Code: syntaxError}},
	) {
		s.steps = append(s.steps, postgresStep(conn, q.text, q))
	}
	for _, q := range []statement{
		{"UPDATE items SET stock = 7 WHERE id = 50; SELECT name FROM items; SELECT 1", nil, Operation{Name: "UPDATE", Collection: "items"}},
		{"SELECT id FROM items LIMIT 3; SELECT * FROM missing", nil, Operation{Name: "SELECT", Collection: "items", Code: undefinedTable}},
	} {
		s.steps = append(s.steps, step{q.text, func(ctx context.Context) error {
			_, err := conn.Exec(ctx, q.text)
			return postgresCode(err, q.made.Code)
		}, []Operation{q.made}})
	}
	postgresTransactions(s, conn, w)
	s.steps = append(s.steps, copies(conn)...)
	return nil
}

// postgresStep asks for the result of a statement, by its text or by the name under which it was prepared.
func postgresStep(conn *pgx.Conn, by string, q statement) step {
	return step{q.text, func(ctx context.Context) error {
		return postgresCode(readRows(conn.Query(ctx, by, q.args...)), q.made.Code)
	}, []Operation{q.made}}
}

func readRows(rows pgx.Rows, err error) error {
	if err != nil {
		return err
	}
	rows.Close()
	return rows.Err()
}

// postgresCode fails unless err is that of code.
func postgresCode(err error, code string) error {
	var failed *pgconn.PgError
	got := ""
	if errors.As(err, &failed) {
		got = failed.Code
	} else if err != nil {
		return err
	}
	return sameCode(got, code)
}

// postgresTransactions adds one that is committed and one that fails, so that its commit rolls it back.
func postgresTransactions(s *session, conn *pgx.Conn, w worker) {
	transaction := func(table, code string) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			tx, err := conn.Begin(ctx)
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, fmt.Sprintf("UPDATE %s SET stock = 5 WHERE id = %d", table, w))
			if err := postgresCode(err, code); err != nil {
				return err
			}
			if code == "" {
				return tx.Commit(ctx)
			}
			return tx.Rollback(ctx)
		}
	}
	s.steps = append(
		s.steps,
		step{"commit", transaction("items", ""), []Operation{{Name: "BEGIN"}, {Name: "UPDATE", Collection: "items"}, {Name: "COMMIT"}}},
		step{"rollback", transaction("missing", undefinedTable), []Operation{
			{Name: "BEGIN"}, {Name: "UPDATE", Collection: "missing", Code: undefinedTable}, {Name: "ROLLBACK"},
		}},
	)
}

// copies are COPY to and from the server, the latter failing once.
func copies(conn *pgx.Conn) []step {
	in := func(text, rows string, made Operation) step {
		return step{text, func(ctx context.Context) error {
			_, err := conn.PgConn().CopyFrom(ctx, strings.NewReader(rows), text)
			return postgresCode(err, made.Code)
		}, []Operation{made}}
	}
	return []step{
		in("COPY orders (item, note) FROM STDIN", "1\tone\n2\ttwo\n", Operation{Name: "COPY", Collection: "orders"}),
		in("COPY items FROM STDIN", "1\tagain\t0\n", Operation{Name: "COPY", Collection: "items", Code: uniqueViolation}),
		{"COPY items TO STDOUT", func(ctx context.Context) error {
			_, err := conn.PgConn().CopyTo(ctx, io.Discard, "COPY items TO STDOUT")
			return err
		}, []Operation{{Name: "COPY", Collection: "items"}}},
	}
}

// postgresPrepared sends statements that it has prepared, one by one and in pipelines.
func postgresPrepared(ctx context.Context, target string, w worker, s *session) error {
	conn, err := openPostgres(ctx, target, s, pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	pipeline := step{name: "pipeline"}
	batch := &pgx.Batch{}
	for i, q := range statements(w, s.value) {
		// By the unnamed statement first, all in one go.
		s.steps = append(s.steps, postgresStep(conn, q.text, q))
		name := fmt.Sprintf("statement %d", i)
		if _, err := conn.Prepare(ctx, name, q.text); err != nil {
			return err
		}
		s.add(prepared(q))
		q.made.Prepared = true
		s.steps = append(s.steps, postgresStep(conn, name, q))
		if q.made.Code == "" {
			batch.Queue(name, q.args...)
			pipeline.made = append(pipeline.made, q.made)
		}
	}
	pipeline.do = func(ctx context.Context) error { return conn.SendBatch(ctx, batch).Close() }
	failing := step{"failing prepare", func(ctx context.Context) error {
		_, err := conn.Prepare(ctx, "missing", "SELECT * FROM missing WHERE id = $1")
		return postgresCode(err, undefinedTable)
	}, []Operation{{Name: "PREPARE", Collection: "missing", Code: undefinedTable}}}
	s.steps = append(s.steps, pipeline, synced(conn, w), failing)
	postgresTransactions(s, conn, w)
	s.steps = append(s.steps, step{"copy in binary", func(ctx context.Context) error {
		rows := [][]any{{1, "one"}, {2, "two"}}
		_, err := conn.CopyFrom(ctx, pgx.Identifier{"orders"}, []string{"item", "note"}, pgx.CopyFromRows(rows))
		return err
	}, []Operation{{Name: "PREPARE", Collection: "orders", Upkeep: true}, {Name: "COPY", Collection: "orders"}}})
	return nil
}

// synced is a pipeline with a synchronisation after each of its three statements, of which the second fails.
func synced(conn *pgx.Conn, w worker) step {
	failing := statements(w, "")[6]
	return step{"pipeline with an error", func(ctx context.Context) error {
		p := conn.PgConn().StartPipeline(ctx)
		id := fmt.Appendf(nil, "%d", w)
		for _, values := range [][][]byte{{id}, {id, []byte("again")}, {id}} {
			name := "statement 0"
			if len(values) > 1 {
				name = "statement 6"
			}
			p.SendQueryPrepared(name, values, nil, nil)
			if err := p.Sync(); err != nil {
				return err
			}
		}
		got := ""
		for {
			result, err := p.GetResults()
			var failed *pgconn.PgError
			switch {
			case errors.As(err, &failed):
				got = failed.Code
			case err != nil:
				return err
			case result == nil:
				return errors.Join(sameCode(got, failing.made.Code), p.Close())
			}
			if r, ok := result.(*pgconn.ResultReader); ok {
				if _, err := r.Close(); err != nil && !errors.As(err, &failed) {
					return err
				} else if err != nil {
					got = failed.Code
				}
			}
		}
	}, []Operation{
		{Name: "SELECT", Collection: "items", Prepared: true},
		{Name: "INSERT", Collection: "items", Code: failing.made.Code, Prepared: true},
		{Name: "SELECT", Collection: "items", Prepared: true},
	}}
}
