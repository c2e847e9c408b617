package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/toposcope/toposcope/test/load/servers"
)

// scenario is one capture.
type scenario struct {
	name string
	// device is what tcpdump listens at: "any" makes a cooked capture, in which loopback's packets come twice.
	device string
	// before, if not nil, is what happens unseen.
	before func(ctx context.Context, r *recorder) error
	run    func(ctx context.Context, r *recorder) error
}

var scenarios = []scenario{
	{name: "http1", device: "lo", run: http1},
	{name: "http1-any", device: "any", run: http1Any},
	{name: "http2", device: "lo", run: http2},
	{name: "http2-upgrade", device: "lo", run: upgrade},
	{name: "grpc-go", device: "lo", run: func(ctx context.Context, r *recorder) error { return grpc(ctx, r, servers.GRPC) }},
	{name: "grpc-node", device: "lo", run: func(ctx context.Context, r *recorder) error { return grpc(ctx, r, servers.GRPCNode) }},
	{name: "grpc-older", device: "lo", before: older, run: func(_ context.Context, r *recorder) error { return r.finish() }},
	{name: "grpc-web", device: "lo", run: grpcWeb},
	{name: "dns-coredns", device: "lo", run: func(ctx context.Context, r *recorder) error { return dns(ctx, r, servers.CoreDNS) }},
	{name: "dns-dnsmasq", device: "lo", run: func(ctx context.Context, r *recorder) error { return dns(ctx, r, servers.Dnsmasq) }},
	{name: "dns-unbound", device: "lo", run: func(ctx context.Context, r *recorder) error { return dns(ctx, r, servers.Unbound) }},
	{name: "mysql", device: "lo", run: func(ctx context.Context, r *recorder) error {
		return r.drive(ctx, servers.MariaDB, "dbload -driver mariadb-text", "dbload -driver mariadb-prepared", "node ../node/mysql.mjs ADDRESS text 1 1")
	}},
	{name: "postgresql", device: "lo", run: func(ctx context.Context, r *recorder) error {
		return r.drive(ctx, servers.PostgreSQL, "dbload -driver postgresql-simple", "dbload -driver postgresql-prepared")
	}},
	{name: "redis", device: "lo", run: redis},
	{name: "mongodb", device: "lo", run: func(ctx context.Context, r *recorder) error {
		return r.drive(ctx, servers.Mongo, "dbload -driver mongo", "node ../node/mongo.mjs ADDRESS 1 1")
	}},
	{name: "kafka", device: "lo", run: func(ctx context.Context, r *recorder) error {
		return r.drive(ctx, servers.Kafka, "dbload -driver kafka")
	}},
}

const httpRequests = "-request;GET /users/{n};-request;GET /items/{n}?status=404;-request;POST /orders body=300;-request;GET /broken?status=500;" +
	"-request;DELETE /users/{n}?status=204;-request;HEAD /x?bytes=500;-request;GET /chunked?chunked=40000;-request;PUT /up?echo=1 body=70000"

// load runs httpload with requests of every kind.
func (r *recorder) load(ctx context.Context, target, options string) error {
	return r.client(ctx, "httpload -target "+target+" "+options, strings.Split(httpRequests, ";")...)
}

func http1(ctx context.Context, r *recorder) error {
	var errs []error
	for _, kind := range []servers.Kind{servers.Go, servers.Nginx, servers.Python, servers.Node} {
		address, err := r.server(servers.Config{Kind: kind})
		if err != nil {
			return err
		}
		errs = append(errs, r.load(ctx, address, "-count 16 -connections 2"), r.load(ctx, address, "-count 8 -close"))
		if kind == servers.Go || kind == servers.Nginx {
			errs = append(errs, r.client(ctx, "httpload -count 12 -pipeline 4 -target "+address+" -request", "GET /users/{n}"))
		}
		errs = append(errs, r.client(ctx, "curl -sS -o /dev/null -H Expect:100-continue --data-binary @testdata/body http://"+address+"/upload"))
	}
	return errors.Join(errs...)
}

func http1Any(ctx context.Context, r *recorder) error {
	address, err := r.server(servers.Config{Kind: servers.Go})
	if err != nil {
		return err
	}
	return r.load(ctx, address, "-count 16 -connections 2")
}

