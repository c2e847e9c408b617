package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/toposcope/toposcope/test/load/servers"
)

// TestConnections: the series of connections say what the kernel and the peers say.
func TestConnections(t *testing.T) {
	requireHost(t, "ip", "iptables", "nstat")
	forEachMethod(t, func(t *testing.T, method string) {
		s := startToposcope(t, options{method: method})
		t.Run("life", func(t *testing.T) { testLife(t, s) })
		t.Run("accept queue", func(t *testing.T) { testQueue(t, s) })
		t.Run("lossy path", func(t *testing.T) { testLossy(t, s) })
		t.Run("dropped SYN", func(t *testing.T) { testDroppedSYN(t, s) })
	})
}

// awaitPair waits until the toposcope_tcp_* series from client to server, named without that prefix, are as wanted.
func awaitPair(t *testing.T, s *toposcope, client, server string, want map[string]float64) {
	t.Helper()
	eventually(t, settle, func() error {
		now, err := s.metrics()
		if err != nil {
			return err
		}
		var errs []error
		for name, value := range want {
			name = "toposcope_tcp_" + name
			if got := now.sum(name, edge(client, server)...); got != value {
				errs = append(errs, fmt.Errorf("%s is %g, want %g%s", name, got, value, now.with(name, edge(client, "")...)))
			}
		}
		return errors.Join(errs...)
	})
}

func testLife(t *testing.T, s *toposcope) {
	const client, name, connections = "client-of-life", "life", 7
	server := startServer(t, servers.Config{Kind: servers.Go, Name: name})
	g := startLoad(t, client, server.Address, []string{"POST /orders?bytes=5000 body=3000"}, "-count", "350", "-connections", strconv.Itoa(connections))
	awaitPair(t, s, client, name, map[string]float64{
		"active_connections": connections, "connects_total": connections, "connect_failures_total": 0,
		"connect_duration_seconds_count": connections, "accept_duration_seconds_count": connections,
	})
	g.start(t)
	r := g.report(t)
	awaitPair(t, s, client, name, map[string]float64{
		"active_connections": 0, "connects_total": connections, "retransmits_total": 0,
		"sent_bytes_total": float64(r.BytesSent), "received_bytes_total": float64(r.BytesReceived),
	})
	now, err := s.metrics()
	if err != nil {
		t.Fatal(err)
	}
	const rtt = "toposcope_tcp_rtt_seconds"
	count, sum := now.sum(rtt+"_count", edge(client, "")...), now.sum(rtt+"_sum", edge(client, "")...)
	if count == 0 || sum <= 0 || sum/count > 0.1 {
		t.Errorf("%g round trips took %g s in all, which is not what loopback does", count, sum)
	}
}

// testQueue: connections that a stopped server does not accept wait in its queue.
func testQueue(t *testing.T, s *toposcope) {
	const waiting = 5
	server := startServer(t, servers.Config{Kind: servers.Go, Name: "queueing"})
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	startLoad(t, "client-of-queueing", server.Address, simple, "-count", "5", "-connections", strconv.Itoa(waiting))
	queue := func(want float64) {
		eventually(t, settle, func() error {
			now, err := s.metrics()
			if err != nil {
				return err
			}
			const name = "toposcope_tcp_accept_queue_length"
			if got := now.sum(name, edge("", "queueing")...); got != want {
				return fmt.Errorf("%s is %g, want %g%s", name, got, want, now.with(name))
			}
			return nil
		})
	}
	queue(waiting)
	if err := server.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	queue(0)
}

// network makes a network of its own for the test, so that what is dropped there is nobody else's.
func network(t *testing.T) (inside func(command ...string) []string) {
	t.Helper()
	name := fmt.Sprintf("toposcope-e2e-%d", time.Now().UnixNano())
	mustRun(t, exec.Command("ip", "netns", "add", name))
	t.Cleanup(func() {
		if err := exec.CommandContext(context.Background(), "ip", "netns", "del", name).Run(); err != nil {
			t.Errorf("removing the network namespace: %v", err)
		}
	})
	inside = func(command ...string) []string { return append([]string{"ip", "netns", "exec", name}, command...) }
	run(t, inside("ip", "link", "set", "lo", "up"))
	return inside
}

func run(t *testing.T, command []string) string {
	t.Helper()
	return mustRun(t, exec.Command(command[0], command[1:]...))
}

// startInside starts a program in a network namespace.
func startInside(t *testing.T, name string, command []string) *process {
	t.Helper()
	return startProcess(t, name, command[0], command[1:]...)
}

// testLossy: of packets that are dropped on the way, as many are sent again as the kernel counts.
func testLossy(t *testing.T, s *toposcope) {
	const client, name = "client-of-lossy-path", "lossy-path"
	inside := network(t)
	server := startInside(t, name, inside(filepath.Join(tools, "httpserve")))
	g := &generator{startInside(t, client, inside(filepath.Join(tools, "httpload"), "-wait", "-target", server.line(t, "listening "),
		"-count", "300", "-connections", "4", "-request", "GET /users/{n}?bytes=3000"))}
	g.line(t, "ready")
	drop := []string{"INPUT", "-p", "tcp", "-m", "statistic", "--mode", "nth", "--every", "20", "--packet", "3", "-j", "DROP"}
	run(t, inside(append([]string{"iptables", "-A"}, drop...)...))
	g.start(t)
	r := g.report(t)
	run(t, inside(append([]string{"iptables", "-D"}, drop...)...))
	(&expectation{client: client, server: name, operations: r.Operations}).await(t, s, nil)
	eventually(t, settle, func() error {
		fields := strings.Fields(run(t, inside("nstat", "-asz", "TcpRetransSegs")))
		resent, err := strconv.ParseFloat(fields[len(fields)-2], 64)
		if err != nil || resent == 0 {
			return fmt.Errorf("the kernel counts no retransmission: %q, %w", fields, err)
		}
		now, err := s.metrics()
		if err != nil {
			return err
		}
		const metric = "toposcope_tcp_retransmits_total"
		if got := now.sum(metric, edge(client, name)...); got != resent {
			return fmt.Errorf("%s is %g, the kernel counts %g", metric, got, resent)
		}
		return nil
	})
}

// testDroppedSYN: a connect that nobody answers failed, once its caller gives up.
func testDroppedSYN(t *testing.T, s *toposcope) {
	const client = "client-of-nobody"
	inside := network(t)
	run(t, inside("iptables", "-A", "INPUT", "-p", "tcp", "--syn", "-j", "DROP"))
	g := &generator{startInside(t, client, inside(filepath.Join(tools, "httpload"), "-wait", "-target", "127.0.0.1:9",
		"-close", "-count", "2", "-timeout", "300ms", "-request", "GET /"))}
	g.line(t, "ready")
	g.start(t)
	if r := g.report(t); r.Errors["timeout"] != 2 {
		t.Fatalf("the load did not time out: %+v", r)
	}
	eventually(t, settle, func() error {
		now, err := s.metrics()
		if err != nil {
			return err
		}
		const name = "toposcope_tcp_connect_failures_total"
		if got := now.sum(name, edge(client, "")...); got != 2 {
			return fmt.Errorf("%s is %g, want 2%s", name, got, now.with(name))
		}
		return nil
	})
}
