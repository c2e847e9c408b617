package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/toposcope/toposcope/test/load/servers"
)

// Errors of MySQL.
const (
	noTable   = "1146"
	duplicate = "1062"
	syntax    = "1064"
)

// openMySQL opens one connection, which is kept to.
func openMySQL(ctx context.Context, target string, s *session, options string) (*sql.Conn, error) {
	pool, err := sql.Open("mysql", servers.User+":"+servers.Password+"@tcp("+target+")/shop?"+options)
	if err != nil {
		return nil, err
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	s.add(Operation{Name: "CONNECT", Upkeep: true})
	s.close = func(context.Context) error { return errors.Join(conn.Close(), pool.Close()) }
	return conn, nil
}

// statement is one of SQL that is sent as a whole, with what it makes.
type statement struct {
	text string
	args []any
	made Operation
}

// prepared is the preparation of a statement.
func prepared(q statement) Operation {
	return Operation{Name: "PREPARE", Collection: q.made.Collection, Upkeep: true}
}

// mysqlText sends every statement as text, on a connection with further options.
func mysqlText(options string) driver {
	return func(ctx context.Context, target string, w worker, s *session) error {
		conn, err := openMySQL(ctx, target, s, "interpolateParams=true&multiStatements=true"+options)
		if err != nil {
			return err
		}
		mysqlTexts(s, conn, w)
		return nil
	}
}

func mysqlTexts(s *session, conn *sql.Conn, w worker) {
	// What LOAD DATA LOCAL reads is asked for by name.
	rows := "rows of " + strconv.Itoa(int(w))
	mysql.RegisterReaderHandler(rows, func() io.Reader { return strings.NewReader("1\tone\n2\ttwo\n") })
	for _, q := range []statement{
		{"SELECT name, stock FROM items WHERE id = ?", []any{w}, Operation{Name: "SELECT", Collection: "items"}},
		{"SELECT o.id FROM orders o JOIN items i ON i.id = o.item WHERE i.name = ? LIMIT 5", []any{s.value}, Operation{Name: "SELECT", Collection: "orders"}},
		{"SELECT REPEAT(?, 100000)", []any{"x"}, Operation{Name: "SELECT"}},
		{"INSERT INTO orders (item, note) VALUES (?, ?)", []any{w, s.value}, Operation{Name: "INSERT", Collection: "orders"}},
		{"UPDATE items SET stock = stock + ? WHERE id = ?", []any{1, w}, Operation{Name: "UPDATE", Collection: "items"}},
		{"DELETE FROM orders WHERE item = ?", []any{w}, Operation{Name: "DELETE", Collection: "orders"}},
		{"SELECT * FROM missing WHERE id = ?", []any{w}, Operation{Name: "SELECT", Collection: "missing", Code: noTable}},
		{"INSERT INTO items VALUES (?, 'again', 0)", []any{w}, Operation{Name: "INSERT", Collection: "items", Code: duplicate}},
		{"SELECT name FROM items WHERE", nil, Operation{Name: "SELECT", Collection: "items", Code: syntax}},
		{"UPDATE items SET stock = 7 WHERE id = ?; SELECT name FROM items; SELECT 1", []any{w}, Operation{Name: "UPDATE", Collection: "items"}},
		{"SELECT id FROM items LIMIT 3; SELECT * FROM missing", nil, Operation{Name: "SELECT", Collection: "items", Code: noTable}},
		{"LOAD DATA LOCAL INFILE 'Reader::" + rows + "' INTO TABLE orders (item, note)", nil, Operation{Name: "LOAD", Collection: "orders"}},
		{"CALL report()", nil, Operation{Name: "CALL"}},
	} {
		s.steps = append(s.steps, mysqlStep(conn, q))
	}
	transactions(s, conn, w)
	s.steps = append(s.steps, step{"ping", conn.PingContext, []Operation{{Name: "PING", Upkeep: true}}})
}

// mysqlStep asks for all results of a statement.
func mysqlStep(conn *sql.Conn, q statement) step {
	return step{q.text, func(ctx context.Context) error {
		rows, err := conn.QueryContext(ctx, q.text, q.args...)
		return mysqlCode(drain(rows, err), q.made.Code)
	}, []Operation{q.made}}
}

// drain reads all results.
func drain(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for more := true; more; more = rows.NextResultSet() {
		for rows.Next() {
		}
	}
	return rows.Err()
}

// mysqlCode fails unless err is that of code.
func mysqlCode(err error, code string) error {
	var failed *mysql.MySQLError
	got := ""
	if errors.As(err, &failed) {
		got = strconv.Itoa(int(failed.Number))
	} else if err != nil {
		return err
	}
	return sameCode(got, code)
}

func sameCode(got, want string) error {
	if got != want {
		return fmt.Errorf("ended with the code %q, want %q", got, want)
	}
	return nil
}

// transactions adds one that is committed and one that is rolled back.
func transactions(s *session, conn *sql.Conn, w worker) {
	begin, update := Operation{Name: "START"}, Operation{Name: "UPDATE", Collection: "items"}
	for _, end := range []string{"COMMIT", "ROLLBACK"} {
		s.steps = append(s.steps, step{end, func(ctx context.Context) error {
			tx, err := conn.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, "UPDATE items SET stock = 5 WHERE id = "+strconv.Itoa(int(w)))
			if end == "COMMIT" {
				return errors.Join(err, tx.Commit())
			}
			return errors.Join(err, tx.Rollback())
		}, []Operation{begin, update, {Name: end}}})
	}
}

