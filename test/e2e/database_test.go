package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/test/load/db"
	"github.com/toposcope/toposcope/test/load/servers"
)

// databaseCase is a client of a database, each of whose operations must be counted once, at both ends, with its table and its code.
type databaseCase struct {
	name   string
	server servers.Kind
	// client is a program with its arguments, in which ADDRESS, HOST, PORT and TOOLS are replaced. It speaks as dbload does, or reads
	// script.
	client []string
	// before is set where the connections are opened, and used once, before Toposcope starts.
	before bool
	script *transcript
}

// databaseCases are about 4,000 operations each.
var databaseCases = []databaseCase{
	{name: "go-text", server: servers.MariaDB, client: dbload("mariadb-text")},
	{name: "go-prepared", server: servers.MariaDB, client: dbload("mariadb-prepared")},
	{name: "node-text", server: servers.MariaDB, client: node("mysql.mjs", "ADDRESS", "text")},
	{name: "node-prepared", server: servers.MariaDB, client: node("mysql.mjs", "ADDRESS", "prepared")},
	{name: "cli", server: servers.MariaDB, client: mariadbClient, script: mariadbScript},
	{name: "go-text-older", server: servers.MariaDB, client: dbload("mariadb-text"), before: true},
	{name: "go-prepared-older", server: servers.MariaDB, client: dbload("mariadb-prepared"), before: true},
	{name: "node-prepared-older", server: servers.MariaDB, client: node("mysql.mjs", "ADDRESS", "prepared"), before: true},

	{name: "go-simple", server: servers.PostgreSQL, client: dbload("postgresql-simple")},
	{name: "go-prepared", server: servers.PostgreSQL, client: dbload("postgresql-prepared")},
	{name: "cli", server: servers.PostgreSQL, client: psqlClient, script: psqlScript},
	{name: "go-simple-older", server: servers.PostgreSQL, client: dbload("postgresql-simple"), before: true},
	{name: "go-prepared-older", server: servers.PostgreSQL, client: dbload("postgresql-prepared"), before: true},

	{name: "go", server: servers.Redis, client: dbload("redis")},
	{name: "cli", server: servers.Redis, client: redisClient(), script: redisScript.opening("COMMAND DOCS")},
	{name: "cli-resp3", server: servers.Redis, client: redisClient("-3"), script: redisScript.opening("HELLO", "COMMAND DOCS")},
	{name: "cli-pipe", server: servers.Redis, client: redisClient("--pipe"), script: redisScript.raw()},
	{name: "cli-inline", server: servers.Redis, client: redisClient("--pipe"), script: redisScript.inline()},
	{name: "go-older", server: servers.Redis, client: dbload("redis"), before: true},

	{name: "go", server: servers.Mongo, client: dbload("mongo")},
	{name: "node", server: servers.Mongo, client: node("mongo.mjs", "ADDRESS")},
	{name: "go-older", server: servers.Mongo, client: dbload("mongo"), before: true},
	{name: "node-older", server: servers.Mongo, client: node("mongo.mjs", "ADDRESS"), before: true},

	{name: "go", server: servers.Kafka, client: dbload("kafka")},
	{name: "group", server: servers.Kafka, client: dbload("kafka-group")},
	{name: "go-older", server: servers.Kafka, client: dbload("kafka"), before: true},
}

func dbload(driver string) []string {
	return []string{"TOOLS/dbload", "-driver", driver, "-target", "ADDRESS", "-connections", "4", "-count", "4000"}
}

func node(script string, args ...string) []string {
	return append(append([]string{"node", nodeScript(script)}, args...), "4", "4000")
}

func redisClient(options ...string) []string {
	return append([]string{"redis-cli", "-h", "HOST", "-p", "PORT"}, options...)
}

// databases are servers of every kind, older than Toposcope.
type databases map[servers.Kind]*servers.Server

