package shop

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/toposcope/toposcope/demo/tally"
)

// Client makes one service's calls and counts them. Its methods may be called from any goroutine.
type Client struct {
	name  string
	peers map[string]string // service → address
	calls *tally.Counter
	kept  *http.Client
	short *http.Client

	mu  sync.Mutex
	rng *rand.Rand
}

// NewClient makes the client of the service called name. peers are the addresses of those it may call, seed starts its dice.
func NewClient(name string, peers map[string]string, seed uint64) *Client {
	dial := (&net.Dialer{Timeout: 2 * time.Second}).DialContext
	return &Client{
		name:  name,
		peers: peers,
		calls: &tally.Counter{},
		kept: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
			DialContext: dial, MaxIdleConnsPerHost: 32, DisableCompression: true,
		}},
		short: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
			DialContext: dial, DisableKeepAlives: true, DisableCompression: true,
		}},
		rng: rand.New(rand.NewPCG(seed, seedOf(name))),
	}
}

// seedOf is FNV-1a, so that services with one seed throw different dice.
func seedOf(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return h
}

// Calls are the calls made so far.
func (c *Client) Calls() []tally.Row { return c.calls.Rows() }

// Chance is true for share of its calls (0..1).
func (c *Client) Chance(share float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.Float64() < share
}

// Spread draws a duration whose median is d, log-normally.
func (c *Client) Spread(d time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	const sigma = 0.35
	return time.Duration(float64(d) * lognormal(c.rng, sigma))
}

// Interval draws the time to the next of events that come at rate per second, independently of each other.
func (c *Client) Interval(rate float64) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.rng.ExpFloat64() / rate * float64(time.Second))
}

// Value draws a value for a wildcard of a route.
func (c *Client) Value(wildcard string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wildcard == "sku" {
		return fmt.Sprintf("%d", 10000+c.rng.IntN(400))
	}
	return fmt.Sprintf("%d", 1+c.rng.IntN(5000))
}

// Do makes call, its wildcards filled by value, and reads the answer to its end. status is 0 with an error.
func (c *Client) Do(ctx context.Context, call Call, value func(string) string) (status int, err error) {
	defer func() {
		c.calls.Add(tally.Call{Client: c.name, Server: call.Server, Method: call.Method, Route: call.Route, Status: status})
	}()
	var body io.Reader
	if call.Body > 0 {
		body = strings.NewReader(text(call.Body))
	}
	url := "http://" + c.peers[call.Server] + Fill(call.Route, value)
	req, err := http.NewRequestWithContext(ctx, call.Method, url, body)
	if err != nil {
		return 0, fmt.Errorf("making a request for %s: %w", call.Server, err)
	}
	req.Header.Set("User-Agent", "toposcope-demo/"+c.name)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	client := c.kept
	if call.Close {
		client = c.short
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("asking %s: %w", call.Server, err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, fmt.Errorf("reading the answer of %s: %w", call.Server, err)
	}
	return resp.StatusCode, nil
}
