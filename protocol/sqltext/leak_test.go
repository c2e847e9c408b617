package sqltext

import (
	"strings"
	"testing"

	"github.com/toposcope/toposcope/protocol"
)

// TestPlaces holds the places in which a secret once showed, or would with a simpler scanner.
func TestPlaces(t *testing.T) {
	for _, tc := range []struct {
		name string
		d    Dialect
		set  Escapes
		text string
	}{
		{"an escape string goes on in the next line", PostgreSQL, EscapesOff, "SELECT E'a'\n'b\\' zqxjkvwy ', 'c'"},
		{"and after a comment", PostgreSQL, EscapesOff, "SELECT e'a' -- c\n '\\' zqxjkvwy ', 'c'"},
		{"a carriage return ends a comment", PostgreSQL, EscapesOff, "SELECT 1 -- it\r, 'a\n zqxjkvwy'"},
		{"a zero byte ends a comment", MySQL, EscapesOn, "SELECT 1 -- it\x00, 'a\n zqxjkvwy'"},
		{"a number before a dollar quote", PostgreSQL, EscapesOff, "SELECT 1$$my zqxjkvwy$$"},
		{"a comment for another version", MySQL, EscapesOn, "SELECT /*!99999 it's */ a, 'zqxjkvwy' FROM t"},
		{"and in its double quotes", MySQL, EscapesOn, "SELECT /*M!999999 it\"s */ a, \"zqxjkvwy\" FROM t"},
		{"and in a name's quotes", MySQL, EscapesOn, "SELECT /*!99999 it`s */ `a`, 'zqxjkvwy`' FROM t"},
		{"a dollar quote that an older server takes for a name", MySQL, EscapesOn, "SELECT $a$, ' $a$ zqxjkvwy '"},
		{"GBK that nobody has told of", MySQL, EscapesUnknown, "SELECT '\xbf\\\\' zqxjkvwy ', 'c'"},
		{"a comment in a comment", MySQL, EscapesOn, "SELECT /*! 1 /* it's */ + 2 */, 'zqxjkvwy'"},
		{"a hint", MySQL, EscapesOn, "SELECT /*+ SET_VAR(x='zqxjkvwy') */ 1"},
		{
			"a user", MySQL, EscapesOn,
			"CREATE USER 'zqxjkvwy'@'zqxjkvwy' IDENTIFIED WITH caching_sha2_password BY 'zqxjkvwy' COMMENT 'zqxjkvwy'",
		},
		{"a user with a hash", MySQL, EscapesOn, "ALTER USER a IDENTIFIED WITH x AS 0x7a71786a6b767779"},
		{"a password", MySQL, EscapesOn, "SET PASSWORD FOR 'zqxjkvwy'@'%' = PASSWORD('zqxjkvwy')"},
		{"a grant", MySQL, EscapesOn, "GRANT ALL ON *.* TO a@b IDENTIFIED BY \"zqxjkvwy\""},
		{"a source", MySQL, EscapesOn, "CHANGE REPLICATION SOURCE TO SOURCE_PASSWORD='zqxjkvwy', SOURCE_HOST='zqxjkvwy'"},
		{"a file", MySQL, EscapesOn, "LOAD DATA LOCAL INFILE '/home/zqxjkvwy' INTO TABLE t"},
		{"a file to write", MySQL, EscapesOn, "SELECT a INTO OUTFILE '/home/zqxjkvwy' FROM t"},
		{"a text to run", MySQL, EscapesOn, "EXECUTE IMMEDIATE 'SELECT zqxjkvwy'"},
		{
			"a server's options", MySQL, EscapesOn,
			"CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (USER 'zqxjkvwy', PASSWORD 'zqxjkvwy')",
		},
		{"a connection", MySQL, EscapesOn, "CREATE TABLE t (a INT) ENGINE=FEDERATED CONNECTION='mysql://zqxjkvwy:zqxjkvwy@h/t'"},
		{"a role", PostgreSQL, EscapesOff, "ALTER ROLE a WITH LOGIN PASSWORD 'zqxjkvwy' VALID UNTIL '918273645546'"},
		{"a role with an escape string", PostgreSQL, EscapesOff, "CREATE ROLE a PASSWORD E'\\'zqxjkvwy'"},
		{"a mapping", PostgreSQL, EscapesOff, "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'zqxjkvwy', password $$zqxjkvwy$$)"},
		{"a subscription", PostgreSQL, EscapesOff, "CREATE SUBSCRIPTION s CONNECTION 'host=h password=zqxjkvwy' PUBLICATION p"},
		{"a block", PostgreSQL, EscapesOff, "DO $do$ BEGIN PERFORM 'zqxjkvwy'; END $do$"},
		{"a notification", PostgreSQL, EscapesOff, "NOTIFY c, 'zqxjkvwy'"},
		{"Unicode", PostgreSQL, EscapesOff, "SELECT U&'zqxjkvwy' UESCAPE '!', u&'\\zqxj'"},
		{"a national literal", PostgreSQL, EscapesOff, "SELECT N'zqxjkvwy', x'7a71786a6b767779'"},
		{"backslashes in a plain one", PostgreSQL, EscapesOn, "SELECT 'a\\' zqxjkvwy', 'b'"},
		{"a program", PostgreSQL, EscapesOff, "COPY t TO PROGRAM 'curl zqxjkvwy'"},
		{"numbers", PostgreSQL, EscapesOff, "SELECT -918273645546, +918273645546.5e-10, 0x918273645546, 918_273_645_546"},
	} {
		for _, cut := range []bool{false, true} {
			r := NewReader(tc.d, protocol.Options{TextLimit: 1 << 10})
			r.SetEscapes(tc.set)
			s := r.Read([]byte(tc.text), cut)
			if shows(s.Text) || shows(s.Collection) || shows(s.Namespace) {
				t.Errorf("%s: %q (cut %v) reads %q, %q in %q", tc.name, tc.text, cut, s.Text, s.Collection, s.Namespace)
			}
		}
	}
}

// TestLaterUse finds a change of database in any but the first statement, where it is one.
func TestLaterUse(t *testing.T) {
	r := NewReader(MySQL, protocol.Options{})
	r.SetEscapes(EscapesOn)
	for text, want := range map[string]bool{
		"SELECT 1; USE shop":                               true,
		"SELECT 1; /* c */ use `shop`; SELECT 2":           true,
		"SELECT 1; /*!40000 USE shop */":                   true,
		"SELECT 1 /* ; USE shop */":                        false,
		"INSERT INTO notes VALUES ('a; use the force')":    false,
		"INSERT INTO notes VALUES ('a;\nuse the force')":   false,
		"SELECT `a; use b` FROM t":                         false,
		"USE shop":                                         false,
		"USE shop; SELECT 1":                               false,
		"SELECT 1; SELECT used FROM t":                     false,
		"SELECT 1; user":                                   false,
		strings.Repeat(";/*", 5000) + "*/ USE a; SELECT 1": true,
	} {
		for range 2 {
			if got := r.Read([]byte(text), false).Moves; got != want {
				t.Errorf("%.60q: %v", text, got)
			}
		}
	}
}
