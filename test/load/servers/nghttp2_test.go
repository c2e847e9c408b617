package servers

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestHTTP2Servers: both speak HTTP/2, and nghttpx takes the upgrade from HTTP/1.1 also.
func TestHTTP2Servers(t *testing.T) {
	need(t, Nghttpx)
	need(t, Nghttpd)
	program := filepath.Join(t.TempDir(), "httpserve")
	if out, err := exec.Command("go", "build", "-o", program, "../httpserve").CombinedOutput(); err != nil {
		t.Fatalf("building httpserve: %v: %s", err, out)
	}
	backend := start(t, Config{Kind: Go, Program: program})
	proxy := start(t, Config{Kind: Nghttpx, Backend: backend})
	files := start(t, Config{Kind: Nghttpd, Args: []string{"--padding=20"}})
	for _, test := range []struct{ how, url, want string }{
		{"--http2-prior-knowledge", "http://" + proxy + "/broken?status=503", "2 503"},
		{"--http2", "http://" + proxy + "/users/7", "2 200"},
		{"--http1.1", "http://" + proxy + "/users/7", "1.1 200"},
		{"--http2-prior-knowledge", "http://" + files + "/style.css", "2 200"},
		{"--http2-prior-knowledge", "http://" + files + "/none", "2 404"},
	} {
		out, err := exec.Command("curl", "-sS", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", test.how, test.url).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != test.want {
			t.Errorf("%s %s: %v: %q, want %q", test.how, test.url, err, got, test.want)
		}
	}
}

func start(t *testing.T, c Config) (address string) {
	t.Helper()
	c.Name, c.Dir = "test", t.TempDir()
	s, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s.Address
}
