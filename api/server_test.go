package api_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/toposcope/toposcope/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs an API on free loopback ports and returns their addresses; it is ended with the test.
func start(t *testing.T, o api.Options) (main, health string) {
	t.Helper()
	var err error
	if o.Listener, err = api.Listen("127.0.0.1:0", "--web.listen-address"); err != nil {
		t.Fatal(err)
	}
	if o.HealthListener, err = api.Listen("127.0.0.1:0", "--web.health-address"); err != nil {
		t.Fatal(err)
	}
	a, err := api.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return o.Listener.Addr().String(), o.HealthListener.Addr().String()
}

func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	r, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address := l.Addr().String()
	for flag, o := range map[string]api.Options{
		"--web.listen-address": {ListenAddress: address},
		"--web.health-address": {ListenAddress: "127.0.0.1:0", HealthAddress: address},
	} {
		a, err := api.New(o)
		if err != nil {
			t.Fatal(err)
		}
		want := address + " is taken by another process: stop that one or choose another address with " + flag
		if err := a.Run(t.Context()); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	if _, err := api.Listen("192.0.2.1:1", "--x"); err == nil || err.Error() != "192.0.2.1:1 is no address of this host: choose another with --x" {
		t.Error(err)
	}
}

func TestBadWebConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(file, []byte("tls_server_config: {cert_file: gone.pem, key_file: gone.key}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := api.New(api.Options{ListenAddress: "127.0.0.1:0", WebConfigFile: file})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "reading "+file+": ") {
		t.Error(err)
	}
}

// TestCredentials checks that with a web config nothing is read or changed without credentials but health on its own port.
func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	pool := certificate(t, dir)
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "web.yml")
	config := fmt.Sprintf("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\nbasic_auth_users: {admin: %s}\n", hash)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := newParts()
	p.options.WebConfigFile = file
	p.options.EnablePprof, p.options.EnableLifecycle = true, true
	p.options.Now = nil
	main, health := start(t, p.options)

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	requests := []string{
		"GET /", "GET /api/v1/topology", "GET /metrics", "GET /-/healthy", "GET /-/ready", "POST /-/reload", "PUT /api/v1/capture",
		"GET /debug/pprof/heap", "GET /api/v1/query?query=up", "GET /assets/index-a1b2c3.js", "DELETE /api/v1/filters",
	}
	for _, text := range requests {
		method, path, _ := strings.Cut(text, " ")
		for user, password := range map[string]string{"": "", "admin": "wrong", "nobody": "secret"} {
			r, err := http.NewRequestWithContext(t.Context(), method, "https://"+main+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if user != "" {
				r.SetBasicAuth(user, password)
			}
			answer, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != 401 {
				t.Errorf("%s as %q: %d, want 401", text, user, answer.StatusCode)
			}
		}
	}
	r, _ := http.NewRequestWithContext(t.Context(), "GET", "https://"+main+"/api/v1/topology", nil)
	r.SetBasicAuth("admin", "secret")
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 200 || answer.ProtoMajor != 2 {
		t.Errorf("with credentials: %s %s", answer.Proto, answer.Status)
	}
	for path, want := range map[string]int{"/-/healthy": 200, "/-/ready": 200, "/api/v1/topology": 404, "/metrics": 404, "/": 404} {
		if r, _ := get(t, http.DefaultClient, "http://"+health+path); r.StatusCode != want {
			t.Errorf("health port %s: %d, want %d", path, r.StatusCode, want)
		}
	}
}

// certificate writes cert.pem and key.pem for 127.0.0.1.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "EC PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

