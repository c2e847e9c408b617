package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/toposcope/toposcope/test/load"
	"github.com/toposcope/toposcope/test/load/db"
	"github.com/toposcope/toposcope/test/load/rpc"
	"github.com/toposcope/toposcope/test/load/servers"
	"github.com/toposcope/toposcope/test/subject"
)

// actor is a client that makes something once a round and knows how much of it.
type actor struct {
	name    string
	command []string
	// sent reads how much it made from what it printed.
	sent func(output []byte) (int, error)
	// client and server are the histograms that count it at either end; service is the server's name.
	client, server, service string
	// times is how often the command is run in a round, one after the other.
	times int
}

// nameServer is where the name server listens: what is captured of datagrams is port 53.
const nameServer = "127.0.77.1"

// startActors starts the servers and says what their clients do. stop ends the servers.
func (s *soak) startActors() (actors []actor, stop func(), err error) {
	var running []*servers.Server
	stop = func() {
		for _, r := range running {
			r.Stop()
		}
	}
	address := map[servers.Kind]string{}
	for _, c := range []servers.Config{
		{Kind: servers.Go, Program: s.tool("httpserve")},
		{Kind: servers.GRPC, Program: s.tool("grpcserve")},
		{Kind: servers.MariaDB},
		{Kind: servers.Redis},
		{Kind: servers.Mongo, Program: s.tool("mongoserve")},
		{Kind: servers.Dnsmasq, Listen: nameServer + ":53"},
	} {
		c.Name, c.Dir = "soak-"+string(c.Kind), filepath.Join(s.dir, string(c.Kind))
		if c.Listen == "" {
			if c.Listen, err = subject.FreeAddress(); err != nil {
				return nil, stop, err
			}
		}
		if err := os.Mkdir(c.Dir, 0o777); err != nil {
			return nil, stop, err
		}
		server, err := servers.Start(c)
		if err != nil {
			return nil, stop, fmt.Errorf("starting %s: %w", c.Kind, err)
		}
		running = append(running, server)
		address[c.Kind] = server.Address
	}
	questions := filepath.Join(s.dir, "questions")
	lines := strings.Repeat("www.shop.test A\nnobody.shop.test A\nmail.shop.test AAAA\n", 100)
	return s.clients(address, questions), stop, os.WriteFile(questions, []byte(lines), 0o644)
}

func (s *soak) tool(name string) string { return filepath.Join(s.dir, name) }

func (s *soak) clients(address map[servers.Kind]string, questions string) []actor {
	seconds := s.round.Seconds()
	http := func(name string, times int, args ...string) actor {
		return actor{
			name: name, times: times, sent: sentHTTP,
			command: append([]string{
				s.tool("httpload"), "-target", address[servers.Go], "-request", "GET /users/{n}?bytes=500",
				"-request", "GET /missing",
			}, args...),
			client: "http_client_request_duration_seconds", server: "http_server_request_duration_seconds", service: "soak-go",
		}
	}
	database := func(driver string, kind servers.Kind) actor {
		return actor{
			name: "soak-client-" + driver, times: 1, sent: sentDB, service: "soak-" + string(kind),
			command: []string{
				s.tool("dbload"), "-driver", driver, "-target", address[kind], "-connections", "2", "-count",
				strconv.Itoa(int(50 * seconds)),
			},
			client: "db_client_operation_duration_seconds", server: "db_server_operation_duration_seconds",
		}
	}
	return []actor{
		http("soak-steady", 1, "-net-http", "-connections", "8", "-rate", "300", "-duration", s.round.String()),
		http("soak-storm", 1, "-close", "-connections", "50", "-count", strconv.Itoa(int(100*seconds))),
		http("soak-churn", int(2*seconds), "-count", "3", "-close"),
		{
			name: "soak-calls", times: 1, sent: sentRPC, service: "soak-grpc",
			command: []string{
				s.tool("grpcload"), "-target", address[servers.GRPC], "-connections", "2", "-streams", "4", "-count",
				strconv.Itoa(int(50 * seconds)), "-call", "test.Shop/Get", "-call", "test.Shop/List messages=3", "-call", "test.Orders/Place code=5",
			},
			client: "rpc_client_call_duration_seconds", server: "rpc_server_call_duration_seconds",
		},
		database("mariadb-text", servers.MariaDB),
		database("mariadb-prepared", servers.MariaDB),
		database("redis", servers.Redis),
		database("mongo", servers.Mongo),
		{
			name: "soak-lookups", times: 1, sent: func([]byte) (int, error) { return 300, nil },
			command: []string{"dig", "@" + nameServer, "+noall", "-f", questions},
			client:  "dns_lookup_duration_seconds",
		},
	}
}

// play runs the actor's part of a round and returns what it sent.
func (a *actor) play() (sent int, err error) {
	pause := 20 * time.Millisecond
	for range a.times {
		cmd := exec.Command(a.command[0], a.command[1:]...)
		cmd.Env = append(os.Environ(), "OTEL_SERVICE_NAME="+a.name)
		cmd.Stdin = strings.NewReader("\n") // for those that wait for a line before they begin
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return sent, fmt.Errorf("%s: %w", a.name, err)
		}
		n, err := a.sent(out)
		if err != nil {
			return sent, fmt.Errorf("%s: %w", a.name, err)
		}
		sent += n
		time.Sleep(pause)
	}
	return sent, nil
}

// decode reads a report, which may come after a line that says "ready".
func decode[T any](out []byte) (report T, err error) {
	_, text, ok := strings.Cut(string(out), "ready\n")
	if !ok {
		text = string(out)
	}
	err = json.Unmarshal([]byte(text), &report)
	return report, err
}

func sentHTTP(out []byte) (int, error) {
	r, err := decode[load.Report](out)
	return r.Sent, err
}

func sentRPC(out []byte) (n int, err error) {
	r, err := decode[rpc.Report](out)
	for _, op := range r.Operations {
		n += op.Count
	}
	return n, err
}

func sentDB(out []byte) (n int, err error) {
	r, err := decode[db.Report](out)
	for _, list := range [][]db.Operation{r.Before, r.Operations} {
		for _, op := range list {
			n += op.Count
		}
	}
	return n, err
}
