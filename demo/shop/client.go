package shop

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/toposcope/toposcope/demo/dice"
	"github.com/toposcope/toposcope/demo/dns"
	"github.com/toposcope/toposcope/demo/resolver"
	"github.com/toposcope/toposcope/demo/tally"
)

// NameServer is the name of the process that answers DNS queries.
const NameServer = "dns"

// How long is waited for an answer. A gRPC call gives up before the HTTP request that it serves is given up.
const (
	dialTimeout   = 2 * time.Second
	lookupTimeout = 5 * time.Second
	rpcTimeout    = 4 * time.Second
	httpTimeout   = 10 * time.Second
)

// Client makes one service's calls and counts them. Its methods may be called from any goroutine.
type Client struct {
	name     string
	peers    map[string]string // service → address
	book     *tally.Book
	resolver *resolver.Resolver // nil: names are not looked up
	kept     *http.Client
	short    *http.Client

	mu    sync.Mutex
	conns map[string]*grpc.ClientConn // by service
}

// NewClient makes the client of the service called name, which counts in book. peers are the addresses of those it may call; where
// NameServer is among them, connections that are not kept and those of gRPC are made to what it says.
func NewClient(name string, peers map[string]string, book *tally.Book) *Client {
	c := &Client{name: name, peers: peers, book: book, conns: map[string]*grpc.ClientConn{}}
	if address, ok := peers[NameServer]; ok {
		c.resolver = &resolver.Resolver{
			Client: name, Server: NameServer, Address: address, Search: dns.Search(), Dots: dns.Dots, Book: book,
		}
	}
	// How many connections a pool makes hangs on the machine's load. Were names looked up for each, the number of lookups would not
	// follow from the seed.
	c.kept = &http.Client{Timeout: httpTimeout, Transport: &http.Transport{
		DialContext: c.dialKnown, MaxIdleConnsPerHost: 32, DisableCompression: true,
	}}
	c.short = &http.Client{Timeout: httpTimeout, Transport: &http.Transport{
		DialContext: c.dialNamed, DisableKeepAlives: true, DisableCompression: true,
	}}
	return c
}

// Close closes the connections that are kept open.
func (c *Client) Close() {
	c.kept.CloseIdleConnections()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close() // says only that it is closed already
	}
}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
}

// dialKnown connects to the service that address, "name:port", names.
func (c *Client) dialKnown(ctx context.Context, network, address string) (net.Conn, error) {
	name, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return dial(ctx, network, c.peers[name])
}

// dialNamed looks up the address of the service that address, "name:port", names, and connects to that.
func (c *Client) dialNamed(ctx context.Context, network, address string) (net.Conn, error) {
	if c.resolver == nil {
		return c.dialKnown(ctx, network, address)
	}
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := c.resolver.Addresses(ctx, name)
	if err != nil {
		return nil, err
	}
	return dial(ctx, network, net.JoinHostPort(found[0].String(), port))
}

// Do makes call for v and reads the answer to its end. It returns how that went, in gRPC's codes for HTTP also.
func (c *Client) Do(ctx context.Context, call Call, v *Visit) codes.Code {
	// How much a call draws may hang on when its answer comes, so it has dice of its own.
	v = NewVisit(v.dice.Next(v.trace), c.name+" calls", v.known)
	if call.RPC != "" {
		return c.rpc(ctx, call, v)
	}
	status, sent, _ := c.request(ctx, call, v) // the error says no more than the status
	if sent {
		c.book.Calls.Add(tally.Call{Client: c.name, Server: call.Server, Method: call.Method, Route: call.Route, Status: status})
	}
	return codeOf(status)
}

// request makes an HTTP request. status is 0 with an error; sent says whether the request went out all the same.
func (c *Client) request(ctx context.Context, call Call, v *Visit) (status int, sent bool, err error) {
	var body io.Reader
	if call.Body > 0 {
		body = strings.NewReader(text(call.Body))
	}
	server, err := netip.ParseAddrPort(c.peers[call.Server])
	if err != nil {
		return 0, false, fmt.Errorf("the address of %s: %w", call.Server, err)
	}
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { wrote.Store(true) }})
	url := fmt.Sprintf("http://%s:%d%s", call.Server, server.Port(), Fill(call.Route, v.Value))
	req, err := http.NewRequestWithContext(ctx, call.Method, url, body)
	if err != nil {
		return 0, false, fmt.Errorf("making a request for %s: %w", call.Server, err)
	}
	req.Header.Set("User-Agent", "toposcope-demo/"+c.name)
	req.Header.Set(dice.Header, v.trace.String())
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	client := c.kept
	if call.Close {
		client = c.short
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, wrote.Load(), fmt.Errorf("asking %s: %w", call.Server, err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, true, fmt.Errorf("reading the answer of %s: %w", call.Server, err)
	}
	return resp.StatusCode, true, nil
}

// lookup makes l for v.
func (c *Client) lookup(ctx context.Context, l Lookup, v *Visit) error {
	if c.resolver == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	return c.resolver.Lookup(ctx, l.Kind, Fill(l.Name, v.Value))
}