// TestHostile sends what no client of ours would, and checks that the next honest request is answered.
func TestHostile(t *testing.T) {
	p := newParts()
	p.options.Now = nil
	main, _ := start(t, p.options)
	tests := []struct {
		name string
		send string
		want string // the status line begins with it; "" for a closed connection
	}{
		{"query string of 1 MiB", "GET /api/v1/topology?focus=" + strings.Repeat("x", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 431"},
		{"huge header", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", "HTTP/1.1 431"},
		{"many headers", "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 100_000) + "\r\n", "HTTP/1.1 431"},
		{"path traversal", "GET /../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"},
		{"encoded path traversal below assets", "GET /assets/..%2f..%2f..%2fetc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404"},
		{"NUL in the path", "GET /assets/%00 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404"},
		{"an id of bytes", "GET /api/v1/topology/nodes/%ff%fe%00 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "HTTP/1.1 400"},
		{"two lengths", "PUT /api/v1/capture HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n{}  ", "HTTP/1.1 400"},
		{"a body that never ends", "PUT /api/v1/capture HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" +
			strings.Repeat("10000\r\n"+strings.Repeat(" ", 0x10000)+"\r\n", 32), "HTTP/1.1 413"},
		{"deep JSON", "PUT /api/v1/capture HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n" + strings.Repeat("[", 900_000), "HTTP/1.1 400"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", main)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.WriteString(conn, tt.send) }() // which the server need not read to its end
			line, err := bufio.NewReader(conn).ReadString('\n')
			if !strings.HasPrefix(line, tt.want) {
				t.Errorf("got %q (%v), want %s", line, err, tt.want)
			}
			if strings.Contains(line, "root:") {
				t.Error("a file of the machine was served")
			}
			if r, _ := get(t, http.DefaultClient, "http://"+main+"/-/healthy"); r.StatusCode != 200 {
				t.Errorf("afterwards: %s", r.Status)
			}
		})
	}
}

// TestSlowClients checks that clients that say nothing do not keep others from being served, within the bound on
// connections.
func TestSlowClients(t *testing.T) {
	p := newParts()
	p.options.MaxConnections = 8
	main, _ := start(t, p.options)
	var slow []net.Conn
	for range 7 {
		c, err := net.Dial("tcp", main)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nX: "); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, c)
	}
	if r, _ := get(t, http.DefaultClient, "http://"+main+"/-/healthy"); r.StatusCode != 200 {
		t.Errorf("beside slow clients: %s", r.Status)
	}
	for _, c := range slow {
		c.Close()
	}
}

// TestShutdown checks that a request under way ends well.
func TestShutdown(t *testing.T) {
	p := newParts()
	in, out := make(chan bool), make(chan bool)
	p.graphs.do = func(context.Context) { in <- true; <-out }
	l, err := api.Listen("127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	p.options.Listener = l
	a, err := api.New(p.options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- a.Run(ctx) }()
	answer := make(chan error)
	go func() {
		r, err := http.Get("http://" + l.Addr().String() + "/api/v1/topology")
		if err == nil {
			r.Body.Close()
			if r.StatusCode != 200 {
				err = errors.New(r.Status)
			}
		}
		answer <- err
	}()
	<-in
	cancel()
	for { // until the port is closed
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		c.Close()
	}
	close(out)
	if err := <-answer; err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestScrapeFormats checks the formats that a scraper can ask for.
func TestScrapeFormats(t *testing.T) {
	p := newParts()
	h := p.handler(t)
	request(t, h, "GET /-/healthy")
	tests := []struct{ accept, contentType, want string }{
		{"text/plain", "text/plain; version=0.0.4", "# TYPE toposcope_http_requests_total counter\n"},
		{"application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0", "toposcope_http_requests_created{"},
		{"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", "application/vnd.google.protobuf", "toposcope_http_requests_total"},
	}
	for _, tt := range tests {
		if w := request(t, h, "GET /metrics\nAccept-Encoding: gzip\nAccept: "+tt.accept); !unpacks(t, w.Body, tt.want) {
			t.Errorf("%s: not compressed once", tt.accept)
		}
		w := request(t, h, "GET /metrics\nAccept: "+tt.accept)
		if !strings.HasPrefix(w.Header().Get("Content-Type"), tt.contentType) || !bytes.Contains(w.Body.Bytes(), []byte(tt.want)) {
			t.Errorf("%s: got %s\n%.500s", tt.accept, w.Header().Get("Content-Type"), w.Body)
		}
	}
}

// unpacks tells whether r is compressed, once, and holds want.
func unpacks(t *testing.T, r io.Reader, want string) bool {
	t.Helper()
	z, err := gzip.NewReader(r)
	if err != nil {
		t.Error(err)
		return false
	}
	b, err := io.ReadAll(z)
	return err == nil && bytes.Contains(b, []byte(want))
}
