package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/toposcope/toposcope/test/load/servers"
)

// secret begins whatever must not be seen; what follows it says by which way it came.
const secret = "pLaNt3dS3cr3T"

// planter begins the names of those who send secrets.
const planter = "planter-of-"

// TestSecrets: what applications say to each other in literals, values, records, queries, headers and bodies is in none of Toposcope's
// outputs.
func TestSecrets(t *testing.T) {
	requireHost(t, "mariadb-install-db", "mariadb", "psql", "redis-server", "redis-cli", "curl", "tcpdump", "nghttpx")
	data := filepath.Join(t.TempDir(), "data")
	all := startDatabases(t)
	all[servers.Go] = startServer(t, servers.Config{Kind: servers.Go, Name: string(servers.Go)})
	all[servers.Nghttpx] = startServer(t, servers.Config{
		Kind: servers.Nghttpx, Name: string(servers.Nghttpx), Backend: all[servers.Go].Address,
	})
	s := startToposcope(t, options{method: strings.Split(*methods, ",")[0], data: data, args: []string{"--log.level=debug"}})
	file, stop := record(t, all)
	plant(t, all)
	stop()
	eventually(t, settle, func() error {
		now, err := s.metrics()
		if err != nil {
			return err
		}
		for kind := range all {
			if now.sum("traces_service_graph_request_total", edge("", string(kind))...) == 0 {
				return fmt.Errorf("%s shows no request", kind)
			}
		}
		return nil
	})
	time.Sleep(2 * time.Second) // until the store has it all
	for path, body := range walk(t, s) {
		find(t, "GET "+path, body)
	}
	s.stop(t)
	findInFile(t, s.log)
	named := false // the clients' names are labels, so that what they begin with must be found
	if err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			named = bytes.Contains(findInFile(t, path), []byte(planter)) || named
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	if !named {
		t.Errorf("the store does not hold %q in a form that can be searched for", planter)
	}
	checkReplay(t, file)
}

// checkReplay: nor is it in what a capture of the same shows, but for those who ask for it.
func checkReplay(t *testing.T, file string) {
	t.Helper()
	shown := filepath.Join(t.TempDir(), "shown.yaml")
	if err := os.WriteFile(shown, []byte("redact: {query_values: false, url_query: false}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	path := requireHost(t)
	for _, output := range []string{"json", "text"} {
		found := mustRun(t, exec.Command(path, "replay", "--output="+output, file))
		find(t, "replay --output="+output, []byte(found))
	}
	found := mustRun(t, exec.Command(path, "replay", "--config.file="+shown, "--output=json", file))
	for _, way := range []string{
		"-mariadb-text", "-mariadb-cli", "-postgresql-simple", "-postgresql-cli", "-redis", "-redis-cli", "-mongo", "-url",
		"-http2",
	} {
		if !strings.Contains(found, secret+way) {
			t.Errorf("what came by %s is in no exchange, though nothing is redacted: its absence elsewhere proves nothing", way)
		}
	}
}

// find fails t where a secret is in text.
func find(t *testing.T, where string, text []byte) {
	t.Helper()
	for _, form := range []string{secret, strings.ToLower(secret), strings.ToUpper(secret)} {
		if at := bytes.Index(text, []byte(form)); at >= 0 {
			t.Errorf("%s has a secret: …%q…", where, text[max(0, at-100):min(len(text), at+100)])
		}
	}
}

func findInFile(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	find(t, path, text)
	return text
}

// record captures what the servers are asked, and returns the file and what ends it.
func record(t *testing.T, all databases) (file string, stop func()) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "capture.pcap")
	var ports []string
	for _, s := range all {
		ports = append(ports, "tcp port "+s.Address[strings.LastIndexByte(s.Address, ':')+1:])
	}
	cmd := exec.Command("tcpdump", "-i", "lo", "-n", "-U", "-B", "65536", "-w", file, strings.Join(ports, " or "))
	notes := &bytes.Buffer{}
	cmd.Stderr = notes
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, settle, func() error { // it writes the file's head when it listens
		if info, err := os.Stat(file); err != nil || info.Size() == 0 {
			return fmt.Errorf("tcpdump does not listen: %w", err)
		}
		return nil
	})
	return file, func() {
		time.Sleep(1500 * time.Millisecond) // the last packets wait in a buffer for up to a second
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Fatalf("tcpdump: %v: %s", err, notes)
		}
	}
}

