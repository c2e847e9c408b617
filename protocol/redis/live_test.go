package redis_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// live is a real server, a recorder in front of it, and what the server's own statistics cannot know.
type live struct {
	t      *testing.T
	ctx    context.Context
	server string
	rec    *recorder
	// beside are commands that were sent and that the server has no statistics of: queued and never executed, or unknown to it.
	beside map[string]int
}

// TestLive: every command of real clients counts once, by operation and by error, as the server itself counts them; on a connection
// that is older than capture, wherever it is joined, some are missing and none is wrong.
func TestLive(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	server := startServer(t)
	direct := dial(t, server)
	direct.do("CONFIG RESETSTAT")
	l := &live{t: t, ctx: ctx, server: server, rec: newRecorder(t, server), beside: map[string]int{}}
	l.greet()
	for _, version := range []int{2, 3} {
		rdb := l.client(&goredis.Options{Protocol: version})
		l.plain(rdb)
		l.pipelines(rdb)
		l.transactions(rdb)
		l.scripts(rdb)
		l.waits(rdb)
		l.subscriptions(rdb)
		l.close(rdb)
	}
	l.byHand()
	l.cli()
	l.rec.stop()
	l.compare(direct)
	for i, c := range l.rec.conns {
		joined(t, i, c)
	}
}

// client is go-redis, by way of the recorder.
func (l *live) client(o *goredis.Options) *goredis.Client {
	o.Addr, o.MaxRetries, o.PoolSize, o.DisableIdentity = l.rec.addr(), -1, 4, true
	o.ReadTimeout, o.WriteTimeout = 20*time.Second, 20*time.Second
	return goredis.NewClient(o)
}

func (l *live) close(rdb *goredis.Client) {
	if err := rdb.Close(); err != nil {
		l.t.Error(err)
	}
}

// ok wants no error but such as one of codes begins.
func (l *live) ok(err error, codes ...string) {
	l.t.Helper()
	if err == nil || errors.Is(err, goredis.Nil) {
		if len(codes) > 0 {
			l.t.Errorf("no error, want %v", codes)
		}
		return
	}
	for _, code := range codes {
		if strings.Contains(err.Error(), code) {
			return
		}
	}
	l.t.Error(err)
}

// greet connects as drivers do by default, to a database of its own.
func (l *live) greet() {
	rdb := goredis.NewClient(&goredis.Options{Addr: l.rec.addr(), DB: 3, ClientName: "shop", PoolSize: 1})
	l.ok(rdb.Set(l.ctx, "k", "v", 0).Err())
	l.close(rdb)
	rdb = l.client(&goredis.Options{Username: "nobody", Password: "wrong"})
	l.ok(rdb.Get(l.ctx, "k").Err(), "WRONGPASS", "AUTH")
	l.close(rdb)
}

func (l *live) plain(rdb *goredis.Client) {
	ctx := l.ctx
	l.ok(rdb.FlushAll(ctx).Err())
	for i := range 200 {
		k := fmt.Sprint("key:", i)
		l.ok(rdb.Set(ctx, k, i, time.Minute).Err())
		l.ok(rdb.Get(ctx, k).Err())
		l.ok(rdb.Get(ctx, "no"+k).Err())
		l.ok(rdb.HSet(ctx, "type", "type", k, "get", "x").Err())
		l.ok(rdb.HGetAll(ctx, "type").Err())
	}
	for range 20 {
		l.ok(rdb.LPush(ctx, "type", "x").Err(), "WRONGTYPE")
		l.ok(rdb.Do(ctx, "set", "only").Err(), "ERR")
		l.ok(rdb.Do(ctx, "nosuch", "x").Err(), "ERR")
		l.beside["other"]++
	}
	big := strings.Repeat("*3\r\n$3\r\nSET\r\n+OK\r\n", 1<<18)
	l.ok(rdb.Set(ctx, "big", big, time.Minute).Err())
	if got, err := rdb.Get(ctx, "big").Result(); err != nil || got != big {
		l.t.Errorf("%d bytes, %v", len(got), err)
	}
	many := make([]any, 20000)
	for i := range many {
		many[i] = fmt.Sprint("element ", i)
	}
	l.ok(rdb.RPush(ctx, "list", many...).Err())
	if got, err := rdb.LRange(ctx, "list", 0, -1).Result(); err != nil || len(got) != len(many) {
		l.t.Errorf("%d elements, %v", len(got), err)
	}
	l.ok(rdb.ClientList(ctx).Err())
	l.ok(rdb.ConfigGet(ctx, "save").Err())
}

