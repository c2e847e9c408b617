package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/test/load/servers"
)

// TestOverload: under a load that takes more than limits.cpu some connections are left out in turn. What was counted and what the edge
// says it lost are what was sent, and once the load is over nothing is left out any more.
func TestOverload(t *testing.T) {
	requireHost(t)
	bestMethod(t, func(t *testing.T, method string) {
		// What others do on this host must not hold the guard back from letting all in again.
		ours := `filters: {default_action: exclude, rules: [{action: include, match: {executable: "` + tools + `/*"}}]}`
		s := startToposcope(t, options{method: method, config: "limits: {cpu: 0.1}\n" + ours})
		const name = "overwhelmed"
		server := startServer(t, servers.Config{Kind: servers.Go, Name: name})
		base, err := s.metrics()
		if err != nil {
			t.Fatal(err)
		}
		const client = "client-of-" + name
		g := startLoad(t, client, server.Address, []string{"GET /ok/{n}?bytes=2000", "POST /missing/{n}?status=404 body=2000"},
			"-duration", "18s", "-connections", "16")
		g.start(t)
		highest := s.highestShare(t, 15*time.Second)
		r := g.report(t)
		if r.Failed > 0 || r.NotSent > 0 {
			t.Fatalf("the load did not go as planned: %+v", r)
		}
		status := map[string]string{}
		for _, op := range r.Operations {
			status[op.Method+" "+op.Route] = strconv.Itoa(op.Status)
		}
		var counted, lost float64
		eventually(t, settle, func() (err error) {
			counted, lost, err = checkLoss(t, s, base, client, float64(r.Sent), 0, status)
			return err
		})
		now, err := s.metrics()
		if err != nil {
			t.Fatal(err)
		}
		shed := now.sum("toposcope_events_lost_total", "stage", "shed")
		t.Logf("sent %d, counted %.0f, lost %.0f; %.0f calls were shed, %.0f %% of connections at most", r.Sent, counted, lost, shed, 100*highest)
		if shed == 0 || lost == 0 || counted == 0 {
			t.Error("nothing was shed, or everything")
		}
		s.recover(t)
		s.countsAll(t, server, name)
	})
}

// highestShare looks for a while at the share of connections that are left out.
func (s *toposcope) highestShare(t *testing.T, during time.Duration) (highest float64) {
	t.Helper()
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		now, err := s.metrics()
		if err != nil {
			t.Fatal(err)
		}
		highest = max(highest, now.sum("toposcope_capture_shed_ratio"))
	}
	return highest
}

// recover waits until nothing is left out. It looks seldom: a look takes CPU too.
func (s *toposcope) recover(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); ; time.Sleep(time.Second) {
		now, err := s.metrics()
		if err != nil {
			t.Fatal(err)
		}
		share, detached := now.sum("toposcope_capture_shed_ratio"), now.sum("toposcope_capture_guard_detached")
		if share == 0 && detached == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it does not recover: %g of connections are left out, detached %g", share, detached)
		}
	}
}

// countsAll sends a little, of which nothing may be missing. What was sent before is counted by then: its records were read.
func (s *toposcope) countsAll(t *testing.T, server *servers.Server, name string) {
	t.Helper()
	var base metrics
	for before := -1.0; ; time.Sleep(300 * time.Millisecond) {
		var err error
		if base, err = s.metrics(); err != nil {
			t.Fatal(err)
		}
		counted := base.sum("traces_service_graph_request_total") + base.sum("http_server_request_duration_seconds_count")
		if counted == before {
			break
		}
		before = counted
	}
	const client = "client-afterwards"
	g := startLoad(t, client, server.Address, []string{"GET /afterwards"}, "-count", "500", "-connections", "4")
	g.start(t)
	r := g.report(t)
	requests(client, name, "http", r.Operations...).await(t, s, base)
}