// mysqlPrepared sends statements that it has prepared, some once and for all, others anew each time.
func mysqlPrepared(ctx context.Context, target string, w worker, s *session) error {
	conn, err := openMySQL(ctx, target, s, "")
	if err != nil {
		return err
	}
	for _, q := range []statement{
		{"SELECT name, stock FROM items WHERE id = ?", []any{w}, Operation{Name: "SELECT", Collection: "items"}},
		{"SELECT * FROM items WHERE id > ?", []any{0}, Operation{Name: "SELECT", Collection: "items"}},
		{"SELECT REPEAT(?, 100000)", []any{"x"}, Operation{Name: "SELECT"}},
		{"INSERT INTO orders (item, note) VALUES (?, ?)", []any{w, s.value}, Operation{Name: "INSERT", Collection: "orders"}},
		{"UPDATE items SET stock = stock + ? WHERE id = ?", []any{1, w}, Operation{Name: "UPDATE", Collection: "items"}},
		{"DELETE FROM orders WHERE item = ?", []any{w}, Operation{Name: "DELETE", Collection: "orders"}},
		{"INSERT INTO items VALUES (?, ?, 0)", []any{w, s.value}, Operation{Name: "INSERT", Collection: "items", Code: duplicate}},
	} {
		// Each time anew, it is closed again.
		anew := mysqlStep(conn, q)
		anew.made = append(anew.made, prepared(q))
		s.steps = append(s.steps, anew)

		kept, err := conn.PrepareContext(ctx, q.text)
		if err != nil {
			return err
		}
		s.add(prepared(q))
		q.made.Prepared = true
		s.steps = append(s.steps, step{"prepared " + q.text, func(ctx context.Context) error {
			rows, err := kept.QueryContext(ctx, q.args...)
			return mysqlCode(drain(rows, err), q.made.Code)
		}, []Operation{q.made}})
	}
	for _, q := range []statement{
		{"SELECT * FROM missing WHERE id = ?", nil, Operation{Name: "PREPARE", Collection: "missing", Code: noTable}},
		{"SELECT name FROM items WHERE ?,", nil, Operation{Name: "PREPARE", Collection: "items", Code: syntax}},
	} {
		s.steps = append(s.steps, step{q.text, func(ctx context.Context) error {
			_, err := conn.PrepareContext(ctx, q.text)
			return mysqlCode(err, q.made.Code)
		}, []Operation{q.made}})
	}
	transactions(s, conn, w)
	return nil
}