func (l *live) pipelines(rdb *goredis.Client) {
	_, err := rdb.Pipelined(l.ctx, func(p goredis.Pipeliner) error {
		for i := range 3000 {
			p.Set(l.ctx, fmt.Sprint("p", i), strings.Repeat("v", i%300), 0)
			p.Get(l.ctx, fmt.Sprint("p", i))
			if i%100 == 0 {
				p.Incr(l.ctx, "list")
			}
		}
		return nil
	})
	l.ok(err, "WRONGTYPE")
}

func (l *live) transactions(rdb *goredis.Client) {
	ctx := l.ctx
	for range 10 {
		_, err := rdb.TxPipelined(ctx, func(p goredis.Pipeliner) error {
			p.Set(ctx, "a", 1, 0)
			p.LPush(ctx, "a", "x")
			p.Get(ctx, "a")
			return nil
		})
		l.ok(err, "WRONGTYPE")
	}
	err := rdb.Watch(ctx, func(tx *goredis.Tx) error {
		l.ok(rdb.Incr(ctx, "a").Err()) // on another connection
		_, err := tx.TxPipelined(ctx, func(p goredis.Pipeliner) error {
			p.Set(ctx, "a", 2, 0)
			l.beside["SET"]++
			return nil
		})
		return err
	}, "a")
	l.ok(err, goredis.TxFailedErr.Error())
	_, err = rdb.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		p.Set(ctx, "a", 2, 0)
		l.beside["SET"]++
		p.Do(ctx, "get")
		return nil
	})
	l.ok(err, "EXECABORT", "ERR")
}

func (l *live) scripts(rdb *goredis.Client) {
	ctx := l.ctx
	l.ok(rdb.ScriptFlush(ctx).Err())
	script := goredis.NewScript("return {ARGV[1], {1, 2, {3}}, false}")
	for range 10 {
		l.ok(script.Run(ctx, rdb, []string{"k"}, "x").Err())
	}
	l.ok(rdb.Eval(ctx, "return redis.error_reply('SOLD out')", nil).Err(), "SOLD")
	l.ok(rdb.Eval(ctx, "return {map = {a = 1}}", nil).Err())
	l.ok(rdb.FunctionLoadReplace(ctx, "#!lua name=shop\nredis.register_function('f', function() return 1 end)").Err())
	l.ok(rdb.FCall(ctx, "f", nil).Err())
}

func (l *live) waits(rdb *goredis.Client) {
	ctx := l.ctx
	done := make(chan error)
	go func() {
		_, err := rdb.BLPop(ctx, 10*time.Second, "queue").Result()
		done <- err
	}()
	time.Sleep(50 * time.Millisecond) // so that it really waits
	l.ok(rdb.RPush(ctx, "queue", "x").Err())
	l.ok(<-done)
	l.ok(rdb.BLPop(ctx, time.Second, "nothing").Err())
	l.ok(rdb.XAdd(ctx, &goredis.XAddArgs{Stream: "s", Values: []string{"f", "v"}}).Err())
	l.ok(rdb.XGroupCreate(ctx, "s", "g", "0").Err())
	l.ok(rdb.XGroupCreate(ctx, "s", "g", "0").Err(), "BUSYGROUP")
	group := &goredis.XReadGroupArgs{Group: "g", Consumer: "c", Streams: []string{"s", ">"}, Block: time.Second}
	l.ok(rdb.XReadGroup(ctx, group).Err())
	l.ok(rdb.XRead(ctx, &goredis.XReadArgs{Streams: []string{"s", "$"}, Block: 20 * time.Millisecond}).Err())
	l.ok(rdb.Wait(ctx, 0, time.Millisecond).Err())
}