// plant sends secrets by every way.
func plant(t *testing.T, all databases) {
	t.Helper()
	ask := func(name string, kind servers.Kind, stdin string, args ...string) {
		address := all[kind].Address
		host, port, _ := strings.Cut(address, ":")
		args = slices.Clone(args)
		for i, a := range args {
			args[i] = strings.NewReplacer("SECRET", secret+"-"+name, "ADDRESS", address, "HOST", host, "PORT", port, "TOOLS", tools).Replace(a)
		}
		p := startProcess(t, planter+name, args[0], args[1:]...)
		_, _ = fmt.Fprint(p.stdin, strings.ReplaceAll(stdin, "SECRET", secret+"-"+name))
		_ = p.stdin.Close()
		p.ended(t)
	}
	for driver, kind := range map[string]servers.Kind{
		"mariadb-text": servers.MariaDB, "mariadb-prepared": servers.MariaDB, "postgresql-simple": servers.PostgreSQL,
		"postgresql-prepared": servers.PostgreSQL, "redis": servers.Redis, "mongo": servers.Mongo, "kafka-group": servers.Kafka,
	} {
		ask(driver, kind, "\n", "TOOLS/dbload", "-driver", driver, "-target", "ADDRESS", "-count", "50", "-value", "SECRET")
	}
	ask("mariadb-cli", servers.MariaDB, secretSQL, mariadbClient...)
	ask("postgresql-cli", servers.PostgreSQL, secretSQL, psqlClient...)
	ask("redis-cli", servers.Redis, secretRedis, redisClient()...)
	ask("redis-inline", servers.Redis, secretRedis, redisClient("--pipe")...)
	for name, kind := range map[string]servers.Kind{"url": servers.Go, "http2": servers.Nghttpx} {
		version := map[servers.Kind]string{servers.Go: "--http1.1", servers.Nghttpx: "--http2-prior-knowledge"}[kind]
		ask(name, kind, "", "curl", version, "-sS", "-o", "/dev/null", "http://ADDRESS/search?q=SECRET&token=SECRET&echo=1",
			"-H", "Authorization: Bearer SECRET", "-H", "Cookie: session=SECRET", "-H", "X-Custom: SECRET",
			"-A", "SECRET", "-e", "http://ADDRESS/?from=SECRET", "--data", "password=SECRET")
	}
	ask("user", servers.Go, "", "curl", "-sS", "-o", "/dev/null", "-u", "user:SECRET", "http://ADDRESS/users/7")
}

// secretSQL has secrets in all kinds of literals, also where the server quotes them in what it says of an error.
const secretSQL = `SELECT name FROM items WHERE name = 'SECRET' OR name LIKE '%SECRET%' -- SECRET
;
SELECT name FROM items WHERE name = 'it''s SECRET' /* SECRET */ AND id IN (1, 2, 3);
INSERT INTO orders (item, note) VALUES (1, 'SECRET'), (2, 'SECRET');
UPDATE orders SET note = 'SECRET' WHERE note = 'SECRET';
INSERT INTO items VALUES ('SECRET', 'SECRET', 1);
SELECT 'SECRET' 'SECRET' FROM FROM items;
SELECT 'SECRET' FROM missing;
SELECT nothing('SECRET');
CREATE USER somebody IDENTIFIED BY 'SECRET';
CREATE USER somebody2 PASSWORD 'SECRET';
`

const secretRedis = `HSET hash field SECRET
AUTH SECRET
SET SECRET SECRET
GET SECRET
LPUSH SECRET SECRET
NONSENSE SECRET
SECRET SECRET
CONFIG SET requirepass ""
EVAL "return redis.error_reply('SECRET')" 0
EVAL "nonsense SECRET" 0
`

// endpoint finds the paths that may be read in the description of the API.
var endpoint = regexp.MustCompile(`(?m)^  (/\S+):\n    get:`)

// walk reads everything that Toposcope serves.
func walk(t *testing.T, s *toposcope) map[string][]byte {
	t.Helper()
	pages := map[string][]byte{}
	get := func(path string) []byte {
		body, err := s.get(path)
		if err != nil {
			t.Error(err)
		}
		pages[path] = body
		return body
	}
	get("/")
	var g struct {
		Nodes, Edges []struct{ ID string }
	}
	if err := json.Unmarshal(get("/api/v1/topology"), &g); err != nil || len(g.Nodes) == 0 || len(g.Edges) == 0 {
		t.Fatalf("the topology is empty: %v", err)
	}
	every := url.QueryEscape(`{__name__=~".+"}`)
	now := time.Now().Unix()
	window := fmt.Sprintf("start=%d&end=%d", now-3600, now)
	queries := map[string]string{
		"/api/v1/query": "query=" + every, "/api/v1/query_range": "query=" + every + "&step=60&" + window,
		"/api/v1/series": "match[]=" + every, "/api/v1/query_exemplars": "query=up&" + window, "/api/v1/format_query": "query=up",
	}
	for _, found := range endpoint.FindAllSubmatch(get("/api/v1/openapi.yaml"), -1) {
		path := string(found[1])
		switch path {
		case "/api/v1/topology/nodes/{id}":
			for _, n := range g.Nodes {
				get("/api/v1/topology/nodes/" + url.PathEscape(n.ID))
			}
		case "/api/v1/topology/edges/{id}":
			for _, e := range g.Edges {
				get("/api/v1/topology/edges/" + url.PathEscape(e.ID))
			}
		case "/api/v1/label/{name}/values":
			var labels struct{ Data []string }
			if err := json.Unmarshal(get("/api/v1/labels"), &labels); err != nil {
				t.Error(err)
			}
			for _, l := range labels.Data {
				get("/api/v1/label/" + l + "/values")
			}
		default:
			get(path + "?" + queries[path])
		}
	}
	return pages
}