func http2(ctx context.Context, r *recorder) error {
	backend, err := r.server(servers.Config{Kind: servers.Go})
	if err != nil {
		return err
	}
	proxy, err := r.server(servers.Config{Kind: servers.Nghttpx, Backend: backend})
	if err != nil {
		return err
	}
	pusher, err := r.server(servers.Config{
		Kind: servers.Nghttpd, Args: []string{"--push=/=/style.css", "--trailer=x-sum: 1", "--padding=50"},
	})
	if err != nil {
		return err
	}
	return errors.Join(
		r.client(ctx, fmt.Sprintf("h2load -n40 -c2 -m10 http://%[1]s/users/7 http://%[1]s/broken?status=503 http://%[1]s/items/9?status=404", proxy)),
		r.client(ctx, "h2load -n4 -c1 -m2 -d testdata/body http://"+proxy+"/upload?echo=1"),
		r.client(ctx, "curl -sS -o /dev/null --http2-prior-knowledge http://"+proxy+"/users/7"),
		r.client(ctx, "curl -sS -o /dev/null --http2-prior-knowledge -I http://"+proxy+"/users/7?bytes=500"),
		r.client(ctx, "nghttp -n -b200 -m5 --continuation http://"+proxy+"/users/7?chunked=40000"),
		r.client(ctx, "nghttp -n -m3 http://"+pusher+"/ http://"+pusher+"/none"),
	)
}

func upgrade(ctx context.Context, r *recorder) error {
	backend, err := r.server(servers.Config{Kind: servers.Go})
	if err != nil {
		return err
	}
	proxy, err := r.server(servers.Config{Kind: servers.Nghttpx, Backend: backend})
	if err != nil {
		return err
	}
	return errors.Join(
		r.client(ctx, "curl -sS -o /dev/null --http2 http://"+proxy+"/users/[1-5]"),
		r.client(ctx, "curl -sS -o /dev/null --http2 http://"+proxy+"/broken?status=503"),
		r.client(ctx, "nghttp -n -u -m5 http://"+proxy+"/users/7"),
	)
}

const (
	grpcCalls = "-call;test.Shop/Get;-call;test.Shop/Put bytes=40000;-call;test.Shop/List messages=7;-call;test.Shop/Upload messages=5 bytes=9000;" +
		"-call;test.Shop/Chat messages=4;-call;test.Orders/Track messages=0;-call;test.Shop/Missing;" +
		"-call;test.Shop/List messages=3 code=13;-call;test.Shop/List messages=0 code=5;-call;test.Shop/Upload code=3;" +
		"-call;test.Shop/Chat messages=3 code=14"
	grpcGivenUp = ";-call;test.Orders/Place delay=2000ms deadline=100ms;-call;test.Orders/Cancel delay=2000ms cancel=100ms;" +
		"-call;test.Shop/List delay=2000ms cancel=100ms;-call;test.Shop/Chat delay=2000ms deadline=100ms"
)

func everyCode(method string) (list string) {
	for code := range 17 {
		list += fmt.Sprintf(";-call;%s code=%d", method, code)
	}
	return list
}

// calls runs grpcload with calls of every kind, twice each.
func (r *recorder) calls(ctx context.Context, target, options, list string) error {
	flags := strings.Split(list, ";")
	return r.client(ctx, fmt.Sprintf("grpcload -target %s -count %d %s", target, len(flags), options), flags...)
}

func grpc(ctx context.Context, r *recorder, kind servers.Kind) error {
	address, err := r.server(servers.Config{Kind: kind})
	if err != nil {
		return err
	}
	list := grpcCalls + everyCode("test.Orders/Place") + grpcGivenUp
	if kind == servers.GRPC {
		return r.calls(ctx, address, "-streams 5", list)
	}
	var calls []string
	for i, c := range strings.Split(list, ";") {
		if i%2 == 1 {
			calls = append(calls, c)
		}
	}
	args := append([]string{"node", "../node/grpc.mjs", "load", address, "5", fmt.Sprint(2 * len(calls)), "0"}, calls...)
	if err := r.start(ctx, args...); err != nil {
		return err
	}
	return r.finish()
}

// older leaves a client's connection open that has been used; its further calls are captured.
func older(ctx context.Context, r *recorder) error {
	address, err := r.server(servers.Config{Kind: servers.GRPC})
	if err != nil {
		return err
	}
	list := grpcCalls + everyCode("test.Orders/Place")
	args := []string{
		filepath.Join(r.dir, "grpcload"), "-wait", "-target", address, "-count", "60", "-warm", "test.Shop/Get", "-warm", "test.Shop/List messages=3", "-warm", "test.Orders/Place code=5",
	}
	return r.start(ctx, append(args, strings.Split(list, ";")...)...)
}

func grpcWeb(ctx context.Context, r *recorder) error {
	list := "-call;test.Shop/Get;-call;test.Shop/List messages=3;-call;test.Shop/List messages=2 code=5" + everyCode("test.Orders/Place")
	for _, way := range []string{"http1", "http2", "grpc", "http2-gzip"} {
		address, err := r.server(servers.Config{Kind: servers.GRPCWeb}) // at a port of its own
		if err != nil {
			return err
		}
		if err := r.calls(ctx, address, "-web "+way, list); err != nil {
			return err
		}
	}
	return nil
}