func (l *live) subscriptions(rdb *goredis.Client) {
	ctx := l.ctx
	sub := rdb.Subscribe(ctx, "a", "b", "c")
	for range 3 {
		if _, err := sub.Receive(ctx); err != nil {
			l.t.Fatal(err)
		}
	}
	for i := range 50 {
		l.ok(rdb.Publish(ctx, "b", fmt.Sprint("message ", i)).Err())
		if i%10 == 0 {
			l.ok(sub.PSubscribe(ctx, fmt.Sprint("x", i, "*")))
			l.ok(sub.Ping(ctx, "hello"))
		}
	}
	for messages := 0; messages < 50; {
		m, err := sub.Receive(ctx)
		if err != nil {
			l.t.Fatal(err)
		}
		if _, ok := m.(*goredis.Message); ok {
			messages++
		}
	}
	l.ok(sub.Unsubscribe(ctx, "a"))
	l.ok(sub.Unsubscribe(ctx))
	l.ok(sub.Ping(ctx, "last"))
	for last := false; !last; {
		m, err := sub.Receive(ctx)
		if err != nil {
			l.t.Fatal(err)
		}
		pong, ok := m.(*goredis.Pong)
		last = ok && pong.Payload == "last"
	}
	l.ok(sub.Close())
}

// byHand says what no driver does.
func (l *live) byHand() {
	watcher := dial(l.t, l.rec.addr())
	if got := watcher.do("MONITOR"); got != "+OK" {
		l.t.Errorf("MONITOR: %s", got)
	}
	r := dial(l.t, l.rec.addr())
	for _, s := range [][2]string{
		{"HSET h f v\r\n", ":1"},
		{"PING\n", "+PONG"},
		{"\r\nset k 'a b'\r\n", "+OK"},
		{"get k\r\n", "a b"},
		{"whatever\r\n", "-ERR"},
		{"*1\r\n$4\r\nPING\r\n*0\r\nPING\r\n", "+PONG"},
	} {
		if _, err := r.c.Write([]byte(s[0])); err != nil {
			l.t.Fatal(err)
		}
		if got := r.line(); !strings.HasPrefix(got, s[1]) {
			l.t.Errorf("%q: %q", s[0], got)
		}
	}
	l.beside["other"]++
	if got := r.line(); got != "+PONG" {
		l.t.Errorf("the second of two: %s", got)
	}
	r.send("CLIENT REPLY SKIP")
	r.send("SET a 1")
	r.send("CLIENT REPLY OFF")
	for range 100 {
		r.send("INCR a")
	}
	if got := r.do("CLIENT REPLY ON"); got != "+OK" {
		l.t.Errorf("CLIENT REPLY ON: %s", got)
	}
	if got := r.do("GET a"); got != "101" {
		l.t.Errorf("GET: %s", got)
	}
	if got := r.do("QUIT"); got != "+OK" {
		l.t.Errorf("QUIT: %s", got)
	}
	for got := ""; !strings.Contains(got, `"GET" "a"`); {
		got = watcher.line()
	}
	watcher.c.Close() //nolint:errcheck // it has seen enough
	r.c.Close()       //nolint:errcheck // it has left
	l.replica()
}

// replica asks for all that the server has, as another server would.
func (l *live) replica() {
	r := dial(l.t, l.rec.addr())
	for _, s := range []string{"REPLCONF listening-port 1", "REPLCONF capa eof capa psync2"} {
		if got := r.do(s); got != "+OK" {
			l.t.Errorf("%s: %s", s, got)
		}
	}
	r.send("PSYNC ? -1")
	got := r.line()
	for got == "" {
		got = r.line()
	}
	if !strings.HasPrefix(got, "+FULLRESYNC") {
		l.t.Errorf("PSYNC: %s", got)
	}
	r.c.Close() //nolint:errcheck // it does not want it after all
}

// cli runs redis-cli: once for a command, in RESP3, and with thousands of commands at a time.
func (l *live) cli() {
	program, err := exec.LookPath("redis-cli")
	if err != nil {
		l.t.Fatal("redis-server comes with redis-cli:", err)
	}
	_, port, _ := strings.Cut(l.rec.addr(), ":")
	run := func(stdin string, args ...string) string {
		cmd := exec.CommandContext(l.ctx, program, append([]string{"-p", port}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			l.t.Errorf("redis-cli %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	run("", "set", "cli", "1")
	run("", "-3", "hgetall", "type")
	run("", "-n", "5", "incr", "cli")
	run("", "-r", "20", "incr", "cli")
	run("set a 1\nlpush a x\nget a\n")
	var data []byte
	for i := range 5000 {
		data = append(data, command(fmt.Sprintf("SADD set %d", i))...)
	}
	if out := run(string(data), "--pipe"); !strings.Contains(out, "errors: 0, replies: 5000") {
		l.t.Errorf("%s", out)
	}
}
