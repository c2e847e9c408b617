package servers

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDatabases: every one of Debian's databases answers a client with what it holds.
func TestDatabases(t *testing.T) {
	for _, test := range []struct {
		kind    Kind
		command []string
		want    string
	}{
		{MariaDB, []string{"mariadb", "--no-defaults", "-hHOST", "-PPORT", "-utest", "-ptest", "-N", "-e", "CALL report", "shop"}, "100"},
		{MariaDB, []string{"mariadb", "--no-defaults", "-hHOST", "-PPORT", "-utest", "-ptest", "--ssl", "-e", "SHOW STATUS LIKE 'Ssl_version'"}, "TLSv1"},
		{PostgreSQL, []string{"psql", "-At", "-c", "SELECT sum(stock) FROM items", "postgresql://test:test@HOST:PORT/postgres"}, "10000"},
		{Redis, []string{"redis-cli", "-h", "HOST", "-p", "PORT", "INCR", "n"}, "1"},
	} {
		t.Run(string(test.kind), func(t *testing.T) {
			need(t, test.kind)
			host, port, _ := strings.Cut(start(t, Config{Kind: test.kind}), ":")
			var args []string
			for _, arg := range test.command {
				args = append(args, strings.NewReplacer("HOST", host, "PORT", port).Replace(arg))
			}
			out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), test.want) {
				t.Errorf("%v: %v: %q, want %q", args, err, out, test.want)
			}
		})
	}
}

// TestBuiltDatabases: those that are built here listen, and end when they are asked to.
func TestBuiltDatabases(t *testing.T) {
	for kind, name := range map[Kind]string{Mongo: "mongoserve", Kafka: "kafkaserve"} {
		program := filepath.Join(t.TempDir(), name)
		if out, err := exec.Command("go", "build", "-o", program, "../"+name).CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v: %s", name, err, out)
		}
		s, err := Start(Config{Kind: kind, Program: program, Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		s.Stop()
		if code := s.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%s ends with %d", name, code)
		}
	}
}
