package traffic

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-sql-driver/mysql"
)

// sqlStatement is sent with one argument, a number, and is answered with the error of that code ("": with none).
type sqlStatement struct {
	text                        string
	operation, collection, code string
}

// sqlStatements are for the tables of toposcope-demo.
func sqlStatements() []sqlStatement {
	return []sqlStatement{
		{"SELECT name FROM items WHERE sku = ?", "SELECT", "items", ""},
		{"SELECT * FROM items WHERE sku > ? LIMIT 30", "SELECT", "items", ""},
		{"INSERT INTO order_lines VALUES ('2', ?, 10000, 1)", "INSERT", "order_lines", ""},
		{"UPDATE order_lines SET pieces = 2 WHERE line = ?", "UPDATE", "order_lines", ""},
		{"DELETE FROM order_lines WHERE line = ?", "DELETE", "order_lines", ""},
		{"SELECT * FROM missing WHERE id = ?", "SELECT", "missing", "1146"},
		{"INSERT INTO orders VALUES ('1', ?, 'placed')", "INSERT", "orders", "1062"},
	}
}

// prepares is how many of the first of the statements are also prepared.
const prepares = 5

// sqlClient is one connection of the driver.
type sqlClient struct {
	*tally
	*sql.Conn
	pool   *sql.DB
	number int // an argument that no other connection has
}

// loadMySQL sends statements as text on an old connection, and on a new one prepared ones too and transactions.
func loadMySQL(ctx context.Context, address string, small bool, ready func() error) ([]Operation, error) {
	var before, made tally
	old, err := dialMySQL(ctx, address, &before, 1)
	if err != nil {
		return nil, err
	}
	defer old.close()
	if err := old.texts(ctx); err != nil {
		return nil, err
	}
	if err := ready(); err != nil {
		return nil, err
	}
	old.tally = &made
	rounds := portion(4, small)
	if err := repeat(rounds, func() error { return old.texts(ctx) }); err != nil {
		return nil, err
	}
	fresh, err := dialMySQL(ctx, address, &made, 2)
	if err != nil {
		return nil, err
	}
	defer fresh.close()
	err = repeat(rounds, func() error {
		return errors.Join(fresh.texts(ctx), fresh.prepared(ctx), fresh.transaction(ctx))
	})
	return made.all, err
}

// dialMySQL opens a connection. Arguments are put into the text unless a statement is prepared.
func dialMySQL(ctx context.Context, address string, t *tally, number int) (*sqlClient, error) {
	pool, err := sql.Open("mysql", "root@tcp("+address+")/shop?interpolateParams=true")
	if err != nil {
		return nil, fmt.Errorf("configuring MySQL: %w", err)
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("connecting to MySQL: %w", err)
	}
	c := &sqlClient{t, conn, pool, number}
	c.done("CONNECT", "", "", true)
	return c, nil
}

// close ends the connection; nothing depends on how that goes.
func (c *sqlClient) close() {
	c.Conn.Close()
	c.pool.Close()
}

func (c *sqlClient) done(operation, collection, code string, upkeep bool) {
	c.add(Operation{Key: Key(operation, collection, code), Failed: code != "", Upkeep: upkeep}, 1)
}

// texts sends every statement as text.
func (c *sqlClient) texts(ctx context.Context) error {
	for _, s := range sqlStatements() {
		rows, err := c.QueryContext(ctx, s.text, c.number)
		if err := ended(rows, err, s); err != nil {
			return err
		}
		c.done(s.operation, s.collection, s.code, false)
	}
	return nil
}

// prepared prepares statements and executes each twice.
func (c *sqlClient) prepared(ctx context.Context) error {
	for _, s := range sqlStatements()[:prepares] {
		p, err := c.PrepareContext(ctx, s.text)
		if err != nil {
			return fmt.Errorf("preparing %q: %w", s.text, err)
		}
		defer p.Close()
		c.done("PREPARE", s.collection, "", true)
		for i := range 2 {
			rows, err := p.QueryContext(ctx, 2*c.number+i)
			if err := ended(rows, err, s); err != nil {
				return err
			}
			c.done(s.operation, s.collection, s.code, false)
		}
	}
	return nil
}

// transaction updates something and takes it back.
func (c *sqlClient) transaction(ctx context.Context) error {
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	if _, err := tx.ExecContext(ctx, "UPDATE items SET cents = 7 WHERE sku = 10000"); err != nil {
		return fmt.Errorf("updating in a transaction: %w", err)
	}
	if err := tx.Rollback(); err != nil {
		return fmt.Errorf("ending a transaction: %w", err)
	}
	c.done("START", "", "", false)
	c.done("UPDATE", "items", "", false)
	c.done("ROLLBACK", "", "", false)
	return nil
}

// ended reads all rows and fails unless s ended as it says.
func ended(rows *sql.Rows, err error, s sqlStatement) error {
	if err == nil {
		for rows.Next() {
		}
		err = errors.Join(rows.Err(), rows.Close())
	}
	code := ""
	var refused *mysql.MySQLError
	if errors.As(err, &refused) {
		code = strconv.Itoa(int(refused.Number))
	} else if err != nil {
		return fmt.Errorf("%q: %w", s.text, err)
	}
	if code != s.code {
		return fmt.Errorf("%q ended with code %q, want %q: %w", s.text, code, s.code, err)
	}
	return nil
}
