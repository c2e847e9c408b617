package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// toposcope is a running "toposcope run".
type toposcope struct {
	address string
	cmd     *exec.Cmd
	log     string // path
	exited  chan struct{}
	begin   time.Time
	client  *http.Client
}

// options say how to start Toposcope.
type options struct {
	method string
	config string   // further YAML
	args   []string // further flags
	data   string   // data folder; "": a new one
}

// startToposcope starts Toposcope and returns when it is ready: capture is attached. It is stopped at the end of t, and
// must then end by itself with status 0.
func startToposcope(t *testing.T, o options) *toposcope {
	t.Helper()
	path := requireHost(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "toposcope.yaml")
	text := "global: {scrape_interval: 1s}\ncapture: {method: " + o.method + "}\n" + o.config
	if !strings.Contains(o.config, "limits:") {
		text += "\nlimits: {cpu: 64}\n" // the machine is busy with tests: what is left out for that would be missing from counts
	}
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if o.data == "" {
		o.data = filepath.Join(dir, "data")
	}
	s := &toposcope{
		address: freeAddress(t), log: filepath.Join(dir, "log"), exited: make(chan struct{}), begin: time.Now(),
		client: &http.Client{Timeout: 10 * time.Second},
	}
	args := append([]string{
		"run", "--web.listen-address=" + s.address, "--storage.tsdb.path=" + o.data, "--config.file=" + config,
	}, o.args...)
	s.cmd = exec.Command(path, args...)
	log, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr, s.cmd.Stdout = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = s.cmd.Start()
	log.Close()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	t.Cleanup(func() { s.stop(t) })
	s.waitReady(t)
	return s
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (s *toposcope) waitReady(t *testing.T) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		select {
		case <-s.exited:
			t.Fatalf("toposcope ended: %s\n%s", s.cmd.ProcessState, s.logTail())
		default:
		}
		_, err := s.get("/-/ready")
		return err
	})
}

// stop ends Toposcope as an operator does, and checks how it ends.
func (s *toposcope) stop(t *testing.T) {
	t.Helper()
	select {
	case <-s.exited: // a test ended it
		return
	default:
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
		if code := s.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("toposcope ended with status %d on SIGTERM\n%s", code, s.logTail())
		}
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.exited
		t.Errorf("toposcope does not end on SIGTERM\n%s", s.logTail())
	}
	if t.Failed() {
		t.Logf("toposcope's log:\n%s", s.logTail())
	}
}

// kill ends Toposcope as a crash does.
func (s *toposcope) kill() {
	_ = s.cmd.Process.Kill()
	<-s.exited
}

func (s *toposcope) logTail() string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	const most = 8 << 10
	return string(text[max(0, len(text)-most):])
}

// get returns the body of a page, or an error for any status but 200.
func (s *toposcope) get(path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4, */*;q=0.1")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s: %s", path, resp.Status, bytes.TrimSpace(body))
	}
	return body, nil
}

// graph is what the tests read of the topology.
type graph struct {
	Window struct{ Start, End time.Time }
	Nodes  []struct{ ID, Name, Namespace string }
	Edges  []struct {
		Client, Server, Protocol string
		RequestsPerSecond        float64
		FailedRatio              *float64
	}
}

// topology is the graph since Toposcope started.
func (s *toposcope) topology() (*graph, error) {
	path := fmt.Sprintf("/api/v1/topology?start=%d&end=%d", s.begin.Unix()-1, time.Now().Unix()+1)
	body, err := s.get(path)
	if err != nil {
		return nil, err
	}
	g := &graph{}
	if err := json.Unmarshal(body, g); err != nil {
		return nil, fmt.Errorf("decoding the topology: %w", err)
	}
	return g, nil
}

// requests is how many requests the graph's window saw from client to server, both by name.
func (g *graph) requests(client, server string) float64 {
	names := map[string]string{}
	for _, n := range g.Nodes {
		if n.Namespace == namespaceOf(n.Name) {
			names[n.ID] = n.Name
		}
	}
	var sum float64
	for _, e := range g.Edges {
		if names[e.Client] == client && names[e.Server] == server {
			sum += e.RequestsPerSecond * g.Window.End.Sub(g.Window.Start).Seconds()
		}
	}
	return sum
}

// lines are the lines of text that are not empty.
func lines(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}
