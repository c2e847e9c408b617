package postgresql_test

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// run runs one of PostgreSQL's own programs against the recorder, and returns what it prints.
func (p *postgres) run(t *testing.T, r *recorder, input, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, program), append([]string{
		"-h", "127.0.0.1", "-p", strconv.Itoa(r.port()), "-U", "postgres",
	}, args...)...)
	cmd.Env = []string{"PGPASSWORD=" + password, "LC_ALL=C", "PGGSSENCMODE=disable"}
	cmd.Stdin = strings.NewReader(input)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// psql runs a script: statements, errors, COPY both ways, a cursor, SQL's own PREPARE.
func psql(t *testing.T, p *postgres, r *recorder) map[string]int {
	const script = `
CREATE TABLE orders (id int PRIMARY KEY, note text);
INSERT INTO orders VALUES (1, 'planted-secret');
INSERT INTO orders VALUES (1, 'planted-secret');
COPY orders FROM STDIN;
2	planted-secret
3	planted-secret
\.
SELECT * FROM orders;
COPY orders TO STDOUT;
BEGIN \; SELECT 1 FROM orders \; COMMIT;
DO $$ BEGIN RAISE NOTICE 'planted-secret'; END $$;
PREPARE find AS SELECT * FROM orders WHERE id = $1;
EXECUTE find(1);
EXECUTE lost(1);
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM orders;
FETCH 1 FROM c;
SELECT nothing FROM orders;
SELECT 1 FROM orders;
ROLLBACK;
DROP TABLE orders;
`
	if out, err := p.run(t, r, script, "psql", "-X", "-q", "-d", "postgres", "-f", "-"); err != nil {
		t.Fatal(err, out)
	}
	return map[string]int{
		"+CONNECT": 1, "CREATE orders": 1, "INSERT orders": 1, "INSERT orders 23505": 1, "COPY orders": 2, "SELECT orders": 1, "BEGIN": 2,
		"DO": 1, "PREPARE orders": 1, "EXECUTE": 1, "EXECUTE 26000": 1, "DECLARE orders": 1, "FETCH": 1, "SELECT orders 42703": 1,
		"SELECT orders 25P02": 1, "ROLLBACK": 1, "DROP orders": 1,
	}
}

// pgbench runs transactions by each protocol that libpq speaks, and in a pipeline.
func pgbench(t *testing.T, p *postgres, r *recorder) map[string]int {
	const times = 10
	want := map[string]int{"+CONNECT": some} // one more than clients, where it looks at the server first
	if out, err := p.run(t, r, "", "psql", "-X", "-q", "-d", "postgres", "-c", "CREATE TABLE counts (id int, n int)"); err != nil {
		t.Fatal(err, out)
	}
	want["CREATE counts"]++
	script := filepath.Join(t.TempDir(), "script")
	const plain = "BEGIN;\nINSERT INTO counts VALUES (:client_id, 2);\nUPDATE counts SET n = n + 1 WHERE id = :client_id;\nEND;\n"
	for _, c := range []struct {
		mode, script string
		prepares     int
	}{
		{"simple", plain, 0},
		{"extended", plain, 0},
		{"prepared", plain, 4},
		{"extended", "\\startpipeline\n" + plain + "\\endpipeline\n", 0},
	} {
		writeFile(t, script, c.script)
		out, err := p.run(t, r, "", "pgbench", "-n", "-M", c.mode, "-t", strconv.Itoa(times), "-c", "2", "-f", script, "postgres")
		if err != nil {
			t.Fatal(err, out)
		}
		want["BEGIN"] += 2 * times
		want["INSERT counts"] += 2 * times
		want["UPDATE counts"] += 2 * times
		want["END"] += 2 * times
		if c.prepares > 0 {
			want["+PREPARE"] += 2 * 2
			want["+PREPARE counts"] += 2 * 2
		}
	}
	if out, err := p.run(t, r, "", "psql", "-X", "-q", "-d", "postgres", "-c", "DROP TABLE counts"); err != nil {
		t.Fatal(err, out)
	}
	want["DROP counts"]++
	return want
}

// replication reads the changes of a table.
func replication(t *testing.T, p *postgres, r *recorder) map[string]int {
	slot := []string{"-d", "postgres", "--slot", "changes"}
	for _, step := range [][]string{
		append([]string{"--create-slot", "-P", "test_decoding"}, slot...),
		append([]string{"--start", "--endpos", "FFFFFFFF/0", "-f", "-", "--no-loop"}, slot...),
	} {
		if step[0] == "--start" {
			psqlOut, err := p.run(t, r, "", "psql", "-X", "-q", "-A", "-t", "-d", "postgres", "-c", "CREATE TABLE changed AS SELECT 1 AS i",
				"-c", "SELECT pg_current_wal_lsn()")
			if err != nil {
				t.Fatal(err, psqlOut)
			}
			step[2] = strings.TrimSpace(psqlOut)
		}
		if out, err := p.run(t, r, "", "pg_recvlogical", step...); err != nil {
			t.Fatal(err, out)
		}
	}
	return map[string]int{
		"+CONNECT": 3, "CREATE changed": 1, "CREATE_REPLICATION_SLOT": 1, "~START_REPLICATION": 1,
		"SELECT": some, "SHOW": some, "IDENTIFY_SYSTEM": some,
	}
}