// TestKillSwitch: switched off under load, no program and no link is left when the answer comes; switched on, all that is sent counts.
func TestKillSwitch(t *testing.T) {
	requireHost(t)
	forEachMethod(t, func(t *testing.T, method string) {
		s := startToposcope(t, options{method: method})
		const name = "switched"
		server := startServer(t, servers.Config{Kind: servers.Go, Name: name})
		g := startLoad(t, "client-of-"+name, server.Address, []string{"GET /ok?bytes=2000"}, "-duration", "5s", "-connections", "16")
		g.start(t)
		if programs, links := s.held(t); programs == 0 || links == 0 {
			t.Fatalf("%d programs and %d links before", programs, links)
		}
		for range 2 {
			begin := time.Now()
			if state := s.setCapture(t, false); state.Enabled || state.Reason != "" {
				t.Errorf("switched off: %+v", state)
			}
			took := time.Since(begin)
			t.Logf("detached in %s", took)
			if took > 5*time.Second {
				t.Errorf("it took %s to detach", took)
			}
			if programs, links := s.held(t); programs != 0 || links != 0 {
				t.Errorf("%d programs and %d links are left", programs, links)
			}
			now, err := s.metrics()
			if err != nil {
				t.Fatal(err)
			}
			if attached := now.sum("toposcope_ebpf_program_attached"); attached != 0 {
				t.Errorf("%g programs are attached by the metrics", attached)
			}
			if state := s.setCapture(t, true); !state.Enabled {
				t.Errorf("switched on: %+v", state)
			}
			if programs, links := s.held(t); programs == 0 || links == 0 {
				t.Errorf("%d programs and %d links after it was switched on", programs, links)
			}
		}
		g.report(t)
		s.countsAll(t, server, name)
	})
}

// TestGuard: where all of limits.cpu is less than the process takes when nothing happens, the guard detaches, and says why; a switch by
// hand wins over it.
func TestGuard(t *testing.T) {
	requireHost(t)
	bestMethod(t, func(t *testing.T, method string) {
		s := startToposcope(t, options{method: method, config: "limits: {cpu: 0.001}"})
		var state captureState
		eventually(t, 60*time.Second, func() error {
			if state = s.capture(t); state.Enabled {
				return fmt.Errorf("capture is not detached")
			}
			return nil
		})
		if !strings.Contains(state.Reason, "limits.cpu is 0.00") {
			t.Errorf("the reason: %q", state.Reason)
		}
		if _, err := s.get("/-/ready"); err == nil || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), "limits.cpu") {
			t.Errorf("ready: %v", err)
		}
		now, err := s.metrics()
		if err != nil {
			t.Fatal(err)
		}
		if n := now.sum("toposcope_capture_guard_detaches_total", "reason", "cpu"); n != 1 || now.sum("toposcope_capture_guard_detached") != 1 {
			t.Errorf("%g times detached by the metrics", n)
		}
		if programs, links := s.held(t); programs != 0 || links != 0 {
			t.Errorf("%d programs and %d links are left", programs, links)
		}
		if state := s.setCapture(t, true); !state.Enabled || state.Reason != "" {
			t.Errorf("switched on by hand: %+v", state)
		}
		if state := s.setCapture(t, false); state.Enabled || state.Reason != "" {
			t.Errorf("switched off by hand: %+v", state)
		}
	})
}

// captureState is what GET and PUT /api/v1/capture answer.
type captureState struct {
	Enabled bool
	Reason  string
}

func (s *toposcope) capture(t *testing.T) (state captureState) {
	t.Helper()
	body, err := s.get("/api/v1/capture")
	if err == nil {
		err = json.Unmarshal(body, &state)
	}
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func (s *toposcope) setCapture(t *testing.T, enabled bool) (state captureState) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	body := fmt.Appendf(nil, `{"enabled": %t}`, enabled)
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+s.address+"/api/v1/capture", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(answer, &state)
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("PUT /api/v1/capture: %s: %s %v", resp.Status, answer, err)
	}
	return state
}

// held is how many BPF programs and links the process holds.
func (s *toposcope) held(t *testing.T) (programs, links int) {
	t.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), "fd")
	descriptors, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range descriptors {
		switch to, _ := os.Readlink(filepath.Join(dir, d.Name())); to { // one that has closed meanwhile is none of these
		case "anon_inode:bpf-prog":
			programs++
		case "anon_inode:bpf_link", "anon_inode:bpf-link":
			links++
		}
	}
	return programs, links
}
