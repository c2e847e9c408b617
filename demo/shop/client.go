package shop

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"slices"
	"strconv"
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
	queryTimeout  = 3 * time.Second
	httpTimeout   = 10 * time.Second
)

// Client makes one service's calls and counts them. Its methods may be called from any goroutine.
type Client struct {
	name     string
	from     netip.Addr
	peers    map[string]string // process → address
	book     *tally.Book
	resolver *resolver.Resolver // nil: names are not looked up
	kept     *http.Client
	short    *http.Client

	databases *databases
	queries   map[string]query

	mu    sync.Mutex
	conns map[string]*grpc.ClientConn // by service

	finding sync.Mutex // held during a lookup, so that a name is looked up once
	found   map[string][]netip.Addr
}

// NewClient makes the client of the service called name, which counts in book. peers are the addresses of those it may call; where
// NameServer is among them, connections that are not kept and those of gRPC are made to what it says.
//
// from is the address that all connections are made from. One that is not valid leaves that to the kernel; with one that is, all
// connections are made to what the name server says, so that whoever listens learns the names of all that are called.
func NewClient(name string, from netip.Addr, peers map[string]string, book *tally.Book) *Client {
	c := &Client{
		name: name, from: from, peers: peers, book: book, conns: map[string]*grpc.ClientConn{}, found: map[string][]netip.Addr{},
		queries: queries(),
	}
	if address, ok := peers[NameServer]; ok {
		c.resolver = &resolver.Resolver{
			Client: name, Server: NameServer, Address: address, Dial: c.dial, Search: dns.Search(), Dots: dns.Dots, Book: book,
		}
	}
	c.databases = &databases{name: name, book: book, connect: c.dialKnown, address: func(server string) string {
		_, port, _ := strings.Cut(peers[server], ":")
		return server + ":" + port
	}}
	if _, asks := peers[documentServer]; asks {
		_, _ = c.databases.collection("") // looks for the server at once; what is wrong shows when it is asked
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
	// Errors say only that something is closed already.
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.databases.close()
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

// dialKnown connects to the process that address, "name:port", names. If it looks its service up at all, it does so once.
func (c *Client) dialKnown(ctx context.Context, network, address string) (net.Conn, error) {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if c.resolver == nil || !c.from.IsValid() {
		return c.dial(ctx, network, c.peers[name])
	}
	at, err := c.findOnce(ctx, name)
	if err != nil {
		return nil, err
	}
	return c.dial(ctx, network, net.JoinHostPort(at.String(), port))
}

// findOnce finds the address of the process called name, and keeps it: one that starts again has the address it had.
func (c *Client) findOnce(ctx context.Context, name string) (netip.Addr, error) {
	c.finding.Lock()
	defer c.finding.Unlock()
	service, instance := c.instance(name)
	found, ok := c.found[service]
	if !ok {
		var err error
		if found, err = c.find(ctx, service); err != nil {
			return netip.Addr{}, err
		}
		c.found[service] = found
	}
	if instance >= len(found) {
		return netip.Addr{}, fmt.Errorf("%s has %d addresses, none for %s", service, len(found), name)
	}
	return found[instance], nil
}

// find looks up the addresses of the service called name, in their order.
func (c *Client) find(ctx context.Context, name string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := c.resolver.Addresses(ctx, name)
	slices.SortFunc(found, netip.Addr.Compare)
	return found, err
}

// instance is the service that the process called name is of, and which of its instances that is, from 0.
func (c *Client) instance(name string) (service string, i int) {
	service, number, ok := lastCut(name, "-")
	if i, err := strconv.Atoi(number); ok && err == nil {
		return service, i - 1
	}
	return name, 0
}

// lastCut is strings.Cut at the last sep.
func lastCut(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// process draws one of the processes of the service called name.
func (c *Client) process(name string, v *Visit) string {
	if _, one := c.peers[name]; one {
		return name
	}
	n := 0
	for c.peers[name+"-"+strconv.Itoa(n+1)] != "" {
		n++
	}
	if n == 0 {
		return name // the error that follows names it
	}
	return name + "-" + strconv.Itoa(1+v.dice.IntN(n))
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
	service, instance := c.instance(name)
	found, err := c.find(ctx, service)
	if err != nil {
		return nil, err
	}
	if len(found) <= instance {
		return nil, fmt.Errorf("no address for %s", name)
	}
	return c.dial(ctx, network, net.JoinHostPort(found[instance].String(), port))
}

// Do makes call for v and reads the answer to its end. It returns how that went, in gRPC's codes for HTTP also.
func (c *Client) Do(ctx context.Context, call Call, v *Visit) codes.Code {
	// How much a call draws may hang on when its answer comes, so it has dice of its own.
	v = NewVisit(v.dice.Next(v.trace), c.name+" calls", v.known)
	switch {
	case call.RPC != "":
		return c.rpc(ctx, call, v)
	case call.Query != "":
		return c.query(ctx, call, v)
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
	process := c.process(call.Server, v)
	server, err := netip.ParseAddrPort(c.peers[process])
	if err != nil {
		return 0, false, fmt.Errorf("the address of %s: %w", call.Server, err)
	}
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { wrote.Store(true) }})
	url := fmt.Sprintf("http://%s:%d%s", process, server.Port(), Fill(call.Route, v.Value))
	req, err := http.NewRequestWithContext(ctx, call.Method, url, body)
	if err != nil {
		return 0, false, fmt.Errorf("making a request for %s: %w", call.Server, err)
	}
	req.Host = fmt.Sprintf("%s:%d", call.Server, server.Port())
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
