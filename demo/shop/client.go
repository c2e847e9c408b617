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
	from     netip.Addr
	peers    map[string]string // service → address
	book     *tally.Book
	resolver *resolver.Resolver // nil: names are not looked up
	kept     *http.Client
	short    *http.Client

	mu    sync.Mutex
	conns map[string]*grpc.ClientConn // by service

	finding sync.Mutex // held during a lookup, so that a name is looked up once
	found   map[string]netip.Addr
}

// NewClient makes the client of the service called name, which counts in book. peers are the addresses of those it may call; where
// NameServer is among them, connections that are not kept and those of gRPC are made to what it says.
//
// from is the address that all connections are made from. One that is not valid leaves that to the kernel; with one that is, all
// connections are made to what the name server says, so that whoever listens learns the names of all that are called.
func NewClient(name string, from netip.Addr, peers map[string]string, book *tally.Book) *Client {
	c := &Client{
		name: name, from: from, peers: peers, book: book, conns: map[string]*grpc.ClientConn{}, found: map[string]netip.Addr{},
	}
	if address, ok := peers[NameServer]; ok {
		c.resolver = &resolver.Resolver{
			Client: name, Server: NameServer, Address: address, Dial: c.dial, Search: dns.Search(), Dots: dns.Dots, Book: book,
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

// dial connects from the address that is this client's own, by "tcp" or "udp".
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	if c.from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.from, 0))
		if network == "udp" {
			d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.from, 0))
		}
	}
	return d.DialContext(ctx, network, address)
}

// dialKnown connects to the service that address, "name:port", names. If it looks that up at all, it does so once.
func (c *Client) dialKnown(ctx context.Context, network, address string) (net.Conn, error) {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if c.resolver == nil || !c.from.IsValid() {
		return c.dial(ctx, network, c.peers[name])
	}
	found, err := c.findOnce(ctx, name)
	if err != nil {
		return nil, err
	}
	return c.dial(ctx, network, net.JoinHostPort(found.String(), port))
}

// findOnce finds the address of the service called name, and keeps it: a service that starts again has the address it had.
func (c *Client) findOnce(ctx context.Context, name string) (netip.Addr, error) {
	c.finding.Lock()
	defer c.finding.Unlock()
	if address, ok := c.found[name]; ok {
		return address, nil
	}
	address, err := c.find(ctx, name)
	if err == nil {
		c.found[name] = address
	}
	return address, err
}

// find looks up the address of the service called name.
func (c *Client) find(ctx context.Context, name string) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := c.resolver.Addresses(ctx, name)
	if err != nil {
		return netip.Addr{}, err
	}
	return found[0], nil
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
	found, err := c.find(ctx, name)
	if err != nil {
		return nil, err
	}
	return c.dial(ctx, network, net.JoinHostPort(found.String(), port))
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