const dnsQuestions = `www.shop.test A
www.shop.test AAAA
v4.shop.test AAAA
alias.shop.test CNAME
alias.shop.test A
shop.test MX
shop.test SOA
test NS
_http._tcp.shop.test SRV
text.shop.test TXT
big.shop.test TXT
caa.shop.test CAA
naptr.shop.test NAPTR
web.shop.test HTTPS
www.shop.test ANY
www.shop.test DNSKEY
10.2.0.192.in-addr.arpa PTR
nobody.shop.test A
nobody.shop.test MX
example A
version.bind TXT CH
a\.b.shop.test A
a.broken.test A
a.late.test A
`

func dns(ctx context.Context, r *recorder, kind servers.Kind) error {
	const host = "127.0.0.2"
	if _, err := r.server(servers.Config{Kind: kind, Listen: host + ":53"}); err != nil {
		return err
	}
	file := filepath.Join(r.dir, "questions")
	if err := os.WriteFile(file, []byte(dnsQuestions), 0o644); err != nil {
		return err
	}
	// Each question twice, since nobody answers; by the end of the capture that is known.
	unanswered := errors.Join(
		r.client(ctx, "dig @127.0.0.3 www.shop.test A +tries=2 +timeout=1"), r.client(ctx, "dig @"+host+" a.silent.test A +tries=2 +timeout=1"),
	)
	dig := "dig @" + host + " -f " + file + " +tries=1 +timeout=4 "
	return errors.Join(
		unanswered, r.client(ctx, dig), r.client(ctx, dig+"+tcp"), r.client(ctx, dig+"+noedns +nocookie +noadflag"), r.client(ctx, dig+"+dnssec +bufsize=512"),
		r.client(ctx, "sh -c", "printf 'nameserver "+host+"\nsearch a.svc.test svc.test test\noptions ndots:5\n' >"+file+
			" && mount --bind "+file+" /etc/resolv.conf && getent ahosts api.partner; getent ahosts nobody.partner; "+
			filepath.Join(r.dir, "resolve")+" ip api.partner mx shop ip nobody.partner"),
		r.client(ctx, "sleep 6"), r.client(ctx, "dig @"+host+" www.shop.test A"),
	)
}

// start starts a client that says "ready" and then waits for a line.
func (r *recorder) start(ctx context.Context, args ...string) error {
	cmd := r.command(ctx, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || strings.TrimSpace(line) != "ready" {
		return fmt.Errorf("%s says %q: %w", args[0], line, err)
	}
	r.waiting = &waiting{cmd, in, lines}
	return nil
}

type waiting struct {
	cmd *exec.Cmd
	in  io.Writer
	out io.Reader
}

// finish lets the client that was started do its work, and waits for its end.
func (r *recorder) finish() error {
	if _, err := io.WriteString(r.waiting.in, "\n"); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, r.waiting.out); err != nil {
		return err
	}
	return r.waiting.cmd.Wait()
}

// drive lets clients of a database do each of their steps twice; of a line ADDRESS is replaced, or added for dbload.
func (r *recorder) drive(ctx context.Context, kind servers.Kind, clients ...string) error {
	address, err := r.server(servers.Config{Kind: kind})
	if err != nil {
		return err
	}
	for _, line := range clients {
		args := strings.Fields(strings.ReplaceAll(line, "ADDRESS", address))
		if args[0] == "dbload" {
			args = append([]string{filepath.Join(r.dir, args[0])}, append(args[1:], "-target", address)...)
		}
		if err := errors.Join(r.start(ctx, args...), r.finish()); err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
	}
	return nil
}

const redisCommands = `SET name "it's a value"
GET name
GET nothing
INCR number
LPUSH name a
LPUSH list a b
LRANGE list 0 -1
BLPOP list 1
BLPOP list 0.1
HSET hash a 1 b 2
HGETALL hash
CONFIG GET maxmemory
MULTI
INCR number
LPUSH name a
EXEC
MULTI
GET one two
EXEC
NONSENSE
EVAL "return {1, {2, {'three'}}, redis.error_reply('FOUR five')}" 0
SELECT 1
SET name other
PUBLISH news something
`

func redis(ctx context.Context, r *recorder) error {
	address, err := r.server(servers.Config{Kind: servers.Redis})
	if err != nil {
		return err
	}
	host, port, _ := strings.Cut(address, ":")
	file := filepath.Join(r.dir, "commands")
	if err := os.WriteFile(file, []byte(redisCommands), 0o644); err != nil {
		return err
	}
	return r.client(ctx, "sh -c", "redis-cli -h "+host+" -p "+port+" <"+file)
}
