package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/toposcope/toposcope/api"
	"github.com/toposcope/toposcope/topology"
	"github.com/toposcope/toposcope/topology/history"
)

// TestRequests is the table of what is asked and what is answered: the status, and a part of the body.
func TestRequests(t *testing.T) {
	tests := []struct {
		request string
		status  int
		want    string
	}{
		{"GET /api/v1/topology", 200, `"requestsPerSecond":12.5`},
		{"GET /api/v1/topology?group=planet", 400, `"detail":"group: \"planet\" is none of service, namespace, node, pod, process"`},
		{"GET /api/v1/topology?depth=0", 400, `depth: \"0\" is not a number from 1 to 16`},
		{"GET /api/v1/topology?failed_only=perhaps", 400, `failed_only: \"perhaps\" is neither true nor false`},
		{"GET /api/v1/topology?window=40d", 400, `the window is 40d long, the longest is 31d`},
		{"POST /api/v1/topology", 405, `"status":405`},
		{"GET /api/v1/topology/nodes/shop/cart", 200, `"callers":[{`},
		{"GET /api/v1/topology/edges/shop/web~~shop/cart~~http", 200, `"serverSeconds":null`},
		{"GET /api/v1/status", 200, `"uptimeSeconds":3600,"ready":true,"reason":""`},
		{"GET /api/v1/capture", 200, `{"enabled":true}`},
		{"PUT /api/v1/capture\n\n{\"enabled\": false}", 200, `{"enabled":false}`},
		{"PUT /api/v1/capture\nOrigin: http://example.com\n\n{\"enabled\": false}", 200, `{"enabled":false}`},
		{"PUT /api/v1/capture\nOrigin: http://evil.test\n\n{\"enabled\": false}", 403, "another origin"},
		{"PUT /api/v1/capture\nOrigin: null\n\n{\"enabled\": false}", 403, "another origin"},
		{"PUT /api/v1/capture\nSec-Fetch-Site: cross-site\n\n{\"enabled\": false}", 403, "cross-site"},
		{"PUT /api/v1/capture\nSec-Fetch-Site: same-site\n\n{\"enabled\": false}", 403, "same-site"},
		{"PUT /api/v1/capture\nSec-Fetch-Site: same-origin\nOrigin: http://example.com\n\n{\"enabled\": false}", 200, "false"},
		{"PUT /api/v1/capture\n\n{}", 400, `the body must be {\"enabled\": true} or`},
		{"PUT /api/v1/capture", 400, "the body is empty"},
		{"PUT /api/v1/capture\n\n{\"enabled\": false, \"x\": 1}", 400, `unknown field \"x\"`},
		{"PUT /api/v1/capture\n\n{\"enabled\": \"no\"}", 400, "the body: "},
		{"PUT /api/v1/capture\n\n{\"enabled\": false} {}", 400, "one JSON value"},
		{"PUT /api/v1/capture\nContent-Type: text/plain\n\n{\"enabled\": false}", 400, "application/json"},
		{"PUT /api/v1/capture\n\n" + strings.Repeat(" ", 2<<20), 413, "too large"},
		{"GET /api/v1/filters", 200, `{"source":"config","filters":{"default_action":"include"}}`},
		{"PUT /api/v1/filters\n\n{\"default_action\": \"exclude\"}", 200, `{"source":"api","filters":{"default_action":"exclude"}}`},
		{"PUT /api/v1/filters\n\n{", 400, `"detail":"unexpected end`},
		{"PUT /api/v1/filters\n\n{\"default_action\": \"deny\"}", 409, `"detail":"change the file filters.yaml"`},
		{"DELETE /api/v1/filters", 200, `"source":"config"`},
		{"DELETE /api/v1/filters\nOrigin: http://evil.test", 403, "another origin"},
		{"GET /api/v1/openapi.yaml", 200, "openapi: 3.1.0"},
		{"GET /api/v1/query?query=up", 200, "GET /query?query=up"},
		{"POST /api/v1/query\nOrigin: http://evil.test", 200, "POST /query"},
		{"GET /api/v1/label/le/values", 200, "GET /label/le/values"},
		{"GET /api/v1/status/buildinfo", 200, "GET /status/buildinfo"},
		{"POST /api/v1/admin/tsdb/delete_series", 404, "nothing at this path"},
		{"GET /api/v1/status/config", 404, "nothing at this path"},
		{"GET /api/v1/nonsense", 404, "nothing at this path"},
		{"GET /metrics", 200, "toposcope_http_panics_total 0"},
		{"HEAD /-/healthy", 200, ""},
		{"GET /-/healthy", 200, "alive"},
		{"GET /-/ready", 200, "ready"},
		{"POST /-/reload", 403, "--web.enable-lifecycle"},
		{"GET /-/reload", 405, "POST"},
		{"GET /debug/pprof/heap", 404, ""},
		{"GET /", 200, "<title>Toposcope"},
		{"GET /map/shop/cart?window=5m", 200, "<title>Toposcope"},
		{"GET /favicon.svg", 200, "<svg/>"},
		{"GET /.gitkeep", 200, "<title>Toposcope"},
		{"GET /assets/gone.js", 404, "nothing at this path"},
		{"GET /assets/../../etc/passwd", 404, "nothing at this path"},
		{"GET /%2e%2e/%2e%2e/etc/passwd", 200, "<title>Toposcope"},
		{"DELETE /", 405, "pages can only be read"},
		{"BREW /api/v1/topology", 405, `"status":405`},
	}
	for _, tt := range tests {
		name, _, _ := strings.Cut(tt.request, "\n\n")
		t.Run(name, func(t *testing.T) {
			w := request(t, newParts().handler(t), tt.request)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("got %d %.400s\nwant %d …%s…", w.Code, w.Body, tt.status, tt.want)
			}
			if w.Code >= 400 {
				wantProblem(t, w)
			}
			if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Content-Security-Policy") == "" {
				t.Errorf("security headers are missing: %v", w.Header())
			}
		})
	}
}

