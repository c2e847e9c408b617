package shop

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log"
	"strconv"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/toposcope/toposcope/demo/mysql"
	"github.com/toposcope/toposcope/demo/tally"
)

// mysqlDuplicate is MySQL's error for a key that is there already, ER_DUP_ENTRY.
const mysqlDuplicate = 1062

// sqlPool is the pool of connections to MySQL.
func (d *databases) sqlPool() (*sql.DB, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sql != nil {
		return d.sql, nil
	}
	config := mysqldriver.NewConfig()
	config.User, config.Net, config.Addr, config.DBName = d.name, "tcp", d.address(sqlServer), mysql.Database
	config.DialFunc = d.dial
	config.Logger = log.New(io.Discard, "", 0) // a server that is away is no news here
	connector, err := mysqldriver.NewConnector(config)
	if err != nil {
		return nil, fmt.Errorf("configuring MySQL: %w", err)
	}
	d.sql = sql.OpenDB(connector)
	d.sql.SetMaxIdleConns(8)
	return d.sql, nil
}

// sqlConn is one connection.
type sqlConn struct {
	*sql.Conn
	d *databases
}

// onSQL has do use a connection. One that has broken does not go back to the pool.
func (d *databases) onSQL(ctx context.Context, do func(sqlConn) error) error {
	pool, err := d.sqlPool()
	if err != nil {
		return err
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connecting to MySQL: %w", err)
	}
	defer conn.Close() // gives it back
	return do(sqlConn{conn, d})
}

// ask sends one statement and reads all that is answered. operation and table are what it is counted as; with arguments it is prepared.
func (c sqlConn) ask(ctx context.Context, operation, table, statement string, args ...any) error {
	err := c.send(ctx, statement, args...)
	var wrong *mysqldriver.MySQLError
	switch {
	case err == nil:
		c.d.count(sqlServer, operation, table, "")
	case errors.As(err, &wrong):
		c.d.count(sqlServer, operation, table, strconv.Itoa(int(wrong.Number)))
		if wrong.Number == mysqlDuplicate {
			return errConflict
		}
	case !errors.Is(err, driver.ErrBadConn): // which says that nothing was sent
		c.d.count(sqlServer, operation, table, tally.Unanswered)
	}
	return err
}

func (c sqlConn) send(ctx context.Context, statement string, args ...any) error {
	rows, err := c.QueryContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	for rows.Next() { // what they hold is of no use here
	}
	return errors.Join(rows.Err(), rows.Close())
}

// askSQL is ask on a connection of its own.
func (d *databases) askSQL(ctx context.Context, operation, table, statement string, args ...any) error {
	return d.onSQL(ctx, func(c sqlConn) error { return c.ask(ctx, operation, table, statement, args...) })
}

func listItems(ctx context.Context, d *databases, v *Visit) error {
	categories := mysql.Categories()
	return d.askSQL(ctx, "SELECT", "items", fmt.Sprintf(
		"SELECT sku, name, cents FROM items WHERE category = '%s' ORDER BY sku LIMIT 20", categories[v.dice.IntN(len(categories))]))
}

func findItem(ctx context.Context, d *databases, v *Visit) error {
	return d.askSQL(ctx, "SELECT", "items", "SELECT name, category, cents FROM items WHERE sku = ?", v.Value("sku"))
}

func countItems(ctx context.Context, d *databases, v *Visit) error {
	return d.askSQL(ctx, "SELECT", "items", fmt.Sprintf("SELECT COUNT(*) FROM items WHERE cents < %d", 1000+v.dice.IntN(9000)))
}

// placeOrder is a transaction. Now and then a customer has ordered twice, and the number is there already.
func placeOrder(ctx context.Context, d *databases, v *Visit) error {
	number := orderNumber(v)
	if v.dice.Chance(0.03) {
		number = mysql.FirstOrder
	}
	user, sku, pieces := v.Value("user"), v.Value("sku"), 1+v.dice.IntN(3)
	return d.onSQL(ctx, func(c sqlConn) error {
		if err := c.ask(ctx, "START TRANSACTION", "", "START TRANSACTION"); err != nil {
			return err
		}
		err := c.ask(ctx, "INSERT", "orders", "INSERT INTO orders (number, user, state) VALUES (?, ?, 'placed')", number, user)
		if err == nil {
			err = c.ask(ctx, "INSERT", "order_lines", fmt.Sprintf(
				"INSERT INTO order_lines (number, line, sku, pieces) VALUES ('%s', 1, %s, %d)", number, sku, pieces))
		}
		if err != nil {
			return errors.Join(err, c.ask(ctx, "ROLLBACK", "", "ROLLBACK"))
		}
		return c.ask(ctx, "COMMIT", "", "COMMIT")
	})
}

// orderNumber is the number of the order that is placed in v, and looked after for it.
func orderNumber(v *Visit) string { return fmt.Sprintf("%x", v.trace.ID[:8]) }

func shipOrder(ctx context.Context, d *databases, v *Visit) error {
	return d.askSQL(ctx, "UPDATE", "orders", "UPDATE orders SET state = 'shipped' WHERE number = ?", orderNumber(v))
}

// forgetOrder keeps the tables small.
func forgetOrder(ctx context.Context, d *databases, v *Visit) error {
	return d.onSQL(ctx, func(c sqlConn) error {
		if err := c.ask(ctx, "DELETE", "order_lines", "DELETE FROM order_lines WHERE number = ?", orderNumber(v)); err != nil {
			return err
		}
		return c.ask(ctx, "DELETE", "orders", "DELETE FROM orders WHERE number = ?", orderNumber(v))
	})
}

func findOrder(ctx context.Context, d *databases, v *Visit) error {
	return d.askSQL(ctx, "SELECT", "orders", "SELECT user, state FROM orders WHERE number = ?", v.Value("order"))
}

func bestSellers(ctx context.Context, d *databases, _ *Visit) error {
	return d.askSQL(ctx, "SELECT", "order_lines",
		"SELECT sku, SUM(pieces) AS sold FROM order_lines GROUP BY sku ORDER BY sold DESC LIMIT 5")
}

// scores asks for a column that the database does not have: whoever wrote it forgot the migration.
func scores(ctx context.Context, d *databases, v *Visit) error {
	return d.askSQL(ctx, "SELECT", "items", fmt.Sprintf("SELECT score FROM items WHERE sku = %s", v.Value("sku")))
}