// TestDatabases: what clients of databases, caches and queues asked for is what Toposcope counts, by operation, table or topic, and
// error code, at both ends.
func TestDatabases(t *testing.T) {
	requireHost(t, "mariadb-install-db", "mariadb", "psql", "redis-server", "redis-cli", "node")
	requireFile(t, "../node/node_modules/mysql2", "npm --prefix test/node ci")
	bestMethod(t, func(t *testing.T, method string) {
		all := startDatabases(t)
		early := map[string]*operator{}
		for _, c := range databaseCases {
			if c.before {
				early[c.fullName()] = all.startOperator(t, c)
			}
		}
		s := startToposcope(t, options{method: method, config: "limits: {series: 200000, cpu: 64}\n"})
		for _, c := range databaseCases {
			t.Run(c.fullName(), func(t *testing.T) {
				base, err := s.metrics()
				if err != nil {
					t.Fatal(err)
				}
				counted := all.commandStats(t, c.server)
				p := early[c.fullName()]
				if p == nil {
					p = all.startOperator(t, c)
				}
				e := operated(p.clientName, string(c.server), c.server, c.before, p.run(t))
				e.await(t, s, base)
				report(t, s, e)
				counted(e)
			})
		}
		t.Run("mariadb/tls", func(t *testing.T) { testUndecoded(t, s, all, "mariadb-tls", "tls") })
		t.Run("mariadb/compressed", func(t *testing.T) { testUndecoded(t, s, all, "mariadb-compressed", "unknown") })
		checkNothingLost(t, s)
		checkNotSelf(t, s)
	})
}

func (c databaseCase) fullName() string { return string(c.server) + "/" + c.name }

// startDatabases starts one of each kind, side by side, called after it.
func startDatabases(t *testing.T) databases {
	t.Helper()
	all := databases{}
	for kind := range systems {
		all[kind] = startServer(t, servers.Config{Kind: kind, Name: string(kind)})
	}
	return all
}

// operator is a client of a database whose connections are open.
type operator struct {
	databaseCase
	*process
	clientName string
}

func (d databases) startOperator(t *testing.T, c databaseCase) *operator {
	t.Helper()
	p := &operator{databaseCase: c, clientName: "client-" + strings.ReplaceAll(c.fullName(), "/", "-")}
	address := d[c.server].Address
	host, port, _ := strings.Cut(address, ":")
	args := make([]string, len(c.client))
	for i, a := range c.client {
		args[i] = strings.NewReplacer("ADDRESS", address, "HOST", host, "PORT", port, "TOOLS", tools).Replace(a)
	}
	if c.script != nil {
		args = append([]string{"sh", "-c", `exec "$@" 2>/dev/null`, "sh"}, args...) // it says much of errors
	}
	p.process = startProcess(t, p.clientName, args[0], args[1:]...)
	if c.script == nil {
		p.line(t, "ready")
	}
	return p
}

// run returns what the client made since Toposcope started.
func (p *operator) run(t *testing.T) []db.Operation {
	t.Helper()
	if p.script != nil {
		return p.script.run(t, p.process)
	}
	(&generator{p.process}).start(t)
	r := &db.Report{}
	if err := json.Unmarshal([]byte("{"+p.line(t, "{")), r); err != nil {
		t.Fatalf("reading the report: %v", err)
	}
	if !p.before {
		return append(r.Before, r.Operations...)
	}
	for i := range r.Operations {
		if op := &r.Operations[i]; op.Prepared {
			op.Name, op.Collection = unknown, unknown // it was named before
		}
	}
	return r.Operations
}

// testUndecoded: a connection that cannot be decoded counts as such, with the reason, and nothing on it as an operation.
func testUndecoded(t *testing.T, s *toposcope, all databases, driver, reason string) {
	open := func() float64 {
		now, err := s.metrics()
		if err != nil {
			t.Fatal(err)
		}
		return now.sum("toposcope_undecoded_connections", "reason", reason)
	}
	before := open()
	p := all.startOperator(t, databaseCase{name: driver, server: servers.MariaDB, client: dbload(driver)})
	const connections, ends = 4, 2
	eventually(t, settle, func() error {
		if got := open() - before; got != connections*ends {
			return fmt.Errorf("%g ends of connections are undecoded for the reason %s, want %d", got, reason, connections*ends)
		}
		return nil
	})
	p.run(t)
	time.Sleep(2 * time.Second) // it would have shown by now
	now, err := s.metrics()
	if err != nil {
		t.Fatal(err)
	}
	const name = "db_client_operation_duration_seconds_count"
	connects := now.sum(name, append(of(p.clientName), "db_operation_name", "CONNECT")...)
	if all := now.sum(name, of(p.clientName)...); all != connects || connects > connections {
		t.Errorf("%g operations, of which %g are handshakes:%s", all, connects, now.with(name, of(p.clientName)...))
	}
}
