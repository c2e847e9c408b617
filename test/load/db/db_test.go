package db

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/toposcope/toposcope/test/load/servers"
)

// TestDrivers: every client does with its server what it says, which it finds out itself.
func TestDrivers(t *testing.T) {
	for _, test := range []struct {
		kind    servers.Kind
		program string // to build, or of Debian's
		drivers []string
	}{
		{servers.MariaDB, "mariadb-install-db", []string{"mariadb-text", "mariadb-tls", "mariadb-compressed", "mariadb-prepared"}},
		{servers.PostgreSQL, "psql", []string{"postgresql-simple", "postgresql-prepared"}},
		{servers.Redis, "redis-server", []string{"redis"}},
		{servers.Mongo, "mongoserve", []string{"mongo"}},
		{servers.Kafka, "kafkaserve", []string{"kafka", "kafka-group"}},
	} {
		c := servers.Config{Kind: test.kind, Dir: t.TempDir()}
		if strings.HasSuffix(test.program, "serve") {
			c.Program = filepath.Join(t.TempDir(), test.program)
			if out, err := exec.Command("go", "build", "-o", c.Program, "../"+test.program).CombinedOutput(); err != nil {
				t.Fatalf("building %s: %v: %s", test.program, err, out)
			}
		} else if _, err := exec.LookPath(test.program); err != nil && os.Getenv("CI") != "true" {
			t.Logf("left out: %v", err)
			continue
		}
		s, err := servers.Start(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		for _, driver := range test.drivers {
			t.Run(driver, func(t *testing.T) {
				const count = 200
				plan := Plan{Driver: driver, Target: s.Address, Connections: 2, Count: count, Value: "it's a value; -- or so"}
				r, err := Run(t.Context(), plan, func() error { return nil })
				if err != nil {
					t.Fatal(err)
				}
				made := 0
				for _, op := range r.Operations {
					made += op.Count
				}
				if made < count || len(r.Before) == 0 {
					t.Errorf("made %d of %d: %+v", made, count, r)
				}
			})
		}
	}
}