func wantProblem(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Fatalf("no problem document but %s: %s", w.Header().Get("Content-Type"), w.Body)
	}
	if p.Status != w.Code || p.Type == "" || p.Detail == "" || (p.Title == "" && p.Status != 499) {
		t.Errorf("status %d with %+v", w.Code, p)
	}
}

func TestQuery(t *testing.T) {
	five := topology.Window{Start: now.Add(-5 * time.Minute), End: now}
	tests := []struct {
		target string
		id     string
		want   history.Query
	}{
		{"/api/v1/topology", "", history.Query{Window: five, Group: "service"}},
		{"/api/v1/topology?namespace=shop&focus=shop/cart&depth=3&protocol=http&failed_only=true&group=pod", "", history.Query{
			Window: five, Namespace: "shop", Focus: "shop/cart", Depth: 3, Protocol: "http", FailedOnly: true, Group: "pod",
		}},
		{"/api/v1/topology/nodes/shop/cart?group=namespace", "shop/cart", history.Query{Window: five, Group: "namespace"}},
		{"/api/v1/topology/nodes/shop%2Fcart", "shop/cart", history.Query{Window: five, Group: "service"}},
		{"/api/v1/topology/edges/a~20b~~c~~http", "a~20b~~c~~http", history.Query{Window: five, Group: "service"}},
	}
	for _, tt := range tests {
		t.Run(tt.target, func(t *testing.T) {
			p := newParts()
			if w := request(t, p.handler(t), "GET "+tt.target); w.Code != 200 {
				t.Fatal(w.Code, w.Body)
			}
			if p.graphs.id != tt.id || p.graphs.q != tt.want {
				t.Errorf("asked for %q %+v, want %q %+v", p.graphs.id, p.graphs.q, tt.id, tt.want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		err    error
		status int
		detail string
	}{
		{fmt.Errorf("node %q: %w", "x", history.ErrNotFound), 404, `node "x": not found in the window`},
		{fmt.Errorf("%w: focus is nobody", history.ErrBadQuery), 400, "bad query: focus is nobody"},
		{context.DeadlineExceeded, 503, "it took too long; ask for a shorter window"},
		{errPassing{}, 503, "it passes"},
		{errors.New("disk on fire at /secret"), 500, "the reason is in the log"},
	}
	for _, tt := range tests {
		p := newParts()
		p.graphs.err = tt.err
		w := request(t, p.handler(t), "GET /api/v1/topology")
		var got api.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if w.Code != tt.status || got.Detail != tt.detail {
			t.Errorf("%v: got %d %s, want %d %s", tt.err, w.Code, got.Detail, tt.status, tt.detail)
		}
	}
}

// TestUnencodable checks that a number that JSON has not makes an error and no empty answer.
func TestUnencodable(t *testing.T) {
	p := newParts()
	p.options.Status = func() api.Status { return api.Status{Store: api.StoreStatus{RetentionSeconds: math.Inf(1)}} }
	w := request(t, p.handler(t), "GET /api/v1/status")
	if w.Code != 500 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	wantProblem(t, w)
}

type errPassing struct{}

func (errPassing) Error() string     { return "it passes" }
func (errPassing) Unavailable() bool { return true }

func TestPanic(t *testing.T) {
	p := newParts()
	p.graphs.do = func(context.Context) { panic("boom") }
	h := p.handler(t)
	w := request(t, h, "GET /api/v1/topology")
	if w.Code != 500 {
		t.Errorf("status %d, want 500", w.Code)
	}
	wantProblem(t, w)
	for _, want := range []string{"toposcope_http_panics_total 1\n", `toposcope_http_requests_total{code="500",route="/api/v1/topology"} 1`} {
		if w := request(t, h, "GET /metrics"); !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %q in %s", want, w.Body)
		}
	}
}

// TestTurn checks that no more graphs than allowed are computed at a time, and that a client that leaves loses its place.
func TestTurn(t *testing.T) {
	p := newParts()
	p.options.MaxGraphs = 1
	in, out := make(chan bool), make(chan bool)
	p.graphs.do = func(context.Context) { in <- true; <-out }
	h := p.handler(t)
	first := make(chan int)
	go func() { first <- request(t, h, "GET /api/v1/topology").Code }()
	<-in

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/topology", nil).WithContext(ctx))
	if w.Code != 499 {
		t.Errorf("a client that left: %d", w.Code)
	}
	close(out)
	if code := <-first; code != 200 {
		t.Errorf("the first: %d", code)
	}
}

// TestDetached: why capture is detached is told as long as it is, unless it was switched off.
func TestDetached(t *testing.T) {
	p := newParts()
	h := p.handler(t)
	for _, step := range []struct{ reason, request, want string }{
		{"over its limit", "GET /api/v1/capture", `{"enabled":true}`},
		{"over its limit", "PUT /api/v1/capture\n\n{\"enabled\": false}", `{"enabled":false,"reason":"over its limit"}`},
		{"over its limit", "GET /api/v1/capture", `{"enabled":false,"reason":"over its limit"}`},
		{"", "GET /api/v1/capture", `{"enabled":false}`},
		{"over its limit", "PUT /api/v1/capture\n\n{\"enabled\": true, \"reason\": \"mine\"}", `unknown field \"reason\"`},
		{"over its limit", "PUT /api/v1/capture\n\n{\"enabled\": true}", `{"enabled":true}`},
	} {
		p.capture.reason = step.reason
		if w := request(t, h, step.request); !strings.Contains(w.Body.String(), step.want) {
			t.Errorf("%s with reason %q: %s, want %s", step.request, step.reason, w.Body, step.want)
		}
	}
}

// TestNothing checks that an API without parts says so.
func TestNothing(t *testing.T) {
	a, err := api.New(api.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/api/v1/topology", "/api/v1/topology/nodes/x", "/api/v1/status", "/api/v1/capture", "/api/v1/filters", "/api/v1/query", "/metrics",
	} {
		w := request(t, a.Handler(), "GET "+path)
		if w.Code != 501 {
			t.Errorf("%s: %d, want 501", path, w.Code)
		}
		wantProblem(t, w)
	}
	if w := request(t, a.Handler(), "GET /"); w.Code != 404 {
		t.Errorf("/: %d, want 404", w.Code)
	}
}

func TestReadyAndReload(t *testing.T) {
	p := newParts()
	var notReady, bad error
	p.options.Ready = func() error { return notReady }
	p.options.EnableLifecycle = true
	p.options.Reload = func(context.Context) error { return bad }
	h := p.handler(t)
	for i, want := range []int{200, 503} {
		if got := request(t, h, "GET /-/ready").Code; got != want {
			t.Errorf("%d: ready %d, want %d", i, got, want)
		}
		notReady = errors.New("capture is not attached: no BTF")
	}
	if w := request(t, h, "GET /-/ready"); !strings.Contains(w.Body.String(), "no BTF") {
		t.Errorf("the reason is missing: %s", w.Body)
	}
	if w := request(t, h, "GET /api/v1/status"); !strings.Contains(w.Body.String(), `"ready":false,"reason":"capture is not attached: no BTF"`) {
		t.Errorf("the status says %s", w.Body)
	}
	for i, want := range []int{200, 500} {
		if got := request(t, h, "POST /-/reload").Code; got != want {
			t.Errorf("%d: reload %d, want %d", i, got, want)
		}
		bad = errors.New("toposcope.yml:3: unknown key")
	}
	if w := request(t, h, "POST /-/reload"); !strings.Contains(w.Body.String(), "toposcope.yml:3") {
		t.Errorf("the reason is missing: %s", w.Body)
	}
	if got := request(t, h, "POST /-/reload\nOrigin: http://evil.test").Code; got != 403 {
		t.Errorf("reload from elsewhere: %d", got)
	}
}

func TestPages(t *testing.T) {
	h := newParts().handler(t)
	w := request(t, h, "GET /assets/index-a1b2c3.js\nAccept-Encoding: gzip")
	if w.Code != 200 || w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() > 2000 {
		t.Errorf("not compressed: %d, %d bytes, %v", w.Code, w.Body.Len(), w.Header())
	}
	if got := w.Header().Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
		t.Errorf("asset: Cache-Control %q", got)
	}
	w = request(t, h, "GET /")
	etag := w.Header().Get("ETag")
	if etag == "" || w.Header().Get("Cache-Control") != "no-cache" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "script-src 'self';") {
		t.Errorf("index: %v", w.Header())
	}
	if w = request(t, h, "GET /\nIf-None-Match: "+etag); w.Code != http.StatusNotModified {
		t.Errorf("unchanged: %d", w.Code)
	}
}

func TestPprof(t *testing.T) {
	p := newParts()
	p.options.EnablePprof = true
	h := p.handler(t)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap?debug=1", "/debug/pprof/cmdline"} {
		if w := request(t, h, "GET "+path); w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestUIWithoutIndex(t *testing.T) {
	_, err := api.New(api.Options{UI: fstest.MapFS{"other.html": {}}})
	if err == nil || err.Error() != "reading the pages: index.html is missing" {
		t.Error(err)
	}
}

// TestAnswersAreAsDescribed holds answers against openapi.yaml.
func TestAnswersAreAsDescribed(t *testing.T) {
	tests := []struct{ request, path string }{
		{"GET /api/v1/topology", "/api/v1/topology"},
		{"GET /api/v1/topology?depth=x", "/api/v1/topology"},
		{"GET /api/v1/topology/nodes/shop/cart", "/api/v1/topology/nodes/{id}"},
		{"GET /api/v1/topology/edges/x", "/api/v1/topology/edges/{id}"},
		{"GET /api/v1/status", "/api/v1/status"},
		{"GET /api/v1/capture", "/api/v1/capture"},
		{"PUT /api/v1/capture\n\n{\"enabled\": true}", "/api/v1/capture"},
		{"GET /api/v1/filters", "/api/v1/filters"},
		{"PUT /api/v1/filters\n\n{\"rules\": [{\"action\": \"include\", \"match\": {\"pid\": [1]}}]}", "/api/v1/filters"},
		{"DELETE /api/v1/filters", "/api/v1/filters"},
		{"POST /-/reload", "/-/reload"},
	}
	h := newParts().handler(t)
	for _, tt := range tests {
		w := request(t, h, tt.request)
		method, _, _ := strings.Cut(tt.request, " ")
		if err := api.Validate(method, tt.path, w.Code, w.Body.Bytes()); err != nil {
			t.Errorf("%s\n%s", err, w.Body)
		}
	}
}
