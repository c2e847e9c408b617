package load

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// library is a worker's client of net/http, which keeps one connection. Unlike the hand-written client it may send a request once more
// by itself, when the server closes a connection that it had kept.
type library struct {
	http.Client

	plan *Plan
	kept chan net.Conn // opened before the start
	// net/http dials, reads and writes on goroutines of its own.
	connections, sent, received atomic.Int64
}

func newLibrary(p *Plan) *library {
	l := &library{plan: p, kept: make(chan net.Conn, 1)}
	l.Client = http.Client{
		Transport:     &http.Transport{DialContext: l.dial, MaxConnsPerHost: 1, DisableCompression: true, DisableKeepAlives: p.Close},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       p.timeout(),
	}
	return l
}

// open opens the connection that the first request will use.
func (l *library) open() error {
	c, err := net.DialTimeout("tcp", l.plan.Target, l.plan.timeout())
	if err == nil {
		l.connections.Add(1)
		l.kept <- &counted{c, l}
	}
	return err
}

func (l *library) dial(ctx context.Context, network, address string) (net.Conn, error) {
	select {
	case c := <-l.kept:
		return c, nil
	default:
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.connections.Add(1)
	return &counted{c, l}, nil
}

// finish closes the connection and adds what was counted.
func (l *library) finish(t *tally) {
	l.CloseIdleConnections()
	t.connections += int(l.connections.Load())
	t.bytesSent += l.sent.Load()
	t.bytesReceived += l.received.Load()
}

// counted is a connection whose bytes are counted.
type counted struct {
	net.Conn

	by *library
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.by.received.Add(int64(n))
	return n, err
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.by.sent.Add(int64(n))
	return n, err
}

// ask sends request number n and reads its answer.
func (l *library) ask(n int, t *tally) error {
	p, index := l.plan, n%len(l.plan.Requests)
	r := p.Requests[index]
	url := "http://" + p.Target + strings.ReplaceAll(r.Path, "{n}", strconv.Itoa(n))
	req, err := http.NewRequest(r.Method, url, strings.NewReader(strings.Repeat("b", r.Body)))
	if err != nil {
		return fmt.Errorf("making request %d: %w", n, err)
	}
	if r.Header > 0 {
		req.Header.Set("X-Padding", strings.Repeat("h", r.Header))
	}
	t.sent++
	begin := time.Now()
	resp, err := l.Do(req)
	if err != nil {
		t.unanswered(index)
		return fmt.Errorf("sending: %w", err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.unanswered(index)
		return fmt.Errorf("reading the body: %w", err)
	}
	t.answered(index, resp.StatusCode, time.Since(begin))
	return nil
}
