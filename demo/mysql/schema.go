package mysql

import (
	"fmt"
	"strings"
)

// Database is the name of the shop's database.
const Database = "shop"

// What there is from the beginning: items 10000 to 10399, and one order that every later one of the same number collides with.
const (
	firstItem  = 10000
	items      = 400
	FirstOrder = "1"
)

// Categories are those of the items, in turn.
func Categories() []string { return []string{"lamps", "chairs", "tables", "shelves"} }

// schema is what makes the database and fills it.
func schema() []string {
	rows := make([]string, 0, items)
	categories := Categories()
	for i := range items {
		rows = append(rows, fmt.Sprintf("(%d, 'item %d', '%s', %d)", firstItem+i, i, categories[i%len(categories)], 500+(i*7919)%20000))
	}
	return []string{
		"CREATE TABLE items (sku INT PRIMARY KEY, name VARCHAR(80) NOT NULL, category VARCHAR(20) NOT NULL, cents INT NOT NULL)",
		"CREATE TABLE orders (number VARCHAR(32) PRIMARY KEY, user INT NOT NULL, state VARCHAR(20) NOT NULL)",
		"CREATE TABLE order_lines (number VARCHAR(32) NOT NULL, line INT NOT NULL, sku INT NOT NULL, pieces INT NOT NULL, " +
			"PRIMARY KEY (number, line))",
		"INSERT INTO items VALUES " + strings.Join(rows, ", "),
		"INSERT INTO orders VALUES ('" + FirstOrder + "', 1, 'placed')",
	}
}
