package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/topology"
)

// served is a capture that is being served.
type served struct {
	t    *testing.T
	base string
	stop func() error // ends it and returns its error
}

// serve plays a file with --serve and waits until it is ready.
func serve(t *testing.T, f replayFlags) *served {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.serve, f.output, f.listenAddress = true, "text", l.Addr().String()
	l.Close() // for it to take
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	done := make(chan error, 1)
	go func() { done <- replayFile(ctx, &f, slog.New(slog.DiscardHandler)) }()
	s := &served{t: t, base: "http://" + f.listenAddress}
	s.stop = func() error {
		cancel()
		err := <-done
		done <- err
		return err
	}
	t.Cleanup(func() { _ = s.stop() })
	for {
		if resp, err := http.Get(s.base + "/-/ready"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return s
			}
		}
		select {
		case err := <-done:
			done <- err
			t.Fatal(err)
		case <-ctx.Done():
			t.Fatal("not ready in a minute")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// get reads a page.
func (s *served) get(path string, query url.Values) []byte {
	s.t.Helper()
	resp, err := http.Get(s.base + path + "?" + query.Encode())
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s, %v\n%s", path, resp.Status, err, body)
	}
	return body
}

// requests are the requests of each edge within a window.
func (s *served) requests(query url.Values) map[string]float64 {
	s.t.Helper()
	var g topology.Graph
	if err := json.Unmarshal(s.get("/api/v1/topology", query), &g); err != nil {
		s.t.Fatal(err)
	}
	out := map[string]float64{}
	for _, e := range g.Edges {
		// The rate is of the window's whole length, which the answer tells to the nanosecond.
		if n := e.RequestsPerSecond * g.Window.Seconds(); n > 0 {
			out[e.Client+" "+e.Server+" "+e.Protocol] = float64(int64(n*1000+0.5)) / 1000
		}
	}
	return out
}

func window(start, end time.Time) url.Values {
	return url.Values{"start": {start.Format(time.RFC3339Nano)}, "end": {end.Format(time.RFC3339Nano)}}
}

// TestReplayServe: the API answers about a capture of years ago as if it were now, for any part of it, and leaves nothing behind.
func TestReplayServe(t *testing.T) {
	old := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	const calls = 20
	shop := func(at time.Time, client string, n int) []captured {
		c := converse(t, client, "10.0.0.2:80", at).open()
		for range n {
			c.say(0, 30*time.Millisecond, request("/")).say(1, 3*time.Millisecond, response(200, 100))
		}
		return c.close().packets
	}
	later := old.Add(30 * time.Hour) // longer than what a store keeps in memory
	packets := append(shop(old, "10.0.0.1:40000", calls), shop(later, "10.0.0.3:40000", 2*calls)...)
	file := writeFile(t, pcap(packets...))
	before, err := filepath.Glob(filepath.Join(os.TempDir(), "toposcope-replay-*"))
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, replayFlags{file: file})
	end := packets[len(packets)-1].at.Add(time.Second)
	first, second := "10.0.0.1 10.0.0.2 http", "10.0.0.3 10.0.0.2 http"
	for name, c := range map[string]struct {
		query url.Values
		want  map[string]float64
	}{
		"all":       {window(old.Add(-time.Hour), end), map[string]float64{first: calls, second: 2 * calls}},
		"beginning": {window(old, old.Add(time.Minute)), map[string]float64{first: calls}},
		"silence":   {window(old.Add(time.Hour), later.Add(-time.Hour)), map[string]float64{}},
		"now":       {nil, map[string]float64{second: 2 * calls}},
	} {
		if got := s.requests(c.query); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	q := url.Values{"query": {"sum(traces_service_graph_request_total)"}, "time": {end.Format(time.RFC3339)}}
	if body := s.get("/api/v1/query", q); !strings.Contains(string(body), fmt.Sprintf(`"%d"]`, 2*calls)) {
		t.Errorf("%s", body)
	}
	var status struct {
		StartTime     time.Time
		UptimeSeconds float64
		Ready         bool
	}
	if err := json.Unmarshal(s.get("/api/v1/status", nil), &status); err != nil || !status.StartTime.Equal(packets[0].at) || !status.Ready {
		t.Errorf("%+v, %v", status, err)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if after, _ := filepath.Glob(filepath.Join(os.TempDir(), "toposcope-replay-*")); len(after) > len(before) {
		t.Errorf("left behind: %v", after)
	}
}

// TestReplayServeFolder: a folder that was asked for is kept, and one that holds what is younger is left as it was.
func TestReplayServeFolder(t *testing.T) {
	c := converse(t, "10.0.0.1:40000", "10.0.0.2:80", epoch).open().say(0, step, request("/")).say(1, step, response(200, 1))
	f := replayFlags{file: writeFile(t, pcap(c.packets...)), storagePath: filepath.Join(t.TempDir(), "data")}
	s := serve(t, f)
	if got := s.requests(nil); len(got) != 1 {
		t.Errorf("%v", got)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	p := command(t, "replay", "--serve", "--web.listen-address=127.0.0.1:0", "--log.level=error", "--storage.tsdb.path="+f.storagePath, f.file)
	if p.code != 1 || !strings.Contains(p.err, f.storagePath+" holds samples up to 2026-01-02T03:04:05Z") || strings.Count(p.err, "\n") != 1 {
		t.Errorf("exit code %d, %s", p.code, p.err)
	}
}

// TestReplayServeDamaged: what could be read is shown, and the damage is told at the end.
func TestReplayServeDamaged(t *testing.T) {
	c := converse(t, "10.0.0.1:40000", "10.0.0.2:80", epoch).open().say(0, step, request("/")).say(1, step, response(200, 1))
	s := serve(t, replayFlags{file: writeFile(t, append(pcap(c.packets...), []byte(strings.Repeat("\xff", 64))...))})
	if got := s.requests(nil); len(got) != 1 {
		t.Errorf("%v", got)
	}
	if err := s.stop(); err == nil || !strings.Contains(err.Error(), "the file is damaged") {
		t.Error(err)
	}
}

// TestReplayFollow: exchanges are printed and shown while the file is being written.
func TestReplayFollow(t *testing.T) {
	c := converse(t, "10.0.0.1:40000", "10.0.0.2:80", epoch).open()
	for range 2 {
		c.say(0, 100*time.Millisecond, request("/")).say(1, step, response(200, 1))
	}
	data := pcap(c.packets...)
	file := writeFile(t, data[:200])
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	stdout := os.Stdout
	os.Stdout = out
	defer func() { os.Stdout = stdout }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- replayFile(ctx, &replayFlags{file: file, follow: true, output: "json"}, slog.New(slog.DiscardHandler))
	}()
	w, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Write(data[200:]); err != nil {
		t.Fatal(err)
	}
	for lines := 0; lines < 2; {
		text, err := os.ReadFile(out.Name())
		if err != nil || ctx.Err() != nil {
			t.Fatalf("%d lines, %v", lines, ctx.Err())
		}
		lines = strings.Count(string(text), "\n")
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestServeHome: a visitor who knows nothing of the capture's time is led there.
func TestServeHome(t *testing.T) {
	s := serve(t, replayFlags{file: "../../demo/sample.pcap.gz"})
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for path, want := range map[string]int{"/": http.StatusFound, "/?view=table": http.StatusOK, "/api/v1/status": http.StatusOK} {
		resp, err := client.Get(s.base + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, resp.Status, want)
		}
		if to := resp.Header.Get("Location"); want == http.StatusFound && !strings.HasPrefix(to, "/?start=") {
			t.Errorf("%s leads to %q", path, to)
		}
	}
}
